"""What the criteria of a cleanup policy would choose, over REST and by the command."""

import json
import time

import pytest

from repoman.cleanup.preview import Decision, PreviewQuery
from repoman.clocks import DAY_S
from repoman.db.models import AssetRecord, ComponentRecord
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import RepomanFactory
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.docker.images import make_image
from tests.functional.rest.content_site import Site
from tests.statements import executed_statements

PATH = "/service/rest/internal/cleanup-policies/preview/components"
TAGS = ("1.9.0", "1.10.0", "2.0.0-rc1", "2.0.0")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("preview"))
    site = Site(factory({"docker": docker, "raw": raw}))
    for name in ("app", "team/db"):
        for tag in TAGS:
            site.registry.push(name, tag, make_image(tag.encode()))
    for path in ("a/old.txt", "a/new.txt", "b/old.txt"):
        site.put(path)
    for name in ("a/old.txt", "b/old.txt"):
        age(9, ComponentRecord.name == name)
    yield site
    factory.stop()


@pytest.fixture(autouse=True)
def as_before(site):
    yield
    ComponentRecord.update(downloaded_at=0).execute()


def age(days, condition):
    """Have components be as old as that."""
    then = time.time() - days * DAY_S
    ComponentRecord.update(updated_at=then).where(condition).execute()


def preview(site, repository="files", **criteria):
    body = json.dumps({"repository": repository, **criteria})
    return site.client.request("POST", PATH, data=body, content_type="application/json")


def chosen(site, repository="files", **criteria):
    found = preview(site, repository, **criteria)
    assert found.status_code == 200, found.text
    names = [f"{each['name']}:{each['version']}".strip("/:") for each in found.json["results"]]
    assert found.json["total"] == len(names)
    return sorted(names)


def test_an_item_has_exactly_what_clients_know(site):
    [found] = preview(site, criteriaAssetRegex="/b/.*").json["results"]
    [same] = site.get("/search?name=/b/old.txt")["items"]
    assert found == {
        "id": same["id"],
        "repositoryName": "files",
        "group": "/b",
        "name": "/b/old.txt",
        "version": "",
        "format": "raw",
    }


@pytest.mark.parametrize(
    ("criteria", "names"),
    [
        ({}, []),
        ({"criteriaLastBlobUpdated": 8}, ["a/old.txt", "b/old.txt"]),
        ({"criteriaLastBlobUpdated": 10}, []),
        ({"criteriaAssetRegex": "/a/.*"}, ["a/new.txt", "a/old.txt"]),
        ({"criteriaAssetRegex": "a/"}, []),
        ({"criteriaLastBlobUpdated": 8, "criteriaAssetRegex": "/a/.*"}, ["a/old.txt"]),
        ({"criteriaLastBlobUpdated": 8, "filter": "b/"}, ["b/old.txt"]),
        ({"criteriaLastBlobUpdated": 8, "filter": ""}, ["a/old.txt", "b/old.txt"]),
        ({"criteriaRetain": 1}, []),
    ],
)
def test_all_criteria_must_hold(site, criteria, names):
    assert chosen(site, **criteria) == names


def test_what_was_never_downloaded_is_as_old_as_it_is(site):
    assert chosen(site, criteriaLastDownloaded=8) == ["a/old.txt", "b/old.txt"]
    lately = ComponentRecord.update(downloaded_at=time.time() - DAY_S)
    lately.where(ComponentRecord.name == "a/old.txt").execute()
    assert chosen(site, criteriaLastDownloaded=8) == ["b/old.txt"]
    assert chosen(site, criteriaLastDownloaded=1) == ["a/old.txt", "b/old.txt"]


