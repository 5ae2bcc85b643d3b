"""The registry V2 and OCI distribution protocol as pure functions and values.

Standard library only, no I/O. For any input of a client, the only exception raised is
:class:`repoman_docker.protocol.errors.RegistryError`.
"""
