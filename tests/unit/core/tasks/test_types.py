"""The types of tasks that the core brings along."""

import time

from repoman.proxy.services import Trimmed
from repoman.security.actors import Actor, Limit
from tests.unit.core.tasks.runs import HOUR


def test_expired_sessions_and_tokens_are_removed(repoman, monkeypatch):
    security, now = repoman.security, time.time()
    security.user_tokens.create("admin", "old", Limit(), days=1)
    security.sessions.begin(Actor("admin"), "", "")
    [task] = [each for each in repoman.tasks.all() if each.type == "security.purge-expired"]

    def run():
        run = repoman.tasks.run(task)
        assert repoman.make_runner().execute(run) == "ok"
        return repoman.tasks.get_run(run.id).result

    assert run() == ""
    for part in (security.sessions, security.user_tokens):
        monkeypatch.setattr(part, "_clock", lambda: now + 40 * 24 * HOUR)
    assert run() == "", "the clock has jumped"
    for part in (security.sessions, security.user_tokens):
        monkeypatch.setattr(part, "_confirmed", lambda: now + 40 * 24 * HOUR)
    assert run() == "Removed 1 expired session and 1 expired user token."
    assert run() == ""


def test_the_caches_of_proxies_are_trimmed(repoman, monkeypatch):
    [task] = [each for each in repoman.tasks.all() if each.type == "repository.trim-caches"]
    repoman.proxies.note_trimmed("hub", Trimmed(2, 3_072, 1_024, 86_400.0, 172_800.0))
    repoman.proxies.note_trimmed("npm", Trimmed(1, 512, 512, 3_600.0, 7_200.0))
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
    run = repoman.tasks.get_run(run.id)
    assert (run.freed_bytes, run.result) == (
        1_536,
        "Removed 3 files, 3.5 KiB, last used 1970-01-01 01:00 UTC to 1970-01-03 00:00 UTC.",
    )
    assert [line.text for line in repoman.tasks.lines(run)] == [
        "hub: removed 2 files, 3.0 KiB, last used 1970-01-02 00:00 UTC to 1970-01-03 00:00 UTC",
        "npm: removed 1 file, 512 bytes, last used 1970-01-01 01:00 UTC to 1970-01-01 02:00 UTC",
    ]
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
    assert repoman.tasks.get_run(run.id).result == ""


def test_the_cleanup_runs_where_a_repository_has_policies(repoman):
    [task] = [each for each in repoman.tasks.all() if each.type == "repository.cleanup"]
    assert (task.name, str(task.schedule)) == ("Cleanup service", "daily 01:00")
    type_ = repoman.tasks.find_type("repository.cleanup")
    assert task.is_enabled
    assert type_.title == "Admin - Cleanup repositories using their associated policies"
    assert not type_.is_needed()
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