@pytest.mark.parametrize(
    ("criteria", "tags"),
    [
        ({"criteriaReleaseType": "PRERELEASES"}, ["2.0.0-rc1"]),
        ({"criteriaReleaseType": "releases"}, ["1.10.0", "1.9.0", "2.0.0"]),
        ({"criteriaRetain": 1}, ["1.10.0", "1.9.0", "2.0.0-rc1"]),
        ({"criteriaRetain": 3}, ["1.9.0"]),
        ({"criteriaRetain": 4}, []),
        ({"criteriaRetain": 2, "criteriaReleaseType": "PRERELEASES"}, []),
    ],
)
def test_the_newest_versions_of_each_name_stay(site, criteria, tags):
    expected = sorted(f"{name}:{tag}" for name in ("app", "team/db") for tag in tags)
    assert chosen(site, "images", **criteria) == expected
    assert chosen(site, "everything", **criteria) == expected


def test_what_was_stored_last_may_be_what_stays(site):
    age(30, ComponentRecord.version == "2.0.0")
    found = chosen(site, "images", criteriaRetain=3, criteriaSortBy="date", filter="app")
    assert found == ["app:2.0.0"]


@pytest.mark.parametrize(
    ("criteria", "id_"),
    [
        ({"criteriaAssetRegex": "("}, "criteriaAssetRegex"),
        ({"criteriaRetain": 0}, "criteriaRetain"),
        ({"criteriaLastBlobUpdated": -1}, "criteriaLastBlobUpdated"),
        ({"criteriaReleaseType": "none"}, "criteriaReleaseType"),
        ({"criteriaRetain": "many"}, "PARAMETER criteriaRetain"),
    ],
)
def test_a_wrong_criterion_is_named(site, criteria, id_):
    answer = preview(site, **criteria)
    assert answer.status_code == 400
    assert [each["id"] for each in answer.json] == [id_]


def test_a_repository_must_exist_and_only_administrators_may(site):
    answer = preview(site, "none", criteriaRetain=1)
    assert (answer.status_code, answer.data) == (404, b"")
    login = site.user("nx-repository-view-*-*-*", "nx-settings-all")
    body = json.dumps({"repository": "files"})
    request = {"data": body, "content_type": "application/json", "login": False, "auth": login}
    assert site.client.request("POST", PATH, **request).status_code == 403


def test_a_list_has_a_bound_and_total_counts_what_was_found(site, monkeypatch):
    monkeypatch.setattr("repoman.rest.cleanup.PREVIEW_ITEMS", 2)
    found = preview(site, "images", criteriaAssetRegex=".*").json
    assert (found["total"], len(found["results"])) == (8, 2)


def decide(site, repository, *policies, **query):
    """What policies decide about a repository."""
    found = site.repoman.repositories.get(repository)
    return site.repoman.cleanup_preview.preview(found, policies, None, PreviewQuery(**query))


def test_an_examination_has_a_bound(site, monkeypatch):
    policy = CleanupPolicy("", asset_regex=".*")
    assert decide(site, "images", policy).is_complete
    monkeypatch.setattr(site.repoman.cleanup_preview, "_limit", 6)
    found = decide(site, "images", policy)
    assert (found.goes + found.kept, found.is_complete) == (6, False)


@pytest.mark.parametrize("sort_by", [None, "date"])
def test_a_preview_takes_as_many_statements_for_many_components_as_for_few(site, sort_by):
    counts = []
    for names in (("app",), ("*",)):
        policy = CleanupPolicy("", name_patterns=names, retain=1, sort_by=sort_by)
        with executed_statements() as asked:
            found = decide(site, "images", policy, decision=Decision.GOES)
        counts.append((len(asked), len(found.items)))
    assert counts == [(9, 3), (9, 6)]


def test_nothing_is_removed(site):
    before = AssetRecord.select().count()
    assert chosen(site, "images", criteriaAssetRegex=".*")
    assert AssetRecord.select().count() == before


def test_the_time_is_that_of_a_clock(site, monkeypatch):
    policy = CleanupPolicy("", last_updated_days=49)
    assert decide(site, "files", policy).goes == 0
    later = time.time() + 50 * DAY_S
    monkeypatch.setattr(site.repoman.cleaner, "now", lambda: later)
    assert decide(site, "files", policy).goes == 3
