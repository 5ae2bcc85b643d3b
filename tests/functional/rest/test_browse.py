"""The content of repositories as a tree: over REST, and as HTML pages for scripts."""

import re
from html import unescape
from urllib.parse import quote, urljoin, urlsplit

import pytest

from repoman.testing import ADMIN
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.docker.images import make_image
from tests.functional.rest.content_site import Site, rights
from tests.functional.rest.matching import CLIENTS
from tests.statements import executed_statements

PAGES = "/service/rest/repository/browse"
PAGE_NODES = 3  # So many children has a page of the catalog.


@pytest.fixture
def site(repoman_factory):
    return Site(
        repoman_factory(
            {"docker": docker, "raw": raw},
            security={"login_failures": 0},
            catalog={"page_limit": PAGE_NODES},
        )
    )


def tree(site, repository, path="", login=ADMIN):
    found = site.get(f"/repositories/{repository}/browse?path={quote(path)}", login)
    return [(each["id"], each["type"]) for each in found]


def page(site, path, login=ADMIN):
    return site.client.get(f"{PAGES}{path}", login=False, auth=login)


def links(answer):
    assert answer.status_code == 200
    return [unescape(each) for each in re.findall(r'<a href="([^"]*)"', answer.text)]


def test_directories_have_their_children(site):
    for path in ("a", "a/b", "a/c/d", "z z/ü"):
        site.put(quote(path))
    model = CLIENTS["strict"]["BrowseNodeXO"]
    found = site.get("/repositories/files/browse")
    for each in found:
        assert set(model["required"]) <= each.keys() <= {*model["required"], *model["optional"]}
    assert tree(site, "files") == [("a", "asset"), ("a/", "folder"), ("z z/", "folder")]
    assert tree(site, "files", "a/") == [("a/b", "asset"), ("a/c/", "folder")]
    assert tree(site, "FILES", "/a/c") == [("a/c/d", "asset")]
    assert tree(site, "files", "z z") == [("z z/ü", "asset")]
    assert tree(site, "files", "none") == []
    file, folder, _ = found
    assert (folder["leaf"], folder["assetId"], folder["componentId"]) == (False, None, None)
    assert site.get(f"/assets/{file['assetId']}")["path"] == "/a"
    assert site.get(f"/components/{file['componentId']}")["name"] == "/a"


def test_an_image_is_found_by_its_tag_and_its_digest(site):
    image = make_image()
    site.registry.push("team/app", "1.0", image)
    top = [("blobs/", "folder"), ("manifests/", "folder"), ("tags/", "folder")]
    assert tree(site, "images") == top
    [tag] = site.get("/repositories/everything/browse?path=tags/team/app")
    assert tag["text"] == "1.0"
    assert site.get(f"/components/{tag['componentId']}")["version"] == "1.0"
    [manifest] = site.get("/repositories/images/browse?path=manifests/team/app")
    assert manifest["text"] == image.digest
    assert manifest["componentId"] is None  # It belongs to the image, which is no component here.


def test_a_group_shows_what_its_members_have_once(site):
    site.put("both", b"1")
    site.put("both", b"12", "more")
    site.put("dir/one")
    site.put("dir/two", repository="more")
    assert tree(site, "all") == [("both", "asset"), ("dir/", "folder")]
    assert tree(site, "all", "dir") == [("dir/one", "asset"), ("dir/two", "asset")]
    html = page(site, "/all/").text
    assert re.findall(r'align="right">(\d+)<', html) == ["2"]  # "more" is the first member
    assert "/repository/all/both" in html


def test_an_answer_ends_with_the_address_of_the_next_one(site, monkeypatch):
    monkeypatch.setattr("repoman.rest.browse.NODES_MAX", 4)
    for number in range(9):
        site.put(f"d%26/{number}/x")
    found, address, answers = [], "/repositories/files/browse?path=d%26", 0
    while address:
        answer = site.ask(address)
        found += [each["text"] for each in answer.json]
        pattern = r'<http://localhost/service/rest/v1(.*)>; rel="next"'
        link = re.fullmatch(pattern, answer.headers.get("Link", ""))
        address, answers = link and link[1], answers + 1
    assert found == [str(number) for number in range(9)]
    assert answers == 3


def test_what_a_request_examines_does_not_depend_on_what_is_hidden(site, monkeypatch):
    monkeypatch.setattr("repoman.rest.browse.NODES_MAX", 2 * PAGE_NODES)
    monkeypatch.setattr("repoman.catalog.folders.PAGES_MAX", 2)
    for number in range(40):
        site.put(f"d/secret{number:02}")
    site.put("d/zoo")
    selected = site.user(site.make_selected("files", 'path =^ "/d/zoo"', ["browse", "delete"]))
    found, address, most = [], "/repositories/files/browse?path=d", 0
    while address:
        with executed_statements() as statements:
            answer = site.ask(address, selected)
        most = max(most, len([each for each in statements if "asset" in each]))
        found += [each["text"] for each in answer.json]
        link = re.fullmatch(r'<.*/v1(.*)>; rel="next"', answer.headers.get("Link", ""))
        address = link and link[1]
        assert "secret" not in (address or "")
    assert found == ["zoo"]
    assert most <= 2 * 10  # two pages
    html = page(site, "/files/d/", selected).text
    assert 'rel="next"' in html
    assert "secret" not in html
    with executed_statements() as statements:
        answer = site.ask("/repositories/files/browse?path=d", selected, "DELETE")
    assert (answer.status_code, "secret" in answer.text) == (404, False)
    assert len([each for each in statements if "asset" in each]) <= 3 * 10
    site.put("d/a")
    both = site.make_selected("files", 'path =~ "/d/(a|zoo)"', ["browse", "delete"])
    assert (
        site.ask("/repositories/files/browse?path=d", site.user(both), "DELETE").status_code == 409
    )
    assert site.ask("/repositories/files/browse?path=d", method="DELETE").status_code == 409
    monkeypatch.undo()
    assert site.ask("/repositories/files/browse?path=d", selected, "DELETE").status_code == 204


