"""Followers see every row once or more, in order; plugins neither each other nor a transaction."""

import pytest

from repoman.content import NewAsset
from repoman.db.models import database_proxy
from repoman.errors import Unavailable
from repoman.events import event_records as records
from repoman.events.follower import BATCH_ROWS, EventLog, Follower
from repoman.events.plugins import ATTEMPTS_MAX, PAUSE_MAX_S, PluginFollower
from repoman.security.audit import FOLLOWED_BATCHES
from repoman.testing import HttpClient
from repoman_raw import plugin

DAY_S = 86_400
NOW = 2e9


@pytest.fixture
def save(content, blob):
    def save(*paths):
        for path in paths:
            content.save_asset(NewAsset(path, "file", blob, "text/plain"))

    return save


class Ticks:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def make_plugin(database, ticks):
    def make(name, hook):
        follower = PluginFollower(database, name, lambda event: hook(event), ticks)
        follower.begin()
        return follower

    return make


# Followers -------------------------------------------------------------------------------------


def make_follower(database, handle, **options):
    return Follower(database, "f", records.list_events, lambda e: e.id, handle, **options)


@pytest.mark.parametrize("is_atomic", [False, True])
def test_every_row_is_handled_once_and_in_order(database, save, is_atomic):
    seen = []

    def handle(rows):
        seen.append([each.path for each in rows])
        return True

    follower = make_follower(database, handle, is_atomic=is_atomic, batch=2)
    save("a", "b", "c")
    assert [follower.follow(), follower.follow(), follower.follow()] == [True, False, False]
    again = make_follower(database, handle, is_atomic=is_atomic)
    save("d")
    again.follow()
    assert seen == [["a", "b"], ["c"], ["d"]]


@pytest.mark.parametrize("is_atomic", [False, True])
def test_what_failed_comes_again(database, save, is_atomic):
    seen = []

    def handle(rows):
        seen.append([each.path for each in rows])
        if len(seen) == 1:
            raise Unavailable("not now")
        return len(seen) > 2

    follower = make_follower(database, handle, is_atomic=is_atomic)
    save("a")
    with pytest.raises(Unavailable):
        follower.follow()
    follower.follow()
    follower.follow()
    follower.follow()
    assert seen == [["a"], ["a"], ["a"]]


def test_what_an_atomic_follower_writes_goes_with_its_position(database, save):
    def handle(rows):
        database_proxy.execute_sql("INSERT INTO revision (name, value) VALUES ('seen', 1)")
        raise Unavailable("not now")

    follower = make_follower(database, handle, is_atomic=True)
    save("a")
    with pytest.raises(Unavailable):
        follower.follow()
    assert (follower.position, database.revision("seen")) == (0, 0)


# Plugins ---------------------------------------------------------------------------------------


def test_a_new_plugin_begins_with_the_next_event(save, make_plugin):
    seen = []
    save("before")
    plugin = make_plugin("p", lambda event: seen.append(event.path))
    save("a")
    plugin.follow()
    assert seen == ["a"]


def test_a_plugin_goes_on_where_it_was(save, make_plugin):
    seen = []
    make_plugin("p", seen.append)
    save("a", "b")  # while no server runs
    make_plugin("p", lambda event: seen.append(event.path)).follow()
    assert seen == ["a", "b"]


def test_a_plugin_is_called_outside_of_any_transaction(database, save, make_plugin):
    seen = []
    plugin = make_plugin("p", lambda _: seen.append(database.in_transaction()))
    save("a")
    plugin.follow()
    assert seen == [False]


def test_a_plugin_that_fails_gets_the_event_again_and_stops_no_other(
    save, make_plugin, ticks, caplog
):
    calls, seen = [], []

    def fail(event):
        calls.append(event.path)
        if len(calls) < 3:
            raise ValueError("not now")

    failing, other = make_plugin("failing", fail), make_plugin("other", seen.append)
    save("a", "b")
    failing.follow()
    other.follow()
    assert (calls, len(seen)) == (["a"], 2)
    assert "fails at the event 1: ValueError: not now" in failing.problem
    assert other.problem == ""
    failing.follow()
    assert calls == ["a"]  # not before the pause is over
    for _ in range(2):
        ticks.now += PAUSE_MAX_S
        failing.follow()
    assert (calls, failing.problem) == (["a", "a", "a", "b"], "")
    assert caplog.text.count("It is tried again") == 1


