"""Images that were pushed by version 2, pulled by version 1."""

import gzip
import json
import secrets

import pytest

from tests.functional.docker.images import (
    DOCKER_LAYER,
    OCI_CONFIG,
    OCI_FOREIGN,
    OCI_MANIFEST,
    Image,
    descriptor,
    digest_of,
    index_of,
    make_image,
    manifest_of,
    to_json,
)
from tests.functional.docker_v1.conftest import V1, engine_of
from tests.functional.docker_v1.driver import Failures, make_tar


def image_with_history(count: int = 3) -> Image:
    """An image as docker builds it, with commands that made no layer."""
    tars = [make_tar(secrets.token_bytes(500)) for _ in range(count)]
    layers = tuple(gzip.compress(tar, mtime=0) for tar in tars)
    history = [{"created_by": "ENV a=b", "empty_layer": True}]
    history += [
        {"created_by": f"RUN {n}", "created": f"2020-01-0{n + 1}T00:00:00Z"} for n in range(count)
    ]
    config = to_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2020-02-01T00:00:00Z",
            "config": {"Env": ["a=b"], "Cmd": ["run"]},
            "history": history,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
        }
    )
    return Image(config, layers, manifest_of(config, layers, docker=True))


@pytest.mark.parametrize("is_old", [False, True])
def test_an_image_of_version_2_is_pulled(registry, engine, name, is_old):
    image = image_with_history()
    registry.push(name, "1", image)
    chain = engine.pull(name, "1", is_old=is_old)
    assert [each.layer for each in chain] == list(image.layers)
    commands = [each.fields["container_config"]["Cmd"] for each in chain[:-1]]
    assert commands == [["RUN 0"], ["RUN 1"]]
    assert [each.fields.get("created") for each in chain] == [
        "2020-01-01T00:00:00Z",
        "2020-01-02T00:00:00Z",
        "2020-02-01T00:00:00Z",
    ]
    top = chain[-1].fields
    assert top["config"] == {"Env": ["a=b"], "Cmd": ["run"]}
    assert (top["architecture"], top["os"]) == ("amd64", "linux")
    assert "rootfs" not in top
    assert "history" not in top


@pytest.fixture
def frozen(in_process):
    """Begin read-only mode until the end of the test."""
    database = in_process.repoman.database
    yield lambda: database.freeze("admin")
    database.release()


def test_an_image_that_no_engine_asked_for_before_is_pulled_in_read_only_mode(
    in_process, frozen, name
):
    registry, image = in_process.create(V1), image_with_history()
    registry.push(name, "1", image)
    frozen()
    engine = engine_of(registry)
    assert list(engine.send("GET", f"repositories/{name}/tags", is_first=True).json()) == ["1"]
    assert [each.layer for each in engine.pull(name, "1")] == list(image.layers)


def test_ids_come_from_content_alone(registry, engine, make, name, other_name):
    image = image_with_history()
    registry.push(name, "1", image)
    registry.push(other_name, "x", image)
    elsewhere = make()
    elsewhere.push(name, "1", image)
    ids = [each.id for each in engine.pull(name, "1")]
    assert ids == [each.id for each in engine.pull(other_name, "x")]
    assert ids == [each.id for each in engine_of(elsewhere).pull(name, "1")]


def test_images_share_their_lowest_layers(registry, engine, name):
    layers = [gzip.compress(make_tar(secrets.token_bytes(99)), mtime=0) for _ in range(3)]
    registry.push(name, "a", make_image(layers[0], layers[1], docker=True))
    registry.push(name, "b", make_image(layers[0], layers[2], docker=True))
    first, second = engine.pull(name, "a"), engine.pull(name, "b")
    assert first[0].id == second[0].id
    assert first[1].id != second[1].id


def test_a_moved_tag_is_another_image_at_once(registry, engine, name):
    registry.push(name, "1", make_image())
    before = engine.pull(name, "1")
    image = make_image()
    registry.push(name, "1", image)
    after = engine.pull(name, "1")
    assert after[-1].id != before[-1].id
    assert [each.layer for each in after] == list(image.layers)


def test_a_deleted_tag_and_its_images_are_gone(registry, engine, name):
    image = make_image()
    registry.push(name, "1", image)
    top = engine.pull(name, "1")[-1].id
    registry.delete(f"{name}/manifests/{image.digest}")
    assert engine.get(f"images/{top}/json").status == 404
    assert engine.get(f"images/{top}/layer").status == 404
    engine.pull(name, "1", failure=Failures.NO_IMAGE)


