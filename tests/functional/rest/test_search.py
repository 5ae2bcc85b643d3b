"""The search over REST: parameters, wildcards, orders, pages, rights, and redirects."""

import hashlib
from urllib.parse import quote

import pytest

from repoman.testing import RepomanFactory
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.docker.images import OCI_CONFIG, descriptor, make_image, to_json
from tests.functional.rest.content_site import Site, rights

APP, TOOL = make_image(b"common", b"app"), make_image(b"common", b"tool")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("search"))
    site = Site(factory({"docker": docker, "raw": raw}, security={"login_failures": 0}))
    for name, tag, image in (
        ("team/app", "1.0", APP),
        ("team/app", "2.0", APP),
        ("team/app", "2.0-rc1", APP),
        ("lib/base", "1.0", TOOL),
    ):
        site.registry.push(name, tag, image)
    labels = {"config": {"Labels": {"vendor": "acme", "stage": "test"}}}
    config = to_json(labels)
    site.registry.push_blob("lib/labelled", config)
    site.registry.push_manifest(
        "lib/labelled",
        "9",
        to_json(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": descriptor(config, OCI_CONFIG),
                "layers": [],
            }
        ),
    )
    for path in ("docs/a.txt", "docs/sub/b.txt", "c.txt"):
        site.put(path, path.encode())
    site.put("docs/a.txt", b"another", repository="more")
    yield site
    factory.stop()


APPS = ["team/app:1.0", "team/app:2.0", "team/app:2.0-rc1"]
BASE, LABELLED = "lib/base:1.0", "lib/labelled:9"
FILES = ["/c.txt:", "/docs/a.txt:", "/docs/a.txt:", "/docs/sub/b.txt:"]
EVERYTHING = sorted([*APPS, BASE, LABELLED, *FILES])


def digest(data, algorithm="sha256"):
    return hashlib.new(algorithm, data).hexdigest()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", EVERYTHING),
        ("name=team/app", APPS),
        ("repository=images&name=team/app", APPS),
        ("name=team*", APPS),
        ("name=*app", APPS),
        ("name=te?m/a*", APPS),
        ("name=team/ap", []),
        ("name=%22team/app%22", APPS),
        ("name=team/app&version=1.0", APPS[:1]),
        ("version=1.0", sorted([APPS[0], BASE])),
        ("version=2.*", APPS[1:]),
        ("name=t*&name=*p", APPS),
        ("name=t*&name=*x", []),
        ("name=t*&docker.imageName=team/app", APPS),
        ("prerelease=true", [APPS[2]]),
        ("name=team/app&prerelease=FALSE", APPS[:2]),
        ("prerelease=true&prerelease=false", []),
        ("q=app", APPS),
        ("q=APP%201.0", APPS[:1]),
        ("q=ap*&q=2.0", APPS[1:]),
        ("q=%22team/app%202%22", APPS[1:]),
        ("q=/docs/a", FILES[1:3]),
        ("q=" + "x" * 500, []),
        ("q=", EVERYTHING),
        ("format=raw", FILES),
        ("format=docker&name=c.txt", []),
        ("format=do*&name=lib/*", sorted([BASE, LABELLED])),
        ("format=raw&format=docker", []),
        ("repository=files", ["/c.txt:", "/docs/a.txt:", "/docs/sub/b.txt:"]),
        ("repository=FILES&repository=files&name=c.txt", ["/c.txt:"]),
        ("repository=files&repository=more", []),
        ("repository=f*", ["/c.txt:", "/docs/a.txt:", "/docs/sub/b.txt:"]),
        ("repository=all", FILES),
        ("repository=all&repository=more", ["/docs/a.txt:"]),
        ("repository=none", []),
        ("repository=", EVERYTHING),
        ("group=/docs", FILES[1:3]),
        ("group=docs", FILES[1:3]),
        ("group=/docs*", FILES[1:]),
        ("group=/", ["/c.txt:"]),
        ("group=&format=raw", []),
        ("group=&name=lib/base", [BASE]),
        ("name=/docs/a.txt", FILES[1:3]),
        ("raw.name=/docs/a.txt&repository=more", ["/docs/a.txt:"]),
        ("raw.name=docs/*", FILES[1:]),
        ("raw.name=team/app", []),
        ("version=&format=raw", FILES),
        ("version=&format=docker", []),
        ("name=", []),
        (f"sha256={digest(b'c.txt')}", ["/c.txt:"]),
        (f"sha1={digest(b'c.txt', 'sha1')}", ["/c.txt:"]),
        (f"md5={digest(b'c.txt', 'md5').upper()}", ["/c.txt:"]),
        (f"sha512={digest(b'c.txt', 'sha512')}&md5={digest(b'c.txt', 'md5')}", ["/c.txt:"]),
        (f"sha1={digest(b'c.txt', 'sha1')}&md5={'0' * 32}", []),
        ("sha256=", []),
        (f"sha256={digest(APP.manifest)}", APPS),
        (f"sha1={digest(APP.manifest, 'sha1')}", APPS),
        ("docker.imageName=team/app&docker.imageTag=1.0", APPS[:1]),
        ("docker.imageName=", []),
        (f"docker.contentDigest={APP.digest}", APPS),
        (f"docker.contentDigest={digest(APP.manifest)}&version=2.0", [APPS[1]]),
        (f"docker.layerId=sha256:{digest(b'common')}", sorted([*APPS, BASE])),
        (f"docker.layerId={digest(b'tool')}", [BASE]),
        (f"docker.layerId={digest(b'tool')}&docker.layerId={digest(b'app')}", []),
        (f"docker.layerId={digest(b'common')}&docker.layerId={digest(b'app')}", APPS),
        (f"docker.layerId={digest(APP.config)}", APPS),
        ("docker.labels=vendor=acme", [LABELLED]),
        ("docker.labels=vendor=acme&docker.labels=stage=test", [LABELLED]),
        ("docker.labels=vendor=acme&docker.labels=vendor=other", []),
        ("docker.labels=vendor", []),
        ("nope=1", []),
        ("name=team/app&nope=", []),
        ("maven.groupId=org", []),
        ("name=zzz", []),
        ("name=%00", []),
        ("q=%00", []),
        ("name=(*%5B", []),
        ("timeout=5&name=team/app", APPS),
        ("sort=&direction=&continuationToken=&name=team/app", APPS),
    ],
)
def test_all_parameters_must_match(site, query, expected):
    assert site.names(f"/search?{query}") == expected


