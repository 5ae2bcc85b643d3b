"""The main port, which serves no images: clients are told the addresses of the connectors.

Of a response to ``/v2/`` docker shows only the status. It does show the error of a token endpoint,
so ``/v2/`` sends it to one.
"""

from http import HTTPStatus

from flask import Blueprint, Response

from repoman.plugin import list_addresses, main_address
from repoman_docker.protocol.challenge import render_challenge
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.routes.access import TOKEN_PATH
from repoman_docker.routes.errors import render_registry_error

SERVICE = "main port"  # The name of the service in the challenge.
ADDRESSES_MAX = 20  # Maximum number of repositories in the message.
ELSEWHERE = (
    "This is the main port, which serves no Docker images: each Docker repository has a port of "
    "its own."
)

main_port = Blueprint("docker_main_port", __name__)


@main_port.get("/v2/", defaults={"path": ""})
@main_port.get("/v2/<path:path>")
def send_elsewhere(path: str) -> Response:
    """Refuse any request of the API, so that the client requests a token."""
    headers = {"WWW-Authenticate": render_challenge(main_address() + TOKEN_PATH, SERVICE)}
    return render_registry_error(
        RegistryError(ErrorCode.UNAUTHORIZED, ELSEWHERE, {"path": path[:200]}, headers=headers)
    )


@main_port.get(TOKEN_PATH)
def tell_addresses() -> Response:
    """Refuse a token; the message lists the Docker repositories that the user may see."""
    found = [
        f"{each.name} at {each.urls[0].partition('://')[2]}"
        for each in list_addresses()
        if each.format == "Docker" and each.urls
    ]
    where = f" You have access to {', '.join(found[:ADDRESSES_MAX])}." if found else ""
    where = where or " Ask the administrator of this server for the port."
    error = RegistryError(ErrorCode.DENIED, ELSEWHERE + where, status=HTTPStatus.FORBIDDEN)
    return render_registry_error(error)
