"""A walk over all pages by their links: none is broken, and no button works without the right."""

import html
import json
import re
from urllib.parse import urljoin, urlsplit

import pytest

from repoman.security.rights_records import Role, SelectorRow
from repoman.testing import HttpClient, RepomanFactory
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.docker.images import make_image
from tests.functional.rights.stage import Stage
from tests.functional.web.conftest import Browser
from tests.page_walk import PageWalk, routes_of

HOSTILE = "<script>alert(1)</script>\"'&"
FORM = re.compile(r"<form\b[^>]*>")
ACTION = re.compile(r'\b(?:form)?action="([^"]*)"')
BUTTON = re.compile(r'<(?:button|input)\b[^>]*\bformaction="([^"]*)"')
OF_A_KIND = 2  # pages of one route with parameters of the same names
PASSWORD = "a password of nobody"
OWN = ("/account", "/login", "/logout", "/appearance", "/setup")  # everybody's own


@pytest.fixture(scope="module")
def repoman(tmp_path_factory):
    """One that has something of everything, with hostile text wherever one may write it."""
    factory = RepomanFactory(tmp_path_factory.mktemp("walk"))
    repoman = factory({"docker": docker, "raw": raw, "web": web}, security={"login_failures": 0})
    repoman.repositories.create("images", "docker-hosted", {})
    Stage(repoman).mounted("images").push("team/app", "1.0", make_image())
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.repositories.create("all", "raw-group", {"group": {"members": ["files"]}})
    HttpClient(repoman).put("/repository/files/a/%3Cb%3E/c.txt", b"text")
    security = repoman.security
    security.selectors.create(SelectorRow("some", 'path =^ "/a/"', HOSTILE))
    properties = {"selector": "some", "repository": "*", "actions": ["browse"]}
    security.privileges.create("some", "repository-content-selector", properties, HOSTILE)
    security.roles.create(Role("some", HOSTILE, HOSTILE, ("some",)))
    security.roles.create(Role("nothing", "Nothing", "", ()))
    repoman.users.create("nobody", PASSWORD, ["nothing"])
    yield repoman
    factory.stop()


class Seen:
    """The pages that one user reaches by links, and the addresses that their buttons post to."""

    def __init__(self, repoman, *login):
        browser = Browser(repoman)
        browser.log_in(*login)
        walk = PageWalk(routes_of(repoman), browser.get, OF_A_KIND)
        self.pages, self.posts, self.broken = {}, set(), walk.broken
        for visited in walk.run("/", "/search?q=app"):
            self.pages[visited.address] = visited.page.text
            self.posts |= set(posts_of(visited.address, visited.page.text))


def posts_of(address, text):
    """The addresses that the forms and buttons of a page post to."""
    for form in FORM.findall(text):
        if 'method="post"' in form.lower():
            found = ACTION.search(form)
            target = html.unescape(found[1]) if found else ""
            yield urljoin(address, target or urlsplit(address).path)
    for button in BUTTON.findall(text):
        yield urljoin(address, html.unescape(button))


@pytest.fixture(scope="module")
def admins(repoman):
    return Seen(repoman)


def test_no_link_is_broken(admins):
    assert admins.broken == []
    assert len(admins.pages) > 100
    sections = {path.split("/")[2].split("?")[0] for path in admins.pages if "/admin/" in path}
    assert len(sections) > 15


def test_hostile_text_stays_text(admins):
    wrong = [path for path, text in admins.pages.items() if "<script>alert" in text]
    assert wrong == []
    assert sum("&lt;script&gt;alert" in text for text in admins.pages.values()) > 3


def test_a_user_without_rights_sees_no_broken_link(repoman):
    seen = Seen(repoman, "nobody", PASSWORD)
    assert seen.broken == []
    assert not any(path.startswith("/admin") for path in seen.pages)


def test_pages_are_refused_to_whom_they_are_not_for(repoman, admins):
    browser = Browser(repoman)
    browser.log_in("nobody", PASSWORD)
    answers = {path: browser.get(path) for path in admins.pages if path.startswith("/admin")}
    wrong = {path: each.status_code for path, each in answers.items() if each.status_code < 400}
    assert wrong == {}
    assert {each.status_code for each in answers.values()} <= {403, 404}


@pytest.mark.parametrize("login", [("nobody", PASSWORD), None])
def test_no_button_works_without_the_right(repoman, admins, login):
    before = state(repoman)
    browser = Browser(repoman)
    if login:
        browser.log_in(*login)
    else:
        browser.get("/login")
    answers = {}
    for path in sorted(admins.posts):
        if not path.startswith(OWN):
            answers[path] = browser.post(path)
    assert len(answers) > 20
    wrong = {path: each.status_code for path, each in answers.items() if not is_refusal(each)}
    assert wrong == {}
    assert state(repoman) == before


def is_refusal(answer):
    """Whether it is one: a failure of the client, or the way to the login."""
    return 400 <= answer.status_code < 500 or answer.headers.get("Location", "").startswith(
        "/login"
    )


def state(repoman):
    """What the buttons would change."""
    client = HttpClient(repoman)
    areas = (
        "repositories", "repositorySettings", "security/users", "security/roles",
        "security/privileges", "security/content-selectors", "security/anonymous",
        "security/realms/active", "blobstores", "tasks", "security/ldap", "routing-rules",
        "components?repository=files", "components?repository=images",
    )  # fmt: skip
    return {area: without_times(client.get(f"/service/rest/v1/{area}").json) for area in areas}


VOLATILE = "lastRun|nextRun|lastDownloaded|currentState|lastRunResult|availableSpaceInBytes"


def without_times(value):
    text = json.dumps(value, sort_keys=True)
    return re.sub(rf'"({VOLATILE})": [^,}}]+', "", text)
