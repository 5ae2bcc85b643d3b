"""Ids, JSON and paths of version 1, without a server."""

import gzip
import hashlib
import json

import pytest

from repoman_docker.protocol.v1 import (
    EMPTY_DIFF_ID,
    EMPTY_LAYER,
    EMPTY_LAYER_DIGEST,
    BrokenJson,
    Kind,
    V1Route,
    derive_chain,
    history_of,
    is_image_id,
    layer_id,
    long_name,
    match_repository,
    parse_fields,
    render_config,
    short_name,
    top_id,
)

EMPTY_HASH = EMPTY_LAYER_DIGEST.removeprefix("sha256:")


def test_the_id_of_the_empty_layer_is_what_every_registry_says():
    found = layer_id(EMPTY_HASH, "")
    assert found == "3690474eb5b4b26fdfbd89c6e159e8cc376ca76ef48032a30fa6aafd56337880"


def test_the_empty_layer_is_a_tar_without_files():
    assert hashlib.sha256(EMPTY_LAYER).hexdigest() == EMPTY_HASH
    tar = gzip.decompress(EMPTY_LAYER)
    assert tar == bytes(1024)
    assert f"sha256:{hashlib.sha256(tar).hexdigest()}" == EMPTY_DIFF_ID


def test_the_last_id_depends_on_the_config():
    assert top_id("a", "b", b"{}") == hashlib.sha256(b"a b {}").hexdigest()
    assert top_id("a", "b", b"{}") != top_id("a", "b", b"{ }")


@pytest.mark.parametrize("text", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n"])
def test_other_texts_are_no_ids(text):
    assert not is_image_id(text)
    assert is_image_id("0" * 64)


@pytest.mark.parametrize(
    ("text", "short", "long"),
    [
        ("app", "app", "library/app"),
        ("library/app", "app", "library/app"),
        ("team/app", "team/app", "team/app"),
        ("library/team/app", "library/team/app", "library/team/app"),
    ],
)
def test_names_have_two_forms(text, short, long):
    assert short_name(text) == short
    assert long_name(short) == long


def test_a_chain_keeps_what_the_config_says():
    config = json.dumps(
        {
            "os": "linux",
            "rootfs": {"type": "layers"},
            "history": [
                {"created_by": "one", "author": "x"},
                {"created_by": "two", "empty_layer": True},
                {"created_by": "three"},
            ],
        }
    ).encode()
    low, top = derive_chain(config, ["1" * 64, "2" * 64])
    assert json.loads(low.json) == {
        "id": low.id,
        "author": "x",
        "container_config": {"Cmd": ["one"]},
    }
    assert json.loads(top.json) == {"id": top.id, "parent": low.id, "os": "linux"}


def test_a_history_that_does_not_fit_is_not_told():
    low, _ = derive_chain(b'{"history": [{"created_by": "one"}]}', ["1" * 64, "2" * 64])
    assert json.loads(low.json)["container_config"] == {"Cmd": [""]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b"{",
        b'"a"',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_object_is_refused(body):
    with pytest.raises(BrokenJson):
        parse_fields(body)


def test_a_config_is_made_of_a_chain_in_the_same_bytes_each_time():
    top = {"id": "1", "parent": "2", "Size": 3, "throwaway": True, "config": {"Cmd": ["x"]}}
    config = render_config(top, [{"created_by": "x"}], ["sha256:1"])
    assert config == render_config(dict(reversed(top.items())), [{"created_by": "x"}], ["sha256:1"])
    assert json.loads(config) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["x"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
        "history": [{"created_by": "x"}],
    }


@pytest.mark.parametrize(
    "fields",
    [{}, {"container_config": None}, {"container_config": []}, {"container_config": {"Cmd": 3}}],
)
def test_a_history_without_a_command_is_no_failure(fields):
    assert set(history_of(fields)) <= {"created_by"}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("app", V1Route(Kind.REPOSITORY, "app")),
        ("team/app/", V1Route(Kind.REPOSITORY, "team/app")),
        ("team/app/images", V1Route(Kind.IMAGES, "team/app")),
        ("app/images/", V1Route(Kind.IMAGES, "app")),
        ("a/b/c/tags", V1Route(Kind.TAGS, "a/b/c")),
        ("app/tags/1.0", V1Route(Kind.TAG, "app", "1.0")),
        ("app/tags/images", V1Route(Kind.TAG, "app", "images")),
        ("team/app/tags/1/json", V1Route(Kind.TAG_JSON, "team/app", "1")),
        ("team/app/json", V1Route(Kind.JSON, "team/app")),
        ("team/app/properties", V1Route(Kind.PROPERTIES, "team/app")),
        ("team/app/auth", V1Route(Kind.AUTH, "team/app")),
        ("app/layer/0/access", V1Route(Kind.LAYER_ACCESS, "app", "0")),
        ("", None),
        ("/", None),
    ],
)
def test_paths_are_taken_apart_from_the_right(path, place):
    assert match_repository(path) == place
