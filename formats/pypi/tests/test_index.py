"""The simple index: forms, names, validators."""

import json

import pytest

from repoman_pypi import index
from repoman_pypi.paths import file_of, is_prerelease, project_of, version_key

JSON = index.JSON
HTML = "application/vnd.pypi.simple.v1+html"
PIP = f"{JSON}, {HTML}; q=0.1, text/html; q=0.01"
UV = f"{JSON}, {HTML};q=0.2, text/html;q=0.01"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (PIP, JSON),
        (UV, JSON),
        (f"{JSON}, */*;q=0.1", JSON),
        ("text/html", "text/html; charset=utf-8"),
        (HTML, f"{HTML}; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("", "text/html; charset=utf-8"),
        ("image/png", "text/html; charset=utf-8"),
        ("text/html;q=x, ;;;", "text/html; charset=utf-8"),
    ],
)
def test_clients_get_the_form_they_like(publisher, client, accept, media_type):
    publisher.publish()
    for path in ("simple/", "simple/demo/"):
        answer = client.get(f"/repository/py/{path}", headers={"Accept": accept})
        assert answer.headers["Content-Type"] == media_type
        assert "Accept" in answer.headers["Vary"]


def test_each_form_has_its_own_tag_that_moves_with_a_change(publisher, client):
    def tag(accept, known=""):
        headers = {"Accept": accept, **({"If-None-Match": known} if known else {})}
        answer = client.get("/repository/py/simple/demo/", headers=headers)
        return answer.status_code, answer.headers["ETag"]

    publisher.publish()
    (_, html), (_, json_) = tag("text/html"), tag(JSON)
    assert html != json_
    assert not html.startswith("W/")
    assert tag("text/html", html) == (304, html)
    assert tag(JSON, html)[0] == 200
    publisher.publish(version="1.1")
    status, now = tag("text/html", html)
    assert (status, now != html) == (200, True)


def test_a_head_says_the_same(publisher, client):
    publisher.publish()
    got = client.get("/repository/py/simple/demo/")
    told = client.request("HEAD", "/repository/py/simple/demo/")
    assert told.status_code == 200
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert told.headers[name] == got.headers[name]


@pytest.mark.parametrize("path", ["simple/Demo_Pkg/", "simple/demo-pkg", "simple/DEMO.PKG"])
def test_other_spellings_lead_to_the_normalized_name(publisher, client, path):
    publisher.publish("demo_pkg")
    answer = client.get(f"/repository/py/{path}")
    assert (answer.status_code, answer.location) == (301, "/repository/py/simple/demo-pkg/")
    assert client.get(answer.location).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["simple/-x/", "simple/a%2fb/", "simple/a/b/", "other/", "packages/demo/", "packages/x/1/y"],
)
def test_other_paths_are_not_there(client, path):
    assert client.get(f"/repository/py/{path}").status_code in (400, 404)


def test_all_projects_are_listed(publisher, client):
    for name in ("zoo", "demo", "Demo.Pkg"):
        publisher.publish(name)
    answer = client.get("/repository/py/simple/", headers={"Accept": JSON})
    assert json.loads(answer.data)["projects"] == [
        {"name": "demo"},
        {"name": "demo-pkg"},
        {"name": "zoo"},
    ]


def test_files_are_found_by_name_only(publisher, client, page):
    publisher.publish()
    assert page()["files"]
    for path in (
        "packages/demo/2.0/demo-1.0-py3-none-any.whl",
        "packages/other/1.0/demo-1.0.tar.gz",
    ):
        assert client.get(f"/repository/py/{path}").status_code == 404


