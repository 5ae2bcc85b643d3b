"""The distinct versions of a component over REST: once each, sorted, paged, as rights allow."""

import pytest

from repoman.testing import ADMIN, RepomanFactory
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import make_image
from tests.functional.docker.wires import InProcess
from tests.functional.rest.content_site import Site, rights

APP = make_image(b"app")
VERSIONS = "/search/versions?format=docker&name=team/app"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An image and a file that are in two repositories each, the image with several versions."""
    factory = RepomanFactory(tmp_path_factory.mktemp("versions"))
    site = Site(factory({"docker": docker, "raw": raw}, security={"login_failures": 0}))
    for tag in ("1.0", "2.0", "2.0-rc1"):
        site.registry.push("team/app", tag, APP)
    site.registry.push("lib/base", "3.0", APP)
    site.repoman.repositories.create("copies", "docker-hosted", {})
    copies = Registry(InProcess(site.client), "/repository/copies", ADMIN)
    for tag in ("1.0", "10.0"):
        copies.push("team/app", tag, APP)
    for repository in ("files", "more"):
        site.put("docs/a.txt", repository=repository)
    yield site
    factory.stop()


def versions(site, query, login=ADMIN):
    return [
        (each["version"], each["repositories"])
        for each in site.get(VERSIONS + query, login)["items"]
    ]


def test_versions_are_listed_once_with_all_repositories_that_have_them(site):
    page = site.get(VERSIONS)
    assert list(page) == ["items", "total", "page", "size"]
    assert (page["total"], page["page"], page["size"]) == (4, 0, 20)
    assert [(each["version"], each["repositories"]) for each in page["items"]] == [
        ("10.0", ["copies"]),
        ("2.0", ["images"]),
        ("2.0-rc1", ["images"]),
        ("1.0", ["copies", "images"]),
    ]
    [*_, last] = page["items"]
    stored = site.items("/search?repository=copies&name=team/app&version=1.0")
    assert list(last) == ["version", "lastUpdated", "repositories"]
    assert last["lastUpdated"] >= stored[0]["assets"][0]["lastModified"]


def test_versions_are_sorted_filtered_and_paged(site):
    every = [each["version"] for each in site.get(VERSIONS)["items"]]
    pages = [site.get(f"{VERSIONS}&size=3&page={number}") for number in range(3)]
    assert [each["version"] for page in pages for each in page["items"]] == every
    assert [(page["total"], page["page"], len(page["items"])) for page in pages] == [
        (4, 0, 3),
        (4, 1, 1),
        (4, 2, 0),
    ]
    assert [each for each, _ in versions(site, "&direction=ASC")] == every[::-1]
    assert [each for each, _ in versions(site, "&sort=lastUpdated")][:2] == ["10.0", "1.0"]
    assert [each for _, each in versions(site, "&sort=repositories&direction=asc")][:2] == [
        ["copies"],
        ["copies", "images"],
    ]
    assert [each for each, _ in versions(site, "&version=RC")] == ["2.0-rc1"]
    assert [each for each, _ in versions(site, "&version=1")] == ["10.0", "2.0-rc1", "1.0"]
    assert versions(site, "&version=%25") == versions(site, "&version=*") == []
    assert versions(site, "&group=team") == []
    assert site.get("/search/versions?format=raw&name=/docs/a.txt")["items"][0]["repositories"] == [
        "files",
        "more",
    ]
    assert site.get("/search/versions?format=raw&name=team/app")["total"] == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("name=a", "format"),
        ("format=docker", "name"),
        ("format=docker&name=", "name"),
        ("format=docker&name=a&page=-1", "page"),
        (f"format=docker&name=a&page={2**31}", "page"),
        ("format=docker&name=a&page=x", "page"),
        ("format=docker&name=a&size=0", "size"),
        ("format=docker&name=a&size=251", "size"),
        ("format=docker&name=a&sort=size", "sort"),
        ("format=docker&name=a&direction=up", "direction"),
    ],
)
def test_wrong_questions_for_versions_are_refused(site, query, field):
    answer = site.ask(f"/search/versions?{query}")
    assert answer.status_code == 400
    assert [each["id"] for each in answer.json] == [f"PARAMETER {field}"]


def test_versions_are_those_that_may_be_browsed(site):
    assert versions(site, "", None) == versions(site, "", site.user()) == []
    one = site.user(*rights("docker", "copies", "browse"))
    assert versions(site, "", one) == [("10.0", ["copies"]), ("1.0", ["copies"])]
    assert site.get(VERSIONS, one)["total"] == 2
    assert versions(site, "", site.user(*rights("docker", "copies", "read"))) == []
    selected = site.user(site.make_selected("images", 'path =~ ".*/2.0"', ["browse"]))
    assert versions(site, "", selected) == [("2.0", ["images"])]


def test_of_too_many_versions_the_newest_count(site, monkeypatch):
    settings = site.repoman.contents._catalog._settings
    narrow = settings.model_copy(update={"versions_limit": 2})
    monkeypatch.setattr(site.repoman.contents._catalog, "_settings", narrow)
    assert [each for each, _ in versions(site, "")] == ["10.0", "2.0"]
