"""Images that are pushed by version 1, and pulled by both."""

import bz2
import gzip
import hashlib
import json
import secrets

import pytest

from tests.functional.docker.images import DOCKER_MANIFEST, digest_of, make_image
from tests.functional.docker_v1.conftest import engine_of
from tests.functional.docker_v1.driver import (
    Failures,
    Mistake,
    Refused,
    V1Image,
    make_chain,
    make_tar,
)

EMPTY_GZIP = bytes.fromhex("1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000")


def test_what_version_1_pushes_both_versions_pull(registry, engine, name):
    chain = make_chain(3)
    assert engine.push(name, "1.0", chain) == [each.id for each in chain]
    assert engine.pull(name, "1.0") == chain
    manifest = json.loads(registry.pull(name, "1.0"))
    assert manifest["mediaType"] == DOCKER_MANIFEST
    assert [each["digest"] for each in manifest["layers"]] == [digest_of(c.layer) for c in chain]
    assert registry.tags(name) == ["1.0"]


def test_the_config_for_version_2_is_made_of_the_images(registry, engine, name):
    chain = make_chain(2, author="Ann", comment="done")
    engine.push(name, "1", chain)
    manifest = json.loads(registry.pull(name, "1"))
    config = registry.get(f"{name}/blobs/{manifest['config']['digest']}").json()
    assert config["rootfs"] == {
        "type": "layers",
        "diff_ids": [digest_of(gzip.decompress(each.layer)) for each in chain],
    }
    assert config["history"] == [
        {"created": "2015-03-01T10:20:30.123456789Z", "created_by": "/bin/sh -c step 0"},
        {
            "created": "2015-03-02T10:20:30.123456789Z",
            "created_by": "/bin/sh -c step 1",
            "author": "Ann",
            "comment": "done",
        },
    ]
    assert (config["architecture"], config["os"]) == ("amd64", "linux")
    assert config["config"] == {"Cmd": ["run"]}
    assert not {"id", "parent", "Size"} & set(config)


def test_a_repeated_push_sends_and_changes_nothing(registry, engine, name):
    chain = make_chain()
    engine.push(name, "1", chain)
    before = registry.pull(name, "1")
    assert engine.push(name, "1", chain) == []
    assert registry.pull(name, "1") == before


def test_a_second_tag_sends_nothing(registry, engine, name):
    chain = make_chain()
    engine.push(name, "1", chain)
    assert engine.push(name, "2", chain) == []
    assert engine.pull(name, "2") == chain
    assert registry.tags(name) == ["1", "2"]


def test_an_image_upon_another_sends_its_own_layer_only(engine, name, other_name):
    base = make_chain(2)
    engine.push(name, "base", base)
    chain = [*base, *make_chain(1, parent=base[-1].id)]
    assert engine.push(
        other_name,
        "1",
        chain,
    ) in ([chain[-1].id], [each.id for each in chain])
    assert engine.pull(other_name, "1") == chain


def test_images_of_another_name_stay_when_that_is_deleted(registry, name, other_name):
    engine = engine_of(registry, basic=True)
    base = make_chain(2)
    engine.push(name, "base", base)
    chain = [*base, *make_chain(1, parent=base[-1].id)]
    assert engine.push(other_name, "1", chain) == [chain[-1].id]
    digest = registry.head(f"{name}/manifests/base").headers["Docker-Content-Digest"]
    assert registry.delete(f"{name}/manifests/{digest}").status == 202
    assert engine.pull(other_name, "1") == chain
    registry.pull(other_name, "1")


def test_an_image_upon_one_of_version_2_is_pushed(registry, engine, name):
    tars = [make_tar(secrets.token_bytes(300)) for _ in range(2)]
    image = make_image(*tars, docker=True)
    registry.push(name, "base", image)
    base = engine.pull(name, "base")
    chain = [*base, *make_chain(1, parent=base[-1].id)]
    assert engine.push(name, "1", chain) == [chain[-1].id]
    assert engine.pull(name, "1") == chain
    manifest = json.loads(registry.pull(name, "1"))
    config = registry.get(f"{name}/blobs/{manifest['config']['digest']}").json()
    assert config["rootfs"]["diff_ids"][:2] == [digest_of(tar) for tar in tars]


def test_version_2_moves_the_tag_for_version_1(registry, engine, name):
    engine.push(name, "1", make_chain())
    image = make_image()
    registry.push(name, "1", image)
    assert tuple(each.layer for each in engine.pull(name, "1")) == image.layers


