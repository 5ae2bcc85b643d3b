"""A person and a new server: the steps of the first run, Home, and a policy that is tried."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import make_image
from tests.functional.docker.wires import Socket
from tests.live import LiveServer
from tests.page_checks import (
    NARROW_PX,
    RULES_OF_COLOURS,
    WIDE_PX,
    darkened,
    keep_picture,
    open_page,
    violations,
)

PASSWORD = "a better password"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    """A new server, whose administrator still has the first password."""
    server = LiveServer(tmp_path_factory.mktemp("new"))
    yield server.start()
    server.end()


def check_shown(page: Page, name: str) -> None:
    """The page that is shown is accessible, light and dark, and not wider than a phone."""
    keep_picture(page, name, "wide")
    assert violations(page) == []
    with darkened(page):
        keep_picture(page, name, "wide")
        assert violations(page, RULES_OF_COLOURS) == []
    for width in NARROW_PX:
        page.set_viewport_size({"width": width, "height": 800})
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    keep_picture(page, name, "narrow")
    page.set_viewport_size({"width": WIDE_PX, "height": 900})


def test_a_new_server_is_set_up_and_a_policy_is_tried_on_it(chromium, server):
    with open_page(chromium, server.main_url) as page:
        set_up(page, server)
        try_criteria(page, server)


def set_up(page: Page, server: LiveServer) -> None:
    """Go through the steps of the first run."""
    page.goto("/login")
    page.get_by_label("User name").fill(server.admin[0])
    page.get_by_label("Password").fill(server.admin[1])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("Repeat the new password").fill(PASSWORD)
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Nobody").check()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="What may be deleted")).to_be_visible()
    days = page.get_by_label("Keep them for")
    expect(days).to_have_value("30")
    check_shown(page, "setup-repositories")
    page.get_by_role("checkbox", name="Delete untagged images").check()
    days.fill("0")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Must be at least 1")).to_be_visible()
    check_shown(page, "setup-repositories-wrong")
    days.fill("45")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="repoman is ready")).to_be_visible()
    check_shown(page, "setup-done")
    page.get_by_role("button", name="Go to the start page").click()
    expect(page.get_by_role("heading", name="Space that comes back by itself")).to_be_visible()
    check_shown(page, "home-of-a-new-server")
    settings = json.loads(server.cli("repo", "show", "docker-hosted", "--json").stdout)
    assert settings["settings"]["docker"]["untagged_days"] == 45


def try_criteria(page: Page, server: LiveServer) -> None:
    """Try criteria in the form of a policy, then create it."""
    registry = Registry(Socket(server.connector_port), "", ("admin", PASSWORD))
    for tag in ("build-1", "build-2", "v1"):
        registry.push("app", tag, make_image())
    page.goto("/admin/cleanup/-/new")
    page.locator("#criteria-version_patterns").fill("build-*")
    page.locator("#preview-repository").select_option("docker-hosted")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("app:build-2")).to_be_visible()
    expect(page.get_by_text("app:v1")).to_have_count(0)
    check_shown(page, "cleanup-tried")
    with page.expect_download() as download:
        page.get_by_role("button", name="As CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]].count("goes") == 2
    page.locator("#name").fill("builds")
    page.get_by_role("button", name="Create policy").click()
    expect(page.get_by_text("The cleanup policy builds was created.")).to_be_visible()
