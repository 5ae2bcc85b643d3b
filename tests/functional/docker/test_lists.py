"""Lists of tags and of image names, in pages."""

import re
import secrets
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.functional.docker.images import make_image

# In the order of bytes, which is not that of letters.
TAGS = ["0", "1.0", "10", "2", "A", "B-1", "_x", "a", "a.b", "a_b", "b", "latest", "z" * 128]
NAMES = ["a", "a-b", "a.b", "a/b", "a/b/c", "a0", "a_b", "ab", "b", "z9/tags/list", "zz"]
LINK = re.compile(r'<([^>]+)>; rel="next"')


@pytest.fixture
def tagged(registry, name):
    """The image with all tags, set in another order."""
    image = make_image()
    registry.push_blobs(name, image)
    for tag in reversed(TAGS):
        registry.push_manifest(name, tag, image.manifest)
    return registry


@pytest.fixture
def catalog(site):
    """A repository with these image names and no other."""
    registry = site.create()
    image = make_image()
    for each in reversed(NAMES):
        registry.push(each, "1", image)
    return registry


def next_page(answer):
    """Where the next page is, or None."""
    link = answer.headers.get("Link")
    return link and LINK.fullmatch(link)[1]


def pages(registry, path, key):
    """The entries of each page, up to the last."""
    found = []
    while path:
        answer = registry.get(path)
        assert answer.status == 200
        found.append(answer.json()[key])
        path = next_page(answer)
        assert len(found) < 100
    return found


def test_tags_are_listed_in_the_order_of_bytes(tagged, name):
    answer = tagged.get(f"{name}/tags/list")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"name": name, "tags": TAGS}
    assert "Link" not in answer.headers


@pytest.mark.parametrize("number", [1, 2, 5, len(TAGS) - 1])
def test_tags_come_in_pages(tagged, name, number):
    found = pages(tagged, f"{name}/tags/list?n={number}", "tags")
    assert [tag for page in found for tag in page] == TAGS
    assert {len(page) for page in found[:-1]} <= {number}


@pytest.mark.parametrize("number", [len(TAGS), len(TAGS) + 1, 10**6, 10**30])
def test_the_last_page_leads_nowhere(tagged, name, number):
    answer = tagged.get(f"{name}/tags/list?n={number}")
    assert answer.json()["tags"] == TAGS
    assert "Link" not in answer.headers


def test_a_link_leads_to_the_next_page_under_the_same_address(tagged, name):
    link = urlsplit(next_page(tagged.get(f"{name}/tags/list?n=3&ns=docker.io&x=%26%2B")))
    assert link.path == tagged.target(f"{name}/tags/list")
    wanted = {"n": ["3"], "last": [TAGS[2]], "ns": ["docker.io"], "x": ["&+"]}
    assert parse_qs(link.query) == wanted


@pytest.mark.parametrize(
    ("last", "rest"),
    [
        ("a.b", TAGS[9:]),
        ("a.a", TAGS[8:]),  # no tag of this image
        ("", TAGS),
        ("~", []),
        ("\U0001f41f", []),
        ("!", TAGS),
    ],
)
def test_a_list_goes_on_after_any_text(tagged, name, last, rest):
    answer = tagged.get(f"{name}/tags/list", query={"last": last})
    assert answer.json()["tags"] == rest
    answer = tagged.get(f"{name}/tags/list", query={"last": last, "n": "2"})
    assert answer.json()["tags"] == rest[:2]
    assert ("Link" in answer.headers) == (len(rest) > 2)


def test_no_entries_may_be_asked_for(tagged, name):
    for path, key in ((f"{name}/tags/list", "tags"), ("_catalog", "repositories")):
        answer = tagged.get(f"{path}?n=0")
        assert (answer.status, answer.json()[key]) == (200, [])
        assert "Link" not in answer.headers


@pytest.mark.parametrize("number", ["-1", "a", "1.5", "%201", "0x10", "%D9%A3", "1_0"])
def test_a_number_that_is_none_is_refused(tagged, name, number):
    for path in (f"{name}/tags/list", "_catalog"):
        answer = tagged.get(f"{path}?n={number}")
        assert (answer.status, answer.code) == (400, "PAGINATION_NUMBER_INVALID")


def test_no_number_is_no_mistake(tagged, name):
    assert tagged.get(f"{name}/tags/list?n=").json()["tags"] == TAGS


@pytest.mark.parametrize("last", ["%ff", "%00", "%ed%a0%80", "%zz", "a&last=b", "%f0%9f"])
def test_odd_bytes_in_a_query_are_no_failure(tagged, name, last):
    for path in (f"{name}/tags/list", "_catalog", f"{name}/referrers/sha256:{'0' * 64}"):
        assert tagged.get(f"{path}?last={last}").status == 200


def test_an_unknown_image_has_no_list(registry, name):
    answer = registry.get(f"{name}/tags/list")
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
    assert name in answer.message


def test_an_image_without_tags_has_an_empty_list(registry, name):
    image = make_image()
    registry.push(name, image.digest, image)
    assert registry.get(f"{name}/tags/list").json() == {"name": name, "tags": []}


def test_an_image_is_unknown_until_it_has_a_manifest_and_after_it_had(registry, name):
    image = make_image()
    registry.push_blobs(name, image)
    assert registry.get(f"{name}/tags/list").status == 404
    registry.push(name, "1", image)
    registry.delete(f"{name}/manifests/1")
    assert registry.get(f"{name}/tags/list").json()["tags"] == []
    assert name in registry.get("_catalog").json()["repositories"]
    registry.delete(f"{name}/manifests/{image.digest}")
    assert registry.get(f"{name}/tags/list").status == 404
    assert name not in registry.get("_catalog").json()["repositories"]


def test_a_moved_tag_is_listed_once(registry, name):
    for _ in range(2):
        registry.push(name, "1", make_image())
    assert registry.tags(name) == ["1"]


def test_the_catalog_lists_image_names_in_the_order_of_bytes(catalog):
    answer = catalog.get("_catalog")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"repositories": NAMES}


@pytest.mark.parametrize("number", [1, 3, len(NAMES)])
def test_the_catalog_comes_in_pages(catalog, number):
    found = pages(catalog, f"_catalog?n={number}", "repositories")
    assert [each for page in found for each in page] == NAMES


def test_the_catalog_of_an_empty_repository_is_empty(site):
    assert site.create().get("_catalog").json() == {"repositories": []}


def test_pages_are_as_long_as_the_settings_say(site):
    registry = site.create({"docker.page_limit": 3, "docker.catalog_page": 2})
    image = make_image()
    names = [f"app-{number}" for number in range(5)]
    for each in names:
        registry.push(each, "1", image)
    for tag in "2345":
        registry.push("app-0", tag, image)
    for query in ("", "?n=3", "?n=100"):
        found = pages(registry, f"app-0/tags/list{query}", "tags")
        assert found == [["1", "2", "3"], ["4", "5"]]
    assert pages(registry, "_catalog", "repositories") == [names[:2], names[2:4], names[4:]]
    assert pages(registry, "_catalog?n=100", "repositories") == [names[:3], names[3:]]


def test_names_that_begin_alike_do_not_mix(registry):
    first = f"app-{secrets.token_hex(4)}"
    image, other = make_image(), make_image()
    registry.push(first, "1", image)
    registry.push(f"{first}/below", "2", other)
    registry.push(f"{first}-beside", "3", other)
    assert registry.tags(first) == ["1"]
    registry.delete(f"{first}/manifests/{image.digest}")
    assert registry.tags(f"{first}/below") == ["2"]
    assert registry.tags(f"{first}-beside") == ["3"]
