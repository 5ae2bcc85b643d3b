import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman_docker.protocol import media_types as mt


def test_manifests_and_indexes_are_told_apart():
    assert mt.is_manifest(mt.OCI_MANIFEST)
    assert mt.is_manifest(mt.DOCKER_MANIFEST)
    assert mt.is_index(mt.OCI_INDEX)
    assert mt.is_index(mt.DOCKER_INDEX)
    assert not any(mt.is_manifest(t) or mt.is_index(t) for t in (mt.OCI_CONFIG, *mt.SCHEMA1))
    assert not any(mt.is_manifest(t) and mt.is_index(t) for t in mt.ACCEPTED)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ],
)
def test_foreign_layers_are_known(media_type):
    assert mt.is_foreign_layer(media_type)


@pytest.mark.parametrize(
    "media_type", [mt.OCI_LAYER, mt.OCI_LAYER_GZIP, mt.DOCKER_LAYER, "x/foreign", ""]
)
def test_other_layers_are_not_foreign(media_type):
    assert not mt.is_foreign_layer(media_type)


def test_upstreams_are_asked_for_all_types_in_one_line_and_never_for_schema_1():
    asked = mt.ACCEPT.split(", ")
    assert asked == list(mt.ACCEPTED)
    assert len(asked) == 5
    assert not mt.SCHEMA1 & set(asked)
    assert "*/*" not in asked


@pytest.mark.parametrize(
    "media_type", [*mt.ACCEPTED, mt.JSON, "application/vnd.x.y+json", "a/b+json"]
)
def test_json_types_are_known(media_type):
    assert mt.is_json(media_type)


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "json",
        "+json",
        "/+json",
        "text/plain",
        mt.SCHEMA1_SIGNED,
        "application/octet-stream",
        "a/b+json\r\nSet-Cookie: x",
        "a/b+json\n",
        "a/b c+json",
        "a/b/c+json",
        "é/b+json",
        "a/" + "b" * 200 + "+json",
    ],
)
def test_other_types_are_not_json(media_type):
    assert not mt.is_json(media_type)


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        (None, ""),
        ("", ""),
        ("application/json", "application/json"),
        (" Application/JSON ; charset=utf-8", "application/json"),
        (";x", ""),
    ],
)
def test_parameters_of_a_content_type_are_cut_off(header, media_type):
    assert mt.parse_content_type(header) == media_type


@given(st.text())
def test_any_text_can_be_asked_about(text):
    assert ";" not in mt.parse_content_type(text)
    for ask in (mt.is_manifest, mt.is_index, mt.is_foreign_layer, mt.is_json):
        assert ask(text) in (True, False)
