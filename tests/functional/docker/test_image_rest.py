"""Images over REST: what is told, to whom, and what is deleted."""

import pytest

from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.browsed import artifact, built, index, tar_of
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.test_browsing import STEPS, push_index
from tests.functional.rights.stage import view

BASE = tar_of("etc/os-release")


@pytest.fixture
def hosted(stage):
    """A repository with an index, an image with the same layer, and manifests without a tag."""
    name = stage.make_repository()
    registry = stage.mounted(name)
    old = built(BASE, tar_of("old"), steps=STEPS[:2], config={"Env": ["A=1"]})
    amd = built(BASE, tar_of("new"), steps=STEPS[:2], config={"Env": ["A=2"], "User": "app"})
    arm = built(BASE, architecture="arm64", steps=STEPS[:1])
    for image in (make_image(), old):
        registry.push("team/app", "1.9", image)
    body = index((amd.manifest, "linux/amd64"), (arm.manifest, "linux/arm64"))
    push_index(registry, "team/app", "1.10", body, amd, arm)
    registry.push_manifest("team/app", "latest", body)
    sbom = artifact(body, "application/spdx+json", b"{}")
    registry.push_blobs("team/app", sbom)
    registry.push_manifest("team/app", digest_of(sbom.manifest), sbom.manifest)
    return name


@pytest.fixture
def ask(stage, hosted):
    client = HttpClient(stage.repoman)

    def ask(path, method="GET", login=ADMIN, status=200, **query):
        options = {"auth": login} if login else {"login": False}
        address = f"/api/v1/repositories/{hosted}/docker/{path}"
        answer = client.request(method, address, query_string=query, **options)
        assert answer.status_code == status, answer.text
        return answer.json

    return ask


def test_images_tags_and_manifests_without_a_tag_are_listed(ask, hosted):
    [image] = ask("images")["items"]
    assert (image["name"], image["repository"], image["tags"]) == ("team/app", hosted, 3)
    assert image["pulledAt"] is None
    assert image["pushedAt"].startswith("20")
    found = ask("tags", image="team/app", order="version")
    assert [each["tag"] for each in found["items"]] == ["1.10", "1.9", "latest"]
    assert found["continuationToken"] is None
    first = found["items"][0]
    assert first["platforms"] == ["linux/amd64", "linux/arm64"]
    assert (first["kind"], first["also"], first["pushedBy"]) == ("index", ["latest"], "admin")
    assert ask("tags", image="team/app", filter="1.9")["items"][0]["tag"] == "1.9"
    assert ask("tags", image="team/app", platform="linux/s390x")["items"] == []
    assert len(ask("untagged", image="team/app")["items"]) == 1


def test_lists_have_pages(stage, hosted, ask, monkeypatch):
    from repoman_docker.routes import rest

    monkeypatch.setattr(rest, "PAGE_ITEMS", 1)
    for order in ("newest", "version", "name", "size"):
        found, token = [], {}
        while True:
            page = ask("tags", image="team/app", order=order, **token)
            found += [each["tag"] for each in page["items"]]
            if page["continuationToken"] is None:
                break
            token = {"continuationToken": page["continuationToken"]}
        assert sorted(found) == ["1.10", "1.9", "latest"], order
    ask("tags", image="team/app", continuationToken="odd", status=406)


def test_a_tag_is_shown_for_a_platform(ask):
    found = ask("manifest", image="team/app", reference="1.10")
    assert (found["tag"], found["platform"], found["also"]) == ("1.10", "linux/amd64", ["latest"])
    assert [each["step"] for each in found["layers"]] == [
        "ADD rootfs.tar.xz /",
        "RUN apt-get update",
    ]
    assert found["layers"][0]["tags"] >= 1
    assert found["config"]["environment"] == {"A": "2"}
    assert found["config"]["user"] == "app"
    assert [each["type"] for each in found["attachments"]] == ["SBOM"]
    arm = ask("manifest", image="team/app", reference="1.10", platform="linux/arm64")
    assert len(arm["layers"]) == 1
    digest = arm["platforms"][1]["digest"]
    assert ask("manifest", image="team/app", reference=digest)["platform"] == "linux/arm64"
    ask("manifest", image="team/app", reference="none", status=404)
    ask("manifest", image="team/app", status=400)


def test_images_are_compared_and_layers_listed(ask):
    found = ask("comparison", image="team/app", left="1.9", right="1.10")
    assert [each["change"] for each in found["layers"]] == ["same", "change"]
    assert ("variable", "A", "1", "2") in [
        (each["what"], each["name"], each["left"], each["right"]) for each in found["values"]
    ]
    files = ask("layer-files", image="team/app", digest=digest_of(BASE))
    assert [each["path"] for each in files["files"]] == ["etc/os-release"]
    assert (files["packing"], files["cut"]) == ("gzip", "")
    ask("layer-files", image="team/app", digest="sha256:x", status=404)


