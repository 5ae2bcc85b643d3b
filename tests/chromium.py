"""Debian's Chromium for tests, without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

from tests.clock import WAIT_S


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Start the browser; it ends with the block."""
    expect.set_options(timeout=1000 * WAIT_S)
    program = shutil.which("chromium")
    assert program, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
