"""The collection by a command, beside a server that alone knows what was pulled a moment ago."""

import sqlite3
from contextlib import closing

from tests.functional.docker.images import make_image
from tests.functional.docker.sites import LiveSite

FIRST = "Docker - Delete unused manifests and images"


def make_old(server):
    """Have all content been pushed long ago, and never been pulled."""
    with closing(sqlite3.connect(server.data / "repoman.db", timeout=60)) as connection, connection:
        connection.execute("UPDATE asset SET updated_at = 1, promised_at = NULL")


def test_what_was_pulled_a_moment_ago_stays(server):
    registry = LiveSite(server).create({"docker.undo_days": 0, "docker.untagged_days": 30})
    pulled, forgotten = make_image(), make_image()
    for image in (pulled, forgotten):
        registry.push_blobs("app", image)
        registry.push_manifest("app", image.digest, image.manifest)
    make_old(server)
    # No HEAD, which would promise that it stays for a day.
    assert registry.get(f"app/manifests/{pulled.digest}").status == 200
    told = server.cli("docker", "gc", registry.repository).stdout.splitlines()
    assert registry.get(f"app/manifests/{forgotten.digest}").status == 404
    assert registry.pull("app", pulled.digest) == pulled.manifest
    assert told[0].endswith(f"Delete unused content of {registry.repository} after 24 hours.")
    assert told[-1].startswith("ok: Deleted 3 blobs and 1 manifest; freed ")


def test_a_collection_of_everything_is_the_task_that_is_there(server):
    server.cli("task", "set", FIRST, "--schedule", "manual")  # It must not run just then.
    told = server.cli("docker", "gc").stdout
    assert told == f"The server runs the task {FIRST}.\nok: nothing to do\n"
    refused = server.cli("docker", "gc", "nowhere", check=False)
    assert (refused.returncode, "no hosted Docker repository" in refused.stderr) == (1, True)
