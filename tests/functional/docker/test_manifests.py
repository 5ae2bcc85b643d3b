"""Manifests: exact bytes, all media types, the checks at a push, tags, deletion."""

import json
import secrets

import pytest

from tests.functional.docker.driver import Failures, Registry
from tests.functional.docker.images import (
    ABSENT,
    DOCKER_CONFIG,
    DOCKER_FOREIGN,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    EMPTY,
    OCI_ARTIFACT,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_FOREIGN,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    SCHEMA1,
    SCHEMA1_SIGNED,
    descriptor,
    digest_of,
    index_of,
    make_image,
    manifest_of,
    media_type_of,
    to_json,
)

CONFIG, LAYER = b'{"a": "config"}', b"a layer"
ACCEPTS = [None, "*/*", "application/json", DOCKER_MANIFEST, OCI_INDEX, "text/html;q=0.1"]


@pytest.fixture
def blobs(registry, name):
    """An image name that has CONFIG, LAYER and the empty object, and no manifest yet."""
    for blob in (CONFIG, LAYER, EMPTY):
        registry.push_blob(name, blob)
    return registry


@pytest.fixture
def image(blobs, name):
    """The digest of an image manifest without a tag."""
    return blobs.push_manifest(name, MANIFEST_DIGEST, MANIFEST)


MANIFEST = manifest_of(CONFIG, (LAYER,))
MANIFEST_DIGEST = digest_of(MANIFEST)


def assert_served(registry, name, reference, manifest, digest=None):
    """The exact bytes are served under the reference and under their digest."""
    digest = digest or digest_of(manifest)
    for each in (reference, digest):
        answer = registry.get(f"{name}/manifests/{each}")
        assert (answer.status, answer.body) == (200, manifest)
        assert answer.headers["Content-Type"] == media_type_of(manifest)
        assert answer.headers["Content-Length"] == str(len(manifest))
        assert answer.headers["Docker-Content-Digest"] == digest
        assert answer.headers["ETag"] == f'"{digest}"'


def assert_invalid(answer, code="MANIFEST_INVALID"):
    assert (answer.status, answer.code) == (400, code), answer.body


def is_unknown(answer):
    return (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")


# --- What is stored ------------------------------------------------------------------------------


def image_with(config, layers, **more):
    fields = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
    return to_json({**fields, **more})


CONFIG_ENTRY, LAYER_ENTRY = descriptor(CONFIG, OCI_CONFIG), descriptor(LAYER, OCI_LAYER)
KINDS = {
    "docker image": manifest_of(CONFIG, (LAYER,), docker=True),
    "OCI image": MANIFEST,
    "docker list": index_of(MANIFEST, docker=True),
    "OCI index": index_of(MANIFEST),
    "index of nothing": index_of(),
    "list of nothing": index_of(docker=True),
    "index of an index": to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(index_of(), OCI_INDEX)],
        }
    ),
    "image without layers": image_with(CONFIG_ENTRY, []),
    "artifact": image_with(
        descriptor(EMPTY, OCI_EMPTY), [LAYER_ENTRY], artifactType="application/vnd.example+type"
    ),
    "artifact with an empty layer": image_with(
        descriptor(EMPTY, OCI_EMPTY), [descriptor(EMPTY, OCI_EMPTY)], artifactType="text/plain"
    ),
    "embedded data": image_with(descriptor(EMPTY, OCI_EMPTY, data="e30="), [LAYER_ENTRY]),
    "fields of its own": image_with(CONFIG_ENTRY, [LAYER_ENTRY], x={"y": [1, None]}, Z=10**400),
    "annotations": image_with(CONFIG_ENTRY, [LAYER_ENTRY], annotations={"a": "\u00e9\U0001f41f"}),
    "the same layer twice": image_with(CONFIG_ENTRY, [LAYER_ENTRY, LAYER_ENTRY]),
    "foreign layer": image_with(
        CONFIG_ENTRY,
        [
            LAYER_ENTRY,
            {
                "mediaType": OCI_FOREIGN,
                "digest": ABSENT,
                "size": 9,
                "urls": ["https://x.example/y"],
            },
        ],
    ),
    "docker's foreign layer": image_with(
        CONFIG_ENTRY, [LAYER_ENTRY, {"mediaType": DOCKER_FOREIGN, "digest": ABSENT, "size": 9}]
    ),
    "subject that is not there": image_with(
        CONFIG_ENTRY,
        [LAYER_ENTRY],
        subject={"mediaType": OCI_MANIFEST, "digest": ABSENT, "size": 9},
    ),
    "unknown kind of JSON": to_json(
        {"mediaType": "application/vnd.example.v1+json", "digest": ABSENT}
    ),
}


