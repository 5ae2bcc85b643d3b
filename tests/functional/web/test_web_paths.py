"""Files of repositories of any format over HTTP: the tree, one file, downloads, deletions."""

import hashlib
import re
from base64 import urlsafe_b64decode

import pytest

from repoman.testing import HttpClient
from tests.functional.docker.images import make_image
from tests.functional.web.conftest import Browser
from tests.statements import executed_statements

HOSTILE = "a<b>&\"'?#%41;.txt"
QUOTED = "a%3Cb%3E&%22'%3F%23%2541;.txt"


@pytest.fixture(scope="module")
def store(stage):
    client = HttpClient(stage.repoman)

    def store(repository, *paths, data=b"text"):
        for path in paths:
            assert client.put(f"/repository/{repository}/{path}", data).status_code == 201

    return store


@pytest.fixture(scope="module")
def files(stage, store):
    name = stage.make_repository("raw-hosted")
    store(name, "docs/api/v1/index.html", "docs/api/v2/index.html", "docs/readme.md", "top.txt")
    store(name, f"odd/{QUOTED}")
    return name


@pytest.fixture
def browser(stage):
    browser = Browser(stage.repoman)
    browser.log_in()
    return browser


def page(browser, path, status=200):
    answer = browser.get(path)
    assert answer.status_code == status, answer.text[:2000]
    assert "style=" not in answer.text
    assert "a<b>" not in answer.text
    return answer.text


def shown(text):
    """The names in the tree."""
    tree = text.partition('aria-label="Tree"')[2].partition("</nav>")[0]
    return re.findall(r'<span class="cut">([^<]*)</span>', tree)


def test_a_format_without_pages_begins_with_its_files(browser, files):
    text = page(browser, f"/browse/{files}")
    assert shown(text) == ["docs", "odd", "top.txt"]
    assert 'aria-current="page">Files</a>' in text
    assert "<dt>Files</dt><dd>5</dd>" in text


def test_folders_open_on_the_way_to_a_file(browser, files):
    text = page(browser, f"/browse/{files}/paths/docs/api/v1/index.html")
    assert shown(text) == ["docs", "api", "v1", "index.html", "v2", "readme.md", "odd", "top.txt"]
    assert hashlib.sha256(b"text").hexdigest() in text
    assert "by " in text
    assert f"curl -fLO -u admin http://localhost/repository/{files}/docs/api/v1/index.html" in text
    text = page(browser, f"/browse/{files}/paths/docs/")
    assert shown(text) == ["docs", "api", "readme.md", "odd", "top.txt"]
    assert "Choose a file" in text


def test_bytes_that_several_paths_have_are_counted(browser, stage, store):
    name = stage.make_repository("raw-hosted")
    store(name, "one", "two", data=b"the same bytes twice")
    assert "kept once for 2 paths" in page(browser, f"/browse/{name}/paths/one")
    assert "1 other path has them" in page(browser, f"/browse/{name}/delete/one")


def test_what_is_odd_stays_text(browser, files):
    assert "a&lt;b&gt;&amp;&#34;&#39;?#%41;.txt" in page(browser, f"/browse/{files}/paths/odd/")
    text = page(browser, f"/browse/{files}/paths/odd/{QUOTED}")
    address = re.search(r'href="([^"]+/download/[^"]+)"', text)[1].replace("&amp;", "&")
    answer = browser.get(address.replace("&#39;", "'"))
    assert (answer.status_code, answer.data) == (200, b"text")
    assert "a%3Cb%3E" in answer.headers["Content-Disposition"]


def test_a_deep_path_costs_as_much_as_a_short_one(browser, stage, store):
    name = stage.make_repository("raw-hosted")
    for depth in (5, 60):
        store(name, "/".join(["d"] * depth) + "/file")
    counts = []
    for depth in (5, 60):
        address = f"/browse/{name}/paths/{'/'.join(['d'] * depth)}/file"
        assert shown(page(browser, address)).count("d") == depth + (depth == 5)
        with executed_statements() as statements:
            page(browser, address)
        counts.append(len(statements))
    assert counts[1] <= counts[0] <= 30


def test_a_folder_with_many_files_has_pages(browser, stage, store, monkeypatch):
    name = stage.make_repository("raw-hosted")
    store(name, *(f"many/{each}" for each in range(5)))
    monkeypatch.setattr("repoman_web.views.browse_paths.PAGE_NODES", 2)
    seen, address = [], f"/browse/{name}/paths/many/"
    while address:
        text = page(browser, address)
        seen += [each for each in shown(text) if each.isdecimal()]
        more = re.search(r'href="([^"]+after=[^"]+)"', text)
        address = more and more[1].replace("&amp;", "&")
    assert seen == [str(each) for each in range(5)]
    page(browser, f"/browse/{name}/paths/many/?after=odd", 406)


