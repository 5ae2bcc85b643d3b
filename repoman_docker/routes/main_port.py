"""The main port, where registry clients find no images: they are told where the connectors are.

docker shows its user nothing of an answer to ``/v2/`` but the status. What it shows is the error of
a token endpoint, so ``/v2/`` sends it to one.
"""

from http import HTTPStatus

from flask import Blueprint, Response

from repoman.plugin import list_addresses, main_address
from repoman_docker.protocol.challenge import render_challenge
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.routes.access import TOKEN_PATH
from repoman_docker.routes.errors import render_registry_error

SERVICE = "main port"  # The name of the service in the challenge.
ADDRESSES_MAX = 20  # Repositories that the text names.
ELSEWHERE = (
    "This is the main port, where docker finds no images: each Docker repository is at a port of "
    "its own."
)

main_port = Blueprint("docker_main_port", __name__)


@main_port.get("/v2/", defaults={"path": ""})
@main_port.get("/v2/<path:path>")
def send_elsewhere(path: str) -> Response:
    """Refuse any request of the API, so that the client asks for a token."""
    headers = {"WWW-Authenticate": render_challenge(main_address() + TOKEN_PATH, SERVICE)}
    return render_registry_error(
        RegistryError(ErrorCode.UNAUTHORIZED, ELSEWHERE, {"path": path[:200]}, headers=headers)
    )


@main_port.get(TOKEN_PATH)
def tell_addresses() -> Response:
    """Refuse a token, and tell which Docker repositories the user may know, and where they are."""
    found = [
        f"{each.name} at {each.urls[0].partition('://')[2]}"
        for each in list_addresses()
        if each.format == "Docker" and each.urls
    ]
    where = f" You may use {', '.join(found[:ADDRESSES_MAX])}." if found else ""
    where = where or " Ask the administrator of this server which port that is."
    error = RegistryError(ErrorCode.DENIED, ELSEWHERE + where, status=HTTPStatus.FORBIDDEN)
    return render_registry_error(error)
