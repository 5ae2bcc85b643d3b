"""The server as a whole over REST: read-only mode, what it runs on, and the support file."""

import os
import shutil
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from pydantic import Field

from repoman import __version__
from repoman.db.read_only import Freeze
from repoman.errors import Conflict, NotFound
from repoman.metrics import memory_bytes, resident_bytes
from repoman.rest.endpoints import EVERYBODY, Area, Call, Permission, Reply
from repoman.rest.resources import Resource
from repoman.support import make_support_zip

EDITION = "OSS"  # What clients that look for the edition can work with.
PHASE = "TASKS"  # The last phase of a start, in which everything works.
ROOT = Permission("*", "*")
BARE = (HTTPStatus.NOT_FOUND,)
XML = "application/xml"
JSON = "application/json"
# From a switch of the request to the parts of the support file that it leaves out.
SUPPORT_PARTS = {
    "system_information": ("system.json", "packages.txt", "health.json"),
    "configuration": ("settings.json", "repositories.json"),
    "thread_dump": ("threads.txt",),
    "metrics": ("metrics.txt",),
    "log": ("server.log",),
    "task_log": ("tasks.txt",),
}

system = Area("System", "The server as a whole.")


class ReadOnlyView(Resource):
    """Whether the server is in read-only mode."""

    frozen: bool
    summary_reason: str = Field(description="Since when, for users who may read the settings.")
    system_initiated: bool = Field(False, description="Always false: only people begin it.")


class NodeInformation(Resource):
    """This server."""

    node_id: str


class VersionView(Resource):
    """The version of the server, and the edition for clients that look for one."""

    version: str
    edition: str


class SupportRequest(Resource):
    """What the support file is to contain; other switches have no effect."""

    system_information: bool = Field(True, description="Versions, health and installed packages.")
    configuration: bool = Field(True, description="The settings and repositories, secrets masked.")
    thread_dump: bool = Field(True, description="What each thread does.")
    metrics: bool = Field(True, description="All metrics.")
    log: bool = Field(True, description="The last lines of the server log.")
    task_log: bool = Field(True, description="The tasks and their last runs.")


@system.get("/v1/read-only", EVERYBODY)
def show_read_only(call: Call) -> ReadOnlyView:
    """Show whether the server is in read-only mode."""
    state = call.repoman.database.read_only.find()
    reads = call.repoman.security.authorizer.may_administer(call.actor, "settings", "read")
    reason = "" if state is None or not reads else _reason(state)
    return ReadOnlyView(frozen=state is not None, summary_reason=reason)


@system.post("/v1/read-only/freeze", ROOT, bare=BARE)
def freeze(call: Call) -> None:
    """Begin read-only mode: all changes of content and configuration are refused."""
    try:
        call.repoman.database.freeze(call.actor.name)
    except Conflict as error:  # Sonatype Nexus Repository 3 answers 404.
        raise NotFound(str(error)) from error


@system.post("/v1/read-only/release", ROOT, bare=BARE)
def release(call: Call) -> None:
    """End read-only mode."""
    try:
        call.repoman.database.release()
    except Conflict as error:
        raise NotFound(str(error)) from error


@system.post("/v1/read-only/force-release", ROOT, bare=BARE)
def force_release(call: Call) -> None:
    """End read-only mode, whoever began it; if there is any."""
    with suppress(Conflict):
        call.repoman.database.release()


@system.get("/v1/system/node", ROOT)
def show_node(call: Call) -> NodeInformation:
    """Show the id of this server, which stays as long as its data."""
    return NodeInformation(node_id=call.repoman.node_id)


@system.get("/v1/lifecycle/phase", EVERYBODY)
def show_phase(call: Call) -> str:
    """Answer `TASKS`: everything has started."""
    return PHASE


@system.get("/wonderland/status", EVERYBODY)
def show_version(call: Call) -> Reply:
    """Show the version and the edition, as XML unless the request accepts JSON."""
    version = call.repoman.settings.server.nexus_compatibility or __version__
    if JSON in call.accept:
        view = VersionView(version=version, edition=EDITION)
        return Reply(view.model_dump_json(indent=2), JSON)
    return Reply(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<status><version>{version}</version><edition>{EDITION}</edition></status>\n",
        XML,
    )


@system.get("/atlas/system-information", Permission("atlas", "read"))
def show_system_information(call: Call) -> dict[str, Any]:
    """Show what the server runs on, as far as exporters read it."""
    resident, memory = resident_bytes(), memory_bytes()
    disk = shutil.disk_usage(call.repoman.data)
    return {
        "system-time": {"epoch": time.time(), "iso": datetime.now(UTC).isoformat()},
        "system-runtime": {
            "availableProcessors": os.cpu_count() or 1,
            "freeMemory": memory - resident,
            "totalMemory": memory,
            "maxMemory": memory,
            "threads": threading.active_count(),
        },
        "system-filestores": {
            str(call.repoman.data): {
                "description": str(call.repoman.data),
                "type": "data",
                "totalSpace": disk.total,
                "usableSpace": disk.free,
                "unallocatedSpace": disk.free,
                "readOnly": False,
            }
        },
        "nexus-status": {
            "version": call.repoman.settings.server.nexus_compatibility or __version__,
            "edition": EDITION,
            "state": "STARTED",
        },
        "nexus-node": {"node-id": call.repoman.node_id},
    }


@system.post("/v1/support/supportzip", Permission("atlas", "create"))
def create_support_zip(call: Call, body: SupportRequest) -> Reply:
    """Create a ZIP file that helps to find out why something does not work, without secrets."""
    left_out = {
        part
        for switch, parts in SUPPORT_PARTS.items()
        if not getattr(body, switch)
        for part in parts
    }
    name = f"support-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    content = make_support_zip(call.repoman, frozenset(left_out))
    return Reply(content, "application/zip", headers=headers)


def _reason(state: Freeze) -> str:
    since = datetime.fromtimestamp(state.at, UTC).isoformat(timespec="seconds")
    return f"Begun by {state.actor} at {since}."
