"""Long lists for whoever may see a part of them, or nothing: how far one request looks."""

import re
from urllib.parse import unquote

import pytest

from repoman_docker.merge import Budget
from tests.functional.docker.images import (
    EMPTY,
    OCI_MANIFEST,
    digest_of,
    make_image,
    manifest_of,
)
from tests.functional.docker.wires import Answer
from tests.functional.rights.stage import view

SCAN = 7  # entries that a request looks through in these tests
HIDDEN = [f"hidden/app{number:03}" for number in range(30)]
SHOWN = ["a/first", "hidden/app", "shown/one", "shown/two", "z/last"]


@pytest.fixture(scope="module")
def hosted(stage):
    """A repository with many images; few of them are for everybody."""
    name = stage.make_repository(docker__scan_limit=SCAN, docker__v1_enabled=True)
    image = make_image(b"layer")
    for each in (*HIDDEN, *SHOWN):
        stage.connector(name).push(each, "1", image)
    return name


@pytest.fixture(scope="module")
def group(stage, hosted):
    """A group of it and an empty repository, which serves neither the first nor the last image."""
    return stage.make_repository(
        "docker-group",
        group__members=[stage.make_repository(), hosted],
        routing__mode="block",
        routing__matchers=["a/.*", "z/.*"],
        docker__scan_limit=SCAN,
    )


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr("repoman_docker.merge.BATCH_NAMES", 3)
    monkeypatch.setattr("repoman_docker.routes.lists.BATCH_REFERRERS", 3)


@pytest.fixture
def looked(monkeypatch):
    """How many entries were looked through since the last look at it."""
    counts = []
    spend = Budget.spend
    monkeypatch.setattr(Budget, "spend", lambda self, n: (counts.append(n), spend(self, n))[1])
    return counts


def next_of(answer: Answer) -> str | None:
    found = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("Link", ""))
    return found[1] if found else None


def follow(registry, target: str, key: str, looked: list[int]) -> tuple[list, int]:
    """All entries of a list, and how many pages it took; no page looks far."""
    found, pages = [], 0
    while target:
        looked.clear()
        answer = registry.send("GET", target)
        assert answer.status == 200, answer.body
        assert sum(looked) <= 2 * SCAN + 12
        found += answer.json()[key]
        pages += 1
        target = next_of(answer)
        assert target is None or not any(each in unquote(target) for each in HIDDEN)
    return found, pages


def member(stage, repository: str, *words: str):
    """Somebody who may see the images whose names begin with these words."""
    expression = " or ".join(f'path =^ "/v2/{each}"' for each in words)
    selected = stage.make_selected(repository, expression, ["browse", "read"])
    return stage.connector(repository, stage.make_user(selected))


WORDS = ("a/", "shown/", "z/", "hidden/app/")


def test_a_catalog_comes_in_short_pages_to_who_may_see_little(stage, hosted, looked):
    # Nothing tells how the paths begin, so all names are looked through.
    expression = f'path =~ "/v2/({"|".join(WORDS)}).*"'
    selected = stage.make_selected(hosted, expression, ["browse", "read"])
    registry = stage.connector(hosted, stage.make_user(selected))
    for size in ("", "?n=1", "?n=2", "?n=100"):
        found, pages = follow(registry, f"_catalog{size}", "repositories", looked)
        assert found == SHOWN
        assert pages >= len(HIDDEN) // (SCAN + 3)


def test_who_may_see_what_begins_so_looks_at_nothing_else(stage, hosted, looked):
    registry = member(stage, hosted, *WORDS)
    found, pages = follow(registry, "_catalog?n=100", "repositories", looked)
    assert (found, pages) == (SHOWN, 1)


def test_a_catalog_of_a_group_with_a_rule_comes_in_short_pages(stage, group, looked):
    for registry in (member(stage, group, *WORDS), stage.connector(group)):
        found, _ = follow(registry, "_catalog?n=100", "repositories", looked)
        assert [each for each in found if each not in HIDDEN] == SHOWN[1:4]
    blocked = stage.make_repository(
        "docker-group",
        group__members=[group],
        routing__mode="allow",
        routing__matchers=["nothing"],
        docker__scan_limit=SCAN,
    )
    found, pages = follow(stage.connector(blocked), "_catalog", "repositories", looked)
    assert (found, pages > 1) == ([], True)


def test_who_may_see_nothing_is_answered_at_once(stage, hosted, group, looked):
    for repository in (hosted, group):
        others = stage.make_selected(repository, 'path =^ "/v2/"', ["add"])
        for privileges in (view(repository, "add"), (others,)):
            registry = stage.connector(repository, stage.make_user(*privileges))
            answer = registry.get("_catalog?n=1")
            assert (answer.json(), next_of(answer)) == ({"repositories": []}, None)
            assert looked == []


def test_who_may_see_nothing_starts_no_search(stage, hosted, monkeypatch):
    monkeypatch.setattr(
        "repoman_docker.hosted.lists.HostedSearch.find", lambda *_: pytest.fail("a search")
    )
    registry = stage.connector(hosted, stage.make_user(*view(hosted, "add")))
    answer = registry.send("GET", "/v1/search?q=app")
    assert answer.json()["results"] == []


def test_a_sealed_position_is_ours_and_nobody_elses(stage, hosted):
    registry = member(stage, hosted, *WORDS)
    forged = registry.get("_catalog?last=~sealed.abc")
    assert (forged.status, forged.code) == (400, "PAGINATION_NUMBER_INVALID")
    assert next_of(registry.get("_catalog?n=0")) is None


def test_tags_come_in_short_pages_to_who_may_see_little(stage, looked):
    name = stage.make_repository(docker__scan_limit=SCAN)
    image = make_image(b"layer")
    stage.connector(name).push_blobs("app", image)
    for number in range(30):
        stage.connector(name).push_manifest("app", f"tag{number:02}", image.manifest)
    expression = 'path == "/v2/app/tags/list" or path == "/v2/app/manifests/tag29"'
    selected = stage.make_selected(name, expression, ["browse"])
    registry = stage.connector(name, stage.make_user(selected))
    found, pages = follow(registry, "app/tags/list", "tags", looked)
    assert (found, pages > 2) == (["tag29"], True)


def test_referrers_of_one_type_among_many_come_in_short_pages(stage, looked):
    name = stage.make_repository(docker__scan_limit=SCAN)
    registry = stage.connector(name)
    registry.push("app", "1", image := make_image(EMPTY))
    subject = {"mediaType": OCI_MANIFEST, "digest": image.digest, "size": len(image.manifest)}
    digests = []
    for number in range(30):
        fields = {"subject": subject, "artifactType": "a/x" if number % 10 else "a/y"}
        manifest = manifest_of(EMPTY, (), **fields, n=number)
        digests.append(registry.push_manifest("app", digest_of(manifest), manifest))
    target = f"app/referrers/{image.digest}?artifactType=a/y"
    found, pages = follow(registry, target, "manifests", looked)
    assert [each["digest"] for each in found] == sorted(digests[::10])
    assert pages > 2
