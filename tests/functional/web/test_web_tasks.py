"""Tasks on pages: listed, created, changed, run, stopped and deleted, each by who may."""

import re
from html import unescape

import pytest
from werkzeug.datastructures import MultiDict

from repoman.security.rights_records import Role
from repoman.tasks.schedule import parse_schedule
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from repoman_web.views.schedules import tell_schedule
from tests.functional.web.conftest import Browser
from tests.gallery import plugin as gallery
from tests.statements import executed_statements

LIST = "/admin/tasks"
NEW = "/admin/tasks/new/gallery.dust"
FORM = {
    "name": "Evening",
    "is_enabled": "on",
    "settings.shelves": "2",
    "schedule.frequency": "weekly",
    "schedule.weekdays": ["mon", "sat"],
    "schedule.time": "20:30",
    "schedule.date": "",
    "schedule.minute": "",
    "schedule.days": "",
    "schedule.cron": "",
    "schedule.time_zone": "Europe/Berlin",
}


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw, "web": web, "gallery": gallery})


@pytest.fixture
def open_as(repoman):
    """Open a browser of a user with some privileges on tasks."""

    def open_(*actions):
        privileges = tuple(f"nx-tasks-{each}" for each in actions)
        repoman.security.roles.create(Role("some", "", "", privileges, ()))
        repoman.users.create("ann", "a password", ["some"])
        browser = Browser(repoman)
        browser.log_in("ann", "a password")
        return browser

    return open_


@pytest.fixture
def browser(repoman):
    browser = Browser(repoman)
    browser.log_in()
    return browser


def send(browser, path=NEW, **changes):
    """Send the form of a task with some values changed; None: not sent."""
    values = {**FORM, **{key.replace("__", "."): value for key, value in changes.items()}}
    fields = MultiDict({key: value for key, value in values.items() if value is not None})
    fields["csrf_token"] = browser.mark
    return browser.open("POST", path, data=fields)


def said(answer, path):
    """Return what stands below a field."""
    pattern = rf'id="{path.replace(".", "-")}-said">(?:<svg.*?</svg><span>)?([^<]*)<'
    found = re.search(pattern, answer.text)
    return unescape(found[1]) if found else None


def names(page):
    assert page.status_code == 200, page.text
    return re.findall(r'is-name.*?<a href="/admin/tasks/[^"]+">([^<]+)</a>', page.text)


def make(repoman, name="Dust", schedule="manual", **options):
    return repoman.tasks.create("gallery.dust", name, {}, parse_schedule(schedule), **options)


def dust(repoman, task):
    """Let a task run to its end."""
    return repoman.make_runner().execute(repoman.tasks.run(task))


def test_the_list_is_for_those_who_may_read_it(repoman, open_as, browser):
    stranger = Browser(repoman)
    assert stranger.get(LIST).location == f"/login?next={LIST}"
    ann = open_as("read")
    page = ann.get(LIST)
    assert f'class="nav-link" href="{LIST}"' in page.text
    for action in ("/new", "/run", "/edit", "/enabled", "/delete"):
        assert action not in page.text
    assert "Create task" in browser.get(LIST).text


def test_who_may_not_read_tasks_sees_none(repoman, browser):
    repoman.users.create("bob", "a password", ["nx-developer"])
    bob, task = Browser(repoman), make(repoman)
    bob.log_in("bob", "a password")
    assert LIST not in bob.get("/account").text
    page = f"{LIST}/{task.uid}"
    for path in (LIST, page, f"{page}/edit", f"{page}/delete", f"{LIST}/new", NEW):
        assert bob.get(path).status_code == 403
    for path in ("run", "stop", "enabled", "delete", "edit"):
        assert bob.post(f"{page}/{path}").status_code == 403
    assert bob.get(f"{LIST}/next-runs").status_code == 403
    assert repoman.tasks.runs(task) == []


@pytest.mark.parametrize(
    ("action", "allowed", "to"),
    [
        ("run", {"run", "stop"}, "/"),
        ("update", {"enabled", "edit"}, f"{LIST}/UID"),
        ("delete", {"delete"}, LIST),
    ],
)
def test_each_change_needs_its_own_right(repoman, open_as, action, allowed, to):
    ann, task = open_as(action), make(repoman)
    ann.get("/account")
    for path in {"run", "stop", "enabled", "delete", "edit"} - allowed:
        assert ann.post(f"{LIST}/{task.uid}/{path}").status_code == 403
    for path in sorted(allowed - {"edit"}):
        answer = ann.post(f"{LIST}/{task.uid}/{path}")
        assert (answer.status_code, answer.location) == (303, to.replace("UID", task.uid))