def test_version_1_moves_the_tag_for_version_2(registry, engine, name):
    registry.push(name, "1", make_image())
    chain = make_chain()
    engine.push(name, "1", chain)
    manifest = json.loads(registry.pull(name, "1"))
    assert [each["digest"] for each in manifest["layers"]] == [digest_of(c.layer) for c in chain]


def test_a_tar_without_compression_is_stored_as_it_is(registry, engine, name):
    [image] = make_chain(1)
    image = V1Image(image.json, gzip.decompress(image.layer))
    engine.push(name, "1", [image])
    assert engine.pull(name, "1") == [image]
    manifest = json.loads(registry.pull(name, "1"))
    assert manifest["layers"][0]["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar"
    config = registry.get(f"{name}/blobs/{manifest['config']['digest']}").json()
    assert config["rootfs"]["diff_ids"] == [digest_of(image.layer)]


def test_an_image_with_two_tags_stands_twice_in_the_list(engine, name):
    [image] = make_chain(1)
    listed = [{"id": image.id, "Tag": "1"}, {"id": image.id, "Tag": "2"}]
    assert engine.put(f"repositories/{name}/", listed, is_first=True).status == 200
    engine.push(name, "1", [image])
    assert engine.put(f"repositories/{name}/tags/2", image.id).status == 200
    assert engine.get(f"repositories/{name}/tags").json() == {"1": image.id, "2": image.id}


def test_the_checksum_is_that_of_the_specification(engine, name):
    body = json.dumps({"id": "a" * 64}, separators=(",", ":")).encode()
    image = V1Image(body, EMPTY_GZIP)
    expected = "965e145fe5a8f17e0b6eec1a6aa3e4018250fdc1cefd1740f35cb786b4ca9706"
    assert image.payload == f"sha256:{expected}"
    engine.push(name, "1", [image])
    answer = engine.get(f"images/{image.id}/json")
    assert answer.headers["X-Docker-Checksum-Payload"] == f"sha256:{expected}"
    assert answer.body == body


def test_what_version_2_has_pushed_stays_what_it_is_when_version_1_tags_it(registry, engine, name):
    image = make_image()
    registry.push(name, "1", image)
    chain = engine.pull(name, "1")
    assert engine.push(name, "1", chain) == []
    assert engine.push(name, "2", chain) == []
    for tag in ("1", "2"):
        assert registry.pull(name, tag) == image.manifest
    registry.delete(f"{name}/manifests/{image.digest}")
    assert engine.put(f"repositories/{name}/tags/3", chain[-1].id).status == 404


def test_a_policy_lets_version_1_repeat_what_version_2_has_pushed(make, name):
    registry = make(storage__write_policy="allow_once")
    registry.push(name, "1", make_image())
    engine = engine_of(registry)
    chain = engine.pull(name, "1")
    assert engine.push(name, "1", chain) == []


@pytest.mark.parametrize("written", ["{0}", "library/{0}"])
def test_a_new_name_is_what_was_written(registry, engine, other_name, written):
    chain = make_chain()
    name = written.format(other_name)
    engine.push(name, "1", chain)
    assert registry.pull(name, "1")
    assert engine.pull(name, "1") == chain
    assert engine.push(name, "2", make_chain())
    assert registry.tags(name) == ["1", "2"]


def test_a_push_goes_on_where_it_has_begun(registry, engine, other_name):
    [one], [two] = make_chain(1), make_chain(1)
    engine.push(other_name, "1", [one], mistake=Mistake.DIES_BEFORE_TAG)
    engine.token = ""
    engine.push(f"library/{other_name}", "1", [two])
    assert registry.tags(f"library/{other_name}") == ["1"]
    assert engine.pull(f"library/{other_name}", "1") == [two]


def test_the_end_of_a_push_ends_none_to_a_name_below(registry, name):
    engine = engine_of(registry, basic=True)
    [image] = make_chain(1)
    engine.push(name, "1", [image])
    engine.put(f"repositories/{name}/below/", [{"id": image.id}], is_first=True)
    assert engine.put(f"repositories/{name}/images", [], is_first=True).status == 204
    assert engine.send("PUT", f"images/{image.id}/json", image.json).status == 200


# --- What goes wrong ---


@pytest.mark.parametrize(
    ("mistake", "failure"),
    [
        (Mistake.WRONG_CHECKSUM, Failures.WRONG_CHECKSUM),
        (Mistake.NO_CHECKSUM, Failures.NO_CHECKSUM),
        (Mistake.NO_PARENT, Failures.MISSING_PARENT),
        (Mistake.NOT_ANNOUNCED, Failures.NOT_ANNOUNCED),
        (Mistake.NO_JSON, Failures.NO_JSON),
        (Mistake.WRONG_ID, Failures.WRONG_ID),
        (Mistake.BROKEN_LAYER, Failures.BROKEN_LAYER),
    ],
)
def test_a_push_gone_wrong_leaves_nothing_to_be_seen(registry, engine, name, mistake, failure):
    chain = make_chain()
    engine.push(name, "1", chain, mistake=mistake, failure=failure)
    engine.pull(name, "1", failure=Failures.NO_IMAGE)
    assert registry.tags(name) == []
    assert engine.get(f"images/{chain[-1].id}/json").status == 404
    engine.push(name, "1", chain)
    assert engine.pull(name, "1") == chain


@pytest.mark.parametrize(
    "mistake", [Mistake.DIES_AFTER_JSON, Mistake.DIES_AFTER_LAYER, Mistake.DIES_BEFORE_TAG]
)
def test_a_push_that_died_is_done_again_from_where_it_was(registry, engine, name, mistake):
    chain = make_chain(3)
    engine.push(name, "1", chain, mistake=mistake)
    engine.pull(name, "1", failure=Failures.NO_IMAGE)
    assert registry.tags(name) == []
    sent = engine.push(name, "1", chain)
    assert sent == ([] if mistake is Mistake.DIES_BEFORE_TAG else [chain[-1].id])
    assert engine.pull(name, "1") == chain


@pytest.mark.parametrize("layer", [b"", b"no tar", bz2.compress(make_tar(b"x")), b"\x1f\x8bxx"])
def test_what_is_no_tar_is_refused(engine, name, layer):
    [image] = make_chain(1)
    engine.push(name, "1", [V1Image(image.json, layer)], failure=Failures.BROKEN_LAYER)


def test_two_images_with_the_same_layer_share_its_bytes(registry, engine, name):
    first, second = make_chain(2)
    second = V1Image(second.json, first.layer)
    engine.push(name, "1", [first, second])
    manifest = json.loads(registry.pull(name, "1"))
    assert len({each["digest"] for each in manifest["layers"]}) == 1
    assert engine.pull(name, "1") == [first, second]


def test_steps_out_of_order_are_refused(engine, name):
    first, second = make_chain(2)
    listed = [{"id": first.id}, {"id": second.id, "Tag": "1"}]
    engine.put(f"repositories/{name}/", listed, is_first=True)
    path = f"images/{first.id}"
    assert engine.send("PUT", f"{path}/layer", [first.layer]).status == 404
    headers = {"X-Docker-Checksum-Payload": first.payload}
    assert engine.send("PUT", f"{path}/checksum", b"", headers).status == 404
    assert engine.put(f"repositories/{name}/tags/1", second.id).status == 404
    assert engine.send("PUT", f"{path}/json", first.json).status == 200
    assert engine.send("PUT", f"{path}/checksum", b"", headers).status == 409
    assert engine.put(f"repositories/{name}/tags/1", first.id).status == 404
    assert engine.send("PUT", f"{path}/layer", [first.layer]).status == 200
    empty = {"X-Docker-Checksum-Payload": ""}
    assert engine.send("PUT", f"{path}/checksum", b"", empty).status == 400
    assert engine.send("PUT", f"{path}/checksum", b"", headers).status == 200
    assert engine.send("PUT", f"{path}/checksum", b"", headers).status == 200
    answer = engine.send("PUT", f"{path}/json", first.json)
    assert (answer.status, answer.json()) == (409, {"error": "Image already exists"})
    assert engine.send("PUT", f"{path}/layer", [first.layer]).status == 200
    assert engine.send("PUT", f"{path}/layer", [second.layer]).status == 409


def test_the_layer_belongs_to_its_json(engine, name):
    [image] = make_chain(1)
    engine.put(f"repositories/{name}/", [{"id": image.id}], is_first=True)
    path = f"images/{image.id}"
    engine.send("PUT", f"{path}/json", image.json)
    engine.send("PUT", f"{path}/layer", [image.layer])
    other = image.json + b" "
    assert engine.send("PUT", f"{path}/json", other).status == 200
    headers = {"X-Docker-Checksum-Payload": image.payload}
    assert engine.send("PUT", f"{path}/checksum", b"", headers).status == 409


def test_old_engines_know_another_checksum(engine, name):
    [image] = make_chain(1)
    engine.put(f"repositories/{name}/", [{"id": image.id}], is_first=True)
    path = f"images/{image.id}"
    engine.send("PUT", f"{path}/json", image.json)
    engine.send("PUT", f"{path}/layer", [image.layer])
    headers = {"X-Docker-Checksum": f"tarsum+sha256:{hashlib.sha256(b'').hexdigest()}"}
    assert engine.send("PUT", f"{path}/checksum", b"", headers).status == 200
    assert engine.get(f"{path}/json").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Docker-Checksum-Payload": "tarsum+sha256:" + "0" * 64},
        {"X-Docker-Checksum-Payload": "sha256:"},
        {"X-Docker-Checksum-Payload": "md5:" + "0" * 32},
        {"X-Docker-Payload-Checksum": "0" * 64},
        {"X-Docker-Checksum": "something"},
        {"X-Docker-Checksum": "sha256:" + "0" * 64},
    ],
)
def test_a_checksum_that_says_nothing_completes_no_image(engine, name, headers):
    [image] = make_chain(1)
    engine.put(f"repositories/{name}/", [{"id": image.id}], is_first=True)
    path = f"images/{image.id}"
    engine.send("PUT", f"{path}/json", image.json)
    engine.send("PUT", f"{path}/layer", [image.layer])
    assert engine.send("PUT", f"{path}/checksum", b"", headers).status == 400
    assert engine.get(f"{path}/json").status == 404
    assert engine.push(name, "1", [image]) == [image.id]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{}", b'"a"', b"[1]", b'[{"id": 1}]', b'[{"id": "short"}]', b"[" * 9999]
)
def test_what_is_no_list_of_images_is_refused(engine, name, body):
    answer = engine.send("PUT", f"repositories/{name}/", body, is_first=True)
    assert answer.status == 400
    answer = engine.send("PUT", f"repositories/{name}/images", body, is_first=True)
    assert answer.status in (204, 400)