def test_a_broken_pull_goes_on_where_it_was(registry, engine, name):
    image = make_image(gzip.compress(make_tar(secrets.token_bytes(5000)), mtime=0))
    registry.push(name, "1", image)
    [pulled] = engine.pull(name, "1")
    rest = engine.resume(pulled.id, 1000)
    size = len(pulled.layer)
    assert rest.status == 206
    assert rest.headers["Content-Range"] == f"bytes 1000-{size - 1}/{size}"
    assert rest.body == pulled.layer[1000:]


def test_what_never_changes_is_not_sent_again(registry, engine, name):
    registry.push(name, "1", make_image())
    top = engine.pull(name, "1")[-1]
    since = "Thu, 01 Jan 1970 00:00:00 GMT"
    for what in ("json", "layer"):
        answer = engine.get(f"images/{top.id}/{what}")
        assert answer.headers["Last-Modified"] == since
        again = engine.get(f"images/{top.id}/{what}", **{"If-Modified-Since": since})
        assert again.status == 304


def test_head_is_get_without_a_body(registry, engine, name):
    registry.push(name, "1", make_image())
    top = engine.pull(name, "1")[-1]
    for path in (f"images/{top.id}/json", f"images/{top.id}/layer", f"repositories/{name}/images"):
        assert engine.send("HEAD", path).status == 200


@pytest.mark.parametrize("written", ["{0}", "library/{0}"])
@pytest.mark.parametrize("pushed", ["{0}", "library/{0}"])
def test_library_may_be_written_or_not(registry, engine, other_name, pushed, written):
    image = make_image()
    registry.push(pushed.format(other_name), "1", image)
    assert engine.pull(written.format(other_name), "1")[-1].layer == image.layers[-1]


def test_addresses_may_end_with_a_slash(registry, engine, name):
    registry.push(name, "1", make_image())
    top = engine.get(f"repositories/{name}/tags/1/").json()
    assert engine.get(f"repositories/{name}/tags/").json() == {"1": top}
    assert engine.get(f"images/{top}/ancestry/").status == 200


# --- What is offered -----------------------------------------------------------------------------


def push_index(registry, name: str, tag: str, *platforms: str) -> dict[str, Image]:
    """Push an image for each platform and an index of them."""
    images = {platform: make_image() for platform in platforms}
    children = []
    for platform, image in images.items():
        registry.push_blobs(name, image)
        registry.push_manifest(name, image.digest, image.manifest)
        os, _, architecture = platform.partition("/")
        children.append(
            descriptor(
                image.manifest, OCI_MANIFEST, platform={"os": os, "architecture": architecture}
            )
        )
    registry.push_manifest(name, tag, index_of(manifests=children))
    return images


def test_of_an_index_the_image_for_linux_on_amd64_is_taken(registry, engine, name):
    images = push_index(registry, name, "1", "unknown/unknown", "linux/arm64", "linux/amd64")
    chain = engine.pull(name, "1")
    assert tuple(each.layer for each in chain) == images["linux/amd64"].layers


def test_else_the_first_that_can_be_run(registry, engine, name):
    images = push_index(registry, name, "1", "unknown/unknown", "linux/arm64", "linux/s390x")
    chain = engine.pull(name, "1")
    assert tuple(each.layer for each in chain) == images["linux/arm64"].layers


def unusable(kind: str) -> Image:
    """An image that engines of version 1 cannot read."""
    image = make_image()
    layer = image.layers[0]
    if kind == "zstd":
        layers = [descriptor(layer, "application/vnd.oci.image.layer.v1.tar+zstd")]
    elif kind == "foreign":
        layers = [descriptor(layer, OCI_FOREIGN, urls=["https://example.org/layer"])]
    else:
        layers = [descriptor(layer, "application/wasm")]
    config = "application/vnd.acme.config+json" if kind == "artifact" else OCI_CONFIG
    fields = json.loads(image.manifest)
    manifest = to_json({**fields, "config": descriptor(image.config, config), "layers": layers})
    return Image(image.config, image.layers, manifest)