def test_tasks_are_found_by_name_kind_and_state(repoman, browser):
    make(repoman, "Morning")
    assert dust(repoman, make(repoman, "Noon")) == "ok"
    make(repoman, "Evening", "daily 20:00")
    repoman.tasks.run(make(repoman, "Night"))
    assert {"Morning", "Noon", "Evening", "Night"} <= set(names(browser.get(LIST)))
    assert names(browser.get(f"{LIST}?filter=gallery+NOON")) == ["Noon"]
    assert names(browser.get(f"{LIST}?state=running")) == ["Night"]
    assert names(browser.get(f"{LIST}?state=failed")) == []
    page = browser.get(f"{LIST}?filter=Noon").text
    assert "Dusted 3 shelves." in page
    assert "1 of " in page
    assert "No task fits" in browser.get(f"{LIST}?filter=nothing-at-all").text
    assert "daily, 20:00" in browser.get(f"{LIST}?filter=Evening").text


def test_a_long_list_has_pages_and_takes_as_many_statements(repoman, browser):
    browser.get(LIST)

    def count():
        with executed_statements() as statements:
            browser.get(LIST)
        return len(statements)

    few = count()
    for number in range(120):
        task = make(repoman, f"Dust {number:03}")
        if number < 3:
            dust(repoman, task)
    assert count() == few
    address, found = f"{LIST}?filter=dust+shelves", []
    while address:
        page = browser.get(address)
        found += names(page)
        older = re.search(r'href="([^"]+)" rel="next"', page.text)
        address = older and unescape(older[1])
    assert found == [f"Dust {number:03}" for number in range(120)]
    assert browser.get(f"{LIST}?after=junk").status_code == 406


def test_a_task_is_created_with_its_settings_and_its_schedule(repoman, browser):
    assert "Dust shelves" in browser.get(f"{LIST}/new").text
    page = browser.get(NEW)
    assert "<h2>Settings</h2><p>How much is dusted.</p>" in page.text
    answer = send(browser)
    assert answer.status_code == 303, answer.text
    [task] = [each for each in repoman.tasks.all() if each.name == "Evening"]
    assert answer.location == f"{LIST}/{task.uid}"
    assert repoman.tasks.settings_of(task) == {"shelves": 2}
    assert str(task.schedule) == "weekly mon,sat 20:30"
    assert task.schedule.time_zone == "Europe/Berlin"
    page = browser.get(answer.location).text
    assert "<p>Evening was created.</p>" in page
    assert "weekly, Monday, Saturday 20:30 Europe/Berlin" in page
    assert page.count("20:30</time>") == 3
    assert "2 shelves" in page


