"""A Repoman with the pages, a clock of the test's own, and browsers that keep cookies."""

import re

import pytest
from werkzeug.test import Client

from repoman.security.rights_records import Role
from repoman.testing import ADMIN, Clock, RepomanFactory
from repoman.testing.client import application_of
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.rights.stage import Stage

MARK = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


class Browser:
    """Keeps cookies, and fills the mark of the page it saw last into its forms."""

    def __init__(self, repoman, **environ) -> None:
        self.client = Client(application_of(repoman))
        self.environ = {"REMOTE_ADDR": "127.0.0.1", **environ}
        self.mark = ""

    def open(self, method, path, headers=None, **options):
        headers = {"Accept": "text/html,*/*;q=0.8", **(headers or {})}
        answer = self.client.open(
            path,
            method=method,
            headers=headers,
            environ_overrides=self.environ,
            buffered=True,
            **options,
        )
        is_text = "Content-Encoding" not in answer.headers and "text" in (answer.mimetype or "")
        if is_text and (found := MARK.search(answer.text)):
            self.mark = found[1]
        return answer

    def get(self, path, **options):
        return self.open("GET", path, **options)

    def post(self, path, headers=None, **fields):
        return self.open("POST", path, headers, data={"csrf_token": self.mark, **fields})

    def log_in(self, name=ADMIN[0], password=ADMIN[1], **fields):
        self.get("/login")
        return self.post("/login", name=name, password=password, **fields)

    def cookie(self, name="repoman-login", path="/"):
        found = self.client.get_cookie(name, path=path)
        return found.value if found else None

    @property
    def is_in(self) -> bool:
        return self.get("/account").status_code == 200


@pytest.fixture
def clock():
    return Clock(1_700_000_000.0)


@pytest.fixture
def repoman(repoman_factory, clock):
    """A Repoman that believes the proxy 10.0.0.1."""
    repoman = repoman_factory(
        {"raw": raw, "web": web}, clock, server={"trusted_proxies": ["10.0.0.1"]}
    )
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


@pytest.fixture
def open_browser(repoman):
    """Open a browser with no cookies."""
    return lambda **environ: Browser(repoman, **environ)


@pytest.fixture
def browser(open_browser):
    return open_browser()


@pytest.fixture
def admin(browser):
    browser.log_in()
    return browser


@pytest.fixture
def browser_of(repoman, open_browser):
    """Log in a user with these privileges."""

    def open_(*privileges) -> Browser:
        repoman.security.roles.create(Role("some", "some", "", privileges))
        repoman.users.create("ann", "a long password", ["some"])
        browser = open_browser()
        browser.log_in("ann", "a long password")
        return browser

    return open_


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A Repoman with the pages, with users and repositories as tests ask for them."""
    factory = RepomanFactory(tmp_path_factory.mktemp("stage"))
    plugins = {"docker": docker, "raw": raw, "web": web}
    yield Stage(factory(plugins, security={"login_failures": 0}))
    factory.stop()


@pytest.fixture
def open_as(stage):
    """Open a browser as a user with privileges; without any, as a user who may do nothing."""

    def open_as(*privileges: str) -> Browser:
        browser = Browser(stage.repoman)
        browser.log_in(*stage.make_user(*privileges))
        return browser

    return open_as