def test_an_event_at_which_a_plugin_always_fails_is_skipped(save, make_plugin, ticks, caplog):
    calls = []

    def fail(event):
        calls.append(event.path)
        if event.path == "a":
            raise SystemExit

    plugin = make_plugin("p", fail)
    save("a", "b")
    for _ in range(ATTEMPTS_MAX + 3):
        plugin.follow()
        ticks.now += PAUSE_MAX_S
    assert calls == ["a"] * ATTEMPTS_MAX + ["b"]
    assert plugin.problem == ""
    assert caplog.text.count("The event is skipped") == 1


# Pruning ---------------------------------------------------------------------------------------


@pytest.fixture
def old(save, database):
    """Five events, of which three are older than 39 days and one is 35 days old."""
    save("a", "b", "c", "d", "e")
    with database.transaction():
        for number, days in enumerate((40.0, 39.9, 39.8, 35, 0), 1):
            database_proxy.execute_sql(
                "UPDATE content_event SET at = ? WHERE id = ?", (NOW - days * DAY_S, number)
            )


def ids():
    return [each.id for each in records.list_events(0, 100)]


@pytest.fixture
def log(database, old):
    return EventLog(database, 30, lambda: NOW)


def test_old_events_go_in_batches_a_day_in_an_hour(log):
    assert [log.prune(2), log.prune(2), log.prune(2)] == [2, 1, 0]
    assert ids() == [4, 5]


def test_events_that_somebody_has_yet_to_follow_stay(log):
    position = [1]
    log.wait_for(lambda: 5)
    log.wait_for(lambda: position[0])
    assert (log.prune(), ids()) == (1, [2, 3, 4, 5])
    position[0] = 3
    assert (log.prune(), ids()) == (2, [4, 5])


def test_events_that_a_repository_needs_stay_longer(log):
    days = [45]
    log.need(lambda: days[0])
    assert log.prune() == 0
    days[0] = 0
    assert log.prune() == 3


def test_the_newest_event_stays_so_that_ids_go_on(database, old, save):
    with database.transaction():
        database_proxy.execute_sql("UPDATE content_event SET at = ?", (NOW - 40 * DAY_S,))
    log = EventLog(database, 30, lambda: NOW)
    log.prune()  # the clock is not trusted: it is far ahead of the newest event
    assert ids() == [1, 2, 3, 4, 5]
    log = EventLog(database, 5, lambda: NOW - 35 * DAY_S + 3600)
    log._retention.confirm()
    with database.transaction():
        database_proxy.execute_sql("UPDATE content_event SET at = ?", (NOW - 45 * DAY_S,))
    assert log.prune() == 4
    assert ids() == [5]
    save("f")
    assert ids() == [5, 6]


def test_the_task_removes_what_all_have_seen(repoman_factory):
    repoman = repoman_factory({"raw": plugin})
    repoman.repositories.create("files", "raw-hosted", {})
    client = HttpClient(repoman)
    for name in "abc":
        client.put(f"/repository/files/{name}", b"x")
    with repoman.database.transaction():
        database_proxy.execute_sql("UPDATE content_event SET at = at - 86400 * 40 WHERE id < 3")
    task = next(each for each in repoman.tasks.all() if each.type == "events.prune")
    runner = repoman.make_runner()
    assert _run(repoman, runner, task) == ""  # the audit log has yet to see them
    repoman.audit.flush()
    assert _run(repoman, runner, task) == "Removed 2 old records."
    assert len(repoman.audit.search({"type": "store"})) == 3


def _run(repoman, runner, task):
    run = repoman.tasks.run(task)
    assert runner.execute(run) == "ok"
    return repoman.tasks.get_run(run.id).result


def test_the_audit_log_follows_some_events_at_a_time(repoman):
    many = FOLLOWED_BATCHES * BATCH_ROWS + 1
    with repoman.database.transaction():
        database_proxy.execute_sql(
            "INSERT INTO content_event (repository_id, repository, at, actor, realm, address, "
            "connector, requested, source, attributes, kind, path) "
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "SELECT 1, '', 0, '', '', '', '', '', '', '{}', '', i FROM n",
            (many,),
        )
    newest, _ = records.find_newest()
    # The thread that does it also notices what other processes change, such as rights.
    repoman.audit.flush()
    assert newest - many < repoman.audit.position() < newest
    repoman.audit.flush()
    assert repoman.audit.position() == newest
