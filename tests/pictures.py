"""Takes the pictures of ``docs/web.md``: ``make pictures``. It needs Chromium and skopeo."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.architecture import ROOT
from tests.chromium import open_chromium
from tests.e2e.pushed_images import APP, push_images
from tests.live import LiveServer, live_server
from tests.page_checks import sign_in

DIRECTORY = ROOT / "docs" / "pictures"
SIZE_PX = {"width": 1280, "height": 760}
SCALE = 0.75  # A picture is smaller than the page, and so is its file.
IMAGE = f"/browse/docker-hosted/image/{APP}"
# The file of each picture, its page, and whether it is dark.
PICTURES = (
    ("home", "/", False),
    ("browse", "/browse", False),
    ("image", IMAGE, False),
    ("tag", f"{IMAGE}/-/tags/2.14.1", False),
    ("compare", f"{IMAGE}/-/compare?left={APP}:2.13.6&right={APP}:2.14.1", True),
    ("search", "/search?q=gateway", False),
    ("repository", "/admin/repositories/hub", False),
    ("role", "/admin/roles/nx-developer", False),
    ("tasks", "/admin/tasks", True),
    ("doctor", "/admin/doctor", False),
)


def fill(server: LiveServer, directory: Path) -> None:
    """Create repositories of all types, with images."""
    for words in (
        ("docker-proxy", "hub", "--set", "proxy.remote_url=https://registry.example"),
        ("docker-group", "all", "--set", 'group.members=["docker-hosted", "hub"]'),
        ("raw-hosted", "files"),
    ):
        server.cli("repo", "create", *words)
    push_images(server, directory)


def take(page: Page, name: str, path: str, *, is_dark: bool) -> None:
    """Take the picture of a page."""
    page.emulate_media(color_scheme="dark" if is_dark else "light")
    page.goto(path)
    page.screenshot(path=DIRECTORY / f"{name}.png")


def main() -> None:
    """Take all pictures."""
    DIRECTORY.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        live_server(Path(directory) / "server") as server,
        open_chromium() as browser,
    ):
        fill(server, Path(directory))
        page = browser.new_page(
            base_url=server.main_url, viewport=SIZE_PX, device_scale_factor=SCALE
        )
        sign_in(page, *server.admin)
        for name, path, is_dark in PICTURES:
            take(page, name, path, is_dark=is_dark)


if __name__ == "__main__":
    main()
