"""What broken pushes leave, and when it goes."""

import secrets
import time

import pytest

from repoman.db.models import AssetRecord
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import digest_of
from tests.functional.docker.wires import InProcess
from tests.functional.docker_v1.driver import Engine, Failures, Mistake, V1Image, make_chain

DAY_S = 86_400.0
KINDS = ("v1-push", "v1-image", "v1-chain", "blob")


class Lab:
    """A repository of one test, and what is stored in it."""

    def __init__(self, repoman) -> None:
        self.name = f"hosted-{secrets.token_hex(4)}"
        repoman.repositories.create(self.name, "docker-hosted", {"docker": {"v1_enabled": True}})
        self._repoman = repoman

    def engine(self) -> Engine:
        return Engine(InProcess(HttpClient(self._repoman, connector=self.name)), "", ADMIN)

    def stored(self) -> dict[str, list[str]]:
        """The paths of what there is, by kind."""
        content = self._repoman.repositories.get(self.name).service.v1_images._content
        return {kind: [e.path for e in content.list_assets(kind, "", 100)] for kind in KINDS}

    def a_day_later(self, begin: float | None = None) -> dict[str, list[str]]:
        """Let a day pass since ``begin``, and the task run; return what is stored then."""
        now = (time.time() + 1.0 if begin is None else begin) + DAY_S
        service = self._repoman.repositories.get(self.name).service
        self.dropped = service.drop_incomplete(now, DAY_S, lambda: None)
        return {kind: paths for kind, paths in self.stored().items() if paths}


@pytest.fixture
def lab(in_process) -> Lab:
    return Lab(in_process.repoman)


@pytest.mark.parametrize(
    "mistake", [Mistake.DIES_AFTER_JSON, Mistake.DIES_AFTER_LAYER, Mistake.DIES_BEFORE_TAG]
)
def test_a_push_that_died_leaves_nothing_for_ever(lab, mistake):
    lab.engine().push("team/app", "1", make_chain(3), mistake=mistake)
    assert lab.stored()["v1-image"]
    assert lab.a_day_later() == {}
    assert lab.dropped == 1


def test_a_push_whose_list_is_lost_leaves_nothing_for_ever(lab):
    lab.engine().push("team/app", "1", make_chain(2), mistake=Mistake.DIES_BEFORE_TAG)
    content = lab._repoman.repositories.get(lab.name).service.v1_images._content
    [push] = content.list_assets("v1-push", "", 9)
    lab._repoman.blob_stores.get("default")._path(push.digest).unlink()
    assert lab.a_day_later() == {}
    assert lab.dropped == 1


def test_a_push_counts_as_abandoned_from_its_last_activity(lab):
    engine = lab.engine()
    engine.push("team/app", "1", make_chain(2), mistake=Mistake.DIES_AFTER_JSON)
    content = lab._repoman.repositories.get(lab.name).service.v1_images._content
    [push] = content.list_assets("v1-push", "", 9)
    assert lab.a_day_later(push.updated_at)["v1-push"] == [push.path]
    assert lab.dropped == 0


def test_images_without_a_tag_are_leftovers_too(lab):
    chain = make_chain()
    engine = lab.engine()
    engine.push("team/app", "1", chain, mistake=Mistake.DIES_BEFORE_TAG)
    assert engine.put("repositories/team/app/images", [], is_first=True).status == 204
    assert lab.a_day_later() == {}


def test_what_a_tag_was_set_to_stays(lab):
    chain = make_chain()
    lab.engine().push("team/app", "1", chain)
    more = [*chain, *make_chain(1, parent=chain[-1].id)]
    lab.engine().push("team/app", "2", more, mistake=Mistake.DIES_BEFORE_TAG)
    lab.engine().push("team/below", "2", more, mistake=Mistake.DIES_BEFORE_TAG)
    left = lab.a_day_later()
    assert sorted(left) == ["blob", "v1-chain", "v1-image"]
    assert {path.split("/")[1] for path in left["v1-image"]} == {each.id for each in chain}
    assert len(left["blob"]) == 3, "two layers and a config"
    assert lab.engine().pull("team/app", "1") == chain


def test_what_another_push_goes_on_with_stays(lab):
    chain = make_chain()
    lab.engine().push("team/app", "1", chain, mistake=Mistake.DIES_BEFORE_TAG)
    begin = time.time()
    young = [{"id": chain[0].id, "Tag": "base"}]
    lab.engine().put("repositories/team/app/", young, is_first=True)
    left = lab.a_day_later(begin)
    assert [path.split("/")[1] for path in left["v1-image"]] == [chain[0].id]
    assert len(left["v1-push"]) == len(left["blob"]) == 1


