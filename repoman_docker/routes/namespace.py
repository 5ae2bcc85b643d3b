"""The parameter ``ns``, by which clients of a mirror say which registry they mean.

Source: OCI distribution-spec, Registry Proxying.
"""

from flask import request

from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted
from repoman_docker.routes.current import repository


def check_namespace() -> str | None:
    """Return the registry that the client means, if it says so and it matters here.

    Raises:
        RegistryError: NAME_UNKNOWN, it means another one than this repository is a mirror of; the
            client goes on to the next mirror.
    """
    asked = request.args.get("ns")
    served = repository().namespaces
    if asked is None or served is None:
        return None
    if asked not in served:
        raise RegistryError(
            ErrorCode.NAME_UNKNOWN, f"This is no mirror of {quoted(asked)}.", {"ns": asked[:80]}
        )
    return asked
