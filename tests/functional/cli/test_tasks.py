"""Tasks by the command line, beside a running server and without one."""

import json
import sqlite3
from contextlib import closing

from click.testing import CliRunner

from benchmarks.purge import fill
from repoman.cli import cli
from repoman.cli import task as task_commands
from repoman.config import Settings
from repoman.core import Repoman
from repoman.errors import Conflict
from tests.clock import wait_until
from tests.live import LiveServer

VERIFY = "Admin - Verify blob stores"


def tasks_of(server):
    """The tasks as JSON, by their types."""
    lines = server.cli("task", "list", "--json").stdout.splitlines()
    return {each["type"]: each for each in map(json.loads, lines)}


def test_the_server_runs_a_task_in_a_process_of_its_own(server):
    assert tasks_of(server)["blobstore.verify"]["enabled"] is False
    refused = server.cli("task", "run", VERIFY, check=False)
    assert (refused.returncode, "disabled" in refused.stderr) == (1, True)
    server.cli("task", "set", VERIFY, "--enabled", "--schedule", "manual")
    done = server.cli("task", "run", VERIFY, "--follow")
    assert done.stdout.splitlines() == [
        f"The server runs the task {VERIFY}.",
        "ok: Read 0 blobs; damaged or missing: 0.",
    ]
    shown = server.cli("task", "show", VERIFY).stdout
    assert "state: waiting" in shown
    assert "schedule: manual (UTC)" in shown
    assert " ok after " in shown
    assert tasks_of(server)["blobstore.verify"]["last_result"] == "ok"


def test_without_a_server_the_command_does_the_work(server):
    server.stop()
    server.cli("task", "create", "blobstore.verify", "--name", "look")
    done = server.cli("task", "run", "look")
    assert done.stdout == "ok: Read 0 blobs; damaged or missing: 0.\n"
    server.cli("task", "delete", "look")
    assert "look" not in server.cli("task", "list").stdout


def test_following_ends_when_no_server_works_on_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(task_commands, "LEASE_S", 0)
    with Repoman(Settings(data=tmp_path)) as repoman:
        [queued, *_] = repoman.tasks.all()
        repoman.tasks.run(queued)
    words = ["task", "show", queued.name, "--follow", "--data", str(tmp_path)]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, Conflict)
    assert "No server runs the task any more" in str(done.exception)


def test_a_task_is_created_changed_and_deleted(server):
    made = server.cli("task", "create", "blobstore.verify", "--name", "x", "--schedule", "hourly")
    number = made.stdout.split()[-1].rstrip(".")
    when = ("--schedule", "weekly mon 03:00", "--time-zone", "Europe/Berlin")
    server.cli("task", "set", number, "--name", "y", *when)
    shown = server.cli("task", "show", "y").stdout
    assert "schedule: weekly mon 03:00 (Europe/Berlin)" in shown
    for words, problem in (
        (("set", "y"), "nothing to change"),
        (("set", "y", "--schedule", "weekly 03:00"), "days of the week"),
        (("set", "y", "--set", "a=b"), "settings.a: unknown key"),
        (("create", "z"), "no task type 'z'"),
        (("show", "x"), "There is no task 'x'"),
        (("stop", "y"), "is not running"),
    ):
        done = server.cli("task", *words, check=False)
        assert (done.returncode, problem in done.stderr) == (1, True), done.stderr
    server.cli("task", "delete", "y")
    events = server.cli("audit", "list", "--domain", "task").stdout
    assert [line.split()[3] for line in events.splitlines()] == [
        "task.delete",
        "task.change",
        "task.create",
    ]


def test_a_deleted_first_task_stays_deleted(server):
    server.cli("task", "delete", VERIFY)
    server.restart()
    assert "blobstore.verify" not in tasks_of(server)


def test_a_killed_server_continues_to_remove_a_deleted_repository(server):
    def count(table):
        with closing(sqlite3.connect(server.data / "repoman.db")) as connection:
            return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    server.cli("repo", "create", "docker-hosted", "large")
    server.stop()
    fill(server.data / "repoman.db", "large", 40_000)
    server.start()
    server.cli("repo", "delete", "large", "--yes")
    wait_until(lambda: count("reference") < 39_000, what="the beginning of the removal")
    server.kill()
    assert count("component") > 0
    server.start()
    assert "large" not in server.cli("repo", "list").stdout
    wait_until(lambda: count("repository") == 1, what="the end of the removal")
    assert (count("asset"), count("component"), count("reference")) == (0, 0, 0)
    task = tasks_of(server)["repository.purge-deleted"]
    assert task["last_result"] == "ok"


def test_the_process_of_a_task_works_on_the_data_that_the_server_was_given(tmp_path):
    server = LiveServer(tmp_path / "server")
    elsewhere = tmp_path / "elsewhere"
    server.environment["REPOMAN_DATA"] = str(elsewhere)  # The option --data overrides it.
    server.start()
    try:
        server.cli("task", "set", VERIFY, "--enabled", "--schedule", "manual")
        done = server.cli("task", "run", VERIFY, "--follow", check=False)
        assert done.stdout.splitlines()[1:] == ["ok: Read 0 blobs; damaged or missing: 0."]
        assert not elsewhere.exists()
    finally:
        server.end()