@pytest.mark.parametrize("reference", ["tag", "digest"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_stored_as_it_is(blobs, name, kind, reference):
    manifest = KINDS[kind]
    for needed in (MANIFEST, index_of()):
        blobs.push_manifest(name, digest_of(needed), needed)
    reference = "1" if reference == "tag" else digest_of(manifest)
    answer = blobs.put_manifest(name, reference, manifest)
    assert answer.status == 201, answer.body
    assert answer.headers["Docker-Content-Digest"] == digest_of(manifest)
    assert answer.headers["Location"].endswith(f"/v2/{name}/manifests/{digest_of(manifest)}")
    assert answer.headers["Content-Length"] == "0"
    assert blobs.get(answer.headers["Location"]).body == manifest
    assert_served(blobs, name, reference, manifest)


@pytest.mark.parametrize(
    "around", [("", " "), ("\n\t ", "\r\n\n"), ("", "\n" * 5000)], ids=["end", "both", "much"]
)
def test_white_space_is_part_of_the_bytes(blobs, name, around):
    manifest = MANIFEST.join(text.encode() for text in around)
    assert blobs.push_manifest(name, "1", manifest) == digest_of(manifest) != MANIFEST_DIGEST
    assert_served(blobs, name, "1", manifest)


@pytest.mark.parametrize("body", [lambda m: m, lambda m: [m[:1], m[1:70_000], m[70_000:]]])
def test_a_large_manifest_is_stored(blobs, name, body):
    manifest = image_with(CONFIG_ENTRY, [LAYER_ENTRY], annotations={"a": "x" * 4_200_000})
    headers = {"Content-Type": OCI_MANIFEST}
    answer = blobs.send("PUT", f"{name}/manifests/1", body(manifest), headers=headers)
    assert answer.status == 201, answer.body
    assert_served(blobs, name, "1", manifest)


@pytest.mark.parametrize("body", [lambda m: m, lambda m: [m]], ids=["length", "chunks"])
def test_a_manifest_over_the_limit_is_refused(site, name, body):
    registry = site.create({"docker.manifest_limit": 1_048_576})
    manifest = image_with(CONFIG_ENTRY, [], annotations={"a": "x" * 1_048_576})
    headers = {"Content-Type": OCI_MANIFEST}
    answer = registry.send("PUT", f"{name}/manifests/1", body(manifest), headers=headers)
    assert (answer.status, answer.code) == (413, "SIZE_INVALID")
    assert "1048576" in answer.message


@pytest.mark.parametrize("accept", ACCEPTS)
def test_what_is_stored_is_served_whatever_is_accepted(image, registry, name, accept):
    headers = {} if accept is None else {"Accept": accept}
    answer = registry.get(f"{name}/manifests/{image}", headers=headers)
    assert (answer.status, answer.headers["Content-Type"]) == (200, OCI_MANIFEST)


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', "{}", '"x", "{}"', "*"])
def test_a_client_that_has_the_manifest_is_told_so(registry, name, form):
    own = make_image()
    registry.push(name, "1", own)
    headers = {"If-None-Match": form.format(own.digest)}
    for reference in ("1", own.digest):
        answer = registry.get(f"{name}/manifests/{reference}", headers=headers)
        assert (answer.status, answer.headers["ETag"]) == (304, f'"{own.digest}"')
    registry.push(name, "1", make_image())
    if form != "*":
        assert registry.get(f"{name}/manifests/1", headers=headers).status == 200


# --- Checks at a push ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST.upper()],
)
def test_the_media_type_may_be_read_from_the_manifest(blobs, name, content_type):
    assert blobs.put_manifest(name, "1", MANIFEST, content_type).status == 201
    assert_served(blobs, name, "1", MANIFEST)


def test_the_media_type_may_be_told_by_the_header_alone(blobs, name):
    fields = json.loads(MANIFEST)
    del fields["mediaType"]
    manifest = to_json(fields)
    assert blobs.put_manifest(name, "1", manifest, OCI_MANIFEST).status == 201
    assert blobs.get(f"{name}/manifests/1").headers["Content-Type"] == OCI_MANIFEST


@pytest.mark.parametrize(
    ("manifest", "media_type"),
    [
        (
            MANIFEST.replace(b'"mediaType": "application/vnd.oci.image.manifest.v1+json", ', b""),
            OCI_MANIFEST,
        ),
        (
            index_of().replace(b'"mediaType": "application/vnd.oci.image.index.v1+json", ', b""),
            OCI_INDEX,
        ),
    ],
    ids=["image", "index"],
)
def test_the_media_type_may_be_seen_from_the_shape(blobs, name, manifest, media_type):
    assert b"image.manifest" not in manifest
    assert blobs.put_manifest(name, "1", manifest, None).status == 201
    assert blobs.get(f"{name}/manifests/1").headers["Content-Type"] == media_type


NOT_A_MANIFEST = {
    "nothing": b"",
    "no JSON": b"{",
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": MANIFEST.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + MANIFEST,
    "a list": b"[]",
    "null": b"null",
    "a number": b"2",
    "something behind": MANIFEST + b"x",
    "a second object": MANIFEST + MANIFEST,
    "the same field twice": MANIFEST.replace(b"{", b'{"schemaVersion": 2, ', 1),
    "NaN": MANIFEST.replace(b"2", b"NaN", 1),
    "deep nesting": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "version 3": MANIFEST.replace(b'"schemaVersion": 2', b'"schemaVersion": 3'),
    "no version": MANIFEST.replace(b'"schemaVersion": 2, ', b""),
    "no config": image_with(None, [LAYER_ENTRY]),
    "layers that are no list": image_with(CONFIG_ENTRY, {}),
    "a layer that is no object": image_with(CONFIG_ENTRY, ["x"]),
    "a layer without a size": image_with(CONFIG_ENTRY, [{**LAYER_ENTRY, "size": None}]),
    "a negative size": image_with(CONFIG_ENTRY, [{**LAYER_ENTRY, "size": -1}]),
    "a size that is a text": image_with(CONFIG_ENTRY, [{**LAYER_ENTRY, "size": "7"}]),
    "a wrong size": image_with(CONFIG_ENTRY, [{**LAYER_ENTRY, "size": len(LAYER) + 1}]),
    "a malformed digest": image_with(CONFIG_ENTRY, [{**LAYER_ENTRY, "digest": "sha256:abc"}]),
    "a URL of another scheme": image_with(CONFIG_ENTRY, [{**LAYER_ENTRY, "urls": ["file:///x"]}]),
    "layers and manifests": image_with(CONFIG_ENTRY, [LAYER_ENTRY], manifests=[]),
    "manifests and layers": index_of(MANIFEST, layers=[]),
    "config in an index": index_of(MANIFEST, config=CONFIG_ENTRY),
    "layers and fsLayers": image_with(CONFIG_ENTRY, [LAYER_ENTRY], fsLayers=[]),
    "a field in another case": image_with(CONFIG_ENTRY, [LAYER_ENTRY], Layers=[]),
    "half a surrogate pair": image_with(CONFIG_ENTRY, [LAYER_ENTRY], annotations={"a": "\ud800"}),
    "a subject that is a text": image_with(CONFIG_ENTRY, [LAYER_ENTRY], subject=ABSENT),
}


@pytest.mark.parametrize("mistake", NOT_A_MANIFEST)
def test_what_is_no_manifest_is_refused(blobs, name, mistake):
    manifest = NOT_A_MANIFEST[mistake]
    media_type = (
        OCI_INDEX if mistake in ("manifests and layers", "config in an index") else OCI_MANIFEST
    )
    for reference in ("1", digest_of(manifest)):
        assert_invalid(blobs.put_manifest(name, reference, manifest, media_type))
        assert is_unknown(blobs.get(f"{name}/manifests/{reference}"))
    assert blobs.get(f"{name}/tags/list").status == 404


@pytest.mark.parametrize(
    "content_type", [OCI_INDEX, DOCKER_MANIFEST, "text/plain", "image/png", "junk", "a/b;c"]
)
def test_another_media_type_than_the_manifest_says_is_refused(blobs, name, content_type):
    assert_invalid(blobs.put_manifest(name, "1", MANIFEST, content_type))


@pytest.mark.parametrize("content_type", [SCHEMA1, SCHEMA1_SIGNED, None, "application/json"])
def test_schema_1_is_refused_in_plain_words(blobs, name, content_type):
    manifest = to_json(
        {"schemaVersion": 1, "name": name, "tag": "1", "fsLayers": [], "history": []}
    )
    answer = blobs.put_manifest(name, "1", manifest, content_type)
    assert_invalid(answer)
    assert "schema 1 are obsolete" in answer.message
    assert "Docker 1.10 or later" in answer.message


def test_schema_1_is_refused_under_another_media_type(blobs, name):
    manifest = to_json({"schemaVersion": 1, "name": name, "tag": "1", "fsLayers": []})
    answer = blobs.put_manifest(name, "1", manifest, DOCKER_MANIFEST)
    assert_invalid(answer)
    assert "schema 1 are obsolete" in answer.message


def test_every_blob_that_is_missing_is_named(registry, name):
    image = make_image()
    answer = registry.put_manifest(name, "1", image.manifest)
    assert_invalid(answer, "MANIFEST_BLOB_UNKNOWN")
    missing = [error["detail"]["digest"] for error in answer.errors]
    assert sorted(missing) == sorted(map(digest_of, image.blobs))
    for error, digest in zip(answer.errors, missing, strict=True):
        assert error["code"] == "MANIFEST_BLOB_UNKNOWN"
        assert digest in error["message"]


@pytest.mark.parametrize(
    "digest", ["sha256:abc", f"sha256:{'A' * 64}", "sha256:", "x:y:z", "sha256:baddigeststring"]
)
def test_a_malformed_reference_is_refused(blobs, name, digest):
    for answer in (
        blobs.put_manifest(name, digest, MANIFEST),
        blobs.get(f"{name}/manifests/{digest}"),
        blobs.delete(f"{name}/manifests/{digest}"),
    ):
        assert_invalid(answer, "DIGEST_INVALID")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_digest_of_other_bytes_is_refused(blobs, name, algorithm):
    digest = digest_of(b"other", algorithm)
    answer = blobs.put_manifest(name, digest, MANIFEST)
    assert_invalid(answer, "DIGEST_INVALID")
    assert digest_of(MANIFEST, algorithm) in answer.message
    assert is_unknown(blobs.get(f"{name}/manifests/{digest}"))


def test_an_algorithm_that_is_not_supported_is_refused(blobs, name):
    assert_invalid(blobs.put_manifest(name, f"md5:{'0' * 32}", MANIFEST), "DIGEST_INVALID")
    assert is_unknown(blobs.get(f"{name}/manifests/md5:{'0' * 32}"))


@pytest.mark.parametrize("tag", [".a", "-a", "a b", "a%0a", "%C3%A9", "x" * 129, "a@b", "a%2Bb"])
def test_a_tag_that_is_none_is_refused(blobs, name, tag):
    tag = tag.replace(" ", "%20")
    assert_invalid(blobs.put_manifest(name, tag, MANIFEST), "TAG_INVALID")
    assert is_unknown(blobs.get(f"{name}/manifests/{tag}"))
    assert is_unknown(blobs.delete(f"{name}/manifests/{tag}"))


@pytest.mark.parametrize("tag", ["_", "0", "A.B-c_d", "x" * 128, "latest", "sha256-" + "0" * 64])
def test_a_tag_may_be_of_many_kinds(blobs, name, tag):
    blobs.push_manifest(name, tag, MANIFEST)
    assert_served(blobs, name, tag, MANIFEST)


# --- Sparse images -------------------------------------------------------------------------------


SPARSE = image_with(
    CONFIG_ENTRY, [LAYER_ENTRY, {"mediaType": OCI_LAYER, "digest": ABSENT, "size": 9}]
)


@pytest.fixture
def sparse(site, name) -> Registry:
    """A repository whose images may lack layers, with the blobs of one."""
    registry = site.create({"docker.sparse": True})
    for blob in (CONFIG, LAYER):
        registry.push_blob(name, blob)
    return registry


def test_an_image_may_not_lack_a_layer(blobs, name):
    answer = blobs.put_manifest(name, "1", SPARSE)
    assert_invalid(answer, "MANIFEST_BLOB_UNKNOWN")
    assert [error["detail"]["digest"] for error in answer.errors] == [ABSENT]
    assert is_unknown(blobs.get(f"{name}/manifests/1"))


def test_an_image_may_lack_a_layer_where_that_is_allowed(sparse, name):
    sparse.push_manifest(name, "image", SPARSE)
    assert_served(sparse, name, "image", SPARSE)


def test_an_index_may_lack_its_images(blobs, name):
    index = index_of(MANIFEST, make_image().manifest)
    blobs.push_manifest(name, "index", index)
    assert_served(blobs, name, "index", index)


@pytest.mark.parametrize(
    "manifest",
    [
        image_with(CONFIG_ENTRY, [{"mediaType": OCI_LAYER, "digest": ABSENT, "size": 9}]),
        image_with({**CONFIG_ENTRY, "digest": ABSENT}, [LAYER_ENTRY]),
        image_with({**CONFIG_ENTRY, "digest": ABSENT}, []),
        image_with(
            CONFIG_ENTRY,
            [
                {"mediaType": OCI_FOREIGN, "digest": f"sha256:{'1' * 64}", "size": 9},
                {"mediaType": OCI_LAYER, "digest": ABSENT, "size": 9},
            ],
        ),
    ],
    ids=["no layer", "no config", "nothing", "a layer elsewhere"],
)
def test_an_image_needs_its_config_and_a_layer_all_the_same(sparse, name, manifest):
    answer = sparse.put_manifest(name, "1", manifest)
    assert_invalid(answer, "MANIFEST_BLOB_UNKNOWN")
    assert [error["detail"]["digest"] for error in answer.errors] == [ABSENT]


# --- Limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1000, 1001])
@pytest.mark.parametrize("kind", ["image", "index", "artifact", "other"])
def test_a_manifest_names_at_most_a_thousand_things(blobs, name, kind, count):
    entries = [{**LAYER_ENTRY, "digest": f"sha256:{number:064x}"} for number in range(count)]
    same = [LAYER_ENTRY] * count
    manifest, media_type = {
        "image": (image_with(CONFIG_ENTRY, same), OCI_MANIFEST),
        "index": (to_json({"schemaVersion": 2, "manifests": entries}), OCI_INDEX),
        "artifact": (to_json({"mediaType": OCI_ARTIFACT, "blobs": same}), OCI_ARTIFACT),
        "other": (to_json({"things": entries}), "application/vnd.acme.v1+json"),
    }[kind]
    answer = blobs.put_manifest(name, "1", manifest, media_type)
    assert answer.status == (201 if count == 1000 else 400)
    if answer.status == 400:
        assert answer.code == "MANIFEST_INVALID"
        assert "docker.descriptor_limit" in answer.message


def test_the_limit_of_layers_is_a_setting(site, name):
    registry = site.create({"docker.descriptor_limit": 2})
    registry.push(name, "2", make_image(b"one", b"two"))
    image = make_image(b"one", b"two", b"three")
    text = registry.push(name, "3", image, failure=Failures.MANIFEST_INVALID)
    assert "refers to 3 layers; at most 2" in text


# --- Tags ----------------------------------------------------------------------------------------


def test_a_tag_moves(registry, name):
    first, second = make_image(), make_image()
    registry.push(name, "1", first)
    registry.push(name, "1", second)
    assert registry.pull(name, "1") == second.manifest
    assert registry.pull(name, first.digest) == first.manifest


def test_a_push_by_digest_may_set_many_tags(blobs, name):
    tags = [f"v{number}" for number in range(12)]
    query = "&".join(f"tag={tag}" for tag in tags)
    answer = blobs.put_manifest(name, f"{MANIFEST_DIGEST}?{query}", MANIFEST)
    assert answer.status == 201
    assert answer.headers["OCI-Tag"] == ", ".join(tags)
    assert blobs.tags(name) == sorted(tags)
    for tag in tags:
        assert_served(blobs, name, tag, MANIFEST)


def test_a_push_by_tag_may_set_more_tags(blobs, name):
    answer = blobs.put_manifest(name, "a?tag=b&tag=a&tag=b", MANIFEST)
    assert answer.status == 201
    assert blobs.tags(name) == ["a", "b"]


def test_a_bad_tag_among_many_refuses_them_all(blobs, name):
    answer = blobs.put_manifest(name, f"{MANIFEST_DIGEST}?tag=good&tag=.bad", MANIFEST)
    assert_invalid(answer, "TAG_INVALID")
    assert blobs.get(f"{name}/tags/list").status == 404


def test_no_tag_is_announced_where_none_was_asked_for(blobs, name):
    assert "OCI-Tag" not in blobs.put_manifest(name, "1", MANIFEST).headers


# --- sha512 --------------------------------------------------------------------------------------


def test_a_manifest_is_known_by_the_digest_it_was_pushed_with(blobs, name):
    digest = digest_of(MANIFEST, "sha512")
    answer = blobs.put_manifest(name, f"{digest}?tag=1", MANIFEST)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.headers["Location"].endswith(digest)
    assert_served(blobs, name, "1", MANIFEST, digest)
    assert is_unknown(blobs.get(f"{name}/manifests/{MANIFEST_DIGEST}"))
    blobs.push_manifest(name, "2", MANIFEST)
    assert_served(blobs, name, "2", MANIFEST, MANIFEST_DIGEST)
    assert_served(blobs, name, "1", MANIFEST, digest)


def test_an_image_may_be_of_sha512_throughout(registry, name):
    data = secrets.token_bytes(100)
    for blob in (CONFIG, data):
        registry.push_blob(name, blob, "sha512")
    manifest = image_with(
        {**CONFIG_ENTRY, "digest": digest_of(CONFIG, "sha512")},
        [{"mediaType": DOCKER_LAYER, "digest": digest_of(data, "sha512"), "size": len(data)}],
    )
    digest = digest_of(manifest, "sha512")
    assert registry.put_manifest(name, digest, manifest).status == 201
    assert_served(registry, name, digest, manifest, digest)


# --- Deletion ------------------------------------------------------------------------------------


def test_a_deleted_tag_leaves_the_manifest(blobs, name):
    for tag in ("1", "2"):
        blobs.push_manifest(name, tag, MANIFEST)
    answer = blobs.delete(f"{name}/manifests/1")
    assert (answer.status, answer.headers["Content-Length"]) == (202, "0")
    assert is_unknown(blobs.get(f"{name}/manifests/1"))
    assert is_unknown(blobs.delete(f"{name}/manifests/1"))
    assert blobs.tags(name) == ["2"]
    assert_served(blobs, name, "2", MANIFEST)


def test_a_deleted_manifest_takes_its_tags_along(blobs, name):
    other = manifest_of(CONFIG, ())
    for tag in ("1", "2"):
        blobs.push_manifest(name, tag, MANIFEST)
    blobs.push_manifest(name, "3", other)
    assert blobs.delete(f"{name}/manifests/{MANIFEST_DIGEST}").status == 202
    for reference in ("1", "2", MANIFEST_DIGEST):
        assert is_unknown(blobs.get(f"{name}/manifests/{reference}"))
        assert is_unknown(blobs.delete(f"{name}/manifests/{reference}"))
    assert blobs.tags(name) == ["3"]
    assert blobs.has_blob(name, digest_of(LAYER))


def test_a_manifest_may_be_pushed_again_after_its_deletion(blobs, name):
    for _ in range(2):
        blobs.push_manifest(name, "1", MANIFEST)
        blobs.delete(f"{name}/manifests/{MANIFEST_DIGEST}")
    blobs.push_manifest(name, "1", MANIFEST)
    assert_served(blobs, name, "1", MANIFEST)


def test_an_index_and_its_images_are_deleted_in_any_order(blobs, name):
    index = index_of(MANIFEST)
    blobs.push_manifest(name, MANIFEST_DIGEST, MANIFEST)
    blobs.push_manifest(name, "1", index)
    assert blobs.delete(f"{name}/manifests/{MANIFEST_DIGEST}").status == 202
    assert_served(blobs, name, "1", index)
    assert blobs.delete(f"{name}/manifests/{digest_of(index)}").status == 202
    assert blobs.get(f"{name}/tags/list").status == 404


def test_a_manifest_belongs_to_its_image_and_repository(site, image, registry, name, other_name):
    assert is_unknown(registry.get(f"{other_name}/manifests/{image}"))
    assert is_unknown(site.create().get(f"{name}/manifests/{image}"))


def test_a_whole_index_is_pushed_and_pulled(registry, name):
    images = [make_image(docker=True) for _ in range(3)]
    for each in images:
        registry.push(name, each.digest, each)
    index = index_of(*(each.manifest for each in images), docker=True)
    registry.push_manifest(name, "1", index)
    assert registry.pull(name, "1") == index
    assert media_type_of(index) == DOCKER_LIST
    assert DOCKER_CONFIG.encode() in images[0].manifest
