"""The home page: of a new server, for nobody, for users and for administrators."""

import re
import time

import pytest

from repoman.catalog.sample_records import DAY_S, Samples
from repoman.db.models import database_proxy
from repoman.doctor.model import CheckResult, warn
from repoman.overview import overview_records
from repoman.plugin import HomeCard, Snippet, hookimpl
from repoman.repositories.repository_records import ConnectorState, save_states
from repoman.security.rights_records import Role
from repoman.testing import ADMIN
from repoman_web.views.charts import round_up
from repoman_web.views.rendering import relative, size
from tests.live import free_port
from tests.statements import executed_statements

STATEMENTS_MAX = 11


class Tries:
    """A plugin with something to try."""

    @hookimpl
    def repoman_web_home(self, requests):
        lines = "\n".join(f"curl {each.address} # {each.may_add}" for each in requests)
        return [HomeCard("Try it", (Snippet(lines, "Get a file"),))]


def text_of(answer):
    assert answer.status_code == 200
    return re.sub(r"<[^>]+>|\s+", " ", answer.text)


def count_statements(browser):
    """The statements of a visit with warm caches, which background work may empty at times."""
    browser.get("/")
    visits = []
    for _ in range(3):
        with executed_statements() as statements:
            browser.get("/")
        visits.append(statements)
    return min(visits, key=len)


def test_nobody_is_told_to_sign_in(browser):
    text = text_of(browser.get("/"))
    assert "No public repositories" in text
    assert "files" not in text


def test_nobody_sees_what_is_open_to_everybody(repoman, browser, client):
    repoman.repositories.create("open", "raw-hosted", {"access": {"anonymous": True}})
    client.put("/repository/open/a.txt", b"a", auth=ADMIN)
    page = browser.get("/")
    text = text_of(page)
    assert "Welcome" in text
    assert "http://localhost/repository/open" in text
    assert 'href="/browse/open/use"' in page.text
    assert "files" not in text
    for hidden in ("Stored", "Recently", "Upstreams", "Pulls"):
        assert hidden not in text


def test_a_new_server_has_something_to_try(repoman, browser):
    repoman.plugins.register(Tries(), "tries")
    browser.log_in()
    text = text_of(browser.get("/"))
    assert "This server is new: nothing is stored yet." in text
    assert "curl http://localhost/repository/files # True" in text
    assert "Get a file" in text
    assert "Stored" not in text


def log_in_reader(repoman, browser, repository):
    """Log in as a user who may see one repository."""
    role = Role("reader", "", privileges=(f"nx-repository-view-raw-{repository}-*",))
    repoman.security.roles.create(role)
    repoman.users.create("ann", "password of ann", ("reader",))
    browser.log_in("ann", "password of ann")


def test_who_sees_only_empty_repositories_is_not_told_that_the_server_is_new(
    repoman, browser, client
):
    repoman.repositories.create("empty", "raw-hosted", {})
    client.put("/repository/files/a.txt", b"a", auth=ADMIN)
    repoman.refresh()
    log_in_reader(repoman, browser, "empty")
    text = text_of(browser.get("/"))
    assert "This server is new" not in text
    assert "Nothing is stored yet in the repositories that you may use." in text


def test_what_is_stored_ends_the_beginning(repoman, browser, client):
    repoman.plugins.register(Tries(), "tries")
    client.put("/repository/files/a.txt", b"a" * 2048, auth=ADMIN)
    repoman.refresh()
    browser.log_in()
    text = text_of(browser.get("/"))
    assert "Try it" not in text
    assert "2.0 KiB" in text
    assert "Recently" in text
    assert "a.txt" in text
    assert "Refused or failed, 24 h" in text


def test_a_user_sees_only_what_they_may_know(repoman, browser, client):
    repoman.repositories.create("secret", "raw-hosted", {})
    client.put("/repository/files/a.txt", b"a", auth=ADMIN)
    client.put("/repository/secret/b.txt", b"b", auth=ADMIN)
    repoman.refresh()
    log_in_reader(repoman, browser, "files")
    text = text_of(browser.get("/"))
    assert "files" in text
    assert "secret" not in text
    for hidden in ("Stored now", "Recently", "Upstreams", "Pulls, 24 h", "b.txt", "attention"):
        assert hidden not in text


def test_a_closed_port_is_said_and_comes_first(repoman, browser, client):
    client.put("/repository/files/a.txt", b"a", auth=ADMIN)
    repoman.repositories.create("closed", "raw-hosted", {"raw": {"http_port": free_port()}})
    [connector] = repoman.repositories.connectors()
    save_states(
        repoman.database, 1, [ConnectorState(connector.key, "closed", connector.url, "It is used.")]
    )
    browser.log_in()
    page = browser.get("/").text
    assert "a port is closed" in page
    assert 'title="It is used."' in page
    assert page.index(">closed<") < page.index(">files<")


def test_a_blocked_upstream_comes_first(repoman, browser, client):
    client.put("/repository/files/a.txt", b"a", auth=ADMIN)
    settings = {"proxy": {"remote_url": "http://127.0.0.1:9/"}, "http_client": {"blocked": True}}
    repoman.repositories.create("mirror", "raw-proxy", settings)
    browser.log_in()
    page = browser.get("/").text
    assert page.index(">mirror<") < page.index(">files<")


