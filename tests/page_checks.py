"""What every page has to keep to, checked in a browser: accessibility, sizes, no complaint.

``PICTURES=directory`` keeps a picture of each page that was checked.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page

WIDE_PX = 1440
NARROW_PX = (390, 320)  # A phone, and a page at 400 % of its size (WCAG 1.4.10).
RULES = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']"
# Those that can judge the same page differently in other colours.
RULES_OF_COLOURS = "{type: 'rule', values: ['color-contrast', 'link-in-text-block']}"
PICTURES = os.environ.get("PICTURES")


@cache
def axe() -> str:
    """The source of axe-core."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def open_page(
    browser: Browser, base_url: str, *, scheme: str = "light", width: int = WIDE_PX
) -> Iterator[Page]:
    """Open a page of its own; what the browser complains of, or loads elsewhere, fails the test."""
    complaints: list[str] = []
    context = browser.new_context(
        base_url=base_url,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",  # Colours are judged while nothing moves.
    )
    page = context.new_page()
    page.on("console", lambda message: complaints.extend(_complaints_of(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((f"{base_url}/", "data:"))
            else complaints.append(f"asked {request.url}")
        ),
    )
    try:
        yield page
    finally:
        context.close()
    assert not complaints, "\n".join(complaints)


def _complaints_of(message: ConsoleMessage) -> list[str]:
    """The text of a message; none for advice, and for a page that is meant to be a failure."""
    if message.type == "verbose":
        return []
    is_page = message.location.get("url", "") == (message.page.url if message.page else "")
    return [] if is_page and "status of 4" in message.text else [message.text]


def sign_in(page: Page, name: str, password: str, to: str = "/account") -> None:
    """Log in by the form, and go on to a page."""
    page.goto(f"/login?next={to}")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def violations(page: Page, rules: str = RULES) -> list[str]:
    """What axe-core finds wrong with the page as it is shown: the rule, what to do, where."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe())
    # What passes is not worked out.
    options = f"{{runOnly: {rules}, resultTypes: ['violations']}}"
    found = page.evaluate(f"axe.run(document, {options})")["violations"]
    return [
        f"{each['id']}: {each['help']} at {node['target']}: {node['html'][:200]}"
        for each in found
        for node in each["nodes"]
    ]


def check_page(page: Page, path: str) -> list[str]:
    """What is wrong with a page, light and dark, wide and narrow; a failure to open it as well."""
    page.set_viewport_size({"width": WIDE_PX, "height": 900})
    answer = page.goto(path)
    if answer is None or answer.status >= 500:
        return [f"{path} was not opened"]
    keep_picture(page, path, "wide")
    found = violations(page)
    with darkened(page):
        keep_picture(page, path, "wide")
        found += [f"dark: {each}" for each in violations(page, RULES_OF_COLOURS)]
    for width in NARROW_PX:
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found.append(f"wider than {width} pixels: {_widest(page)}")
    keep_picture(page, path, "narrow")
    return found


@contextmanager
def darkened(page: Page) -> Iterator[None]:
    """Show a page dark in the block; only colours differ, so it is not loaded again."""
    page.emulate_media(color_scheme="dark")
    yield
    page.emulate_media(color_scheme="light")


def keep_picture(page: Page, path: str, size: str) -> None:
    """Keep a picture of the whole page, if pictures are wanted."""
    if PICTURES:
        scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : ''")
        name = re.sub(r"[^\w.-]+", "-", path).strip("-") or "home"
        target = Path(PICTURES) / "-".join(filter(None, [name, size, scheme]))
        page.screenshot(path=f"{target}.png", full_page=True)


def _widest(page: Page) -> str:
    """The first element that reaches beyond the window and is not within one that scrolls."""
    return page.evaluate(
        """() => {
            const scrolls = (each) => each && each !== document.documentElement &&
                (getComputedStyle(each).overflowX !== "visible" || scrolls(each.parentElement));
            const found = [...document.body.querySelectorAll("*")].find((each) =>
                each.getBoundingClientRect().right > window.innerWidth + 1 &&
                !scrolls(each.parentElement));
            return found ? found.outerHTML.slice(0, 200) : "";
        }"""
    )