@pytest.mark.parametrize("value", [1, None, {}, "short", "0" * 64])
def test_a_tag_needs_the_id_of_an_image(engine, name, value):
    assert engine.put(f"repositories/{name}/tags/1", value).status in (400, 404)


@pytest.mark.parametrize("body", [b"{}", b'{"parent": "x"}', b'{"ID": "x"}'])
def test_the_json_of_an_image_needs_its_id(engine, name, body):
    [image] = make_chain(1)
    engine.put(f"repositories/{name}/", [{"id": image.id}], is_first=True)
    answer = engine.send("PUT", f"images/{image.id}/json", body)
    assert (answer.status, answer.json()) == (400, {"error": "Missing key `id' in JSON"})


def test_an_image_upon_itself_is_refused(engine, name):
    image_id = secrets.token_hex(32)
    body = json.dumps({"id": image_id, "parent": image_id}).encode()
    engine.put(f"repositories/{name}/", [{"id": image_id}], is_first=True)
    assert engine.send("PUT", f"images/{image_id}/json", body).status == 400


def test_a_layer_that_a_push_has_left_is_not_deleted_under_it(registry, engine, name):
    [image] = make_chain(1)
    engine.push(name, "1", [image], mistake=Mistake.DIES_AFTER_LAYER)
    answer = registry.delete(f"{name}/blobs/{digest_of(image.layer)}")
    assert answer.status == 405
    assert image.id in answer.message
    assert engine.push(name, "1", [image]) == [image.id]