@pytest.mark.parametrize(
    ("fields", "schedule"),
    [
        ({"frequency": "manual"}, "manual"),
        ({"frequency": "once", "date": "2090-03-01T02:00"}, "once 2090-03-01T02:00"),
        ({"frequency": "hourly", "minute": "17"}, "hourly 17"),
        ({"frequency": "daily", "time": "03:00"}, "daily 03:00"),
        ({"frequency": "monthly", "time": "3:00", "days": "1, Last"}, "monthly 1,last 3:00"),
        ({"frequency": "cron", "cron": "0 3 * * mon-fri"}, "cron 0 3 * * mon-fri"),
    ],
)
def test_every_schedule_is_made_and_stays_when_something_else_changes(
    repoman, browser, fields, schedule
):
    browser.get(NEW)
    changes = {f"schedule__{key}": value for key, value in fields.items()}
    path = send(browser, **changes, schedule__weekdays=None).location
    [task] = [each for each in repoman.tasks.all() if each.name == "Evening"]
    assert str(task.schedule) == schedule
    page = browser.get(f"{path}/edit").text
    shown = {
        name: unescape(value)
        for name, value in re.findall(r'name="schedule\.(\w+)" type="[^"]+" value="([^"]*)"', page)
    }
    sent = {f"schedule__{key}": value for key, value in shown.items()}
    answer = send(browser, f"{path}/edit", **{**sent, "schedule__weekdays": None},
                  schedule__frequency=fields["frequency"], name="Later")  # fmt: skip
    assert answer.status_code == 303, answer.text
    changed = repoman.tasks.get(task.id)
    assert (changed.name, changed.schedule) == ("Later", task.schedule)
    assert changed.next_at == task.next_at


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"name": "x" * 201}, "name", "Must have at most 200 characters."),
        ({"settings__shelves": "0"}, "settings.shelves", "Must be at least 1."),
        ({"schedule__time": "25:00"}, "schedule.time", "Daily needs a time of day, such as 03:00."),
        ({"schedule__time": ""}, "schedule.time", "Daily needs a time of day, such as 03:00."),
        ({"schedule__weekdays": None}, "schedule.weekdays", "Weekly needs days of the week"),
        ({"schedule__weekdays": "x"}, "schedule.weekdays", "Weekly needs days of the week"),
        ({"schedule__time_zone": "Mars"}, "schedule.time_zone", "'Mars' is not the name of a time"),
        ({"schedule__frequency": "hourly", "schedule__minute": "x"}, "schedule.minute", "Hourly"),
        ({"schedule__frequency": "once", "schedule__date": "x"}, "schedule.date", "Once needs a"),
        (
            {"schedule__frequency": "once", "schedule__date": "2020-01-01T00:00"},
            "schedule.date",
            "Once 2020-01-01T00:00 is in the past.",
        ),
        ({"schedule__frequency": "monthly", "schedule__days": "0"}, "schedule.days", "Monthly"),
        ({"schedule__frequency": "cron", "schedule__cron": "* * 25"}, "schedule.cron", "A cron"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    repoman, browser, changes, path, text
):
    browser.get(NEW)
    before = repoman.tasks.all()
    answer = send(browser, **changes)
    assert answer.status_code == 400
    assert (said(answer, path) or "").startswith(text)
    assert "Nothing was created" in answer.text
    assert 'value="Europe/Berlin"' in answer.text or "time_zone" in path
    assert repoman.tasks.all() == before


@pytest.mark.parametrize("frequency", ["", "never", "\x00"])
def test_an_odd_frequency_is_no_failure_of_the_server(browser, frequency):
    browser.get(NEW)
    assert send(browser, schedule__frequency=frequency).status_code in (303, 400)
    answer = browser.get(f"{LIST}/next-runs?schedule.frequency={frequency}&x=1")
    assert answer.status_code == 200


def test_the_next_runs_are_shown_before_anything_is_saved(repoman, browser):
    browser.get(NEW)
    before = repoman.tasks.all()
    query = "schedule.frequency=daily&schedule.time=03:00&schedule.time_zone=Europe/Berlin"
    piece = browser.get(f"{LIST}/next-runs?{query}").text
    assert piece.count("03:00</time>") == 3
    assert "Europe/Berlin" in piece
    answer = send(browser, preview="on")
    assert answer.status_code == 200
    assert answer.text.count("20:30</time>") == 3
    assert "Nothing was created" not in answer.text
    assert repoman.tasks.all() == before
    wrong = browser.get(f"{LIST}/next-runs?schedule.frequency=cron&schedule.cron=x").text
    assert "schedule" not in wrong.partition("<p>")[2].partition("</p>")[0].lower()


def test_two_people_do_not_overwrite_each_other_unseen(repoman, browser):
    task = make(repoman)
    page = browser.get(f"{LIST}/{task.uid}/edit")
    revision = re.search(r'name="revision" value="([^"]+)"', page.text)[1]
    repoman.tasks.update(task, settings={"shelves": 7})
    answer = send(browser, f"{LIST}/{task.uid}/edit", revision=revision)
    assert answer.status_code == 409
    assert "Stored now: 7" in answer.text


def test_a_run_is_started_watched_and_stopped(repoman, browser):
    task = make(repoman)
    page = f"{LIST}/{task.uid}"
    assert "It has never run" in browser.get(page).text
    assert browser.post(f"{page}/run").location == page
    shown = browser.get(page).text
    assert "<p>Dust was started.</p>" in shown
    assert 'id="going" data-live' in shown
    assert "queued" in shown
    assert browser.post(f"{page}/stop").location == page
    assert "Dust stops after its present step." in browser.get(page).text
    assert 'id="going"' not in browser.get(page).text
    assert "stopped: The task was stopped." in browser.get(page).text
    browser.post(f"{page}/stop")
    assert "is not running" in browser.get(page).text


