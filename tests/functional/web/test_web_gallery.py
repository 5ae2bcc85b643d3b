"""Every component renders, for any plugin that imports it."""

import re

import pytest

from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser
from tests.gallery import plugin as gallery


@pytest.fixture
def browser(repoman_factory):
    return Browser(repoman_factory({"raw": raw, "web": web, "gallery": gallery}))


def test_every_component_is_shown_and_every_icon_exists(browser):
    page = browser.get("/gallery")
    assert page.status_code == 200
    assert "style=" not in page.text
    address = re.search(r'href="(/static/icons\.[0-9a-f]+\.svg)#', page.text)[1]
    known = set(re.findall(r'<symbol id="([^"]+)"', browser.get(address).text))
    assert set(re.findall(r'icons\.[0-9a-f]+\.svg#([^"]+)"', page.text)) <= known


def test_ids_are_there_once(browser):
    ids = re.findall(r' id="([^"]+)"', browser.get("/gallery").text)
    assert len(ids) == len(set(ids))


def test_a_link_tells_how_much_needs_attention(browser):
    assert 'title="4 need attention">4</span>' in browser.get("/gallery").text