# --- Rules ---


def test_a_tag_that_must_not_move_is_refused_before_the_layers(make, name):
    registry = make(storage__write_policy="allow_once")
    engine = engine_of(registry)
    chain = make_chain()
    engine.push(name, "1", chain)
    assert engine.push(name, "1", chain) == []
    assert engine.push(name, "1", make_chain(), failure=Failures.REDEPLOY) == []
    other = make_chain(1)
    engine.push(name, "2", other)
    assert engine.put(f"repositories/{name}/tags/1", other[-1].id).status == 403
    assert engine.pull(name, "1") == chain


def test_latest_may_move_where_that_is_set(make, name):
    registry = make(storage__write_policy="allow_once", storage__redeploy_latest=True)
    engine = engine_of(registry)
    engine.push(name, "latest", make_chain())
    chain = make_chain()
    engine.push(name, "latest", chain)
    assert engine.pull(name, "latest") == chain
    engine.push(name, "1", chain)
    assert engine.push(name, "1", make_chain(), failure=Failures.REDEPLOY) == []


def test_a_repository_that_is_only_read_takes_nothing(make, name):
    engine = engine_of(make(storage__write_policy="deny"))
    assert engine.push(name, "1", make_chain(), failure=Failures.READ_ONLY) == []


# --- Deleting ---


