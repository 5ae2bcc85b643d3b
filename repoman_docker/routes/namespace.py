"""The parameter ``ns``, with which clients of a mirror name the registry they mean.

Source: OCI distribution-spec, Registry Proxying.
"""

from flask import request

from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted
from repoman_docker.routes.current import VIEW, repository


def check_namespace() -> str | None:
    """Return the registry that the client names, if it matters for this repository.

    Afterwards :func:`repository` returns the view of that registry.

    Raises:
        RegistryError: NAME_UNKNOWN, this repository is not a mirror of that registry; the client
            continues with the next mirror.
    """
    asked = request.args.get("ns")
    if asked is None:
        return None
    found = repository().as_mirror_of(asked)
    if found is None:
        raise RegistryError(
            ErrorCode.NAME_UNKNOWN,
            f"This repository is not a mirror of {quoted(asked)}.",
            {"ns": asked[:80]},
        )
    request.environ[VIEW] = found
    return None if found.namespaces is None else asked
