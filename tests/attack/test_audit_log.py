"""Everything that somebody does to the server is in the audit log: who, what, from where."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from repoman.cli import cli
from repoman.config import AuditSettings
from repoman.db.models import AuditRecord
from repoman.errors import Unavailable
from repoman.security import audit_records as records
from repoman.security.audit import WAITING_MAX_EVENTS, Audit, Event
from repoman.security.rights_records import Role, SelectorRow
from repoman.security.user_records import Status
from repoman.testing import Clock, HttpClient, repoman_factory
from repoman_raw import plugin
from tests.clock import cpu_limit

__all__ = ["repoman_factory"]
ROWS = 100_000
FILL = """
    WITH RECURSIVE row(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < ?)
    INSERT INTO audit (at, domain, type, actor, realm, address, connector, repository, target,
                       is_success, attributes)
    SELECT 2e9 + n, 'login', 'failed', 'a' || (n % 7), '', '', '', '', '', 0, '{}' FROM row
"""
REST = "/api/v1/audit"


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": plugin})
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


def told(repoman, **filters):
    """Return what the log has, the oldest first, as domain.type:target."""
    repoman.audit.flush()
    rows = reversed(repoman.audit.search(filters))
    return [f"{row['domain']}.{row['type']}:{row['target']}" for row in rows]


def test_every_change_of_configuration_is_told(repoman):
    security = repoman.security
    repoman.repositories.update("files", {"storage": {"write_policy": "deny"}})
    security.users.create("amy", "a password")
    security.users.change("amy", roles=["nx-developer"], status=Status.DISABLED)
    security.users.set_password("amy", "another password")
    security.users.delete("amy")
    security.selectors.create(SelectorRow("all", 'path =^ "/"'))
    security.selectors.change("all", description="all of it")
    properties = {"format": "raw", "repository": "files", "selector": "all", "actions": ["read"]}
    security.privileges.create("some", "repository-content-selector", properties)
    security.privileges.change("some", {"actions": ["browse"]})
    security.roles.create(Role("readers", "", "", ("some",), ()))
    security.roles.change(Role("readers", "Readers", "", ("some",), ()))
    security.roles.delete("readers")
    security.privileges.delete("some")
    security.selectors.delete("all")
    repoman.options.update("anonymous", {"enabled": True})
    repoman.database.rotate_keys()
    repoman.repositories.delete("files")
    assert told(repoman) == [
        "repository.create:files",
        "repository.change:files",
        "user.create:amy",
        "user.change:amy",
        "user.password:amy",
        "user.delete:amy",
        "selector.create:all",
        "selector.change:all",
        "privilege.create:some",
        "privilege.change:some",
        "role.create:readers",
        "role.change:readers",
        "role.delete:readers",
        "privilege.delete:some",
        "selector.delete:all",
        "option.change:anonymous",
        "secret.rotate:",
        "repository.delete:files",
    ]


def test_a_change_that_fails_is_not_told(repoman):
    def fail():
        with repoman.database.transaction():
            repoman.users.create("amy", "a password")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert told(repoman, domain="user") == []


def test_secrets_are_not_told(repoman):
    repoman.users.create("amy", "the-secret-itself")
    repoman.users.set_password("amy", "the-secret-itself-2")
    repoman.options.update("ldap", {"bind_password": "the-secret-itself-3"})
    assert "option.change:ldap" in told(repoman)
    assert "secret-itself" not in json.dumps(repoman.audit.search())


def test_a_password_with_each_request_is_one_login(repoman):
    client = HttpClient(repoman)
    for _ in range(3):
        client.get("/repository/files/none")
    client.get("/repository/files/none", auth=("admin", "wrong"))
    client.get(REST, auth=("nobody", "wrong"))
    assert told(repoman, domain="login") == ["login.success:", "login.failed:", "login.failed:"]
    failed = repoman.audit.search({"type": "failed"})
    assert [(row["actor"], row["address"], row["is_success"]) for row in failed] == [
        ("nobody", "127.0.0.1", False),
        ("admin", "127.0.0.1", False),
    ]


def test_pulls_are_told_where_they_are_switched_on(repoman_factory):
    for pulls in (False, True):
        repoman = repoman_factory({"raw": plugin}, audit={"pulls": pulls})
        if not pulls:
            repoman.repositories.create("files", "raw-hosted", {})
        client = HttpClient(repoman)
        client.put("/repository/files/a.txt", b"x")
        client.get("/repository/files/a.txt")
        client.head("/repository/files/a.txt")
        client.get("/repository/files/none")
        expected = ["content.pull:a.txt"] if pulls else []
        assert told(repoman, type="pull") == expected


def test_commands_are_told(repoman):
    repoman.stop()
    given = ["--data", str(repoman.data)]
    runner = CliRunner()
    make = ["user", "create", "amy", "--password-stdin", *given]
    made = runner.invoke(cli, make, input="a password\n")
    assert made.exit_code == 0, made.output
    listed = runner.invoke(cli, ["audit", "list", "--domain", "user", "--json", *given])
    row = json.loads(listed.stdout)
    assert (row["actor"], row["type"], row["target"]) == ("cli", "create", "amy")
    assert row["attributes"]["user"]
    first = runner.invoke(cli, ["audit", "list", "--limit", "1", *given])
    assert "--after 2" in first.stderr
    assert "amy" in first.stdout
    second = runner.invoke(cli, ["audit", "list", "--limit", "1", "--after", "2", *given])
    assert "files" in second.stdout
    repoman.start()


def test_the_last_login_is_listed(repoman):
    repoman.users.create("amy", "a password")
    repoman.users.create("bob", "a password")
    moments = [time.time()]
    HttpClient(repoman).get("/repository/files/none", auth=("amy", "a password"))
    moments.append(time.time())
    repoman.stop()
    listed = CliRunner().invoke(cli, ["user", "list", "--data", str(repoman.data)])
    lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert lines["bob"].endswith("active   never logged in")
    minutes = {f"{datetime.fromtimestamp(each, UTC):%Y-%m-%d %H:%M} UTC" for each in moments}
    assert lines["amy"].partition("active   last login ")[2] in minutes
    repoman.start()


def test_commands_print_no_more_than_one_line_for_an_event(repoman):
    with repoman.database.transaction():
        row = {"at": 1.0, "domain": "login", "type": "failed", "actor": "a\nb \x1b[2J"}
        AuditRecord.insert_many([row | {"address": "::1"}]).execute()
    repoman.stop()
    listed = CliRunner().invoke(
        cli, ["audit", "list", "--domain", "login", "--data", str(repoman.data)]
    )
    [line] = listed.stdout.splitlines()
    assert line.startswith("1970-01-01T00:00:01+00:00 'a\\nb \\x1b[2J' ::1 login.failed - - ")
    repoman.start()


def test_secrets_that_are_forgotten_are_told(repoman):
    repoman.options.update("ldap", {"bind_password": "secret"})
    repoman.stop()
    repoman.settings.data.joinpath("keys/secrets.key").unlink()
    given = ["--data", str(repoman.data)]
    done = CliRunner().invoke(cli, ["secret", "forget", "--yes", *given])
    assert done.exit_code == 0, done.output
    listed = CliRunner().invoke(cli, ["audit", "list", "--domain", "secret", "--json", *given])
    row = json.loads(listed.stdout)
    assert (row["actor"], row["type"], row["attributes"]["count"]) == ("cli", "forget", "3")
    repoman.start()


NOW = 1_800_000_000.0
DAY_S = 86_400.0


def insert_old(repoman, *times):
    event = {"domain": "login", "type": "failed", "actor": "old"}
    with repoman.database.transaction():
        AuditRecord.delete().execute()
        AuditRecord.insert_many([{**event, "at": each} for each in times]).execute()


def prune(repoman, clock, audit=None):
    audit = audit or Audit(repoman.database, AuditSettings(), clock)
    with repoman.database.transaction():
        return audit.prune()


def test_old_events_go_and_ids_go_on(repoman):
    insert_old(repoman, *[NOW - 91 * DAY_S] * 10, NOW)
    assert prune(repoman, Clock(NOW)) == 10
    [row] = repoman.audit.search()
    assert row["id"] == 11


def test_the_newest_event_stays_so_that_ids_go_on(repoman):
    insert_old(repoman, NOW, NOW - 91 * DAY_S)
    audit, clock = Audit(repoman.database, AuditSettings(), Clock(NOW)), Clock(NOW)
    assert prune(repoman, clock, audit) == 0


def test_a_clock_that_is_wrong_at_boot_removes_nothing(repoman):
    insert_old(repoman, *(NOW - day * DAY_S for day in range(80, -1, -1)))
    clock = Clock(NOW + 400 * DAY_S)
    assert prune(repoman, clock) == 0


def test_a_clock_that_jumps_removes_nothing(repoman):
    insert_old(repoman, *(NOW - day * DAY_S for day in range(80, -1, -1)))
    clock = Clock(NOW)
    audit = Audit(repoman.database, AuditSettings(), clock)
    assert prune(repoman, clock, audit) == 0
    clock.jump(400 * DAY_S)
    assert prune(repoman, clock, audit) == 0
    clock.jump(-clock())
    assert prune(repoman, clock, audit) == 0


def test_one_look_removes_no_more_than_a_day(repoman):
    """Even where a wrong clock has written events, so that the newest of them agrees with it."""
    insert_old(repoman, *(NOW - day * DAY_S for day in range(80, -1, -1)), NOW + 400 * DAY_S)
    clock = Clock(NOW + 400 * DAY_S)
    assert prune(repoman, clock) == 1


# What waits ------------------------------------------------------------------------------------


def occupied(repoman):
    """Another process that writes for a long time."""
    other = sqlite3.connect(repoman.data / "repoman.db", isolation_level=None)
    other.execute("begin immediate")
    return closing(other)


def test_events_wait_while_another_process_writes(repoman, caplog):
    with occupied(repoman):
        for number in range(3):
            repoman.audit.record(Event("login", "failed", f"busy-{number}"))
            repoman.audit.flush()
    repoman.audit.flush()
    assert [row["actor"] for row in repoman.audit.search(limit=3)] == ["busy-2", "busy-1", "busy-0"]
    assert caplog.text.count("The audit log cannot be written; its events are held in memory") == 1


def test_more_events_than_can_wait_are_counted(repoman, monkeypatch):
    monkeypatch.setattr("repoman.security.audit.WAITING_MAX_EVENTS", 5)
    with occupied(repoman):
        for _ in range(2):
            for number in range(5):
                repoman.audit.record(Event("login", "failed", f"busy-{number}"))
            repoman.audit.flush()
    repoman.audit.flush()
    [lost] = repoman.audit.search({"domain": "audit", "type": "lost"})
    assert lost["attributes"] == {"count": "5"}
    assert len(repoman.audit.search({"domain": "login"})) == 5


def test_many_events_take_several_transactions_and_a_failure_repeats_none(repoman, monkeypatch):
    monkeypatch.setattr("repoman.security.audit.BATCH_EVENTS", 2)
    insert, sizes = records.insert_events, []

    def insert_or_fail(rows):
        sizes.append(len(rows := list(rows)))
        if len(sizes) == 2:
            raise Unavailable("The database is busy.")
        insert(rows)

    for number in range(5):
        repoman.audit.record(Event("login", "failed", f"guess-{number}"))
    with monkeypatch.context() as patch:
        patch.setattr(records, "insert_events", insert_or_fail)
        repoman.audit.flush()
        repoman.audit.flush()
    assert sizes == [2, 2, 2, 1]
    found = repoman.audit.search({"domain": "login"})
    assert [row["actor"] for row in found] == [f"guess-{number}" for number in range(4, -1, -1)]


def test_an_event_that_cannot_be_written_holds_up_no_others(repoman):
    repoman.audit.record(Event("login", "\ud800", "bad"))  # this is no text
    with pytest.raises(UnicodeEncodeError):
        repoman.audit.flush()
    repoman.audit.record(Event("login", "failed", "after"))
    repoman.audit.flush()
    assert len(repoman.audit.search({"actor": "after"})) == 1
    [lost] = repoman.audit.search({"domain": "audit", "type": "lost"})
    assert lost["attributes"] == {"count": "1"}


def test_as_many_events_as_may_wait_are_written_together(repoman):
    for number in range(WAITING_MAX_EVENTS):
        repoman.audit.record(Event("login", "failed", f"user-{number}"))
    repoman.audit.flush()
    assert repoman.audit.search()[0]["actor"] == f"user-{WAITING_MAX_EVENTS - 1}"


# The file --------------------------------------------------------------------------------------


@pytest.fixture
def followed(repoman_factory):
    audit = {"file": "log/audit.jsonl", "file_size": 1000}
    repoman = repoman_factory({"raw": plugin}, audit=audit)
    repoman.refresh()
    return repoman


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_file_has_every_event_once(followed, repoman_factory):
    path = followed.data / "log/audit.jsonl"
    followed.users.create("amy", "a password")
    followed.refresh()
    followed.refresh()
    assert [(each["domain"], each["target"]) for each in lines(path)] == [("user", "amy")]
    assert path.stat().st_mode & 0o077 == 0
    path.rename(path.with_name("rotated"))
    followed.users.delete("amy")
    followed.refresh()
    assert [each["type"] for each in lines(path)] == ["delete"]
    path.unlink()
    again = repoman_factory({"raw": plugin}, audit={"file": "log/audit.jsonl"})
    again.refresh()
    assert not path.exists()


def test_the_file_is_bounded(followed):
    for number in range(30):
        followed.options.update("anonymous", {"enabled": bool(number % 2)})
        followed.refresh()
    files = sorted((followed.data / "log").iterdir())
    assert [each.name for each in files] in (
        ["audit.jsonl", "audit.jsonl.1"],
        ["audit.jsonl.1"],
    )
    assert all(each.stat().st_size < 2000 for each in files)


def test_a_file_that_cannot_be_written_is_caught_up_later(followed, caplog):
    log = followed.data / "log"
    log.write_text("in the way")
    followed.users.create("amy", "a password")
    followed.refresh()
    followed.refresh()
    assert caplog.text.count("cannot be written") == 1
    log.unlink()
    followed.refresh()
    assert [each["target"] for each in lines(log / "audit.jsonl")] == ["amy"]


# Reading ---------------------------------------------------------------------------------------


def test_pages_lead_through_the_whole_log(repoman):
    for number in range(25):
        repoman.security.selectors.create(SelectorRow(f"some{number}", 'path =^ "/"'))
    client, token, found = HttpClient(repoman), None, []
    for _ in range(10):
        query = {"limit": "10", "domain": "selector"} | (
            {"continuationToken": token} if token else {}
        )
        page = client.get(REST, query_string=query).get_json()
        found += [each["target"] for each in page["items"]]
        token = page["continuationToken"]
        if token is None:
            break
    assert found == [f"some{number}" for number in reversed(range(25))]


def test_only_who_has_the_permission_may_read(repoman):
    repoman.users.create("amy", "a password", ["nx-developer"])
    repoman.security.roles.create(Role("auditors", "", "", ("nx-audit-read",), ()))
    repoman.users.create("ann", "a password", ["auditors"])
    client = HttpClient(repoman)
    assert client.get(REST, login=False).status_code == 401
    assert client.get(REST, auth=("amy", "a password")).status_code == 403
    assert client.get(REST, auth=("ann", "a password")).status_code == 200
    assert client.get(REST).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=%C2%B2",
        "since=yesterday",
        "continuationToken=99999",
        "continuationToken=x",
        "continuationToken=9999999999999999999999999",
    ],
)
def test_bad_parameters_are_explained(repoman, query):
    answer = HttpClient(repoman).get(f"{REST}?{query}")
    assert answer.status_code == 400, answer.text
    assert query.partition("=")[0] in answer.text


def test_paging_asks_an_index(repoman):
    database = AuditRecord._meta.database.obj
    database.execute_sql(FILL, (ROWS,))
    middle = repoman.audit.search({"actor": "a3"}, limit=5000)[-1]["id"]
    for filters in ({}, {"domain": "login"}, {"actor": "a3"}, {"actor": "a3", "type": "failed"}):
        with cpu_limit(1):
            for _ in range(20):
                assert len(repoman.audit.search(filters, after=middle)) == 100
    assert_no_sorting(repoman, middle)


def assert_no_sorting(repoman, after):
    seen = []
    database = AuditRecord._meta.database.obj
    run = database.execute_sql

    def explain(sql, params=None):
        plan = database.connection().execute(f"EXPLAIN QUERY PLAN {sql}", params or ())
        seen.extend(row[3] for row in plan.fetchall())
        return run(sql, params)

    database.execute_sql = explain
    try:
        for filters in ({}, {"domain": "login"}, {"actor": "a3"}):
            repoman.audit.search(filters, after=after)
    finally:
        del database.execute_sql
    assert seen
    assert all("USING" in step for step in seen), seen
    assert not any("TEMP B-TREE" in step for step in seen), seen
