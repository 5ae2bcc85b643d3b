"""What is true of all addresses: methods, names, headers, errors, where Locations lead."""

from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing

import pytest

from repoman_docker.hosted.lists import HostedLists
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import (
    ABSENT,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    make_image,
)
from tests.functional.docker.wires import Proxied
from tests.server.client import Client

VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")
# What two answers to the same request may differ in.
VOLATILE = {"date"}


@pytest.fixture
def image(registry, name):
    """An image with the tag 1 and a referrer."""
    image = make_image()
    registry.push(name, "1", image)
    about = make_image(subject=descriptor(image.manifest, OCI_MANIFEST))
    registry.push(name, about.digest, about)
    return image


def headers_of(answer) -> Mapping[str, str]:
    return {k.lower(): v for k, v in answer.headers.items() if k.lower() not in VOLATILE}


# --- Refusals before the body --------------------------------------------------------------------


@pytest.mark.parametrize("start", [1, 1000])
def test_a_chunk_out_of_order_is_refused_before_its_first_byte(live, name, start):
    """By the real server, and with nothing but the final answer to ``Expect``."""
    registry = live.registry
    token = b64encode(":".join(registry.login).encode()).decode()
    size = 100_000_000
    with closing(Client(registry.wire.port)) as client:
        client.request(
            "PATCH",
            registry.begin(name),
            headers=[
                f"Authorization: Basic {token}",
                f"Content-Range: {start}-{start + size - 1}",
                f"Content-Length: {size}",
                "Expect: 100-continue",
            ],
        )
        answer = client.read()
    assert (answer.status, answer.headers["range"]) == (416, "0-0")


# --- HEAD ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "",
        "_catalog",
        "_catalog?n=1",
        "_catalog?n=x",
        "{name}/tags/list",
        "{name}/tags/list?n=0",
        "{name}/unknown/tags/list",
        "{name}/manifests/1",
        "{name}/manifests/{image}",
        "{name}/manifests/unknown",
        "{name}/manifests/sha256:abc",
        "{name}/blobs/{layer}",
        "{name}/blobs/{absent}",
        "{name}/blobs/sha256:abc",
        "{name}/referrers/{image}",
        "{name}/referrers/{image}?artifactType=x",
        "{name}/referrers/x",
        "{name}/blobs/uploads/{upload}",
        "{name}/blobs/uploads/unknown",
        "{name}/nothing/here",
        "Team/App/tags/list",
    ],
)
def test_head_says_what_get_would(registry, name, image, path):
    upload = registry.start(name).headers["Docker-Upload-UUID"]
    layer = digest_of(image.layers[0])
    path = path.format(name=name, image=image.digest, layer=layer, absent=ABSENT, upload=upload)
    for headers in ({}, {"Range": "bytes=1-2"}, {"If-None-Match": "*"}):
        get, head = registry.get(path, headers=headers), registry.head(path, headers=headers)
        assert head.status == get.status
        assert headers_of(head) == headers_of(get)
        assert head.body == b""
        if get.status not in (204, 304):
            assert head.headers["Content-Length"] == str(len(get.body))