def test_the_address_of_a_page_tells_nothing_of_hidden_files(stage, store, open_as, monkeypatch):
    name = stage.make_repository("raw-hosted")
    store(name, "many/a", "many/secret-1", "many/secret-2", "many/secret-3", "many/zoo")
    limited = open_as(stage.make_selected(name, 'path =~ "/many/(a|zoo)"', ["browse"]))
    monkeypatch.setattr("repoman_web.views.browse_paths.PAGE_NODES", 2)
    seen, address = [], f"/browse/{name}/paths/many/"
    while address:
        text = page(limited, address)
        seen += [each for each in shown(text) if each in ("a", "zoo")]
        more = re.search(r'href="([^"]+after=([^"&]+))"', text)
        assert more is None or b"secret" not in urlsafe_b64decode(more[2] + "===")
        address = more and more[1].replace("&amp;", "&")
    assert seen == ["a", "zoo"]


def test_files_are_found_by_a_part_of_their_path(browser, files):
    text = page(browser, f"/browse/{files}/paths?filter=index")
    assert f'href="/browse/{files}/paths/docs/api/v1/index.html"' in text
    assert "readme" not in text
    assert "readme" in page(browser, f"/browse/{files}/paths?filter=/docs/r")
    assert "v2" in page(browser, f"/browse/{files}/paths?filter=*v2*html")
    assert "No path fits" in page(browser, f"/browse/{files}/paths?filter=Index")
    page(browser, f"/browse/{files}/paths?filter=x&after=odd", 406)
    page(browser, f"/browse/{files}/paths?filter={'x' * 2000}", 400)


def test_a_file_is_downloaded_and_never_shown(browser, files):
    answer = browser.get(f"/browse/{files}/download/docs/api/v1/index.html")
    assert answer.data == b"text"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    part = browser.get(f"/browse/{files}/download/top.txt", headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.data) == (206, b"ex")
    page(browser, f"/browse/{files}/download/nothing", 404)


def test_who_may_not_read_downloads_nothing(stage, files, open_as):
    lister = open_as(f"nx-repository-view-raw-{files}-browse")
    assert "/download/" not in page(lister, f"/browse/{files}/paths/top.txt")
    page(lister, f"/browse/{files}/download/top.txt", 403)
    nobody = Browser(stage.repoman)
    assert nobody.get(f"/browse/{files}/download/top.txt").status_code == 303
    page(open_as(), f"/browse/{files}/download/top.txt", 404)
    page(open_as(), f"/browse/{files}/paths/top.txt", 404)


def test_a_reader_without_browse_is_told_so(files, open_as):
    reader = open_as(f"nx-repository-view-raw-{files}-read")
    assert "You may not list this repository" in page(reader, f"/browse/{files}")
    assert "/download/top.txt" in page(reader, f"/browse/{files}/paths/top.txt")


def test_a_selector_limits_what_is_seen(stage, files, open_as):
    limited = open_as(stage.make_selected(files, 'path =^ "/docs/"', ["browse", "read"]))
    assert shown(page(limited, f"/browse/{files}")) == ["docs"]
    page(limited, f"/browse/{files}/paths/top.txt", 404)
    page(limited, f"/browse/{files}/delete/top.txt", 404)
    page(limited, f"/browse/{files}/download/top.txt", 404)


@pytest.mark.parametrize("path", ["nothing", "docs/nothing/", "docs", "..%2ftop.txt", "%00"])
def test_what_is_not_there_is_not_found(browser, files, path):
    page(browser, f"/browse/{files}/paths/{path}", 404)


def test_a_file_is_deleted_after_a_look_at_what_goes(browser, stage, store):
    name = stage.make_repository("raw-hosted")
    store(name, "a/b/one", "two")
    address = f"/browse/{name}/delete/a/b/one"
    assert f'href="{address}"' in page(browser, f"/browse/{name}/paths/a/b/one")
    assert "Delete this file" in page(browser, address)
    assert browser.open("POST", address).status_code == 400  # no CSRF token
    page(browser, address)
    answer = browser.post(address)
    assert (answer.status_code, answer.location) == (303, f"/browse/{name}/paths")
    text = page(browser, answer.location)
    assert "a/b/one was deleted" in text
    assert shown(text) == ["two"]
    page(browser, address, 404)


def test_what_stays_says_why(browser, stage, files, store, open_as):
    reader = open_as(*(f"nx-repository-view-raw-{files}-{each}" for each in ("browse", "read")))
    assert "/delete/" not in page(reader, f"/browse/{files}/paths/top.txt")
    assert "You may not delete it." in page(reader, f"/browse/{files}/delete/top.txt")
    assert reader.post(f"/browse/{files}/delete/top.txt").status_code in (400, 403)
    name = stage.make_repository("raw-hosted")
    store(name, "one")
    stage.repoman.repositories.update(name, {"storage": {"write_policy": "deny"}})
    assert "is read-only" in page(browser, f"/browse/{name}/delete/one")
    browser.get("/account")
    assert browser.post(f"/browse/{name}/delete/one").status_code in (400, 403, 409)
    assert page(browser, f"/browse/{name}/paths/one")


