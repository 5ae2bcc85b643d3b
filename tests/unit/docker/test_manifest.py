import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman_docker.protocol import media_types as mt
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.manifest import Kind, parse_manifest
from repoman_docker.protocol.reference import Digest
from tests.clock import cpu_limit

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def digest_of(number):
    return Digest.of("sha256", str(number).encode())


def descriptor(number, media_type=mt.OCI_LAYER, **more):
    return {"mediaType": media_type, "digest": str(digest_of(number)), "size": number} | more


def image(**more):
    return {"schemaVersion": 2, "config": descriptor(0, mt.OCI_CONFIG), "layers": []} | more


def index(*children, **more):
    return {"schemaVersion": 2, "manifests": list(children)} | more


def parse(document, content_type=None):
    return parse_manifest(json.dumps(document).encode(), content_type)


def refusal(document, content_type=None):
    with pytest.raises(RegistryError) as caught:
        parse(document, content_type)
    assert (caught.value.code, caught.value.status) == (ErrorCode.MANIFEST_INVALID, 400)
    return caught.value.message


# --- media types -------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [mt.OCI_MANIFEST, mt.DOCKER_MANIFEST])
def test_an_image(media_type):
    layers = [descriptor(1), descriptor(2, platform={"os": "linux", "architecture": "amd64"})]
    manifest = parse(image(layers=layers, mediaType=media_type, annotations={"k": "v"}), media_type)
    assert (manifest.media_type, manifest.kind) == (media_type, Kind.IMAGE)
    assert manifest.config.digest == digest_of(0)
    assert [layer.digest for layer in manifest.layers] == [digest_of(1), digest_of(2)]
    assert manifest.annotations == {"k": "v"}
    assert manifest.children == ()
    assert manifest.subject is None


@pytest.mark.parametrize("media_type", [mt.OCI_INDEX, mt.DOCKER_INDEX])
def test_an_index(media_type):
    child = descriptor(1, mt.OCI_MANIFEST, platform={"os": "linux", "architecture": "arm64"})
    manifest = parse(index(child, mediaType=media_type), media_type)
    assert (manifest.media_type, manifest.kind) == (media_type, Kind.INDEX)
    assert [str(found.platform) for found in manifest.children] == ["linux/arm64"]
    assert manifest.config is None
    assert manifest.layers == ()


@pytest.mark.parametrize("content_type", [None, "", "application/json", "Application/JSON; a=b"])
@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        (image(mediaType=mt.DOCKER_MANIFEST), mt.DOCKER_MANIFEST),
        (index(mediaType=mt.DOCKER_INDEX), mt.DOCKER_INDEX),
        (image(), mt.OCI_MANIFEST),
        (index(), mt.OCI_INDEX),
        (image(mediaType=""), mt.OCI_MANIFEST),
    ],
)
def test_without_a_content_type_the_body_tells(document, media_type, content_type):
    assert parse(document, content_type).media_type == media_type


def test_parameters_and_case_of_the_content_type_do_not_matter():
    header = "Application/vnd.OCI.image.manifest.v1+json; charset=utf-8"
    assert parse(image(mediaType=mt.OCI_MANIFEST), header).media_type == mt.OCI_MANIFEST


def test_content_type_and_body_must_agree():
    text = refusal(image(mediaType=mt.OCI_MANIFEST), mt.DOCKER_MANIFEST)
    assert "They must be equal" in text
    assert mt.OCI_MANIFEST in text
    assert mt.DOCKER_MANIFEST in text
    refusal({"mediaType": "a/x+json"}, "a/y+json")


@pytest.mark.parametrize("content_type", [None, "application/json"])
def test_a_body_that_tells_nothing_is_refused(content_type):
    assert "Send it as Content-Type" in refusal({"schemaVersion": 2}, content_type)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "x", "a/b+json\r\nX: y"]
)
def test_content_that_is_not_json_by_its_type_is_refused(content_type):
    assert "is not the media type of a manifest" in refusal(image(), content_type)
    assert "is not the media type of a manifest" in refusal(image(mediaType=content_type))