# Parsing ------------------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html><html><head><base href="https://files.example.com/x/"></head><body>
<a href="../demo-1.0.tar.gz#sha256=ab&amp;md5=cd"
data-requires-python="&gt;=3.8">demo-1.0.tar.gz</a>
<a href="/demo-1.1-py3-none-any.whl" data-yanked data-core-metadata="sha256=ef">a name</a>
<a href="demo-1.2.zip" data-yanked="broken" data-dist-info-metadata="true">demo-1.2.zip</a>
<a name="x">nothing</a> <a href="README.txt">README.txt</a></body></html>"""


def test_a_page_of_links_is_read():
    page = index.parse("demo", PAGE.encode(), "text/html", "https://example.com/simple/demo/")
    first, second, third = page["files"]
    assert first == {
        "filename": "demo-1.0.tar.gz",
        "url": "../../packages/demo/1.0/demo-1.0.tar.gz",
        "_version": "1.0",
        "_url": "https://files.example.com/demo-1.0.tar.gz",
        "hashes": {"sha256": "ab", "md5": "cd"},
        "requires-python": ">=3.8",
        "core-metadata": False,
    }
    assert (second["filename"], second["yanked"], second["core-metadata"]) == (
        "demo-1.1-py3-none-any.whl",
        True,
        {"sha256": "ef"},
    )
    assert (third["yanked"], third["core-metadata"]) == ("broken", True)


def test_a_page_in_html_is_the_same_after_another_reading():
    page = index.parse("demo", PAGE.encode(), "text/html", "https://example.com/simple/demo/")
    rendered = index.render(page, "text/html")
    url = "https://here/repository/py/simple/demo/"
    again = index.parse("demo", rendered.body, "text/html", url)
    for one, other in zip(page["files"], again["files"], strict=True):
        assert one["filename"] == other["filename"]
        assert one.get("yanked") == other.get("yanked")
        assert one.get("requires-python") == other.get("requires-python")
        assert other["_url"].startswith("https://here/repository/py/packages/demo/")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"meta": {"api-version": "2.0"}, "files": []}',
        b'{"meta": {"api-version": "1.0"}}',
        b"\xff",
        b"[" * 100_000,
        *(
            b'{"meta": {"api-version": "1.0"}, "files": [{"filename": "demo-1.zip", %s}]}' % each
            for each in (
                b'"hashes": {}',
                b'"url": 1',
                b'"url": "", "hashes": []',
                b'"url": "", "hashes": {"sha256": 1}',
                b'"url": "", "size": -1',
                b'"url": "", "size": "many"',
                b'"url": "", "requires-python": []',
                b'"url": "", "yanked": {}',
            )
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_of_a_known_kind(body):
    with pytest.raises((ValueError, KeyError, TypeError, RecursionError)):
        index.parse("demo", body, JSON, "https://example.com/")


@pytest.mark.parametrize("name", ["1", "null", "{}", '["a"]'])
def test_a_name_of_a_project_is_a_text(name):
    body = f'{{"meta": {{"api-version": "1.0"}}, "projects": [{{"name": {name}}}]}}'
    with pytest.raises(ValueError, match="string"):
        index.parse("", body.encode(), JSON, "https://example.com/simple/")


@pytest.mark.parametrize("media_type", [JSON, "text/html"])
def test_digests_are_those_that_can_be_compared(media_type):
    body = {
        JSON: b"""{"meta": {"api-version": "1.0"}, "files": [{"filename": "demo-1.zip", "url": "x",
            "hashes": {"sha256": "AB", "blake2b": "cd"}, "size": 5,
            "core-metadata": {"sha256": "EF", "other": "x", "md5": 1}}]}""",
        "text/html": b"""<a href="x#sha256=AB&amp;blake2b=cd" data-size="x" data-gpg-sig="true"
            data-core-metadata="sha256=EF&amp;other=x">demo-1.zip</a>""",
    }
    [file] = index.parse("demo", body[media_type], media_type, "https://example.com/")["files"]
    assert file["hashes"] == {"sha256": "ab"}
    assert file["core-metadata"] == {"sha256": "ef"}
    assert "gpg-sig" not in file
    assert file.get("size") == (5 if media_type == JSON else None)


def test_metadata_whose_digest_cannot_be_checked_is_there():
    body = b"""{"meta": {"api-version": "1.0"}, "files": [{"filename": "demo-1.zip", "url": "x",
        "hashes": {}, "core-metadata": {"other": "x"}}]}"""
    [file] = index.parse("demo", body, JSON, "https://example.com/")["files"]
    assert file["core-metadata"] is True


def test_names():
    assert [project_of(each) for each in ("A_b.C", "a%2Db", "-a", "a b", "")] == [
        "a-b-c",
        "a-b",
        None,
        None,
        None,
    ]
    assert file_of("A_b-1.0.tar.gz").path == "packages/a-b/1.0/A_b-1.0.tar.gz"
    assert file_of("A_b-1.0.tar.gz.asc").path == "packages/a-b/1.0/A_b-1.0.tar.gz.asc"


@pytest.mark.parametrize(
    "name",
    [
        "nothing.txt",
        "demo-1.0.exe",
        "demo-x.tar.gz",
        "démo-1.0.tar.gz",
        "dёmo-1.0-py3-none-any.whl",
        "demo-1.0 .tar.gz",
        "demo-1.0\n.tar.gz",
        "../demo-1.0.tar.gz",
        "a/b-1.0.tar.gz",
        "-demo-1.0.tar.gz",
        ".metadata",
        f"{'d' * 260}-1.0.tar.gz",
    ],
)
def test_other_names_are_none_of_a_file(name):
    assert file_of(name) is None


@pytest.mark.parametrize("text", ["1.2.3+g1a2b3c4", "1.0.post1", "2024.1"])
def test_what_is_no_prerelease(text):
    assert not is_prerelease(text)


@pytest.mark.parametrize("text", ["1.0rc1", "1.0.dev3", "1.0-beta", "1!2a0+local"])
def test_prereleases(text):
    assert is_prerelease(text)


def test_any_text_has_a_place_among_versions():
    for odd in ("", "latest", "9" * 5000, "1.0-foo-bar"):
        assert version_key(odd)[0] in "01"
    assert version_key("1.0") == version_key("v1.0.0")