# --- Methods and addresses -----------------------------------------------------------------------

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X-Y")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", {"GET"}),
        ("_catalog", {"GET"}),
        ("{name}/tags/list", {"GET"}),
        (f"{{name}}/referrers/{ABSENT}", {"GET"}),
        (f"{{name}}/blobs/{ABSENT}", {"GET", "DELETE"}),
        ("{name}/manifests/1", {"GET", "PUT", "DELETE"}),
        ("{name}/blobs/uploads/", {"POST"}),
        ("{name}/blobs/uploads", {"POST"}),
        ("{name}/blobs/uploads/x", {"GET", "PATCH", "PUT", "DELETE"}),
    ],
)
def test_a_method_that_is_not_there_is_refused_with_those_that_are(registry, name, path, allowed):
    allowed |= {"HEAD"} if "GET" in allowed else set()
    for method in METHODS:
        answer = registry.send(method, path.format(name=name))
        if method in allowed:
            assert answer.status != 405
        else:
            assert answer.status == 405
            assert set(answer.headers["Allow"].split(", ")) == allowed
            if method != "HEAD":
                assert answer.code == "UNSUPPORTED"
                assert method in answer.message


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "x",
        "tags/list",
        "blobs/uploads",
        "blobs/uploads/",
        f"manifests/{ABSENT}",
        "a/blobs",
        "a/blobs/",
        "a/manifests/",
        "a/referrers/",
        "a/tags/",
        "a/tags/list/",
        "a/tags/list/x",
        "a/unknown/x",
        "_catalog/",
        "_catalog/x",
        "%0a",
        "a%0a/tags/x",
    ],
)
def test_what_is_no_address_is_not_found(registry, path, method):
    answer = registry.send(method, path)
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize("path", ["/", "/v10/search", "/v22/", "/V2/", "/index.html"])
def test_elsewhere_errors_are_told_in_the_same_form(registry, path):
    answer = registry.get(registry.prefix + path)
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")


def test_the_base_answers_with_and_without_a_slash(registry):
    for path in ("/v2/", "/v2"):
        answer = registry.get(registry.prefix + path)
        assert (answer.status, answer.body) == (200, b"{}")
        assert answer.headers["Content-Type"] == "application/json"


# --- Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "blobs",
        "tags",
        "manifests",
        "uploads",
        "referrers",
        "v2",
        "list",
        "v2/v2",
        "blobs/uploads",
        "a/blobs/uploads",
        "tags/list",
        "a/tags/list",
        "a/manifests/latest",
        "a/blobs/b",
        "manifests/manifests",
        "token/x",
        "a__b.c-d--e/f_g",
        "/".join("abcdefghijkl"),
        "x" * 255,
    ],
)
def test_an_image_may_be_named_like_a_part_of_the_api(registry, name):
    image = make_image()
    registry.push(name, "list", image)
    assert registry.pull(name, "list") == image.manifest
    assert registry.get(f"{name}/tags/list").json() == {"name": name, "tags": ["list"]}
    assert registry.get(f"{name}/referrers/{image.digest}").status == 200
    location = registry.append(registry.begin(name), b"a").headers["Location"]
    assert registry.get(location).headers["Range"] == "0-0"
    assert registry.delete(location).status == 204
    assert registry.delete(f"{name}/manifests/{image.digest}").status == 202


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "a/B",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "a//b",
        "/a",
        "a/",
        "_a",
        "a b",
        "a%00b",
        "a%0A",
        "%C3%A9",
        "%FF",
        "a%25b",
        "a%zz",
        "..",
        "a/../b",
        "a:b",
        "a@b",
        "x" * 256,
        "_catalog",
    ],
)
def test_a_name_that_is_none_is_refused(registry, name):
    base = f"{registry.prefix}/v2/{name.replace(' ', '%20')}"
    for answer in (
        registry.get(f"{base}/tags/list"),
        registry.get(f"{base}/manifests/1"),
        registry.get(f"{base}/blobs/{ABSENT}"),
        registry.get(f"{base}/referrers/{ABSENT}"),
        registry.send("POST", f"{base}/blobs/uploads/"),
        registry.send("PUT", f"{base}/manifests/1", make_image().manifest),
        registry.delete(f"{base}/manifests/1"),
    ):
        assert (answer.status, answer.code) == (400, "NAME_INVALID")


def test_a_colon_and_a_slash_may_be_escaped(registry, name, image):
    digest = image.digest.replace(":", "%3A")
    assert registry.get(f"{name}/manifests/{digest}").body == image.manifest
    assert registry.get(f"{name}/manifests/{digest.lower()}").body == image.manifest
    layer = digest_of(image.layers[0]).replace(":", "%3a")
    escaped = name.replace("/", "%2F")
    assert registry.get(f"{escaped}/blobs/{layer}").body == image.layers[0]
    assert registry.get(f"{name}/tags/l%69st").json()["tags"] == ["1"]
    # Once is enough: what is escaped twice is not the same.
    assert registry.get(f"{name}/manifests/{digest.replace('%', '%25')}").status == 404