def test_tags_are_deleted_after_a_look(stage, hosted, ask):
    query = {"image": "team/app", "reference": ["1.10", "1.9"]}
    plan = ask("tags/deletion", **query)
    assert [(each["isManifestDeleted"], each["otherTags"]) for each in plan["references"]] == [
        (False, ["latest"]),
        (True, []),
    ]
    assert stage.mounted(hosted).tags("team/app") == ["1.10", "1.9", "latest"]
    assert ask("tags", "DELETE", **query) == plan
    assert stage.mounted(hosted).tags("team/app") == ["latest"]
    ask("tags", "DELETE", status=404, **query)
    ask("tags", "DELETE", image="team/app", status=400)


def test_an_image_is_deleted_after_a_look(stage, hosted, ask):
    plan = ask("images/deletion", image="team/app")
    assert (plan["tags"], plan["refusal"]) == (3, "")
    assert ask("images", "DELETE", image="team/app") == plan
    assert stage.mounted(hosted).tags("team/app") == []
    assert ask("images")["items"] == []
    ask("images", "DELETE", image="team/app", status=404)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("images", {}),
        ("tags", {"image": "team/app"}),
        ("manifest", {"image": "team/app", "reference": "latest"}),
        ("layer-files", {"image": "team/app", "digest": digest_of(BASE)}),
        ("comparison", {"image": "team/app", "left": "1.9", "right": "1.10"}),
    ],
)
def test_others_do_not_learn_that_it_exists(stage, ask, path, query):
    ask(path, login=None, status=401, **query)
    ask(path, login=stage.make_user(), status=404, **query)


def test_who_may_only_read_deletes_nothing(stage, hosted, ask):
    reader = stage.make_user(*view(hosted, "browse", "read"))
    assert len(ask("tags", image="team/app", login=reader)["items"]) == 3
    query = {"image": "team/app", "login": reader}
    kept = ask("tags", "DELETE", reference=["1.9"], **query)
    assert kept["references"][0]["staysBecause"] == "You may not delete it."
    assert "You may not delete everything" in ask("images/deletion", **query)["refusal"]
    ask("images", "DELETE", status=403, **query)
    assert len(stage.mounted(hosted).tags("team/app")) == 3


def test_nothing_is_deleted_from_a_group(stage):
    group = stage.make_repository("docker-group", group__members=[stage.make_repository()])
    client = HttpClient(stage.repoman)
    assert client.get(f"/api/v1/repositories/{group}/docker/images").json["items"] == []
    refused = client.delete(f"/api/v1/repositories/{group}/docker/images?image=app")
    assert "Delete it in the repository that stores it." in refused.json["detail"]


def test_tags_are_restored_after_a_look(stage, hosted, ask):
    ask("tags", "DELETE", image="team/app", reference=["1.9"])
    [gone] = ask("tags/history", image="team/app", tag="1.9")["items"][:1]
    assert (gone["what"], gone["actor"], gone["source"], gone["new"]) == (
        "deleted",
        "admin",
        "api",
        None,
    )
    [left] = [each for each in ask("tags/left", image="team/app")["items"] if not each["new"]]
    assert left == gone
    plan = ask("tags/restoration", image="team/app", tag="1.9")
    assert plan == {
        "changes": [
            {
                "image": "team/app",
                "tag": "1.9",
                "old": None,
                "new": gone["old"],
                "refusal": "",
            }
        ],
        "isComplete": True,
    }
    assert "1.9" not in stage.mounted(hosted).tags("team/app")
    assert ask("tags/restoration", "POST", image="team/app", tag="1.9") == plan
    assert "1.9" in stage.mounted(hosted).tags("team/app")
    assert ask("tags/history", image="team/app", tag="1.9")["items"][0]["source"] == "restore"
    ask("tags/restoration", "POST", image="team/app", tag="none", status=404)
    ask("tags/restoration", image="team/app", status=400)
    ask("tags/restoration", image="team/app", at="2001-01-01T00:00:00Z", status=400)
    ask("tags/restoration", image="team/app", at="then", status=400)
    ask("tags/history", image="team/app", status=400)
    ask("tags/history", image="team/app", tag="1.9", continuationToken="x", status=406)


def test_histories_and_restorations_need_rights(stage, hosted, ask):
    query = {"image": "team/app", "tag": "1.9"}
    for path in ("tags/history", "tags/left", "tags/restoration"):
        ask(path, login=None, status=401, **query)
        ask(path, login=stage.make_user(), status=404, **query)
    reader = stage.make_user(*view(hosted, "browse", "read"))
    [change] = ask("tags/restoration", "POST", login=reader, **query)["changes"]
    assert change["refusal"] == "You may not push this tag."


def test_a_group_tells_histories_but_restores_nothing(stage, hosted):
    group = stage.make_repository("docker-group", group__members=[hosted])
    client = HttpClient(stage.repoman)
    root = f"/api/v1/repositories/{group}/docker/tags"
    history = client.get(f"{root}/history?image=team/app&tag=1.9").json["items"]
    assert [each["repository"] for each in history] == [hosted, hosted]
    refused = client.request("POST", f"{root}/restoration?image=team/app&tag=1.9")
    assert "only hosted repositories" in refused.json["detail"]
