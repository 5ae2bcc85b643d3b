"""What clients of Sonatype Nexus Repository 3 ask for and this server does not have.

The answers are those of a server where it is switched off, so that clients go on.
"""

from http import HTTPStatus
from typing import Any

from repoman.errors import Invalid, NotFound
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Resource

NO_SCRIPTS = "Scripts are not supported."
DISCLAIMER = "This server has no end user license agreement."
SCRIPT = "/v1/script/{name}"

absent = Area("Not available", "What this server does not have, answered as clients expect.")


@absent.get("/v1/script", Permission("script", "read"))
def list_scripts(call: Call) -> list[str]:
    """List no scripts: they are not supported."""
    return []


@absent.post("/v1/script", Permission("script", "create"), status=HTTPStatus.GONE)
def create_script(call: Call) -> None:
    """Answer 410: scripts are not supported."""


@absent.get(SCRIPT, Permission("script", "read"), bare=(404,))
def show_script(call: Call) -> None:
    """Answer 404: scripts are not supported."""
    raise NotFound(NO_SCRIPTS)


@absent.put(SCRIPT, Permission("script", "update"), status=HTTPStatus.GONE)
def change_script(call: Call) -> None:
    """Answer 410: scripts are not supported."""


@absent.delete(SCRIPT, Permission("script", "delete"), bare=(404,))
def delete_script(call: Call) -> None:
    """Answer 404: scripts are not supported."""
    raise NotFound(NO_SCRIPTS)


@absent.post(f"{SCRIPT}/run", Permission("script", "run"), bare=(404,))
def run_script(call: Call) -> None:
    """Answer 404: scripts are not supported."""
    raise NotFound(NO_SCRIPTS)


class IqConnection(Resource):
    """The connection to an IQ server, which there never is."""

    enabled: bool = False
    show_link: bool = False
    url: str | None = None
    authentication_type: str | None = None
    username: str | None = None
    timeout_seconds: int | None = None
    properties: str | None = None
    use_trust_store_for_url: bool = False
    fail_open_mode_enabled: bool = False


@absent.get("/v1/iq", Permission("settings", "read"))
def show_iq_connection(call: Call) -> IqConnection:
    """Show that there is no connection to an IQ server: it is not supported."""
    return IqConnection()


@absent.put("/v1/iq", Permission("settings", "update"), bare=(404,))
def set_iq_connection(call: Call) -> None:
    """Answer 404: connections to an IQ server are not supported."""
    raise NotFound("Connections to an IQ server are not supported.")


@absent.get("/v1/capabilities", Permission("capabilities", "read"))
def list_capabilities(call: Call) -> list[dict[str, Any]]:
    """List no capabilities: this server has none to set up."""
    return []


@absent.post("/v1/capabilities", Permission("capabilities", "create"))
def create_capability(call: Call, body: dict[str, Any]) -> None:
    """Answer 400: this server has no types of capabilities."""
    raise Invalid("There is no such type of capability: this server has none.")


@absent.put("/v1/capabilities/{id}", Permission("capabilities", "update"), bare=(404,))
def change_capability(call: Call) -> None:
    """Answer 404: this server has no capabilities."""
    raise NotFound("There is no such capability.")


@absent.delete("/v1/capabilities/{id}", Permission("capabilities", "delete"), bare=(404,))
def delete_capability(call: Call) -> None:
    """Answer 404: this server has no capabilities."""
    raise NotFound("There is no such capability.")


@absent.get("/v1/system/license", Permission("licensing", "read"), bare=(404,))
def show_license(call: Call) -> None:
    """Answer 404: this server needs no license."""
    raise NotFound("This server needs no license.")


class Eula(Resource):
    """The end user license agreement."""

    accepted: bool = True
    disclaimer: str = DISCLAIMER


@absent.get("/v1/system/eula", Permission("*", "*"))
def show_eula(call: Call) -> Eula:
    """Show that there is no end user license agreement, which counts as accepted."""
    return Eula()


@absent.post("/v1/system/eula", Permission("*", "*"))
def accept_eula(call: Call, body: Eula) -> None:
    """Accept the end user license agreement: a text as it is shown, and nothing else."""
    if not body.accepted or body.disclaimer != DISCLAIMER:
        raise Invalid("The agreement must be accepted with the disclaimer as it is shown.")
