"""The parameter ``ns``, by which clients of a mirror say which registry they mean.

Source: OCI distribution-spec, Registry Proxying.
"""

from flask import request

from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted
from repoman_docker.routes.current import VIEW, repository


def check_namespace() -> str | None:
    """Return the registry that the client means, if it says so and it matters here.

    From then on :func:`repository` returns the part that answers in its place.

    Raises:
        RegistryError: NAME_UNKNOWN, it means another one than this repository is a mirror of; the
            client goes on to the next mirror.
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
