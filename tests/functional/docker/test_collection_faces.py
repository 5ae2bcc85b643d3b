"""The collection over REST: what is told, and to whom."""

import time

import pytest

from repoman.db.models import AssetRecord
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.images import digest_of, make_image
from tests.functional.rights.stage import view

DAY = 86_400.0


@pytest.fixture
def hosted(stage):
    """A repository with an image that goes, one that stays for want of a rule, and one in use."""
    name = stage.make_repository(docker__undo_days=0)
    registry = stage.mounted(name)
    gone, untagged, used = (make_image() for _ in range(3))
    for tag, image in (("gone", gone), ("untagged", untagged), ("used", used)):
        registry.push("team/app", tag, image)
    registry.delete("team/app/manifests/untagged")
    repository = stage.repoman.repositories.get(name)
    with acting_by("cleanup"):
        repository.capabilities.delete_component(Coordinate("tag", "team/app", "gone"))
    AssetRecord.update(updated_at=time.time() - 3 * DAY).where(
        AssetRecord.repository == repository.config.id
    ).execute()
    stage.images = (gone, untagged, used)
    return name


@pytest.fixture
def ask(stage, hosted):
    client = HttpClient(stage.repoman)

    def ask(path, login=ADMIN, status=200, **query):
        options = {"auth": login} if login else {"login": False}
        address = f"/api/v1/repositories/{hosted}/docker/{path}"
        answer = client.request("GET", address, query_string=query, **options)
        assert answer.status_code == status, answer.text
        return answer.json

    return ask


def test_the_plan_over_rest(stage, hosted, ask):
    gone, _, _ = stage.images
    plan = ask("collection")
    assert [each["kind"] for each in plan["items"]] == ["manifest", "blob", "blob", "blob"]
    assert plan["items"][0]["title"] == f"team/app@{gone.digest}"
    assert plan["items"][0]["reason"].startswith("A cleanup policy removed its last tag on ")
    size = len(gone.manifest) + sum(map(len, gone.blobs))
    assert plan["freedSize"] == sum(each["freedSize"] for each in plan["items"]) == size
    assert plan["reclaimableCount"] is plan["collectedAt"] is None
    reader = stage.make_user(*view(hosted, "browse", "read"))
    ask("collection", login=reader, status=403)


def test_why_something_is_kept_over_rest(stage, hosted, ask):
    gone, untagged, used = stage.images
    layer = digest_of(used.layers[0])
    [part, tagged] = ask("why", image="team/app", digest=layer)
    assert part["reason"] == f"It is a part of team/app@{used.digest}."
    assert tagged["reason"] == "The tag team/app:used leads to it."
    assert ask("why", digest=layer) == [part, tagged]
    [rule] = ask("why", digest=untagged.digest)
    assert "no rule says" in rule["reason"]
    [goes] = ask("why", digest=gone.digest)
    assert goes["reason"].startswith("It goes with the next collection: ")
    ask("why", digest=f"sha256:{'0' * 64}", status=404)
    ask("why", digest="nonsense", status=400)


def test_other_repositories_are_named_to_those_who_see_them(stage, hosted, ask):
    _, _, used = stage.images
    other = stage.make_repository()
    stage.mounted(other).push("secret", "1", used)
    reader = stage.make_user(*view(hosted, "browse", "read"))
    told = [each["reason"] for each in ask("why", digest=used.digest)]
    assert f"The repository {other} has the same bytes (secret@{used.digest})." in told
    told = [each["reason"] for each in ask("why", login=reader, digest=used.digest)]
    assert told == ["The tag team/app:used leads to it."]