@pytest.mark.parametrize("media_type", sorted(mt.SCHEMA1))
def test_schema_1_is_refused_with_a_clear_text(media_type):
    v1 = {"schemaVersion": 1, "fsLayers": [], "history": [], "signatures": []}
    for text in (
        refusal(v1, media_type),
        refusal(v1),
        refusal(v1 | {"mediaType": media_type}),
        refusal(image(schemaVersion=1), mt.DOCKER_MANIFEST),
    ):
        assert "schema 1 are obsolete" in text
        assert "Docker 1.10 or later" in text


# --- shape -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, 0, 3, 2.0, "2", True])
def test_the_schema_version_must_be_2(version):
    assert "schemaVersion" in refusal(image(schemaVersion=version), mt.OCI_MANIFEST)
    assert "schemaVersion" in refusal(index(schemaVersion=version), mt.OCI_INDEX)


@pytest.mark.parametrize("more", ["manifests", "fsLayers"])
def test_an_image_must_not_be_an_index_too(more):
    assert f"'{more}' is not allowed together with layers" in refusal(
        image(**{more: []}), mt.OCI_MANIFEST
    )


@pytest.mark.parametrize("more", ["config", "layers", "fsLayers"])
def test_an_index_must_not_be_an_image_too(more):
    assert f"'{more}' is not allowed together with manifests" in refusal(index(**{more: []}))


def test_a_second_spelling_of_a_field_is_refused():
    assert "must be written manifests" in refusal(image(Manifests=[]))
    assert "must be written digest" in refusal(image(layers=[descriptor(1, DIGEST="x")]))


def test_layers_and_children_may_be_empty_or_null():
    for nothing in ([], None):
        assert parse(image(layers=nothing)).layers == ()
        assert parse(index() | {"manifests": nothing}).children == ()


def test_what_makes_the_shape_must_be_there():
    assert "'config' is missing" in refusal(image(config=None), mt.OCI_MANIFEST)
    assert "'manifests' is missing" in refusal({"schemaVersion": 2}, mt.OCI_INDEX)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (image(layers={}), "'layers' must be a list"),
        (image(layers=[1]), "'layers[0]' must be an object"),
        (image(layers=[descriptor(1), descriptor(2, size=None)]), "'layers[1].size'"),
        (image(config=[]), "'config' must be an object"),
        (image(config={}), "'config.mediaType' is missing"),
        (image(subject="x"), "'subject' must be an object"),
        (image(subject={"mediaType": "a/b", "size": 1}), "'subject.digest' is not valid"),
        (image(artifactType=1), "'artifactType' must be a string"),
        (image(annotations=[]), "'annotations' must be an object"),
        (image(mediaType=1), "'mediaType' must be a string"),
        (index(descriptor(1, digest="x")), "'manifests[0].digest' is not valid"),
        (index(annotations={"a": None}), "'annotations.a' must be a string"),
    ],
)
def test_what_is_wrong_is_named(document, words):
    assert words in refusal(document)


def test_unknown_fields_are_kept_out_of_the_way():
    extra = {"org.example.custom": {"deep": [1, None]}}
    assert parse(image(**extra, config=descriptor(0, **extra))).kind is Kind.IMAGE
    assert parse(index(**extra)).kind is Kind.INDEX


def test_white_space_around_does_not_matter():
    body = b"\n " + json.dumps(image()).encode() + b"  \n"
    assert parse_manifest(body, mt.OCI_MANIFEST).kind is Kind.IMAGE


def test_a_manifest_of_nearly_4_mib_is_read():
    annotations = {f"large-annotation-{number}": "A" * 10_000 for number in range(390)}
    assert parse(image(annotations=annotations)).annotations == annotations


# --- references --------------------------------------------------------------------------------


def test_config_and_layers_are_required_each_once_and_foreign_layers_not():
    foreign = descriptor(3, FOREIGN, urls=["https://h/3"])
    manifest = parse(image(layers=[descriptor(1), foreign, descriptor(2), descriptor(1)]))
    assert [d.digest for d in manifest.required_blobs()] == [digest_of(n) for n in (0, 1, 2)]
    assert manifest.child_manifests() == ()
    assert manifest.references() == tuple(digest_of(n) for n in (0, 1, 3, 2))


def test_embedded_data_does_not_replace_the_blob():
    manifest = parse(image(config=descriptor(2, "application/vnd.oci.empty.v1+json", data="e30=")))
    assert [d.digest for d in manifest.required_blobs()] == [digest_of(2)]