def test_to_go_on_without_a_login_is_offered_where_that_shows_something(repoman, browser):
    offer = "go on without signing in"
    assert offer not in browser.get("/login").text
    repoman.repositories.create("open", "raw-hosted", {"access": {"anonymous": True}})
    assert offer in browser.get("/login").text


def test_the_remote_of_a_proxy_is_told_to_those_who_may_read_its_settings(repoman, browser, client):
    client.put("/repository/files/a.txt", b"a", auth=ADMIN)
    proxy = repoman.repositories.create(
        "mirror", "raw-proxy", {"proxy": {"remote_url": "http://127.0.0.1:9/"}}
    )
    remote = repoman.repositories.get(proxy.name).capabilities.remote
    remote.cache.status.budget = {"limit": 200, "remaining": 76, "window": 21_600}
    browser.log_in()
    text = text_of(browser.get("/"))
    assert "Upstreams" in text
    assert "76 of 200 requests left in 6 h" in text


def test_what_the_doctor_found_is_on_the_page(repoman, browser):
    finding = warn("The clock is wrong", "By an hour.")
    repoman.doctor._results = {"clock": CheckResult("clock", "Clock", 1.0, 0.1, (finding,))}
    browser.log_in()
    text = text_of(browser.get("/"))
    assert "1 thing needs attention" in text
    assert "The clock is wrong" in text


def test_refusals_and_wrong_passwords_are_told_once(repoman, browser, open_browser, client):
    client.put("/repository/files/a.txt", b"a", auth=ADMIN)
    for _ in range(3):
        client.get("/repository/files/a.txt", auth=("ghost", "wrong password"))
    client.put("/repository/files/b.txt", b"b", auth=ADMIN)
    client.delete("/repository/files/b.txt", auth=ADMIN)
    repoman.refresh()
    browser.log_in()
    text = text_of(browser.get("/"))
    assert "wrong password for ghost, 3 times" in text
    assert text.count("b.txt") == 2


def test_deletions_are_told_in_short(repoman, browser, client):
    digest = "sha256:" + "0123456789abcdef" * 4
    client.put(f"/repository/files/{digest}", b"a", auth=ADMIN)
    repoman.repositories.create("old", "raw-hosted", {})
    repoman.repositories.delete("old")
    repoman.refresh()
    browser.log_in()
    text = text_of(browser.get("/"))
    assert "the repository old" in text
    assert "sha256:0123456789ab" in text
    assert digest not in text


def test_storage_is_drawn_as_soon_as_there_are_two_days(repoman, browser, client, clock):
    client.put("/repository/files/a.txt", b"a" * 4096, auth=ADMIN)
    samples = Samples(repoman.database, clock)
    browser.log_in()
    samples.take()
    assert "Stored bytes over" not in browser.get("/").text
    clock.jump(DAY_S)
    samples.take()
    browser.log_in()
    page = browser.get("/").text
    assert "Stored bytes over 2 days, from 4.0\u00a0KiB to 4.0\u00a0KiB" in page


def test_it_takes_the_same_statements_however_much_there_is(repoman, browser, client):
    client.put("/repository/files/a.txt", b"a", auth=ADMIN)
    repoman.refresh()
    browser.log_in()
    few = count_statements(browser)
    for number in range(30):
        repoman.repositories.create(f"r{number}", "raw-hosted", {})
        client.put(f"/repository/r{number}/a.txt", b"a", auth=ADMIN)
    repoman.refresh()
    many = count_statements(browser)
    assert len(few) == len(many) <= STATEMENTS_MAX, many
    page = browser.get("/").text
    assert page.count('class="cut"') == 10
    assert "31" in page


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (overview_records._EVENTS, (200, 60)),
        (overview_records._SAMPLES, ("[]", 0.0, 0.0)),
        (overview_records._STORED, ("[]", 0.0)),
        (overview_records._RUNNING, (10,)),
    ],
)
def test_each_statement_goes_by_an_index(repoman, statement, values):
    plan = [row[3] for row in database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    tables = ("audit", "component", "sample", "run", "task")
    assert not [step for step in plan if step in {f"SCAN {table}" for table in tables}], plan


@pytest.mark.parametrize(
    ("value", "scale"),
    [
        (4096, ["1.5 KiB", "3.0 KiB", "4.5 KiB"]),
        (11_953_766, ["4.0 MiB", "8.0 MiB", "12.0 MiB"]),
        (413 * 2**30, ["150.0 GiB", "300.0 GiB", "450.0 GiB"]),
        (4 * 2**40 - 1, ["1.5 TiB", "3.0 TiB", "4.5 TiB"]),
    ],
)
def test_the_scale_of_the_chart_has_round_numbers(value, scale):
    top = round_up(value)
    assert [size(top * step / 3).replace("\u00a0", " ") for step in (1, 2, 3)] == scale


def test_nothing_stored_has_a_scale_too():
    assert round_up(0) > 0


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(90 * DAY_S - 1, "in 90 d"), (3500, "in 58 min"), (-3599, "59 min ago"), (0, "0 s ago")],
)
def test_a_time_is_told_by_how_far_off_it_is(seconds, told, monkeypatch):
    now = time.time()
    monkeypatch.setattr("repoman_web.views.rendering.time.time", lambda: now)
    assert relative(now + seconds).replace("\u00a0", " ") == told