def test_a_group_shows_the_files_of_its_members(browser, stage, files, store):
    other = stage.make_repository("raw-hosted")
    store(other, "top.txt", "more.txt", data=b"other")
    group = stage.make_repository("raw-group", group__members=[other, files])
    assert shown(page(browser, f"/browse/{group}")) == ["docs", "more.txt", "odd", "top.txt"]
    text = page(browser, f"/browse/{group}/paths/top.txt")
    assert f"<dd>{other}</dd>" in text
    assert f'href="/browse/{other}/delete/top.txt"' in text
    assert browser.get(f"/browse/{group}/download/top.txt").data == b"other"


def test_tags_and_manifests_are_deleted_on_the_pages_of_their_format(browser, stage):
    name = stage.make_repository()
    stage.mounted(name).push("team/app", "1", make_image())
    text = page(browser, f"/browse/{name}/paths/tags/team/app/1")
    assert f'href="/browse/{name}/image/team/app/-/delete?tag=1"' in text
    assert f'href="/browse/{name}/image/team/app/-/tags/1"' in text
    text = page(browser, f"/browse/{name}/paths/manifests/team/app/")
    digest = next(each for each in shown(text) if each.startswith("sha256:"))
    text = page(browser, f"/browse/{name}/paths/manifests/team/app/{digest}")
    assert "/image/team/app/-/delete?tag=sha256" in text


def test_a_folder_of_tags_says_what_becomes_of_their_manifests(browser, stage):
    name = stage.make_repository()
    stage.mounted(name).push("team/app", "1", make_image())
    text = page(browser, f"/browse/{name}/delete/tags/team/app/")
    assert "A manifest stays when its tag is deleted" in text
    assert "can be restored for 14 days" in text
    assert "Nobody can bring them back" not in text


def test_a_blob_that_is_needed_stays(browser, stage):
    name = stage.make_repository()
    stage.mounted(name).push("team/app", "1", make_image())
    text = page(browser, f"/browse/{name}/paths?filter=blobs")
    path = re.search(rf'href="/browse/{name}/paths/(blobs/[^"]+)"', text)[1]
    page(browser, f"/browse/{name}/delete/{path}")
    answer = browser.post(f"/browse/{name}/delete/{path}")
    assert answer.status_code == 409, answer.text
    page(browser, f"/browse/{name}/paths/{path}")


def test_a_folder_is_deleted_after_a_look_at_what_goes(browser, stage, store):
    name = stage.make_repository("raw-hosted")
    store(name, "a/b/one", "a/b/c/two", "a/three", "ab/four", data=b"1234")
    text = page(browser, f"/browse/{name}/paths/a/b/")
    address = f"/browse/{name}/delete/a/b/"
    assert f'href="{address}"' in text
    text = page(browser, address)
    assert "Delete these 2 files" in text
    assert "Nobody can bring them back" in text
    assert "8&nbsp;B" in text or "8\u00a0B" in text
    answer = browser.post(address)
    assert (answer.status_code, answer.location) == (303, f"/browse/{name}/paths/a/")
    text = page(browser, answer.location)
    assert "Deleted from a/b/" in text
    assert shown(text) == ["a", "three", "ab"]
    page(browser, address, 404)


def test_only_who_may_delete_is_offered_to_delete_a_folder(stage, files, open_as):
    rights = [f"nx-repository-view-raw-{files}-{each}" for each in ("browse", "read")]
    reader = open_as(*rights)
    assert "/delete/" not in page(reader, f"/browse/{files}/paths/docs/")
    assert "You may not delete it." in page(reader, f"/browse/{files}/delete/docs/")
    assert reader.post(f"/browse/{files}/delete/docs/").status_code in (400, 403)
    assert page(reader, f"/browse/{files}/paths/docs/readme.md")


def test_what_is_needed_in_a_folder_stays(browser, stage):
    name = stage.make_repository()
    stage.mounted(name).push("team/app", "1", make_image())
    page(browser, f"/browse/{name}/delete/blobs/")
    answer = browser.post(f"/browse/{name}/delete/blobs/")
    assert answer.status_code == 303
    assert "Not deleted" in page(browser, answer.location)
    assert "blobs" in shown(page(browser, f"/browse/{name}/paths"))


def test_a_folder_of_a_group_is_deleted_in_its_members(browser, stage, files):
    group = stage.make_repository("raw-group", group__members=[files])
    assert "/delete/docs/" not in page(browser, f"/browse/{group}/paths/docs/")
    page(browser, f"/browse/{group}/delete/docs/", 405)


def test_a_folder_that_is_too_large_stays(browser, stage, store, monkeypatch):
    name = stage.make_repository("raw-hosted")
    store(name, "a/1", "a/2", "a/3")
    monkeypatch.setattr("repoman.catalog.folders.FILES_MAX", 2)
    assert "more than" in page(browser, f"/browse/{name}/delete/a/")
    browser.get("/account")
    assert browser.post(f"/browse/{name}/delete/a/").status_code == 409
    assert shown(page(browser, f"/browse/{name}/paths")) == ["a"]