def test_children_are_required_as_manifests_each_once():
    children = [
        descriptor(1, mt.OCI_MANIFEST),
        descriptor(2, mt.OCI_INDEX),
        descriptor(1, mt.OCI_MANIFEST),
    ]
    manifest = parse(index(*children))
    assert manifest.required_blobs() == ()
    assert [d.digest for d in manifest.child_manifests()] == [digest_of(1), digest_of(2)]
    assert manifest.references() == (digest_of(1), digest_of(2))


def test_blobs_that_a_build_cache_keeps_in_an_index_are_not_required_as_manifests():
    manifest = parse(
        index(descriptor(1, mt.OCI_LAYER_GZIP), descriptor(2, "application/x.cache.v0"))
    )
    assert manifest.child_manifests() == ()
    assert manifest.references() == (digest_of(1), digest_of(2))


def test_a_subject_is_read_and_never_required():
    subject = descriptor(9, mt.OCI_MANIFEST)
    for document in (image(subject=subject), index(subject=subject)):
        manifest = parse(document)
        assert manifest.subject.digest == digest_of(9)
        assert digest_of(9) not in manifest.references()


@pytest.mark.parametrize(
    ("document", "artifact_type"),
    [
        (image(artifactType="a/x"), "a/x"),
        (image(artifactType=""), mt.OCI_CONFIG),
        (image(), mt.OCI_CONFIG),
        (index(artifactType="a/x"), "a/x"),
        (index(), ""),
    ],
)
def test_the_artifact_type_as_listed_with_referrers(document, artifact_type):
    assert parse(document).artifact_type == artifact_type


def test_other_json_is_accepted_as_it_is_and_what_it_mentions_is_kept():
    document = {
        "blobs": [descriptor(1), {"digest": "no digest"}, {"digest": 7}, descriptor(1)],
        "subject": descriptor(2),
        "layers": "nonsense",
    }
    manifest = parse(document, "application/vnd.example.thing.v1+json")
    assert manifest.kind is Kind.OTHER
    assert manifest.media_type == "application/vnd.example.thing.v1+json"
    assert manifest.required_blobs() == manifest.child_manifests() == ()
    assert manifest.subject is None
    assert set(manifest.references()) == {digest_of(1), digest_of(2)}
    assert len(manifest.references()) == 2


# --- anything ----------------------------------------------------------------------------------

TYPES = st.sampled_from([None, mt.JSON, *mt.ACCEPTED, *mt.SCHEMA1, "a/b+json", "text/plain"])
KEYS = st.sampled_from(
    [
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "subject",
        "artifactType",
        "annotations",
        "digest",
        "size",
        "urls",
        "data",
        "platform",
        "os",
        "fsLayers",
        "Layers",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        [str(digest_of(1)), "sha256:x", "x:y", *mt.ACCEPTED, "https://h/x", "http://["]
    )
)
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(KEYS, v, max_size=5)
)
VALID = st.sampled_from(
    [image(), image(layers=[descriptor(1)]), index(descriptor(1, mt.OCI_INDEX))]
)


@given(st.builds(lambda base, more: base | more, VALID, st.dictionaries(KEYS, VALUES)), TYPES)
def test_any_json_is_a_manifest_or_a_registry_error(document, content_type):
    manifest, error = outcome(json.dumps(document).encode(), content_type)
    if error is not None:
        assert error.code is ErrorCode.MANIFEST_INVALID
        assert error.message.isprintable()
        return
    assert mt.is_json(manifest.media_type)
    assert {d.digest for d in manifest.required_blobs()} <= set(manifest.references())
    assert {d.digest for d in manifest.child_manifests()} <= set(manifest.references())


@given(st.binary(), st.none() | st.text())
def test_any_bytes_are_a_manifest_or_a_registry_error(body, content_type):
    _, error = outcome(body, content_type)
    assert error is None or error.code is ErrorCode.MANIFEST_INVALID


@pytest.mark.slow
def test_forty_thousand_children_take_no_long_time():
    body = json.dumps(index(*(descriptor(n, mt.OCI_MANIFEST) for n in range(40_000)))).encode()
    with cpu_limit(10):
        manifest = parse_manifest(body, mt.OCI_INDEX)
    assert len(manifest.child_manifests()) == 40_000


def outcome(body, content_type):
    try:
        return parse_manifest(body, content_type), None
    except RegistryError as error:
        return None, error
