"""The status of the server over REST, in the form of Sonatype Nexus Repository 3."""

import os
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus

from pydantic import Field

from repoman.db.read_only import MESSAGE
from repoman.errors import Frozen, Unavailable
from repoman.health import Health
from repoman.printable import pluralize
from repoman.rest.endpoints import EVERYBODY, Area, Call, Permission
from repoman.rest.resources import Resource, Timestamp

NEEDED = ("database", "blob store")  # How the checks begin without which nothing can be read.
BARE = (HTTPStatus.SERVICE_UNAVAILABLE,)

status = Area("Status", "What works and what does not, for load balancers and monitoring.")


class CheckView(Resource):
    """The result of a check."""

    healthy: bool
    message: str = Field(description="What does not work, if something does not.")
    error: None = None
    details: None = None
    time: int = Field(description="When it was checked, in milliseconds since the epoch.")
    duration: int = Field(0, description="Always 0: the checks run beside the requests.")
    timestamp: Timestamp = Field(description="When it was checked.")


class NodeView(Resource):
    """A server of a cluster, which has only one."""

    node_id: str
    hostname: str
    results: dict[str, CheckView] = Field(description="The checks that fail.")


@status.get("/v1/status", EVERYBODY, bare=BARE)
def check_readable(call: Call) -> str:
    """Answer whether content can be read; with an empty body."""
    problems = call.repoman.health.problems()
    _check([text for name, text in problems.items() if name.startswith(NEEDED)])
    return ""


@status.get("/v1/status/writable", EVERYBODY, bare=BARE)
def check_writable(call: Call) -> str:
    """Answer whether content can be written; with an empty body."""
    if call.repoman.database.read_only.find() is not None:  # Without the delay of health checks.
        raise Frozen(MESSAGE)
    _check(list(call.repoman.writing.problems().values()))
    return ""


@status.get("/v1/status/check", Permission("metrics", "read"))
def list_checks(call: Call) -> dict[str, CheckView]:
    """List all checks and what they say."""
    return checks_of(call)


@status.get("/v1/status/check/cluster", Permission("metrics", "read"))
def list_cluster_checks(call: Call) -> list[NodeView]:
    """List the servers of the cluster, which is this one, with the checks that fail."""
    failing = {name: each for name, each in checks_of(call).items() if not each.healthy}
    node = NodeView(node_id=call.repoman.node_id, hostname=socket.gethostname(), results=failing)
    return [node]


def checks_of(call: Call) -> dict[str, CheckView]:
    """Return all checks by their names."""
    return dict(_checks(call))


def _check(problems: list[str]) -> None:
    if problems:
        raise Unavailable(problems[0])


def _checks(call: Call) -> Iterator[tuple[str, CheckView]]:
    repoman = call.repoman
    processors = pluralize(os.cpu_count() or 1, "processor")
    yield "Available CPUs", _result(f"The host has {processors}.", is_healthy=True)
    state = repoman.database.read_only.find()
    told = "Everything can be changed." if state is None else MESSAGE
    yield "Read-only mode", _result(told, is_healthy=state is None)
    for health in (repoman.health, repoman.writing):
        yield from _results(health)


def _results(health: Health) -> Iterator[tuple[str, CheckView]]:
    problems = health.problems()
    for name in health.names():
        problem = problems.get(name)
        yield name, _result(problem or "This works.", is_healthy=problem is None)


def _result(message: str, *, is_healthy: bool) -> CheckView:
    now = time.time()
    return CheckView(healthy=is_healthy, message=message, time=int(now * 1000), timestamp=now)