@pytest.mark.parametrize("kind", ["zstd", "foreign", "wasm", "artifact"])
def test_what_old_engines_cannot_read_has_no_tag_there(registry, engine, name, kind):
    registry.push(name, "good", make_image())
    registry.push(name, "bad", unusable(kind))
    assert set(engine.get(f"repositories/{name}/tags").json()) == {"good"}
    answer = engine.get(f"repositories/{name}/tags/bad")
    assert answer.status == 404
    assert "V1" in answer.json()["error"]


def test_an_index_of_nothing_that_runs_has_no_tag(registry, engine, name):
    push_index(registry, name, "1", "unknown/unknown")
    assert engine.get(f"repositories/{name}/tags/1").status == 404
    assert engine.get(f"repositories/{name}/tags").json() == {}


def test_an_image_without_layers_is_given_an_empty_one(registry, engine, name):
    config = to_json({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["x"]}})
    registry.push(name, "1", Image(config, (), manifest_of(config, ())))
    [image] = engine.pull(name, "1")
    assert gzip.decompress(image.layer) == bytes(1024)


@pytest.mark.parametrize("config", [b"[]", b"no json", to_json({"os": "linux"})])
def test_a_broken_config_is_no_failure_of_the_server(registry, engine, name, config):
    layer = secrets.token_bytes(50)
    registry.push(name, "1", Image(config, (layer,), manifest_of(config, (layer,))))
    assert engine.get(f"repositories/{name}/tags/1").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "images/short/json",
        "images/" + "0" * 64 + "/json",
        "images/" + "0" * 64 + "/layer",
        "images/" + "0" * 64 + "/files",
        "images/" + "0" * 64,
        "repositories/",
        "repositories/nobody/has/this/images",
        "repositories/nobody/has/tags/1",
        "private_images/" + "0" * 64 + "/json",
    ],
)
def test_what_is_not_there_is_absent(engine, path):
    answer = engine.get(path)
    assert answer.status == 404
    assert answer.json()["error"]


def test_the_media_type_of_layers_is_plain(registry, engine, name):
    image = make_image(docker=True)
    assert DOCKER_LAYER in image.manifest.decode()
    registry.push(name, "1", image)
    top = engine.pull(name, "1")[-1]
    answer = engine.get(f"images/{top.id}/layer")
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_too_many_layers_are_no_image_of_version_1(registry, engine, name):
    layer = gzip.compress(make_tar(b"x"), mtime=0)
    registry.push(name, "128", make_image(*[layer] * 128))
    registry.push(name, "129", make_image(*[layer] * 129))
    assert len(engine.pull(name, "128")) == 128
    assert set(engine.get(f"repositories/{name}/tags").json()) == {"128"}


def test_where_the_best_image_of_an_index_is_gone_the_next_is_taken(registry, engine, make, name):
    images = push_index(registry, name, "1", "linux/arm64", "linux/amd64")
    before = engine.pull(name, "1")
    registry.delete(f"{name}/manifests/{images['linux/amd64'].digest}")
    after = engine.pull(name, "1")
    assert tuple(each.layer for each in after) == images["linux/arm64"].layers
    assert engine.get(f"images/{before[-1].id}/json").status == 404
    registry.delete(f"{name}/manifests/{images['linux/arm64'].digest}")
    assert engine.get(f"repositories/{name}/tags/1").status == 404
    assert engine.get(f"images/{after[-1].id}/json").status == 404
    assert engine.get(f"repositories/{name}/tags").json() == {}


def test_of_an_index_an_image_that_can_be_read_is_taken(registry, engine, name):
    bad, good = unusable("zstd"), make_image()
    for image in (bad, good):
        registry.push_blobs(name, image)
        registry.push_manifest(name, image.digest, image.manifest)
    platform = {"os": "linux", "architecture": "amd64"}
    children = [descriptor(each.manifest, OCI_MANIFEST, platform=platform) for each in (bad, good)]
    registry.push_manifest(name, "1", index_of(manifests=children))
    assert tuple(each.layer for each in engine.pull(name, "1")) == good.layers


def test_windows_is_not_run(registry, engine, name):
    push_index(registry, name, "1", "windows/amd64")
    assert engine.get(f"repositories/{name}/tags/1").status == 404
    images = push_index(registry, name, "2", "windows/amd64", "linux/arm64")
    chain = engine.pull(name, "2")
    assert tuple(each.layer for each in chain) == images["linux/arm64"].layers
