"""What the script of the pages adds, on the page with all components."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_pages import chromium, server
from tests.page_checks import open_page

__all__ = ["chromium", "server"]


@pytest.fixture
def page(chromium, server):
    with open_page(chromium, server.main_url) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto("/gallery")
        yield page


def clipboard(page: Page) -> str:
    return page.evaluate("navigator.clipboard.readText()")


def test_a_button_copies_all_of_a_text(page):
    page.get_by_role("button", name="Copy the digest").click()
    assert clipboard(page) == "sha256:" + "0123456789abcdef" * 4
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)


def test_a_button_copies_where_the_browser_has_no_clipboard_for_pages(page, server):
    plain = page.context.new_page()
    # As over plain HTTP from another machine.
    plain.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    plain.goto(f"{server.main_url}/gallery")
    button = plain.get_by_role("button", name="Copy the digest")
    button.click()
    expect(plain.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    expect(button).to_be_focused()
    page.bring_to_front()
    assert clipboard(page) == "sha256:" + "0123456789abcdef" * 4


def test_a_refused_copy_is_said(page):
    page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(new Error('no')))")
    page.get_by_role("button", name="Copy the digest").click()
    expect(page.get_by_role("status").filter(has_text="did not copy it")).to_have_count(1)


def test_rows_are_filtered_while_one_types(page):
    rows = page.get_by_role("table").first.locator("tbody tr")
    nothing = page.get_by_text("Nothing on this page has these words.")
    page.get_by_label("Filter", exact=True).fill("THI")
    expect(rows.filter(visible=True)).to_have_count(1)
    expect(nothing).to_be_hidden()
    page.get_by_label("Filter", exact=True).fill("nothing-has-this")
    expect(rows.filter(visible=True)).to_have_count(0)
    expect(nothing).to_be_visible()
    page.get_by_label("Filter", exact=True).fill("")
    expect(rows.filter(visible=True)).to_have_count(3)
    expect(nothing).to_be_hidden()


def test_a_bar_counts_what_is_chosen_and_offers_what_can_be_done(page):
    compare = page.get_by_role("button", name="Compare")
    expect(compare).to_be_hidden()
    page.get_by_label("Choose first").check()
    expect(page.get_by_text("1 chosen")).to_be_visible()
    expect(compare).to_be_disabled()
    page.get_by_label("Choose third").check()
    expect(compare).to_be_enabled()
    page.get_by_label("Choose all").check()
    expect(page.get_by_text("3 chosen")).to_be_visible()


def test_members_are_moved_by_the_keyboard(page):
    order = page.locator("input[name=members]")
    page.get_by_role("button", name="Move two up").focus()
    page.keyboard.press("Enter")
    assert [each.input_value() for each in order.all()] == ["two", "one"]
    expect(page.get_by_text("two is number 1 of 2")).to_have_count(1)
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    assert page.url.endswith("/gallery")
    page.once("dialog", lambda dialog: dialog.accept())  # It asks before one leaves.
    page.goto("/gallery")


def test_the_red_button_waits_for_the_name(page):
    button = page.get_by_role("button", name="Delete images")
    expect(button).to_be_disabled()
    page.get_by_label("Type images to delete it").fill("image")
    expect(button).to_be_disabled()
    page.get_by_label("Type images to delete it").fill("images")
    expect(button).to_be_enabled()


def test_the_appearance_changes_at_once_and_stays(page):
    ground = "getComputedStyle(document.body).color"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Appearance").click()
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(ground) != light
    dark = page.evaluate(ground)
    page.goto("/login")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(ground) == dark


def test_menus_and_the_drawer_need_no_script_and_close_with_escape(chromium, server):
    context = chromium.new_context(
        base_url=server.main_url,
        java_script_enabled=False,
        viewport={"width": 390, "height": 800},
    )
    page = context.new_page()
    page.goto("/gallery")
    drawer = page.get_by_role("navigation", name="Main")
    expect(drawer).to_be_hidden()
    page.get_by_role("button", name="Menu", exact=True).click()
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.get_by_role("button", name="Copy the digest")).to_be_hidden()
    page.get_by_role("button", name="Appearance").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert re.search("/gallery$", page.url)
    context.close()


def test_by_keyboard_the_content_is_one_key_away(page):
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    content = page.locator("#content")
    expect(content).to_be_focused()
    expect(content).to_have_css("outline-style", "none")  # All of the page would have a frame.
