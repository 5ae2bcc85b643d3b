"""The registry V2 and OCI distribution protocol as pure functions and values.

Standard library only, no I/O. Whatever a client sends, the only exception raised for it is
:class:`repoman_docker.protocol.errors.RegistryError`.
"""
