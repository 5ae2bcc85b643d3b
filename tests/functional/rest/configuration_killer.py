"""Kills changes of the configuration before each statement that writes. Run by test_killed_changes.

After each kill the server starts again, is looked at, and does the same work from the beginning.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import repoman_docker.plugin
import repoman_raw.plugin
from repoman.blobs.file import PREFIXES
from repoman.core import Repoman
from repoman.db.models import database_proxy
from repoman.provisioning.plan import Provisioning
from repoman.repositories.repository_records import port_owners
from repoman.stores.model import StoreInfo
from repoman.testing import HttpClient, RepomanFactory
from tests.live import free_port
from tests.unit.core.rotation_killer import run
from tests.warm import import_everything

API = "/service/rest/v1/repositories"
WRITES = ("BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT", "REPLACE")
LIMIT = 1000  # Statements after which the work has not ended.
OLD, NEW = free_port(), free_port()  # Of connectors, which nobody opens here.
PLUGINS = {"docker": repoman_docker.plugin, "raw": repoman_raw.plugin}
HOSTED = {
    "name": "new",
    "online": True,
    "storage": {
        "blobStoreName": "default",
        "strictContentTypeValidation": True,
        "writePolicy": "ALLOW",
    },
    "docker": {"v1Enabled": False, "forceBasicAuth": True, "httpPort": NEW},
}
# What `apply` makes of the server that `fill` leaves: something of each kind is new, changed, gone.
DOCUMENT = {
    "blob_stores": {"default": {}, "added": {}},
    "routing_rules": {"rule": {"mode": "block", "matchers": ["/b"]}},
    "content_selectors": {"team": {"expression": 'path =^ "/b/"'}},
    "repositories": {
        "added": {"recipe": "raw-hosted", "settings": {"storage": {"blob_store": "added"}}},
        "group": {"recipe": "raw-group", "settings": {"group": {"members": ["added"]}}},
    },
    "roles": {"dev": {"privileges": ["nx-all"]}},
    "users": {"admin": {"roles": ["nx-admin"]}, "bob": {"roles": ["dev"]}},
    "options": {"http": {"retries": 5}},
    "tasks": {"Verify": {"type": "blobstore.verify", "schedule": "daily 04:00"}},
}
FIRST_OR_LAST = ("blob_stores", "users", "tasks")  # Not deleted, or made, within the transaction.


@contextmanager
def started(data: Path) -> Iterator[Repoman]:
    """The services, as a start of the server leaves them."""
    factory = RepomanFactory(data)
    repoman = factory(PLUGINS)
    yield repoman
    factory.stop()


@contextmanager
def killed_before(number: int) -> Iterator[None]:
    """Be killed before the statement of this number, of those that write."""
    count = 0

    def note(statement: str) -> None:
        nonlocal count
        if statement.lstrip().upper().startswith(WRITES):
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

    connection = database_proxy.writer
    connection.set_trace_callback(note)
    yield
    connection.set_trace_callback(None)


def kill_at_each_statement(
    directory: Path,
    fill: Callable[[Repoman], object],
    work: Callable[[Repoman], object],
    check: Callable[[Repoman], object],
    step: int,
) -> None:
    """Kill ``work`` before each ``step``-th statement until it gets through; print how often."""
    filled, data = directory / "filled", directory / "data"

    def kill(number: int) -> None:
        with started(data) as repoman, killed_before(number):
            work(repoman)

    def use(place: Path, function: Callable[[Repoman], object]) -> None:
        with started(place) as repoman:
            function(repoman)

    assert run(lambda: use(filled, fill)) == 0
    for number in range(0, LIMIT, step):
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(filled, data)
        status = run(lambda: kill(number))  # noqa: B023 - run at once
        assert run(lambda: use(data, check)) == 0, f"killed before statement {number}"
        if status == 0:
            sys.stdout.write(f"{number // step}\n")
            return
        assert status == -signal.SIGKILL, status
    raise AssertionError("the work never got through")


def changes_of(repoman: Repoman, name: str) -> list[str]:
    """What the audit log has of a repository."""
    repoman.audit.flush()
    events = repoman.audit.search({"domain": "repository"})
    return [each["type"] for each in reversed(events) if each["target"] == name]


# Repositories over REST --------------------------------------------------------------------------


def fill_repositories(repoman: Repoman) -> None:
    """Make a repository with content, and a group that has it."""
    create = repoman.repositories.create
    create("old", "docker-hosted", {"docker": {"http_port": OLD}})
    create("kept", "docker-hosted", {})
    create("all", "docker-group", {"group": {"members": ["old", "kept"]}})


def change_repositories(repoman: Repoman) -> None:
    """Create one repository, change it, and delete the other one, where this is not done yet."""
    client = HttpClient(repoman)
    status = client.request("POST", f"{API}/docker/hosted", json=HOSTED).status_code
    assert status == 201 or repoman.repositories.find("new"), status
    changed = {**HOSTED, "online": False}
    assert client.request("PUT", f"{API}/docker/hosted/new", json=changed).status_code == 204
    assert client.delete(f"{API}/old").status_code in (204, 404)


def check_repositories(repoman: Repoman) -> None:
    """Each of them is there altogether or not at all; and the rest of the work can be done."""
    found = {each.name: each for each in repoman.repositories.all()}
    assert all(each.problem is None for each in found.values())
    ports = {"old": OLD, "new": NEW}
    assert port_owners() == {ports[name]: name for name in ports if name in found}
    members = found["all"].config.settings()["group"]["members"]
    assert members == ["old", "kept"] if "old" in found else ["kept"]
    assert ("create" in changes_of(repoman, "new")) is ("new" in found)
    assert ("delete" in changes_of(repoman, "old")) is ("old" not in found)
    is_changed = "new" in found and not found["new"].config.is_online
    assert ("change" in changes_of(repoman, "new")) is is_changed
    change_repositories(repoman)
    assert [each.name for each in repoman.repositories.all()] == ["all", "kept", "new"]
    assert port_owners() == {NEW: "new"}
    assert changes_of(repoman, "new") == ["create", "change"]
    assert changes_of(repoman, "old") == ["create", "delete"]


# Applying a document -----------------------------------------------------------------------------


def fill_for_document(repoman: Repoman) -> None:
    """Make what the document changes and deletes."""
    repoman.stores.create("gone", "gone")
    Provisioning(repoman).apply(
        {
            "routing_rules": {"rule": {"mode": "block", "matchers": ["/a"]}},
            "content_selectors": {"team": {"expression": 'path =^ "/a/"'}},
            "repositories": {"gone": {"recipe": "raw-hosted", "settings": {}}},
            "users": {"ann": {"roles": ["nx-admin"]}},
        }
    )


def apply_document(repoman: Repoman) -> None:
    """Apply the document."""
    Provisioning(repoman).apply(DOCUMENT, prune=True)


def configuration(repoman: Repoman) -> dict[str, Any]:
    """The configuration without what comes before and after the transaction."""
    document, _ = Provisioning(repoman).export()
    return {key: value for key, value in document.items() if key not in FIRST_OR_LAST}


def check_document(repoman: Repoman) -> None:
    """The transaction has happened or not; the document can be applied again, and is complete."""
    names = {each.name for each in repoman.repositories.all()}
    assert names in ({"gone"}, {"added", "group"}), names
    is_done = names != {"gone"}
    present = configuration(repoman)
    assert ("dev" in {each.id for each in repoman.security.roles.all()}) is is_done
    assert ("bob" in {each.name for each in repoman.users.all()}) is is_done
    assert ("Verify" in {each.name for each in repoman.tasks.all()}) is is_done
    assert repoman.options.describe("http")["retries"] == (5 if is_done else None)
    apply_document(repoman)
    if is_done:
        assert configuration(repoman) == present
    assert Provisioning(repoman).apply(DOCUMENT, prune=True, dry_run=True).changes == ()
    assert {each.name for each in repoman.users.all()} == {"admin", "bob"}
    stores: list[StoreInfo] = repoman.stores.all()
    assert {each.name for each in stores} == {"default", "added"}
    assert [each.name for each in repoman.tasks.all()] == ["Verify"]


WORKS = {
    "repositories": (fill_repositories, change_repositories, check_repositories, 1),
    "document": (fill_for_document, apply_document, check_document, 3),
}

if __name__ == "__main__":
    os.fsync = lambda _: None  # Kills take nothing that was written, and a busy disk takes long.
    PREFIXES[:] = ["00", "ff"]  # 256 directories take long as well.
    import_everything()  # or each process that is killed would
    kill_at_each_statement(Path(sys.argv[2]), *WORKS[sys.argv[1]])
