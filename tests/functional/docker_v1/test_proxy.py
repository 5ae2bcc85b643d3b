"""Proxies by version 1: of remotes that speak version 2, and of those that speak only version 1."""

import gzip
import json
import secrets
from collections.abc import Iterator

import pytest

from tests.fakes.registry import Fault
from tests.fakes.v1_registry import FakeV1Registry, fake_v1_registry
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import digest_of, index_of, make_image
from tests.functional.docker_proxy.proxies import DAY, HOUR
from tests.functional.docker_v1.conftest import engine_of
from tests.functional.docker_v1.driver import Engine, Failures, V1Image, make_chain


@pytest.fixture
def old() -> Iterator[FakeV1Registry]:
    """A remote that speaks only version 1."""
    with fake_v1_registry() as registry:
        yield registry


@pytest.fixture
def proxy(make_proxy, upstream) -> Registry:
    return make_proxy(upstream.url, docker__v1_enabled=True)


@pytest.fixture
def of_old(make_proxy, old) -> Registry:
    return make_proxy(old.url, docker__v1_enabled=True, docker_proxy__v1_remote=True)


# --- Remotes of version 2 ---


@pytest.mark.parametrize("name", ["app", "library/app", "team/app", "a/b/c"])
def test_what_is_not_cached_yet_is_pulled(proxy, upstream, name):
    image = make_image()
    upstream.put(name, "1", image)
    chain = engine_of(proxy).pull(name, "1")
    assert tuple(each.layer for each in chain) == image.layers


def test_an_index_is_resolved(proxy, upstream):
    images = [make_image(), make_image()]
    for image in images:
        upstream.put("app", image.digest, image)
    upstream.put_manifest("app", "1", index_of(*(each.manifest for each in images)))
    chain = engine_of(proxy).pull("app", "1")
    assert tuple(each.layer for each in chain) == images[0].layers


def test_a_second_pull_asks_the_remote_nothing(proxy, upstream):
    upstream.put("team/app", "1", make_image())
    engine = engine_of(proxy)
    first = engine.pull("team/app", "1")
    before = len(upstream.lines())
    assert engine.pull("team/app", "1") == first
    assert len(upstream.lines()) == before


def test_a_tag_moves_when_its_age_is_over(proxy, upstream, clock):
    upstream.put("team/app", "1", make_image())
    engine = engine_of(proxy)
    first = engine.pull("team/app", "1")
    image = make_image()
    upstream.put("team/app", "1", image)
    assert engine.pull("team/app", "1") == first
    clock.jump(2 * DAY)
    chain = engine.pull("team/app", "1")
    assert tuple(each.layer for each in chain) == image.layers
    assert engine.pull("team/app", "1", is_old=True) == chain


def test_what_the_remote_has_not_is_absent(proxy, upstream):
    engine = engine_of(proxy)
    engine.pull("team/nothing", "1", failure=Failures.NO_IMAGE)
    upstream.put("team/app", "1", make_image())
    engine.pull("team/app", "2", failure=Failures.NO_TAG)


def test_one_config_that_cannot_be_had_does_not_hide_the_other_tags(proxy, upstream):
    good, bad = make_image(), make_image(b"bad")
    upstream.put("team/app", "good", good)
    upstream.put("team/app", "bad", bad)
    for tag in ("good", "bad"):
        assert proxy.get(f"team/app/manifests/{tag}").status == 200
    upstream.faults.append(Fault(digest_of(bad.config), status=503))
    assert set(engine_of(proxy).get("repositories/team/app/tags").json()) == {"good"}
    assert engine_of(proxy).get("repositories/team/app/tags/bad").status in (502, 503)


# --- Remotes of version 1 ---


@pytest.mark.parametrize("name", ["team/app", "library/app", "app"])
def test_images_of_version_1_are_pulled_by_both(of_old, old, name):
    chain = make_chain(3)
    old.put(name.removeprefix("library/"), "1", chain)
    assert engine_of(of_old).pull(name, "1") == chain
    manifest = json.loads(of_old.pull(name, "1"))
    assert [each["digest"] for each in manifest["layers"]] == [digest_of(c.layer) for c in chain]


def test_version_2_may_come_first(of_old, old):
    chain = make_chain()
    old.put("team/app", "1", chain)
    manifest = json.loads(of_old.pull("team/app", "1"))
    config = of_old.get(f"team/app/blobs/{manifest['config']['digest']}").json()
    assert config["rootfs"]["diff_ids"] == [digest_of(gzip.decompress(c.layer)) for c in chain]
    assert of_old.tags("team/app") == ["1"]
    assert engine_of(of_old).pull("team/app", "1") == chain


def test_images_are_fetched_once_for_ever(of_old, old, clock):
    base = make_chain(2)
    old.put("team/app", "1", base)
    engine = engine_of(of_old)
    engine.pull("team/app", "1")
    clock.jump(400 * DAY)
    old.put("team/app", "2", [*base, *make_chain(1, parent=base[-1].id)])
    engine.pull("team/app", "2")
    assert engine.pull("team/app", "1") == base
    for image in base:
        assert old.count(f"{image.id}/layer") == 1
        assert old.count(f"{image.id}/json") == 1


