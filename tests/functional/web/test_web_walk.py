"""A walk over all pages by their links: none is broken, and no button works without the right."""

import html
import json
import re
from collections import defaultdict, deque
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from repoman.http.admin import create_admin_app
from repoman.http.router import registered_formats
from repoman.security.rights_records import Role, SelectorRow
from repoman.testing import HttpClient, RepomanFactory
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.docker.images import make_image
from tests.functional.rights.stage import Stage
from tests.functional.web.conftest import Browser

HOSTILE = "<script>alert(1)</script>\"'&"
LINK = re.compile(r'<a\b[^>]*?\bhref="([^"]+)"')
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


@dataclass
class Walk:
    """The pages that one user reaches by links, and the addresses that their buttons post to."""

    browser: Browser
    routes: object
    pages: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    posts: set[str] = field(default_factory=set)

    def run(self, *starts):
        queue, seen, opened = deque(starts), set(starts), defaultdict(int)
        while queue:
            address = queue.popleft()
            kind = self.kind(address)
            if kind is None or opened[kind] >= OF_A_KIND:
                continue
            opened[kind] += 1
            for link in self.open(address):
                if link not in seen:
                    seen.add(link)
                    queue.append(link)
        return self

    def kind(self, address):
        parts = urlsplit(address)
        if parts.scheme or parts.path.startswith(("/repository/", "/service/", "/static/")):
            return None
        try:
            endpoint, _ = self.routes.match(parts.path, "GET")
        except RequestRedirect:
            return None
        except HTTPException:
            self.broken.append(address)
            return None
        return endpoint, *sorted({name for name, _ in parse_qsl(parts.query)})

    def open(self, address):
        page = self.browser.get(address)
        if page.status_code >= 400:
            self.broken.append(f"{page.status_code} {address}")
        if page.mimetype != "text/html":
            return
        self.pages[address] = page.text
        for form in FORM.findall(page.text):
            if 'method="post"' in form.lower():
                found = ACTION.search(form)
                target = html.unescape(found[1]) if found else ""
                self.posts.add(urljoin(address, target or urlsplit(address).path))
        self.posts |= {urljoin(address, html.unescape(each)) for each in BUTTON.findall(page.text)}
        for link in LINK.findall(page.text):
            url = urljoin(address, html.unescape(link)).partition("#")[0]
            yield url.removeprefix("http://localhost")


@pytest.fixture(scope="module")
def walk_as(repoman):
    routes = create_admin_app(repoman, registered_formats(repoman)).url_map.bind("localhost")

    def walk(*login):
        browser = Browser(repoman)
        browser.log_in(*login)
        return Walk(browser, routes).run("/", "/search?q=app")

    return walk


@pytest.fixture(scope="module")
def admins(walk_as):
    return walk_as()


def test_no_link_is_broken(admins):
    assert admins.broken == []
    assert len(admins.pages) > 100
    sections = {path.split("/")[2].split("?")[0] for path in admins.pages if "/admin/" in path}
    assert len(sections) > 15


def test_hostile_text_stays_text(admins):
    wrong = [path for path, text in admins.pages.items() if "<script>alert" in text]
    assert wrong == []
    assert sum("&lt;script&gt;alert" in text for text in admins.pages.values()) > 3


def test_a_user_without_rights_sees_no_broken_link(walk_as):
    walk = walk_as("nobody", PASSWORD)
    assert walk.broken == []
    assert not any(path.startswith("/admin") for path in walk.pages)


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
