"""Answers of upstreams in odd forms: HEAD refused, compressed, without a length, wrong digests."""

import gzip
import hashlib
import json
import zlib

import pytest

from tests.fakes.scripted import BREAK, Reply, reply
from tests.functional.docker.images import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    SCHEMA1_SIGNED,
    descriptor,
    digest_of,
    to_json,
)
from tests.functional.docker_proxy.proxies import DAY
from tests.functional.docker_proxy.shapes import (
    NAME,
    TAG,
    by_token,
    check_all,
    digests,
    guarded,
    make_image,
    serve,
)


def is_manifest(asked):
    return "/manifests/" in asked.path


# --- HEAD ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 410, 500, 501, 503, 200, BREAK])
def test_head_is_refused_and_get_is_not(make_proxy, script, image, status):
    def guard(asked):
        if asked.method != "HEAD":
            return None
        return reply(status) if status is not BREAK else Reply(-1)

    server = script(lambda asked: _or_break(guard(asked) or serve(image)(asked)))
    proxy = make_proxy(server.url, http_client__auto_block=True)
    assert proxy.head(TAG).headers["Docker-Content-Digest"] == image.digest
    check_all(proxy, image)


def _or_break(answer):
    return BREAK if answer.status == -1 else answer


@pytest.mark.parametrize("status", [403, 404, 200, BREAK])
def test_head_of_a_blob_is_refused_and_get_is_not(make_proxy, script, image, status):
    digest, data = next(iter(digests(image).items()))

    def answer(asked):
        if asked.method == "HEAD":
            return BREAK if status is BREAK else reply(status)
        return serve(image)(asked)

    found = make_proxy(script(answer).url).head(f"{NAME}/blobs/{digest}")
    assert (found.status, found.headers["Content-Length"]) == (200, str(len(data)))


def test_head_of_a_blob_believes_no_remote_that_sends_nothing(make_proxy, script, image):
    digest = next(iter(digests(image)))
    proxy = make_proxy(script(lambda asked: reply(200)).url)
    assert proxy.head(f"{NAME}/blobs/{digest}").headers.get("Content-Length") != "0"
    nothing = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    assert proxy.get(f"{NAME}/blobs/{nothing}").status == 200


def test_a_head_without_an_answer_is_not_tried_again_at_once(
    make_proxy, script, image, monkeypatch
):
    monkeypatch.setattr("repoman_docker.remote.client.SILENT_AFTER_S", 0.0)
    server = script(lambda asked: BREAK if asked.method == "HEAD" else serve(image)(asked))
    proxy = make_proxy(server.url)
    assert proxy.get(TAG).status == 200
    assert proxy.get(f"{NAME}/manifests/none").status == 404
    assert len(server.asked("HEAD")) == 1


# --- Digests -------------------------------------------------------------------------------------

OTHER = f"sha256:{'1' * 64}"


@pytest.mark.parametrize("told", ["", OTHER, "nonsense", "md5:123", f"  {OTHER}  "])
@pytest.mark.parametrize("methods", [("HEAD",), ("GET",), ("HEAD", "GET")])
def test_a_manifest_has_the_digest_of_its_bytes(make_proxy, script, image, clock, told, methods):
    """What is served is what its digest says, whatever the upstream calls it."""

    def answer(asked):
        found = serve(image)(asked)
        if is_manifest(asked) and asked.method in methods and found.status == 200:
            named = (("Docker-Content-Digest", told),) if told else ()
            return Reply(200, found.body, (("Content-Type", OCI_MANIFEST), *named))
        return found

    proxy = make_proxy(script(answer).url)
    answer = proxy.get(TAG)
    assert (answer.body, answer.headers["Docker-Content-Digest"]) == (image.manifest, image.digest)
    clock.jump(2 * DAY)
    answer = proxy.get(TAG)
    assert (answer.body, answer.headers["Docker-Content-Digest"]) == (image.manifest, image.digest)
    assert proxy.pull(NAME, "1") == image.manifest


def test_a_registry_that_serves_no_manifest_by_its_digest(make_proxy, script, image):
    def answer(asked):
        return reply(404) if is_manifest(asked) and "sha256:" in asked.path else serve(image)(asked)

    proxy = make_proxy(script(answer).url)
    assert proxy.head(TAG).headers["Docker-Content-Digest"] == image.digest
    assert proxy.get(f"{NAME}/manifests/{image.digest}").body == image.manifest