def test_a_tag_is_asked_about_when_its_age_is_over(of_old, old, clock):
    first, second = make_chain(), make_chain()
    old.put("team/app", "1", first)
    engine = engine_of(of_old)
    engine.pull("team/app", "1")
    asked = old.count("tags/1")
    engine.pull("team/app", "1")
    assert old.count("tags/1") == asked
    clock.jump(2 * DAY)
    assert engine.pull("team/app", "1") == first
    assert old.count("tags/1") == asked + 1
    assert old.count("ancestry") == 1
    old.put("team/app", "1", second)
    clock.jump(2 * DAY)
    assert engine.pull("team/app", "1") == second
    assert json.loads(of_old.pull("team/app", "1"))["layers"]


def test_what_is_cached_outlives_the_remote(of_old, old, clock):
    chain = make_chain()
    old.put("team/app", "1", chain)
    engine_of(of_old).pull("team/app", "1")
    old.stop()
    clock.jump(2 * DAY)
    assert engine_of(of_old).pull("team/app", "1") == chain
    assert of_old.pull("team/app", "1")


def test_a_login_at_the_remote_gives_a_token(make_proxy):
    with fake_v1_registry(login=("joe", "secret")) as old:
        chain = make_chain()
        old.put("team/app", "1", chain)
        settings = {"docker__v1_enabled": True, "docker_proxy__v1_remote": True}
        refused = make_proxy(old.url, **settings)
        assert engine_of(refused).get("repositories/team/app/tags/1").status == 404
        proxy = make_proxy(
            old.url, **settings, http_client__username="joe", http_client__password="secret"
        )
        assert engine_of(proxy).pull("team/app", "1") == chain
        old.token = "renewed"
        old.put("team/app", "2", other := make_chain())
        assert engine_of(proxy).pull("team/app", "2") == other


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_layer_that_breaks_off_is_gone_on_with(of_old, old, has_ranges):
    chain = make_chain(1)
    old.put("team/app", "1", chain)
    old.has_ranges = has_ranges
    old.cuts = [200, 100]
    assert engine_of(of_old).pull("team/app", "1") == chain
    assert old.count("/layer") == 3


def test_a_layer_that_always_breaks_off_is_no_layer(of_old, old):
    chain = make_chain(1)
    old.put("team/app", "1", chain)
    old.cuts = [0] * 50
    answer = engine_of(of_old).get("repositories/team/app/tags/1")
    assert answer.status == 502
    assert old.count("/layer") <= 10
    old.cuts = []
    assert engine_of(of_old).pull("team/app", "1") == chain


def wrong(chain: list[V1Image], kind: str) -> tuple[str, bytes]:
    """A path, and what a remote that lies answers there."""
    top = chain[-1]
    other = make_chain(1)[0]
    return {
        "layer": (f"/v1/images/{top.id}/layer", other.layer),
        "no tar": (f"/v1/images/{top.id}/layer", b"nothing"),
        "json": (f"/v1/images/{top.id}/json", other.json),
        "no json": (f"/v1/images/{top.id}/json", b"{"),
        "ancestry": (f"/v1/images/{top.id}/ancestry", json.dumps([other.id]).encode()),
        "loop": (f"/v1/images/{top.id}/ancestry", json.dumps([top.id, top.id]).encode()),
        "deep": (
            f"/v1/images/{top.id}/ancestry",
            json.dumps([top.id, *(secrets.token_hex(32) for _ in range(200))]).encode(),
        ),
        "tag": ("/v1/repositories/team/app/tags/1", b'"short"'),
        "no tag": ("/v1/repositories/team/app/tags/1", b"["),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["layer", "no tar", "json", "no json", "ancestry", "loop", "deep", "tag", "no tag"],
)
def test_what_a_remote_gets_wrong_is_not_kept(of_old, old, kind):
    chain = make_chain()
    old.put("team/app", "1", chain)
    path, body = wrong(chain, kind)
    old.overlay[path] = body
    status = engine_of(of_old).get("repositories/team/app/tags/1").status
    if kind == "layer":
        # The JSON tells the checksum of the right one.
        assert status == 502
    assert status in (502, 404)
    old.overlay.clear()
    assert engine_of(of_old).pull("team/app", "1") == chain


def test_a_group_offers_them_too(make_proxy, of_old, old):
    chain = make_chain()
    old.put("team/app", "1", chain)
    member = of_old.prefix.rpartition("/")[2]
    group = f"group-{secrets.token_hex(4)}"
    settings = {"group": {"members": [member]}, "docker": {"v1_enabled": True}}
    make_proxy.repoman.repositories.create(group, "docker-group", settings)
    registry = make_proxy.reach(group)
    assert Engine(registry.wire, registry.prefix, registry.login).pull("team/app", "1") == chain
    assert registry.pull("team/app", "1")


def test_what_was_removed_to_make_room_is_fetched_again(of_old, old, make_proxy, clock):
    chain = make_chain()
    old.put("team/app", "1", chain)
    manifest = of_old.pull("team/app", "1")
    repository = make_proxy.repoman.repositories.get(of_old.prefix.rpartition("/")[2])
    content = repository.service.v1_images._content
    paths = [each.path for each in content.list_assets("blob", "", 10)]
    assert len(paths) == 3
    content.delete_assets(paths)
    clock.jump(HOUR)
    assert of_old.pull("team/app", "1") == manifest
    assert engine_of(of_old).pull("team/app", "1") == chain
