"""What others have stored or called themselves runs no script in an administrator's browser."""

import base64
import json
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page

from tests.chromium import open_chromium
from tests.clock import WAIT_S
from tests.e2e.registry import CONFIG, MANIFEST, Registry, digest_of

SCRIPT = "document.documentElement.dataset.hacked = 'yes'"
READ = "fetch('/account').then(answer => answer.text()).then(text => document.title = text)"
STEAL = f"<script>{SCRIPT}; {READ}</script>"
SVG = 'xmlns="http://www.w3.org/2000/svg"'
ON_ERROR = f'<img src="x" onerror="{SCRIPT}">'
STORED = {
    "page.html": ("text/html", f"<!doctype html><title>a</title><body>{STEAL}{ON_ERROR}"),
    "page.xhtml": (
        "application/xhtml+xml",
        f'<html xmlns="http://www.w3.org/1999/xhtml"><body><script>{SCRIPT}</script></body></html>',
    ),
    "picture.svg": (
        "image/svg+xml",
        f'<svg {SVG} onload="{SCRIPT}"><script>{SCRIPT}</script></svg>',
    ),
    "text.txt": ("text/plain", f"<html><body>{STEAL}"),
    "nothing": ("", f"<html><body>{STEAL}"),
    "data.xml": (
        "text/xml",
        f'<a xmlns:h="http://www.w3.org/1999/xhtml"><h:script>{SCRIPT}</h:script></a>',
    ),
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium, victim) -> Iterator[Page]:
    """A page of the administrator, who has signed in."""
    context = chromium.new_context(base_url=victim.main_url)
    page = context.new_page()
    page.on("dialog", lambda dialog: pytest.fail(f"a script has spoken: {dialog.message}"))
    page.goto("/login?next=/account")
    name, password = victim.admin
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your account").wait_for()
    yield page
    context.close()


def is_hacked(page: Page) -> bool:
    page.wait_for_timeout(200)
    return page.evaluate("document.documentElement.dataset.hacked") == "yes"


@pytest.mark.parametrize("name", STORED)
def test_what_is_stored_runs_no_script(page, victim, name):
    media_type, text = STORED[name]
    address = f"{victim.main_url}/repository/files/{name}"
    headers = {"Content-Type": media_type} if media_type else {}
    stored = requests.put(
        address, text.encode(), headers=headers, auth=victim.admin, timeout=WAIT_S
    )
    assert stored.status_code in (200, 201, 204), stored.text
    # The browser shows it by the password in the address: repositories do not look at sessions.
    login = base64.b64encode(":".join(victim.admin).encode()).decode()
    page.set_extra_http_headers({"Authorization": f"Basic {login}"})
    if name in ("text.txt", "nothing", "data.xml"):
        answer = page.request.get(address)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        return
    page.goto(address)
    assert not is_hacked(page)
    assert "account" not in page.title()


def test_the_same_page_without_protection_would_be_hacked(chromium):
    """Otherwise the tests above would prove nothing."""
    page = chromium.new_page()
    page.set_content(STORED["page.html"][1])
    assert is_hacked(page)
    page.close()


def test_names_that_are_markup_are_text(page, victim):
    victim.cli(
        *(
            "user",
            "set",
            "admin",
            "--first-name",
            ON_ERROR,
            "--last-name",
            f"<script>{SCRIPT}</script>",
        )
    )
    victim.cli("token", "create", "admin", f'"><script>{SCRIPT}</script>')
    victim.cli("token", "create", "admin", ON_ERROR, "--repository", ON_ERROR, "--name", ON_ERROR)
    page.reload()
    page.get_by_text(ON_ERROR).first.wait_for()
    assert not is_hacked(page)
    for path in (f"/{ON_ERROR}", f"/login?next={ON_ERROR}", f"/account/{STEAL}"):
        page.goto(path)
        assert not is_hacked(page)


@pytest.fixture
def shop(victim) -> str:
    """An image whose labels, annotations and tag list are markup where they may be."""
    registry = Registry(f"http://{victim.registry}", victim.admin)
    labels = {"org.opencontainers.image.description": ON_ERROR, ON_ERROR: STEAL}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": labels}})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": CONFIG,
            "digest": registry.push_blob("shop", config.encode()),
            "size": len(config),
        },
        "layers": [],
        "annotations": {ON_ERROR: STEAL},
    }
    answer = registry.request(
        "PUT",
        "/v2/shop/manifests/1",
        data=json.dumps(manifest),
        headers={"Content-Type": MANIFEST},
    )
    assert answer.status_code == 201, answer.text
    return digest_of(config.encode())


@pytest.mark.parametrize("repository", ["docker-hosted", "mirror", "all"])
def test_what_images_say_of_themselves_runs_no_script(page, victim, shop, repository):
    login = base64.b64encode(":".join(victim.admin).encode()).decode()
    authorization = {"Authorization": f"Basic {login}"}
    page.set_extra_http_headers(authorization)
    shown = 0
    for path in (
        "v1/search?q=shop",
        "v2/shop/tags/list",
        "v2/shop/manifests/1",
        f"v2/shop/blobs/{shop}",
        f"v2/shop/manifests/{ON_ERROR}",
        f"v2/{ON_ERROR}/tags/list",
        f"v2/shop/manifests/1?ns={ON_ERROR}",
    ):
        address = f"{victim.main_url}/repository/{repository}/{path}"
        answer = page.request.get(address, headers={"Accept": "text/html", **authorization})
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "html" not in answer.headers["content-type"]
        shown += "onerror" in answer.text()
        if "/blobs/" not in path:  # which a browser stores as a file
            page.goto(address)
            assert not is_hacked(page)
    assert shown >= 2  # or nothing would be tried