def test_another_manifest_by_digest_is_never_served(make_proxy, script, image):
    other = make_image()
    server = script(lambda asked: reply(200, other.manifest, Content_Type=OCI_MANIFEST))
    assert make_proxy(server.url).get(f"{NAME}/manifests/{image.digest}").status == 502


# --- Compressed ----------------------------------------------------------------------------------


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODINGS = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "members": ("gzip", lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:])),
    "deflate": ("deflate", zlib.compress),
    "raw": ("deflate", raw_deflate),
    "lie": ("gzip", bytes),
}


@pytest.mark.parametrize("kind", ENCODINGS)
@pytest.mark.parametrize("is_chunked", [True, False])
def test_everything_is_compressed_though_nobody_asked(make_proxy, script, image, kind, is_chunked):
    encoding, compress = ENCODINGS[kind]

    def answer(asked):
        found = guarded(by_token(lambda: server.url), serve(image))(asked)
        headers = (*found.headers, ("Content-Encoding", encoding))
        return Reply(found.status, compress(found.body), headers, is_chunked)

    server = script(answer)
    check_all(make_proxy(server.url), image)


@pytest.mark.parametrize("is_chunked", [True, False])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_blob_that_is_meant_as_it_was_sent(make_proxy, script, is_chunked, is_known):
    """A layer that is a gzip file, and a web server that takes that for its own compression."""
    layer = gzip.compress(bytes(range(256)) * 50)
    image = make_image()
    config = image.config
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [descriptor(layer, OCI_LAYER)],
        }
    )

    def answer(asked):
        if is_manifest(asked):
            return reply(200, manifest, Content_Type=OCI_MANIFEST)
        headers = (("Content-Encoding", "gzip"),)
        return Reply(200, layer, headers, is_chunked)

    proxy = make_proxy(script(answer).url)
    if is_known:
        assert proxy.get(TAG).body == manifest
    assert proxy.get(f"{NAME}/blobs/{digest_of(layer)}").body == layer


def test_a_bomb_is_not_unpacked(make_proxy, script):
    bomb = gzip.compress(b"[" * (64 << 20))
    server = script(lambda asked: reply(200, bomb, Content_Encoding="gzip"))
    answer = make_proxy(server.url).get(f"{NAME}/tags/list")
    assert (answer.status, "bytes allowed" in answer.message) == (502, True)


# --- Lengths and parts ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", [{"is_chunked": True}, {"is_old": True}])
def test_answers_without_a_length(make_proxy, script, image, form):
    def answer(asked):
        found = serve(image)(asked)
        return Reply(found.status, found.body, found.headers, **form)

    check_all(make_proxy(script(answer).url), image)


@pytest.mark.parametrize("has_range", [True, False])
def test_parts_that_nobody_asked_for(make_proxy, script, image, has_range):
    def answer(asked):
        found = serve(image)(asked)
        if found.status != 200:
            return found
        size = len(found.body)
        part = (("Content-Range", f"bytes 0-{size - 1}/{size}"),) if has_range else ()
        return Reply(206, found.body, (*found.headers, *part))

    check_all(make_proxy(script(answer).url), image)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/octet-stream",
        "application/json",
        f"{OCI_MANIFEST}; charset=utf-8",
        f"{OCI_MANIFEST.upper()};charset=UTF-8",
        DOCKER_MANIFEST,
        "nonsense",
    ],
)
def test_a_manifest_by_any_content_type(make_proxy, script, image, content_type):
    def answer(asked):
        found = serve(image)(asked)
        if not is_manifest(asked):
            return found
        named = () if content_type is None else (("Content-Type", content_type),)
        return Reply(found.status, found.body, named)

    proxy = make_proxy(script(answer).url)
    check_all(proxy, image)
    assert proxy.get(TAG).headers["Content-Type"] == OCI_MANIFEST


# --- Manifests that other registries take ---------------------------------------------------------

CONFIG = descriptor(b"{}", OCI_CONFIG)
PLAIN = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": []}
SCHEMA1 = {
    "schemaVersion": 1,
    "name": NAME,
    "tag": "1",
    "fsLayers": [{"blobSum": digest_of(b"layer")}],
    "history": [{"v1Compatibility": "{}"}],
}


def without(*keys, **more):
    return to_json({**{k: v for k, v in PLAIN.items() if k not in keys}, **more})