def test_a_tag_is_deleted_for_both_versions(registry, engine, name):
    engine.push(name, "1", make_chain())
    assert engine.send("DELETE", f"repositories/{name}/tags/1").status in (200, 401)
    engine = engine_of(registry, basic=True)
    engine.send("DELETE", f"repositories/{name}/tags/1")
    assert registry.tags(name) == []
    assert engine.send("DELETE", f"repositories/{name}/tags/1").status == 404
    assert engine.get(f"repositories/{name}/tags").json() == {}


def test_a_manifest_that_is_deleted_takes_its_images_along(registry, engine, name):
    chain = make_chain()
    engine.push(name, "1", chain)
    digest = registry.head(f"{name}/manifests/1").headers["Docker-Content-Digest"]
    registry.delete(f"{name}/manifests/{digest}")
    for image in chain:
        assert engine.get(f"images/{image.id}/json").status == 404
    assert engine.push(name, "1", chain) == [each.id for each in chain]
    assert engine.pull(name, "1") == chain


@pytest.mark.parametrize("path", ["repositories/{}/", "repositories/{}/tags"])
def test_an_image_is_deleted_whole(registry, name, path):
    engine = engine_of(registry, basic=True)
    chain = make_chain()
    engine.push(name, "1", chain)
    engine.push(name, "2", make_chain())
    digest = registry.push(name, "3", make_image())
    assert engine.send("DELETE", path.format(name), is_first=True).status == 200
    assert registry.get(f"{name}/tags/list").status == 404
    assert registry.get(f"{name}/manifests/{digest}").status == 404
    assert engine.get(f"search?q={name}").json()["results"] == []
    assert engine.get(f"images/{chain[0].id}/json").status == 404
    assert engine.send("DELETE", path.format(name), is_first=True).status == 404
    assert engine.push(name, "1", chain) == [each.id for each in chain]


def test_what_a_registry_is_asked_besides(registry, name):
    engine = engine_of(registry, basic=True)
    chain = make_chain()
    engine.push(name, "1", chain)
    base = f"repositories/{name}"
    assert engine.send("DELETE", f"{base}/images").status == 204
    assert engine.get(f"{base}/tags/1/json").json()["docker_version"] == "1.5.0"
    assert engine.get(f"{base}/json").json()["last_update"] is None
    assert engine.get(f"{base}/properties").json() == {"access": "private"}
    assert engine.put(f"{base}/properties", {"access": "public"}).status == 405
    assert engine.put(f"{base}/auth", "").status == 403
    assert engine.get(f"{base}/layer/{chain[0].id}/access").json() == {"access": True}
    assert engine.get(f"{base}/layer/{'0' * 64}/access").json() == {"access": False}
    token = engine_of(registry)
    token.pull(name, "1")
    assert token.put(f"{base}/auth", "").status == 200


@pytest.mark.parametrize("part", ["layer", "json"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_repeated_push_heals_what_has_lost_its_bytes(site, registry, engine, name, part, place):
    chain = make_chain(2)
    engine.push(name, "1", chain)
    manifest = registry.pull(name, "1")
    lost = chain[place].layer if part == "layer" else chain[place].json
    digest = digest_of(lost).removeprefix("sha256:")
    (site.data / "blobs/default/sha256" / digest[:2] / digest).unlink()
    engine.push(name, "1", chain)
    assert engine.pull(name, "1") == chain
    assert registry.pull(name, "1") == manifest


def test_a_full_repository_says_so_to_the_engine(make):
    registry = make(quota__limit=4000)
    engine = engine_of(registry)
    engine.push("team/app", "1", make_chain(1))
    with pytest.raises(Refused) as refused:
        engine.push("team/app", "2", make_chain(3))
    assert refused.value.answer.status == 403
    text = refused.value.answer.json()["error"]
    assert text.startswith(f"The repository {registry.repository} has used ")
    assert "of its quota of 3.9 KiB" in text
    assert text.endswith("Delete something, or ask an administrator.")
    assert len(engine.pull("team/app", "1")) == 1
    engine.pull("team/app", "2", failure=Failures.NO_TAG)