def test_the_log_of_each_run_can_be_read(repoman, browser):
    task = make(repoman)
    dust(repoman, task)
    repoman.tasks.update(task, settings={"shelves": 1})
    dust(repoman, task)
    first = min(run.id for run in repoman.tasks.runs(task))
    page = f"{LIST}/{task.uid}"
    assert "Dusted shelf 1." in browser.get(page).text
    assert "Dusted shelf 3." not in browser.get(page).text
    assert "Dusted shelf 3." in browser.get(f"{page}?run={first}").text
    for wrong in ("0", "x", str(first + 100)):
        assert browser.get(f"{page}?run={wrong}").status_code == 404


def test_progress_is_told_while_it_runs(repoman, browser):
    task, seen = make(repoman), []
    runner = repoman.make_runner()

    def work(context):
        context.log("Looking.")
        context.progress(1, 4, "Dusting shelf 1")
        runner.look()
        seen.extend(browser.get(path).text for path in (f"{LIST}/{task.uid}", LIST))
        return ""

    type_ = repoman.tasks.get_type("gallery.dust")
    object.__setattr__(type_, "run", work)  # It is frozen, and of this server only.
    assert runner.execute(repoman.tasks.run(task)) == "ok"
    page, listed = seen
    assert "<b>Dusting shelf 1</b>" in page
    assert 'value="25"' in page
    assert "Looking." in page
    assert "running, 25 %" in listed


def test_a_disabled_task_says_so_and_does_not_run(repoman, browser):
    task = make(repoman, schedule="daily 03:00")
    page = f"{LIST}/{task.uid}"
    browser.get(page)
    assert browser.post(f"{page}/enabled", enabled="false", to="list").location == LIST
    shown = browser.get(page).text
    assert "none: it is disabled" in shown
    assert "Run now" not in shown
    browser.post(f"{page}/run")
    assert "is disabled. Enable it first." in browser.get(page).text
    assert browser.post(f"{page}/enabled", enabled="true").location == page
    assert repoman.tasks.get(task.id).is_enabled


def test_a_deletion_says_first_what_goes(repoman, browser):
    task = make(repoman)
    dust(repoman, task)
    page = f"{LIST}/{task.uid}/delete"
    shown = browser.get(page)
    assert "<b>Dust</b> (Gallery - Dust shelves, by hand) goes" in shown.text
    assert repoman.tasks.get(task.id)
    assert browser.post(page).location == LIST
    assert "Dust was deleted." in browser.get(LIST).text
    assert browser.get(page).status_code == 404


def test_what_does_not_exist_is_not_found(browser):
    unknown = f"{LIST}/9c1b6ea2-3f5b-4d0e-8a43-9f5f2e8b1c11"
    for path in (unknown, f"{unknown}/edit", f"{unknown}/delete", f"{LIST}/new/nothing"):
        assert browser.get(path).status_code == 404
    for path in ("run", "stop", "enabled", "delete", "edit"):
        assert browser.post(f"{unknown}/{path}").status_code == 404


def test_names_are_text_on_pages(repoman, browser):
    task = make(repoman, "<script>alert(1)</script>")
    for path in (LIST, *(f"{LIST}/{task.uid}{end}" for end in ("", "/edit", "/delete"))):
        assert "<script>alert" not in browser.get(path).text


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("*/30 * * * * *", "every 30\u00a0s"),
        ("*/5 * * * *", "every 5\u00a0min"),
        ("*/7 * * * *", "cron */7 * * * *"),
        ("0 3 * * mon-fri", "cron 0 3 * * mon-fri"),
    ],
)
def test_what_is_as_often_in_each_hour_is_told_in_words(expression, told):
    assert tell_schedule(parse_schedule(f"cron {expression}")) == told


def test_a_wrong_schedule_is_told_once(browser):
    browser.get(NEW)
    page = send(browser, schedule__frequency="cron", schedule__cron="every day")
    assert page.text.count("cron expression has") == 1
    preview = browser.get(f"{LIST}/next-runs?schedule.frequency=cron&schedule.cron=every+day")
    assert "A cron expression has" in preview.text