@pytest.mark.parametrize(
    ("body", "content_type", "served_as"),
    [
        (without("layers"), OCI_MANIFEST, OCI_MANIFEST),
        (without(layers=None), OCI_MANIFEST, OCI_MANIFEST),
        (without("mediaType"), OCI_MANIFEST, OCI_MANIFEST),
        (without("mediaType"), "text/plain", OCI_MANIFEST),
        (without("mediaType", "schemaVersion"), OCI_MANIFEST, OCI_MANIFEST),
        (without("config"), OCI_MANIFEST, OCI_MANIFEST),
        (without(config={}), OCI_MANIFEST, OCI_MANIFEST),
        (without(unknown={"a": [1]}, MediaType="x"), OCI_MANIFEST, OCI_MANIFEST),
        (without(annotations={"a": 1, "b": None, "c": ["d"]}), OCI_MANIFEST, OCI_MANIFEST),
        (without(annotations=[]), OCI_MANIFEST, OCI_MANIFEST),
        (without(layers=[CONFIG, CONFIG]), OCI_MANIFEST, OCI_MANIFEST),
        (without(layers=[{**CONFIG, "size": "7"}]), OCI_MANIFEST, OCI_MANIFEST),
        (without(layers=[{**CONFIG, "urls": ["ftp://x/"]}]), OCI_MANIFEST, OCI_MANIFEST),
        (without(manifests=[]), OCI_MANIFEST, OCI_MANIFEST),
        (without().replace(b'"layers"', b'"layers": [], "layers"'), OCI_MANIFEST, OCI_MANIFEST),
        (b"\xef\xbb\xbf" + without(), OCI_MANIFEST, OCI_MANIFEST),
        (b"\n " + without() + b"\n", OCI_MANIFEST, OCI_MANIFEST),
        (without(mediaType=DOCKER_MANIFEST), OCI_MANIFEST, DOCKER_MANIFEST),
        (
            to_json(SCHEMA1),
            "application/json",
            "application/vnd.docker.distribution.manifest.v1+json",
        ),
        (to_json({**SCHEMA1, "signatures": [{}]}), SCHEMA1_SIGNED, SCHEMA1_SIGNED),
        (
            to_json({"a": "b"}),
            "application/vnd.acme.thing.v1+json",
            "application/vnd.acme.thing.v1+json",
        ),
        (to_json({"schemaVersion": 2, "manifests": None}), "text/plain", OCI_INDEX),
        (to_json({"schemaVersion": 2}), OCI_INDEX, OCI_INDEX),
    ],
)
def test_a_manifest_that_other_registries_take_is_passed_on(
    make_proxy, script, body, content_type, served_as
):
    server = script(
        lambda asked: (
            reply(200, body, Content_Type=content_type) if is_manifest(asked) else reply(404)
        )
    )
    proxy = make_proxy(server.url)
    for path in (TAG, f"{NAME}/manifests/{digest_of(body)}", TAG):
        answer = proxy.get(path)
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["Content-Type"] == served_as
        assert answer.headers["Docker-Content-Digest"] == digest_of(body)
    assert proxy.get(f"{NAME}/blobs/{CONFIG['digest']}").status == 404


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>log in first</html>", "text/html"),
        (b"<html>log in first</html>", OCI_MANIFEST),
        (b"", OCI_MANIFEST),
        (b"[]", OCI_MANIFEST),
        (b"null", OCI_MANIFEST),
        (b'{"errors": [{"code": "X"}]}', "application/json"),
        (b'{"errors": [{"code": "X"}]}', None),
        (b"[" * 100_000, OCI_MANIFEST),
    ],
)
def test_what_is_no_manifest_is_not_passed_on(make_proxy, script, body, content_type):
    named = () if content_type is None else (("Content-Type", content_type),)
    answer = make_proxy(script(lambda asked: Reply(200, body, named)).url).get(TAG)
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    assert "sent an invalid manifest" in answer.message


def test_the_blobs_of_a_manifest_that_breaks_the_rules_are_pulled(make_proxy, script, image):
    manifest = {**json.loads(image.manifest), "annotations": {"a": 1}}
    body = to_json(manifest)
    server = script(
        lambda asked: (
            reply(200, body, Content_Type=OCI_MANIFEST)
            if is_manifest(asked)
            else serve(image)(asked)
        )
    )
    assert make_proxy(server.url).pull(NAME, "1") == body


def test_a_manifest_without_layers_can_be_pushed(make_proxy):
    hosted = make_proxy.hosted()
    hosted.push_blob(NAME, b"{}")
    body = without("layers")
    hosted.push_manifest(NAME, "1", body)
    assert hosted.get(TAG).body == body