def test_browsing_takes_no_query_for_each_child(site):
    site.put("a")
    site.put("a/1")
    with executed_statements() as few:
        site.get("/repositories/files/browse")
    for number in range(PAGE_NODES):
        for name in range(9):
            site.put(f"{number}/{name}")
            site.put(f"file-{number}")
    with executed_statements() as many:
        assert len(site.get("/repositories/files/browse")) == 2 * PAGE_NODES + 2
    assert len(many) <= 3 * len(few)  # three pages


def test_a_page_lists_a_directory(site):
    for path in ("a.txt", "a b/<i>&", "a b/deep/er"):
        site.put(quote(path))
    answer = page(site, "/files/")
    assert answer.mimetype == "text/html"
    assert links(answer) == ["a%20b/", "http://localhost/repository/files/a.txt"]
    assert re.search(r"<td>\w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4}</td>", answer.text)
    answer = page(site, "/files/a%20b/")
    assert "<script" not in answer.text
    assert "<i>" not in answer.text
    assert "<title>Index of /a b/</title>" in answer.text
    parent, file, directory = links(answer)
    assert (parent, directory) == ("../", "deep/")
    assert site.client.get(urlsplit(file).path).data == b"data"
    assert links(page(site, urljoin("/files/a%20b/", directory)))[1].endswith("/a%20b/deep/er")
    for path in ("/files", "/files/a%20b"):
        answer = page(site, path)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGES}{path}/")
    for path in (
        "/none/",
        "/files/none/",
        "/files/a.txt/",
        f"/{'x' * 300}/",
        "/%00/",
        "/files/%00/",
    ):
        assert page(site, path).status_code == 404, path


def test_a_page_ends_with_a_link_to_the_next_one(site):
    for number in range(7):
        site.put(f"x%26/{number}")
    found, address = [], "?"
    while address:
        *files, last = links(page(site, f"/files/x%26/{address}"))
        has_more = last.startswith("?")
        found += files[1:] if has_more else [*files[1:], last]
        address = last if has_more else ""
    assert [each.rpartition("/")[2] for each in found] == [str(number) for number in range(7)]


def test_who_may_not_browse_sees_nothing(site):
    site.put("public/a")
    site.put("secret/b")
    stranger, reader = site.user(), site.user(*rights("raw", "files", "read"))
    selected = site.user(site.make_selected("files", 'path =^ "/public/"', ["browse"]))
    for login in (stranger, reader):
        for name in ("files", "none"):
            answer = site.ask(f"/repositories/{name}/browse", login)
            assert (answer.status_code, answer.data) == (403, b"")
            assert page(site, f"/{name}/", login).status_code == 403
    for name in ("files", "none"):
        assert site.ask(f"/repositories/{name}/browse", None).status_code == 401
        assert page(site, f"/{name}/", None).status_code == 401
    assert site.ask("/repositories/none/browse").status_code == 404
    assert tree(site, "files", login=selected) == [("public/", "folder")]
    assert tree(site, "files", "secret", selected) == []
    assert links(page(site, "/files/", selected)) == ["public/"]
    assert page(site, "/files/secret/", selected).status_code == 404


def test_a_directory_is_deleted_with_what_is_in_it(site):
    def delete(path, login=ADMIN):
        return site.ask(f"/repositories/files/browse?path={path}", login, "DELETE").status_code

    for path in ("gone/1", "gone/2/3", "gone/4", "gone/5", "gone.txt"):
        site.put(path)
    reader = site.user(*rights("raw", "files", "browse", "read"))
    assert delete("gone", reader) == 403
    assert delete("gone/2") == 204
    assert tree(site, "files", "gone") == [(f"gone/{each}", "asset") for each in (1, 4, 5)]
    assert delete("/gone/") == 204
    assert tree(site, "files") == [("gone.txt", "asset")]
    assert [delete(each) for each in ("gone", "", "/", "gone.txt")] == [404, 400, 404, 404]


def test_what_is_needed_in_a_directory_stays(site):
    site.registry.push("app", "1", make_image())
    path = "/repositories/images/browse?path=blobs"
    assert site.ask(path, method="DELETE").status_code == 204
    assert site.registry.pull("app", "1") is not None
    assert (
        site.ask("/repositories/everything/browse?path=blobs", method="DELETE").status_code == 405
    )