def order(site, query):
    return [f"{each['name']}:{each['version']}" for each in site.items(f"/search?{query}")]


def test_orders(site):
    versions = [APPS[1], APPS[2], APPS[0]]
    assert order(site, "name=team/app&sort=version") == versions
    assert order(site, "name=team/app&sort=version&direction=asc") == versions[::-1]
    assert order(site, "name=team/app&sort=version&direction=DESC") == versions
    assert order(site, "format=docker&sort=name")[:2] == [BASE, LABELLED]
    assert order(site, "format=docker&sort=name&direction=desc")[-2:] == [LABELLED, BASE]
    assert order(site, "repository=files&sort=group") == [
        "/c.txt:",
        "/docs/a.txt:",
        "/docs/sub/b.txt:",
    ]
    found = site.items("/search?sort=repository&direction=desc")
    names = [each["repository"] for each in found]
    assert names == sorted(names, reverse=True)
    assert set(names) == {"images", "files", "more"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=size", "sort"),
        ("sort=name&direction=up", "PARAMETER direction"),
        ("timeout=soon", "PARAMETER timeout"),
        ("prerelease=perhaps", "prerelease"),
    ],
)
def test_what_cannot_be_is_refused(site, query, field):
    for path in ("search", "search/assets"):
        answer = site.ask(f"/{path}?{query}")
        assert answer.status_code == 400
        assert [each["id"] for each in answer.json] == [field]


def test_long_searches_are_refused(site):
    assert site.ask(f"/search?name={'a*' * 501}").status_code == 400
    assert site.ask("/search?" + "&".join(["name=a"] * 51)).status_code == 400
    assert site.get("/search?" + "&".join(["name=a"] * 50))["items"] == []


@pytest.mark.parametrize("token", ["nonsense", "%00", "a" * 3000])
def test_a_page_of_another_list_is_none(site, token):
    for path in ("search", "search/assets"):
        answer = site.ask(f"/{path}?name=team/app&continuationToken={token}")
        assert (answer.status_code, answer.data) == (406, b"")


