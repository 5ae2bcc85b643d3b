"""Repositories from their creation in the browser to their deletion, used by the real docker."""

import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.live import free_port
from tests.page_checks import open_page, sign_in

pytestmark = pytest.mark.xdist_group("docker")

LIST = "/admin/repositories"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium, shared_server) -> Iterator[Page]:
    """A page of an administrator; what the browser complains of fails the test."""
    with open_page(chromium, shared_server.main_url) as page:
        sign_in(page, *shared_server.admin, to=LIST)
        yield page


def create(page: Page, kind: str, name: str) -> None:
    """Go from the list to the form of a new repository, and fill in its name."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Repositories").click()
    page.get_by_role("link", name="Create repository").click()
    page.get_by_role("link", name=kind).click()
    page.get_by_label("Name", exact=True).fill(name)


def save(page: Page, text: str) -> None:
    page.get_by_role("button", name="Create repository").click()
    page.get_by_text(text).wait_for()


def test_a_hosted_repository_a_proxy_and_a_group_live_and_end(page, docker, shared_server):
    mark, port, group_port = secrets.token_hex(3), free_port(), free_port()
    images, hub, all_ = f"images-{mark}", f"hub-{mark}", f"all-{mark}"
    create_hosted(page, images, port, shared_server.connector_port)
    create_proxy(page, hub, f"http://127.0.0.1:{port}", *shared_server.admin)
    create_group(page, all_, group_port, hub, images)

    registry = f"127.0.0.1:{group_port}"
    docker.login(registry, *shared_server.admin)
    image = f"{registry}/team/app:1"
    docker.import_image(image)
    docker.run("push", image)
    docker.run("rmi", image)
    docker.run("pull", image)
    trace(page, all_, "/v2/team/app/manifests/1", images)

    for name in (images, hub, all_):
        delete(page, name)
    assert docker.run("pull", image, check=False).status != 0


def test_an_answer_to_a_field_takes_no_click_away(page):
    """Its text is longer than the hint, and would move the button while it is pressed."""
    create(page, "Docker group", f"all-{secrets.token_hex(3)}")
    page.get_by_label("Add …").select_option("docker-hosted")
    page.get_by_label("HTTP port").fill("1")
    add = page.get_by_role("button", name="Add", exact=True)
    add.scroll_into_view_if_needed()
    box = add.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    with page.expect_response(lambda answer: "value=1" in answer.url):
        page.mouse.down()
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 200))")  # what it does is done
    page.mouse.up()
    page.get_by_role("button", name="Remove docker-hosted").wait_for()


def create_hosted(page: Page, name: str, port: int, taken: int) -> None:
    """Create a hosted repository, after trying the port of another one."""
    create(page, "Docker hosted", name)
    http = page.get_by_label("HTTP port")
    http.fill(str(taken))
    http.blur()
    page.get_by_text(f"Port {taken} belongs to docker-hosted. Free ports near it").wait_for()
    http.fill(str(port))
    http.blur()
    page.get_by_text("Free.").wait_for()
    save(page, f"{name} (port {port}) was created.")


def create_proxy(page: Page, name: str, url: str, user: str, password: str) -> None:
    """Create a proxy, after its upstream was asked with a login."""
    create(page, "Docker proxy", name)
    page.get_by_label("Address of the upstream").fill(url)
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").first.fill(password)
    page.get_by_role("button", name="Ask it now").click()
    page.get_by_text("The upstream answers", exact=True).wait_for()
    save(page, f"{name} was created.")


def create_group(page: Page, name: str, port: int, first: str, second: str) -> None:
    """Create a group whose second member is moved up, by the keyboard, and takes the pushes."""
    create(page, "Docker group", name)
    page.get_by_label("HTTP port").fill(str(port))
    for member in (first, second):
        page.get_by_label("Add …").select_option(member)
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name=f"Remove {member}").wait_for()
    page.get_by_role("button", name=f"Move {second} up").press("Enter")
    members = page.get_by_role("list", name="Members").get_by_role("listitem")
    expect(members.first).to_contain_text(f"{second} (hosted)")
    page.get_by_label("Pushes go to").select_option(second)
    save(page, f"{name} (port {port}) was created.")


def trace(page: Page, group: str, path: str, member: str) -> None:
    """Ask the form of a group which member answers."""
    page.get_by_role("link", name=group).click()
    page.get_by_text("Open.").wait_for()
    page.get_by_label("Path in the group").fill(path)
    page.get_by_role("button", name="Try").click()
    found = page.get_by_role("list", name="Members in the order").get_by_role("listitem").first
    expect(found).to_contain_text(member)
    expect(found).to_contain_text("found")


def delete(page: Page, name: str) -> None:
    """Delete a repository from the menu of its row; the button waits for the name."""
    page.goto(f"{LIST}?filter={name}")
    page.get_by_role("button", name=f"More about {name}").click()
    page.get_by_role("link", name="Delete …").click()
    button = page.get_by_role("button", name="Delete the repository")
    expect(button).to_be_disabled()
    page.get_by_label(f"Type {name} to delete it").fill(name)
    button.click()
    page.get_by_text(f"{name} was deleted.").wait_for()


def test_a_member_is_moved_by_the_keyboard_and_the_form_says_that_it_is_not_saved(page):
    page.goto(f"{LIST}/-/new/docker-group")
    page.get_by_label("Add …").select_option("docker-hosted")
    page.get_by_role("button", name="Add", exact=True).press("Enter")
    page.get_by_role("button", name="Remove docker-hosted").wait_for()
    page.get_by_label("Name", exact=True).fill("never-saved")
    page.get_by_text("Not saved yet").wait_for()
    page.get_by_role("button", name="Remove docker-hosted").press("Enter")
    page.get_by_role("button", name="Remove docker-hosted").wait_for(state="detached")
    assert page.get_by_label("Name", exact=True).input_value() == "never-saved"
