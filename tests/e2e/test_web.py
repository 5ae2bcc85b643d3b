"""The pages in a real browser: a login by hand, and no word of protest from the browser."""

import secrets
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page

from tests.chromium import open_chromium
from tests.clock import WAIT_S
from tests.live import live_server
from tests.page_checks import open_page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(params=["light", "dark", "narrow"])
def page(chromium, request, shared_server) -> Iterator[Page]:
    """A page of the shared server; what the browser complains of fails the test."""
    complaints = []
    narrow = request.param == "narrow"
    context = chromium.new_context(
        base_url=shared_server.main_url,
        color_scheme="dark" if request.param == "dark" else "light",
        viewport={"width": 360 if narrow else 1280, "height": 800},
    )
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def sign_in(page: Page, name: str, password: str) -> None:
    """Fill the login form."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your account").wait_for()


def go_to(page: Page, name: str) -> None:
    """Follow a link of the navigation, which is a drawer on narrow screens."""
    menu = page.get_by_role("button", name="Menu", exact=True)
    if menu.is_visible():
        menu.click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()


def test_a_user_signs_in_looks_around_and_signs_out(page, shared_server, tmp_path):
    page.goto("/account")
    assert fits(page)
    page.screenshot(path=tmp_path / "login.png")
    sign_in(page, *shared_server.admin)
    assert fits(page)
    page.screenshot(path=tmp_path / "account.png", full_page=True)
    go_to(page, "repoman")
    page.get_by_role("heading", name="Repositories").wait_for()
    assert fits(page)
    page.screenshot(path=tmp_path / "start.png")
    page.get_by_role("button", name="Your account").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("banner").get_by_role("link", name="Sign in").wait_for()
    assert page.goto("/account").url.endswith("/login?next=/account")


def test_an_administrator_reads_the_audit_log(page, shared_server, tmp_path):
    page.goto("/account")
    sign_in(page, *shared_server.admin)
    go_to(page, "Audit log")
    page.get_by_role("heading", name="Audit log").wait_for()
    assert fits(page)
    page.screenshot(path=tmp_path / "audit.png", full_page=True)
    page.get_by_label("Category").select_option("login")
    page.get_by_label("User", exact=True).fill("admin")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("login success").first.wait_for()
    assert page.get_by_label("Category").input_value() == "login"
    assert fits(page)
    page.screenshot(path=tmp_path / "narrowed.png", full_page=True)


def test_a_user_makes_a_token_copies_its_secret_and_revokes_it(page, shared_server, tmp_path):
    page.goto("/account")
    sign_in(page, *shared_server.admin)
    name = f"token-{secrets.token_hex(4)}"
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Repositories").fill("docker-*")
    page.get_by_label("Names").fill("team/* shared/base")
    page.screenshot(path=tmp_path / "form.png", full_page=True)
    page.keyboard.press("Enter")
    secret = page.get_by_label(f"Secret of the token {name}", exact=True).inner_text()
    assert fits(page)
    assert secret not in page.url
    page.screenshot(path=tmp_path / "made.png", full_page=True)
    url, login = f"http://{shared_server.registry}/v2/", ("admin", secret)
    assert requests.get(url, auth=login, timeout=WAIT_S).status_code == 200
    page.get_by_role("link", name=f"Revoke the token {name} …").click()
    page.get_by_text("are refused from their next request on").wait_for()
    page.screenshot(path=tmp_path / "revoke.png", full_page=True)
    page.get_by_role("button", name=f"Revoke {name}").click()
    page.get_by_text(f"Revoked the token {name}.").wait_for()
    assert requests.get(url, auth=login, timeout=WAIT_S).status_code == 401
    assert secret not in page.content()


def test_below_a_context_path_pages_work_and_connectors_stay_at_the_root(chromium, tmp_path):
    settings = {"server": {"context_path": "/nexus"}}
    with live_server(tmp_path / "moved", settings=settings) as server:
        assert server.listeners["main"] == f"{server.main_url}/nexus/"
        url = f"http://{server.registry}/v2/"
        assert requests.get(url, auth=server.admin, timeout=WAIT_S).status_code == 200
        with open_page(chromium, server.main_url) as page:
            page.goto("/")
            page.get_by_role("link", name="Sign in").first.click()
            page.get_by_label("User name").fill("admin")
            page.get_by_label("Password").fill(server.password)
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Choose the password of admin").wait_for()
            page.get_by_role("link", name="Later").click()
            page.get_by_role("button", name="Your account").click()
            page.get_by_role("link", name="Account and tokens").click()
            page.get_by_role("heading", name="Your account").wait_for()
            assert page.url == f"{server.main_url}/nexus/account"
