"""Every page, light and dark: accessible, not wider than a phone, without a word of complaint."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.chromium import open_chromium
from tests.e2e.pushed_images import image_pages, push_images
from tests.gallery.installed import gallery_server
from tests.live import LiveServer
from tests.page_checks import NARROW_PX, WIDE_PX, check_page, open_page, sign_in

# Pages that nobody has to log in for.
OPEN_PAGES = ("/", "/login", "/nowhere")
PARTS = 4  # Of the pages below, so that no test takes minutes.
# Pages of an administrator; whoever makes one adds it.
ADMIN_PAGES = (
    *(
        "/",
        "/setup/password",
        "/account",
        "/account/password",
        "/account/sessions",
        "/account/rights",
    ),
    *("/browse", "/browse?type=group", "/browse/docker-hosted", "/browse/docker-hosted/paths"),
    *("/upload", "/upload/docker-hosted"),
    *("/browse/docker-hosted/uploads", "/browse/docker-hosted/activity"),
    *("/browse/docker-hosted/space", "/admin/space"),
    *("/search", "/search?q=nothing-has-this", "/search?checksum=1&name=*"),
    *("/admin/audit", "/admin/audit?actor=nobody-at-all", "/nowhere"),
    *("/admin/users", "/admin/users?filter=nobody-at-all", "/admin/users/-/new"),
    *("/admin/users/-/new?robot=", "/admin/users/admin", "/admin/users/admin/profile"),
    *("/admin/users/admin/tokens", "/admin/users/admin/sessions", "/admin/users/admin/delete"),
    "/admin/tokens",
    *("/admin/doctor", "/admin/connectors", "/admin/logs", "/admin/logs?filter=nothing-at-all"),
    *("/admin/tokens", "/admin/roles", "/admin/roles/-/new", "/admin/roles/nx-developer"),
    *("/admin/privileges", "/admin/privileges?origin=program", "/admin/privileges/-/new"),
    *("/admin/privileges/-/new?type=repository-view", "/admin/privileges/nx-users-read"),
    *("/admin/selectors", "/admin/selectors/-/new", "/admin/anonymous", "/admin/realms"),
    *("/admin/certificates", "/admin/certificates/-/new", "/admin/ldap", "/admin/ldap/-/new"),
    "/admin/information",
    "/admin/ldap/-/options",
    *("/gallery", "/gallery/form"),
    *("/admin/tasks", "/admin/tasks?filter=nothing-at-all", "/admin/tasks/new"),
    "/admin/tasks/new/gallery.dust",
    *("/admin/repositories", "/admin/repositories?type=group", "/admin/repositories/-/new"),
    *("/admin/repositories/-/new/docker-proxy", "/admin/repositories/-/new/docker-group"),
    *("/admin/blobstores", "/admin/blobstores/-/new", "/admin/blobstores/default/edit"),
    "/admin/blobstores/default",
    *("/admin/blobstores/default/delete", "/admin/email", "/admin/http"),
    *("/admin/repositories/docker-hosted", "/admin/repositories/docker-hosted/delete"),
    "/admin/repositories/docker-hosted/move",
    *("/admin/routing", "/admin/routing/-/new", "/admin/cleanup", "/admin/cleanup/-/new"),
    *("/admin/cleanup/-/preview", "/admin/cleanup/-/preview?repository=docker-hosted"),
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    """A server with the gallery."""
    server = gallery_server(tmp_path_factory.mktemp("pages"))
    yield server.start()
    server.end()


@pytest.fixture(scope="module")
def images(server, tmp_path_factory) -> list[str]:
    """The addresses of pages about images, which are pushed."""
    for words in (
        ("docker-hosted", "empty"),
        ("docker-proxy", "hub", "--set", "proxy.remote_url=https://registry.example"),
        ("docker-group", "all", "--set", 'group.members=["docker-hosted"]'),
    ):
        server.cli("repo", "create", *words)
    push_images(server, tmp_path_factory.mktemp("images"))
    return image_pages()


def test_a_text_that_only_the_dark_hides_is_noticed(chromium, server):
    style = "html { color-scheme: light dark; background: light-dark(#fff, #111); color: #222 }"
    head = f"<html lang=en><title>A</title><style>{style} h1 {{ color: #888 }}</style>"
    body = f"{head}<main><h1>A</h1><p>Words</p></main>"
    with open_page(chromium, server.main_url) as page:
        page.route("**/hidden", lambda route: route.fulfill(body=body, content_type="text/html"))
        [found] = check_page(page, "/hidden")
    assert found.startswith("dark: color-contrast")


def test_pages_for_everybody_keep_the_rules(chromium, server):
    with open_page(chromium, server.main_url) as page:
        found = {path: check_page(page, path) for path in OPEN_PAGES}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("part", range(PARTS))
def test_pages_of_an_administrator_keep_the_rules(chromium, server, part):
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin)
        found = {path: check_page(page, path) for path in ADMIN_PAGES[part::PARTS]}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_pages_about_images_keep_the_rules(chromium, server, images):
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin)
        found = {path: check_page(page, path) for path in images}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("width", NARROW_PX)
def test_an_address_stays_in_its_tile(chromium, server, width):
    name = f"a-long-name-{width}"
    server.cli("repo", "create", "raw-hosted", name)
    with open_page(chromium, server.main_url, width=width) as page:
        sign_in(page, *server.admin, to=f"/browse/{name}")
        tile = page.locator(".tile", has=page.get_by_role("button", name="Copy the address"))
        tile.wait_for()
        assert tile.evaluate("tile => tile.scrollWidth - tile.clientWidth") == 0


@pytest.mark.parametrize("name", ["helm", "maven2", "npm", "pypi", "raw"])
def test_how_to_use_a_repository_keeps_the_rules_in_every_format(chromium, server, name):
    server.cli("repo", "create", f"{name}-hosted", f"use-of-{name}")
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin)
        assert check_page(page, f"/browse/use-of-{name}/use") == []
        ids = page.locator("section[id]").evaluate_all("found => found.map((each) => each.id)")
        assert ids, "no section"
        assert [each for each in ids if " " in each] == []


def test_a_long_name_pushes_no_column_of_a_table_out_of_sight(chromium, server):
    name = "-".join(["a-long-name-of-a-repository"] * 3)
    server.cli("repo", "create", "raw-hosted", name)
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin)
        for path in ("/browse", "/admin/repositories", "/account/rights", "/admin/anonymous"):
            for width in (WIDE_PX, 1024):
                page.set_viewport_size({"width": width, "height": 900})
                page.goto(path)
                page.get_by_text(name, exact=True).first.wait_for()
                hidden = page.locator(".table-frame").evaluate(
                    "each => each.scrollWidth - each.clientWidth"
                )
                assert hidden == 0, f"{path} at {width}"


@pytest.mark.parametrize("width", [1024, 1280])
def test_a_table_beside_other_cards_keeps_its_columns(chromium, server, width):
    with open_page(chromium, server.main_url, width=width) as page:
        sign_in(page, *server.admin, to="/admin/space")
        # Where each row is a block, the head is one pixel high.
        assert page.locator("thead").first.bounding_box()["height"] > 10


@pytest.mark.parametrize("path", ["/browse", "/admin/repositories"])
def test_a_state_stands_in_one_line_where_there_is_room(chromium, server, path):
    upstream = "proxy.remote_url=https://registry.example"
    name = f"told{path.replace('/', '-')}"
    server.cli("repo", "create", "raw-proxy", name, "--set", upstream)
    with open_page(chromium, server.main_url, width=1280) as page:
        sign_in(page, *server.admin, to=path)
        state = page.get_by_role("row", name=name).locator(".state")
        height = state.bounding_box()["height"]
        assert height < 1.5 * page.get_by_text("online").first.bounding_box()["height"]


@pytest.mark.parametrize("path", ["users", "tasks/new/gallery.dust", "cleanup", "repositories"])
def test_what_is_wrong_with_a_form_keeps_its_distance_from_it(chromium, server, path):
    form = {"tasks/new/gallery.dust": "", "repositories": "/-/new/raw-hosted"}.get(path, "/-/new")
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin, to=f"/admin/{path}{form}")
        if path.startswith("tasks"):
            page.get_by_text("Cron", exact=True).click()
        page.locator("form[data-guard] .buttons .button").first.click()
        notice = page.get_by_role("alert")
        expect(notice).to_contain_text("Nothing was created")
        told, card = notice.bounding_box(), page.locator("form[data-guard] .card").bounding_box()
        assert card["y"] - told["y"] - told["height"] >= 12


def test_a_matrix_of_rights_is_scrolled_by_keys_on_a_narrow_page(chromium, server):
    with open_page(chromium, server.main_url, width=NARROW_PX[0]) as page:
        sign_in(page, *server.admin, to="/account/rights")
        frame = page.get_by_role("group", name="Content of repositories")
        tab_to(page, "Content of repositories", "group")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("each => each.scrollLeft > 0", arg=frame.element_handle())


def test_a_pull_command_is_copied_by_keyboard_alone(chromium, server, images):
    with open_page(chromium, server.main_url) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        sign_in(page, *server.admin, to="/browse/docker-hosted/images?filter=gateway")
        tab_to(page, "api-gateway", "link")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="platform/api-gateway").wait_for()
        tab_to(page, "Copy: How to pull the newest version", "button")
        page.keyboard.press("Enter")
        command = f"docker pull {server.registry}/platform/api-gateway:2.14.1"
        assert page.evaluate("navigator.clipboard.readText()") == command
        tab_to(page, "Choose 2.14.1", "checkbox")
        page.keyboard.press("Space")
        tab_to(page, "Choose 2.14.0", "checkbox")
        page.keyboard.press("Space")
        page.get_by_text("2 chosen").wait_for()
        tab_to(page, "Compare the two", "button", backwards=True)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Compare").wait_for()
        assert page.get_by_label("From").input_value() == "platform/api-gateway:2.14.0"


def tab_to(page, name: str, role: str, *, backwards: bool = False) -> None:
    """Press Tab until something has the focus."""
    wanted = page.get_by_role(role, name=name).first
    for _ in range(120):
        if wanted.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"Tab does not lead to {name}")
