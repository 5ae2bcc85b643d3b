"""Components of many files over REST: however few rows a page reads, no file is left out."""

from itertools import chain

import pytest

from repoman.testing import RepomanFactory
from repoman_docker import plugin as docker
from repoman_maven2 import plugin as maven2
from repoman_raw import plugin as raw
from tests.functional.rest.content_site import Site

SCAN = 7
VERSIONS = {"1.0": 3, "1.1": 2 * SCAN, "1.2": 1, "1.3": SCAN, "1.4": 3, "1.5": 3}
"""How many files each version has."""
FILES = [
    f"/org/acme/lib/{version}/lib-{version}-c{number}.jar"
    for version, files in VERSIONS.items()
    for number in range(files)
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("files"))
    limits = {"catalog": {"scan_limit": SCAN}, "security": {"login_failures": 0}}
    site = Site(factory({"docker": docker, "maven2": maven2, "raw": raw}, **limits))
    create = site.repoman.repositories.create
    create("maven", "maven2-hosted", {})
    create("artifacts", "maven2-group", {"group": {"members": ["maven"]}})
    for path in FILES:
        site.put(path[1:], path.encode(), repository="maven")
    yield site
    factory.stop()


def pages_of(site, path):
    """The items of each page of a list."""
    token, found = "", []
    while token is not None:
        page = site.get(f"{path}&continuationToken={token}")
        found.append(page["items"])
        token = page["continuationToken"]
    return found


def paths(assets):
    return [each["path"] for each in assets]


ORDERS = ("", "&sort=name&direction=desc", "&sort=version", "&sort=version&direction=asc")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["maven", "artifacts"])
def test_a_search_finds_each_file_once(site, name, order):
    pages = pages_of(site, f"/search/assets?repository={name}{order}")
    assert sorted(paths(chain(*pages))) == sorted(FILES)
    assert max(map(len, pages)) < SCAN + max(VERSIONS.values())


@pytest.mark.parametrize("path", ["components?repository=maven", "components?repository=artifacts"])
def test_a_list_has_each_component_with_all_of_its_files(site, path):
    check_components(pages_of(site, f"/{path}"))


@pytest.mark.parametrize("order", ORDERS)
def test_a_search_has_each_component_with_all_of_its_files(site, order):
    check_components(pages_of(site, f"/search?repository=maven{order}"))


def check_components(pages):
    """Check that all components are on these pages, and on each of them no more than is read."""
    found = [*chain(*pages)]
    assert {each["version"]: len(each["assets"]) for each in found} == VERSIONS
    assert len(found) == len(VERSIONS)
    assert sorted(path for each in found for path in paths(each["assets"])) == sorted(FILES)
    for page in pages:
        assert sum(len(each["assets"]) for each in page[:-1]) < SCAN


def test_a_search_for_one_file_leaves_out_the_others_of_its_component(site):
    wanted = FILES[VERSIONS["1.0"] + VERSIONS["1.1"] - 1]
    [[component]] = pages_of(site, "/search?version=1.1")
    [digest] = [e["checksum"]["sha1"] for e in component["assets"] if e["path"] == wanted]
    assert paths(site.items(f"/search/assets?sha1={digest}")) == [wanted]
    answer = site.ask(f"/search/assets/download?sha1={digest}")
    assert answer.headers["Location"].endswith(wanted)


def test_there_are_as_many_suggestions_as_are_asked_for(site):
    found = site.get("/search/suggest?q=lib&limit=5")
    assert len({each["version"] for each in found}) == 5


def test_who_may_not_delete_the_last_of_many_files_cannot_delete_their_component(site):
    [[component]] = pages_of(site, "/search?version=1.1")
    assert len(component["assets"]) == VERSIONS["1.1"]
    kept = FILES[VERSIONS["1.0"] + VERSIONS["1.1"] - 1]
    user = site.user(
        site.make_selected("maven", 'path =^ "/"', ["browse", "read"]),
        site.make_selected("maven", f'path != "{kept}"', ["delete"]),
    )
    assert site.ask(f"/components/{component['id']}", user, "DELETE").status_code == 403
    assert len(site.items("/search/assets?version=1.1")) == VERSIONS["1.1"]


def test_who_does_not_see_a_file_cannot_delete_its_component(site):
    [[component]] = pages_of(site, "/search?version=1.1")
    hidden = FILES[VERSIONS["1.0"]]
    user = site.user(
        site.make_selected("maven", f'path != "{hidden}"', ["browse", "read", "delete"])
    )
    path = f"/components/{component['id']}"
    assert len(site.ask(path, user).get_json()["assets"]) == VERSIONS["1.1"] - 1
    answer = site.ask(path, user, "DELETE")
    assert answer.status_code == 403
    assert hidden not in answer.get_data(as_text=True)
    assert len(site.items("/search/assets?version=1.1")) == VERSIONS["1.1"]