# --- Headers and errors --------------------------------------------------------------------------


def test_an_answer_without_rights_keeps_the_form(registry, name):
    for nobody in (registry.as_user(None), registry.as_user(("admin", "wrong"))):
        for method, path in (("GET", ""), ("POST", f"{name}/blobs/uploads/"), ("X-Y", "x")):
            answer = nobody.send(method, path)
            assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_empty_credentials_are_nobody(registry):
    answer = registry.as_user(("", "")).get("")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "value", ["Basic", "Basic x", "Basic Og", "Bearer x", "Negotiate x", "\xff"]
)
def test_odd_credentials_are_refused(registry, value):
    answer = registry.as_user(None).get("", headers={"Authorization": value})
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_a_repository_that_is_offline_says_so(site, name):
    registry = site.create()
    site.take_offline(registry)
    for method, path in (("GET", ""), ("POST", f"{name}/blobs/uploads/"), ("GET", "x")):
        answer = registry.send(method, path)
        assert (answer.status, answer.code) == (503, "UNAVAILABLE")
        assert registry.repository in answer.message
        assert "offline" in answer.message


def test_a_failure_of_the_server_tells_nothing_and_keeps_the_form(in_process, monkeypatch, caplog):
    def fail(*_: object, **__: object) -> list[str]:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(HostedLists, "images", fail)
    registry = in_process.registry
    headers = {"Authorization": "Basic YWRtaW46YSBwYXNzd29yZCBmb3IgdGVzdHM="}
    answer = registry.wire.send("GET", "/v2/_catalog", headers)
    assert (answer.status, answer.code) == (500, "UNKNOWN")
    assert VERSION in list(answer.headers)
    assert b"secret" not in answer.body
    assert "a secret" in caplog.text


def test_an_answer_is_never_compressed(registry, name):
    registry.push_blob(name, data := b"a" * 100_000)
    answer = registry.get(f"{name}/blobs/{digest_of(data)}", headers={"Accept-Encoding": "gzip"})
    assert answer.body == data  # and no Content-Encoding, as of every answer


# --- Where Locations lead ------------------------------------------------------------------------


@pytest.fixture(params=["on the connector", "below /repository/", "behind a proxy"])
def place(request, site):
    """A repository under each of its addresses."""
    if request.param == "on the connector":
        return site.registry
    if request.param == "below /repository/":
        return site.create()
    # The shared server trusts no proxy: this one is in process alone.
    registry = request.getfixturevalue("in_process").registry
    return Registry(Proxied(registry.wire, "/some/path"), "/some/path", registry.login)


def test_every_location_leads_on_under_the_same_address(place, name):
    host = {"Host": "registry.example:8443"}
    image = make_image()
    for blob in image.blobs:
        start = place.send("POST", f"{name}/blobs/uploads/", headers=host)
        location = start.headers["Location"]
        assert location.startswith(f"{place.prefix}/v2/{name}/blobs/uploads/")
        state = place.get(location, headers=host)
        assert state.headers["Location"] == location
        answer = place.append(location, blob, 0)
        done = place.finish(answer.headers["Location"], digest_of(blob))
        assert done.headers["Location"] == f"{place.prefix}/v2/{name}/blobs/{digest_of(blob)}"
        assert place.get(done.headers["Location"]).body == blob
    answer = place.put_manifest(name, "1", image.manifest)
    assert answer.headers["Location"] == f"{place.prefix}/v2/{name}/manifests/{image.digest}"
    assert place.get(answer.headers["Location"]).body == image.manifest
    answer = place.get(f"{name}/tags/list?n=1", headers=host)
    assert answer.status == 200


def test_links_lead_on_under_the_same_address(place, name):
    for tag in ("1", "2"):
        place.push(name, tag, make_image())
    link = place.get(f"{name}/tags/list?n=1").headers["Link"]
    path = link.partition(">")[0].removeprefix("<")
    assert path.startswith(f"{place.prefix}/v2/{name}/tags/list?")
    assert place.get(path).json()["tags"] == ["2"]