def test_assets_of_a_checksum_are_only_those_that_have_it(site):
    [asset] = site.items("/search/assets?docker.imageName=team/app&docker.imageTag=1.0")
    assert asset["path"] == "/v2/team/app/manifests/1.0"
    assert len(site.items("/search/assets?name=team/app")) == 3
    [asset] = site.items(f"/search/assets?md5={digest(b'c.txt', 'md5')}")
    assert asset["path"] == "/c.txt"
    found = site.items("/search/assets?repository=all&name=/docs/a.txt")
    assert {each["repository"] for each in found} == {"all"}


def test_a_single_asset_is_downloaded_by_a_redirect(site):
    path = "/search/assets/download"
    answer = site.ask(f"{path}?docker.imageName=team/app&docker.imageTag=1.0")
    assert (answer.status_code, answer.data) == (302, b"")
    base = "http://localhost/repository"
    assert answer.headers["Location"] == f"{base}/images/v2/team/app/manifests/1.0"
    several = site.ask(f"{path}?docker.imageName=team/app")
    assert (several.status_code, several.mimetype) == (400, "text/plain")
    first = site.ask(f"{path}?docker.imageName=team/app&sort=version")
    assert first.headers["Location"].endswith("/manifests/2.0")
    none = site.ask(f"{path}?name=zzz")
    assert (none.status_code, none.mimetype) == (404, "text/plain")
    file = site.ask(f"{path}?repository=all&name=c.txt")
    assert file.headers["Location"] == f"{base}/all/c.txt"
    assert site.client.get("/repository/all/c.txt").data == b"c.txt"


def test_pages_have_fifty_items(site):
    image = make_image()
    registry = site.registry
    for number in range(51):
        registry.push("many/tags", f"t{number}", image)
    first = site.get("/search?name=many/tags")
    assert len(first["items"]) == 50
    rest = site.get(f"/search?name=many/tags&continuationToken={first['continuationToken']}")
    assert len(rest["items"]) == 1
    assert rest["continuationToken"] is None
    token = quote(first["continuationToken"])
    assert site.ask(f"/search?name=other&continuationToken={token}").status_code == 406
    for each in site.items("/search?name=many/tags"):
        assert site.ask(f"/components/{each['id']}", method="DELETE").status_code == 204


def test_a_search_finds_what_may_be_browsed(site):
    selected = site.make_selected("files", 'path =^ "/docs/sub/"', ["browse"])
    login = site.user(selected)
    assert site.names("/search?", login) == ["/docs/sub/b.txt:"]
    assert site.names("/search?q=txt", login) == ["/docs/sub/b.txt:"]
    assert site.names("/search?repository=files&sort=name", login) == ["/docs/sub/b.txt:"]
    assert site.names("/search?repository=all", login) == []
    for query in ("name=c.txt", f"sha256={digest(b'c.txt')}", "repository=more", "format=docker"):
        assert site.names(f"/search?{query}", login) == []
        assert site.ask(f"/search/assets/download?{query}&sort=name", login).status_code == 404
    assert site.names("/search?", site.user()) == []
    assert site.names("/search?", None) == []
    reader = site.user(*rights("raw", "files", "read"))
    assert site.names("/search?", reader) == []
    whole = site.user(*rights("raw", "all", "browse"))
    assert site.names("/search?repository=all", whole) == FILES
    assert site.names("/search?", whole) == []


def test_suggestions_are_short(site):
    [found] = site.get("/search/suggest?q=c.txt")
    [same] = site.items("/search?name=c.txt&repository=files")
    expected = {"id": same["id"], "repository": "files", "format": "raw"}
    assert found == {**expected, "group": "/", "name": "/c.txt", "version": ""}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("q=team", 3),
        ("q=team&limit=2", 2),
        ("q=team&format=docker", 3),
        ("q=team&format=raw", 0),
        ("q=team&limit=21", None),
        ("q=team&limit=0", None),
        ("q=t", None),
        ("", None),
    ],
)
def test_suggestions_have_a_bound(site, query, count):
    answer = site.ask(f"/search/suggest?{query}")
    assert answer.status_code == (400 if count is None else 200)
    assert count is None or len(answer.json) == count


def test_suggestions_are_of_what_may_be_browsed(site):
    login = site.user(*rights("raw", "files", "browse"))
    assert site.get("/search/suggest?q=team", login) == []
    found = site.get("/search/suggest?q=a.txt", login)
    assert [each["repository"] for each in found] == ["files"]