def test_a_wrong_checksum_leaves_no_layer(lab):
    lab.engine().push(
        "team/app",
        "1",
        make_chain(1),
        mistake=Mistake.WRONG_CHECKSUM,
        failure=Failures.WRONG_CHECKSUM,
    )
    assert lab.stored()["blob"] == lab.stored()["v1-image"] == []


def test_a_layer_that_is_sent_anew_replaces_the_first(lab):
    first, second = make_chain(2)
    engine = lab.engine()
    engine.push("team/app", "1", [first], mistake=Mistake.DIES_AFTER_LAYER)
    assert engine.send("PUT", f"images/{first.id}/layer", [second.layer]).status == 200
    assert lab.stored()["blob"] == [f"blobs/{digest_of(second.layer)}/team/app"]


def test_a_layer_that_a_manifest_needs_stays(lab):
    [image] = make_chain(1)
    engine = lab.engine()
    engine.push("team/app", "1", [image])
    [other] = make_chain(1)
    again = V1Image(other.json, image.layer)
    engine.push("team/app", "2", [again], mistake=Mistake.DIES_AFTER_LAYER)
    lab.a_day_later()
    assert lab.engine().pull("team/app", "1") == [image]


def head_by_v2(registry, name, layer):
    AssetRecord.update(updated_at=AssetRecord.updated_at - 2 * 3600).execute()
    assert registry.head(f"{name}/blobs/{digest_of(layer)}").status == 200


def push_by_v2(registry, name, layer):
    registry.push_blob(name, layer)


@pytest.mark.parametrize("rely_on", [head_by_v2, push_by_v2])
def test_a_layer_on_which_a_client_of_v2_relies_is_left_to_the_collection(lab, rely_on):
    [image] = make_chain(1)
    lab.engine().push("team/app", "1", [image], mistake=Mistake.DIES_BEFORE_TAG)
    rely_on(Registry(lab.engine().wire, "", ADMIN), "team/app", image.layer)
    assert lab.a_day_later() == {"blob": [f"blobs/{digest_of(image.layer)}/team/app"]}


def test_two_pushes_of_one_image_by_one_user_help_each_other(lab):
    [image] = make_chain(1)
    path = f"images/{image.id}"
    one, two = lab.engine(), lab.engine()
    for engine in (one, two):
        listed = [{"id": image.id, "Tag": "1"}]
        assert engine.put("repositories/team/app/", listed, is_first=True).status == 200
    checksum = {"X-Docker-Checksum-Payload": image.payload}
    assert one.send("PUT", f"{path}/json", image.json).status == 200
    assert one.send("PUT", f"{path}/layer", [image.layer]).status == 200
    assert two.send("PUT", f"{path}/json", image.json).status == 200
    assert one.send("PUT", f"{path}/checksum", b"", checksum).status == 200
    assert two.send("PUT", f"{path}/layer", [image.layer]).status == 200
    assert two.send("PUT", f"{path}/checksum", b"", checksum).status == 200
    for engine in (one, two):
        assert engine.put("repositories/team/app/tags/1", image.id).status == 200
        assert engine.put("repositories/team/app/images", [], is_first=True).status == 204
    assert one.pull("team/app", "1") == [image]
    assert lab.stored()["v1-push"] == []


def test_a_push_has_a_limit_of_images(lab):
    listed = [{"id": secrets.token_hex(32)} for _ in range(10_001)]
    answer = lab.engine().put("repositories/team/app/", listed, is_first=True)
    assert answer.status == 400
    assert "Push fewer tags" in answer.json()["error"]


def delete_by_v1(lab, name, tag):
    answer = lab.engine().send("DELETE", f"repositories/{name}/tags", is_first=True)
    assert answer.status == 200


def delete_by_digest(lab, name, tag):
    registry = Registry(lab.engine().wire, "", ADMIN)
    digest = registry.head(f"{name}/manifests/{tag}").headers["Docker-Content-Digest"]
    assert registry.delete(f"{name}/manifests/{digest}").status == 202


@pytest.mark.parametrize("delete", [delete_by_v1, delete_by_digest])
def test_images_that_an_open_push_names_stay_when_their_manifest_goes(lab, delete):
    engine, chain = lab.engine(), make_chain()
    engine.push("team/app", "1", chain)
    engine.push("team/app", "2", chain, mistake=Mistake.DIES_BEFORE_TAG)
    delete(lab, "team/app", "1")
    assert lab.stored()["v1-chain"] == []
    assert engine.put("repositories/team/app/tags/2", chain[-1].id).status == 200
    assert engine.pull("team/app", "2") == chain
