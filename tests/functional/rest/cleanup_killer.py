"""Kills a cleanup before each statement that writes. Run by test_killed_changes.

After each kill the server starts again, nothing is half removed, and the next run continues.
"""

import sys
import time
from pathlib import Path

from repoman.clocks import DAY_S
from repoman.core import Repoman
from repoman.db.models import database_proxy
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import make_image
from tests.functional.docker.wires import InProcess
from tests.functional.rest.configuration_killer import kill_at_each_statement

TAGS = tuple(f"1.{number}" for number in range(5))
FILES = ("a", "b")


class Run:
    """A run that nobody watches."""

    def progress(self, *_, **__) -> None:
        """Do nothing."""

    log = pause = freed = progress


def fill(repoman: Repoman) -> None:
    """Make repositories whose policies choose all tags but the newest, and all files."""
    repoman.cleanup_policies.create(CleanupPolicy("old", last_updated_days=3, retain=1))
    repoman.cleanup_policies.create(CleanupPolicy("files", last_updated_days=3))
    for name, recipe, policy in (("images", "docker", "old"), ("files", "raw", "files")):
        settings = {"cleanup": {"policy_names": [policy]}}
        repoman.repositories.create(name, f"{recipe}-hosted", settings)
    client = HttpClient(repoman)
    registry = Registry(InProcess(client), "/repository/images", ADMIN)
    for tag in TAGS:
        registry.push("app", tag, make_image(tag.encode()))
    for path in FILES:
        client.put(f"/repository/files/{path}", path.encode())


def clean(repoman: Repoman) -> None:
    """Clean up, as in a week."""
    cleaner = repoman.cleaner
    cleaner._clock = cleaner._confirmed = lambda: time.time() + 7 * DAY_S
    cleaner.run(Run())


def check(repoman: Repoman) -> None:
    """Exit with an error unless each component has its asset and its event, and a run gets on."""
    execute = database_proxy.execute_sql
    versions = {tag for (tag,) in execute("SELECT version FROM component WHERE kind = 'tag'")}
    paths = {path for (path,) in execute("SELECT path FROM asset WHERE path LIKE 'tags/%'")}
    assert paths == {f"tags/app/{tag}" for tag in versions}
    gone = "SELECT path FROM content_event WHERE source = 'cleanup' AND new_digest IS NULL"
    told = {path for (path,) in execute(gone)}
    files = {path for (path,) in execute("SELECT name FROM component WHERE kind = 'file'")}
    left = {f"tags/app/{tag}" for tag in TAGS} - paths
    assert {path for path in told if path.startswith("tags/")} == left
    assert {path.rpartition("/")[2] for path in told - left} == set(FILES) - files
    clean(repoman)
    rest = {tag for (tag,) in execute("SELECT version FROM component WHERE kind = 'tag'")}
    assert rest == {TAGS[-1]}
    assert not list(execute("SELECT 1 FROM component WHERE kind = 'file'"))
    client = HttpClient(repoman)
    assert client.get(f"/repository/images/v2/app/manifests/{TAGS[-1]}").status_code == 200


if __name__ == "__main__":
    kill_at_each_statement(Path(sys.argv[1]), fill, clean, check, int(sys.argv[2]))
