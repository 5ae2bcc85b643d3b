"""Cleanup policies at work: what goes and what stays, in which order, and what is told about it."""

import json
import time

import pytest

from repoman.cleanup import cleaner as cleaner_module
from repoman.cleanup import freed as freed_module
from repoman.cleanup.freed import freed_by
from repoman.clocks import DAY_S
from repoman.db.models import ComponentRecord
from repoman.errors import Invalid
from repoman.events.event_records import list_events
from repoman.printable import render_size
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import RepomanFactory
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.docker.images import make_image
from tests.functional.rest.content_site import Site

TASK = "Cleanup service"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("cleanup"))
    yield Site(factory({"docker": docker, "raw": raw}))
    factory.stop()


@pytest.fixture(autouse=True)
def as_before(site, monkeypatch):
    """Days can pass: ``site.days`` later than the clock says."""
    site.days = 0
    monkeypatch.setattr(site.repoman.cleaner, "now", lambda: time.time() + site.days * DAY_S)
    yield
    for policy in site.repoman.cleanup_policies.all():
        site.repoman.cleanup_policies.delete(policy.name)
    for name in ("images", "files"):
        site.repoman.repositories.update(name, {"storage": {"write_policy": "allow"}})


def use(site, repository, *policies):
    for each in policies:
        site.repoman.cleanup_policies.create(each)
    names = [each.name for each in policies]
    site.repoman.repositories.update(repository, {"cleanup": {"policy_names": names}})


def push(site, name, *tags):
    for tag in tags:
        site.registry.push(name, tag, make_image(f"{name}:{tag}".encode()))


def run(site):
    """Run the task; return its state, its result and its log."""
    repoman = site.repoman
    [task] = [each for each in repoman.tasks.all() if each.name == TASK]
    run = repoman.tasks.run(task)
    state = repoman.make_runner().execute(run)
    lines = [each.text for each in repoman.tasks.lines(run)]
    return state, repoman.tasks.get_run(run.id).result, lines


def tags(site, name):
    rows = ComponentRecord.select(ComponentRecord.version)
    found = rows.where((ComponentRecord.kind == "tag") & (ComponentRecord.name == name))
    return sorted(each.version for each in found)


def reasons(site, repository, name="", *policies, decision=None):
    wanted = f"&decision={decision}" if decision else ""
    named = "".join(f"&policy={each}" for each in policies)
    path = f"/api/v1/repositories/{repository}/cleanup?limit=1000{named}{wanted}"
    answer = site.client.request("GET", path)
    assert answer.status_code == 200, answer.text
    items = [each for each in answer.json["items"] if name in ("", each["name"])]
    return {f"{each['name']}:{each['version']}": each["reason"] for each in items}


def test_old_builds_go_and_the_newest_and_the_kept_stay(site):
    first, second = (make_image(b"own %d" % number) for number in (1, 2))
    for tag, pushed in (("build-1", first), ("build-2", second)):
        site.registry.push("app", tag, pushed)
    push(site, "app", "build-3", "latest", "v1")
    policy = CleanupPolicy(
        "builds", version_patterns=("build-*", "latest"), keep_versions=("latest",), retain=1
    )
    use(site, "images", policy)
    assert reasons(site, "images", "app") == {
        "app:build-3": "kept: 1st newest, 1 is kept",
        "app:build-2": "goes: matches build-*, 2nd newest, 1 is kept",
        "app:build-1": "goes: matches build-*, 3rd newest, 1 is kept",
        "app:latest": "kept: matches keep pattern latest",
        "app:v1": "kept: v1 does not match build-* or latest",
    }
    assert site.repoman.tasks.find_type("repository.cleanup").is_needed()
    last = max(each.id for each in list_events(0, 10_000))
    state, result, lines = run(site)
    assert (state, tags(site, "app")) == ("ok", ["build-3", "latest", "v1"])
    size = sum(len(data) for each in (first, second) for data in (*each.blobs, each.manifest))
    assert result == (
        "Removed 2 components from 1 repository; freed 0 bytes; the plan promised "
        f"{render_size(size)} in the end."
    )
    assert lines == [
        f"images: 2 components to remove, which frees {render_size(size)}.",
        "images: removed 2 components.",
    ]
    found = list_events(last, 100)
    assert {(each.source, each.actor) for each in found} == {("cleanup", "system")}
    assert {each.path for each in found} == {"tags/app/build-1", "tags/app/build-2"}
    site.repoman.audit.flush()
    entry = site.repoman.audit.search({"domain": "repository", "type": "cleanup"})[0]
    assert (entry["target"], entry["attributes"]) == (
        "images",
        {"components": "2", "policies": "builds"},
    )
    assert run(site)[:2] == ("ok", "")


def test_ages_count_from_the_last_push_and_the_last_pull(site):
    push(site, "aged", "a", "b")
    use(site, "images", CleanupPolicy("unused", last_downloaded_days=10, name_patterns=("aged",)))
    site.days = 9
    assert reasons(site, "images", decision="kept")["aged:a"] == (
        "kept: never pulled, stored 9 days ago"
    )
    assert run(site)[1] == ""
    site.days = 11
    assert set(reasons(site, "images", decision="goes")) == {"aged:a", "aged:b"}
    pulled = time.time() + 8 * DAY_S
    ComponentRecord.update(downloaded_at=pulled).where(ComponentRecord.version == "b").execute()
    assert reasons(site, "images")["aged:b"] == "kept: pulled 3 days ago"
    assert run(site)[1].startswith("Removed 1 component ")
    assert tags(site, "aged") == ["b"]
    site.days = 19
    assert reasons(site, "images")["aged:b"] == ("goes: its name matches aged, pulled 11 days ago")


def test_files_go_with_their_bytes(site):
    for path in ("old/a.txt", "old/b.txt", "new/a.txt"):
        site.put(path, path.encode() * 100)
    use(site, "files", CleanupPolicy("old", "raw", name_patterns=("old/*",)))
    assert reasons(site, "files")["/new/a.txt:"] == "kept: its name does not match old/*"
    assert run(site)[1] == "Removed 2 components from 1 repository; freed 1.8 KiB."
    assert {each for each in reasons(site, "files") if "/kept/" not in each} == {"/new/a.txt:"}


def test_what_was_promised_is_told_apart_from_what_was_freed(site, monkeypatch):
    def promise_and_share(*given):
        promised = freed_by(*given)
        site.put("kept/b.txt", data)  # Now another file has the same bytes.
        return promised

    data = b"shared" * 100
    site.put("old/a.txt", data)
    use(site, "files", CleanupPolicy("old", "raw", name_patterns=("old/*",)))
    monkeypatch.setattr(cleaner_module, "freed_by", promise_and_share)
    assert run(site)[1] == (
        "Removed 1 component from 1 repository; freed 0 bytes; "
        "the plan promised 600 bytes in the end."
    )


@pytest.mark.parametrize("first", [1, 2, 20])
def test_a_preview_says_what_is_really_freed(site, monkeypatch, first):
    """The images of each name share a layer; only what all of them leave is freed.

    How much of what refers to it is looked at first does not matter.
    """
    monkeypatch.setattr(freed_module, "FIRST_SOURCES", first)
    shared = b"shared layer" * 100
    first, second = (make_image(text, shared) for text in (b"one freed", b"two freed"))
    for name, tag, pushed in (
        ("freed", "a", first),
        ("freed", "b", second),
        ("freed", "c", second),
        ("freed2", "d", first),
    ):
        site.registry.push(name, tag, pushed)

    def freed(**criteria):
        policy = CleanupPolicy("", **criteria)
        images = site.repoman.repositories.get("images")
        return site.repoman.cleanup_preview.preview(images, [policy], None).freed

    own = [len(each.layers[0] + each.config + each.manifest) for each in (first, second)]
    assert freed(name_patterns=("freed",), version_patterns=("a",)) == 0, "freed2 has it too"
    assert freed(name_patterns=("freed",), version_patterns=("b",)) == 0, "c is the same"
    assert freed(name_patterns=("freed",)) == own[1]
    assert freed(name_patterns=("freed*",)) == own[0] + own[1] + len(shared)


def test_what_was_pulled_or_pushed_after_the_choice_stays(site, monkeypatch):
    push(site, "raced", *"abcdef")
    use(
        site,
        "images",
        CleanupPolicy("unused", last_downloaded_days=5, retain=1, name_patterns=("raced",)),
    )
    site.days = 6
    later = time.time() + 6 * DAY_S
    delete_batch = cleaner_module._Deletion.delete_batch

    def change(deletion, ids):
        raced = ComponentRecord.name == "raced"
        pulled = ComponentRecord.update(downloaded_at=later)
        pulled.where(raced & (ComponentRecord.version == "a")).execute()
        pushed = ComponentRecord.update(updated_at=later)
        pushed.where(raced & (ComponentRecord.version == "b")).execute()
        # Then "e" is the newest one.
        ComponentRecord.delete().where(raced & (ComponentRecord.version == "f")).execute()
        return delete_batch(deletion, ids)

    monkeypatch.setattr(cleaner_module._Deletion, "delete_batch", change)
    assert run(site)[1].startswith("Removed 2 components ")
    assert tags(site, "raced") == ["a", "b", "e"]


def test_a_pull_that_waits_to_be_written_counts(site):
    push(site, "waiting", "a", "b")
    use(site, "images", CleanupPolicy("unused", last_downloaded_days=5, name_patterns=("waiting",)))
    assert site.client.get("/repository/images/v2/waiting/manifests/a").status_code == 200
    # Not days later, or the pull would be old as well.
    rows = ComponentRecord.update(updated_at=time.time() - 6 * DAY_S)
    rows.where(ComponentRecord.name == "waiting").execute()
    assert run(site)[1].startswith("Removed 1 component ")
    assert tags(site, "waiting") == ["a"]


def test_a_failure_does_not_end_the_run(site, monkeypatch):
    push(site, "failing", "a", "b", "c")
    use(site, "images", CleanupPolicy("all", name_patterns=("failing",)))
    images = site.repoman.repositories.get("images")
    delete = images.capabilities.delete_component

    def fail(coordinate):
        delete(coordinate)
        if coordinate.version == "b":
            raise Invalid("It is glued on.")
        if coordinate.version == "c":
            raise ValueError("unexpected")

    capabilities = images.capabilities
    object.__setattr__(capabilities, "delete_component", fail)
    try:
        state, result, lines = run(site)
    finally:
        object.__setattr__(capabilities, "delete_component", delete)
    assert (state, tags(site, "failing")) == ("failed", ["b", "c"])
    assert result.startswith(
        "Removed 1 component from 1 repository; freed 0 bytes; the plan promised "
    )
    assert " in the end, of 3 components. " in result
    assert result.endswith(
        "2 components could not be removed. The log of this run has the reasons."
    )
    assert "images: failing:b could not be removed: It is glued on." in lines
    told = "images: failing:c could not be removed: an unexpected error, which the server log has."
    assert told in lines


def test_a_read_only_repository_is_told_in_the_log(site):
    push(site, "kept", "a")
    use(site, "images", CleanupPolicy("all", name_patterns=("kept",)))
    site.repoman.repositories.update("images", {"storage": {"write_policy": "deny"}})
    state, result, lines = run(site)
    assert (state, result) == ("ok", "1 repository could not be cleaned up.")
    assert lines == [
        "images: nothing was removed: its deployment policy is read-only. Change the policy, or "
        "take the cleanup policies from the repository."
    ]
    assert tags(site, "kept") == ["a"]


def test_immutable_tags_stay(site):
    push(site, "fixed", "v1", "x1")
    use(site, "images", CleanupPolicy("all", name_patterns=("fixed",)))
    site.repoman.repositories.update("images", {"docker": {"immutable_tags": ["v*"]}})
    try:
        assert reasons(site, "images", "fixed") == {
            "fixed:v1": "kept: fixed:v1 is immutable in the repository images (rule v*)",
            "fixed:x1": "goes: its name matches fixed",
        }
        state, result, _ = run(site)
        assert (state, tags(site, "fixed")) == ("ok", ["v1"])
        assert result.startswith("Removed 1 component ")
    finally:
        site.repoman.repositories.update("images", {"docker": {"immutable_tags": []}})


def test_any_policy_may_choose_and_keeps_only_from_itself(site):
    push(site, "two", "a", "b")
    use(
        site,
        "images",
        CleanupPolicy("first", name_patterns=("two",), keep_versions=("a",)),
        CleanupPolicy("second", name_patterns=("two",), keep_versions=("b",)),
        CleanupPolicy("third", name_patterns=("two",), keep_names=("t*",)),
    )
    found = reasons(site, "images")
    assert found["two:a"] == "goes: its name matches two (second)"
    assert found["two:b"] == "goes: its name matches two (first)"
    assert run(site)[1].startswith("Removed 2 components ")


def test_several_transactions_and_a_stop_between_them(site, monkeypatch):
    monkeypatch.setattr(cleaner_module, "BATCH_COMPONENTS", 2)
    monkeypatch.setattr(cleaner_module, "BATCH_ASSETS", 1)
    push(site, "many", *"abcde")
    use(site, "images", CleanupPolicy("all", name_patterns=("many",)))
    state, result, lines = run(site)
    assert (state, len(lines)) == ("ok", 4)
    assert result.startswith("Removed 5 components ")


def test_new_fields_stay_when_a_client_of_the_reference_changes_a_policy(site):
    made = {
        "name": "mine",
        "format": "docker",
        "namePatterns": ["team/*"],
        "versionPatterns": ["pr-*"],
        "keepNames": ["base"],
        "keepVersions": ["latest", "v*"],
        "retain": 5,
        "sortBy": "date",
    }
    send = {"content_type": "application/json"}
    policies = "/api/v1/cleanup/policies"
    answer = site.client.request("POST", policies, data=json.dumps(made), **send)
    assert answer.status_code == 201, answer.text
    assert {key: answer.json[key] for key in made} == made
    known = "/service/rest/v1/cleanup-policies/mine"
    told = site.client.request("GET", known).json
    assert not {key for key in told if key.startswith(("keep", "name", "version"))} - {"name"}
    changed = {**told, "retain": 9}
    put = site.client.request("PUT", known, data=json.dumps(changed), **send)
    assert put.status_code == 204
    assert site.client.request("GET", f"{policies}/mine").json == {**answer.json, "retain": 9}
    wrong = {**made, "keepVersions": [""]}
    refused = site.client.request("PUT", f"{policies}/mine", data=json.dumps(wrong), **send)
    assert refused.status_code == 400
    assert [each["field"] for each in refused.json["errors"]] == ["keepVersions"]
    assert site.client.request("DELETE", f"{policies}/mine").status_code == 204


def test_pages_of_decisions_and_who_may_see_them(site):
    push(site, "paged", *"abcde")
    use(site, "images", CleanupPolicy("some", name_patterns=("paged",), retain=1))
    path = "/api/v1/repositories/images/cleanup?limit=2&filter=paged&decision=goes"
    seen, token = [], ""
    while token is not None:
        page = site.client.request("GET", f"{path}&continuationToken={token}").json
        seen += [each["version"] for each in page["items"]]
        assert (page["goes"], page["kept"]) == (4, 1)
        token = page["continuationToken"]
    assert seen == ["d", "c", "b", "a"]
    assert site.client.request("GET", f"{path}&continuationToken=x").status_code == 400
    for privileges, status in (
        (["nx-settings-read"], 403),
        (["nx-repository-view-docker-images-browse"], 403),
        (["nx-settings-read", "nx-repository-view-docker-images-browse"], 200),
    ):
        login = site.user(*privileges)
        answer = site.client.request("GET", path, login=False, auth=login)
        assert answer.status_code == status, privileges
    assert site.client.request("GET", path, login=False).status_code in (401, 403)
    answer = site.client.request("GET", "/api/v1/repositories/images/cleanup?policy=none")
    assert answer.status_code == 404


def test_a_policy_for_another_format_is_named_where_it_is_tried(site):
    site.repoman.cleanup_policies.create(CleanupPolicy("other", "raw", retain=1))
    answer = site.client.request("GET", "/api/v1/repositories/images/cleanup?policy=other")
    assert answer.status_code == 400
    [told] = answer.json["errors"]
    assert told["field"] == "policy"
    assert "other is for repositories of the format raw" in told["message"]


def test_criteria_are_tried_without_being_stored(site):
    push(site, "tried", *"abcd")
    known = site.repoman.cleanup_policies.all()
    criteria = {"namePatterns": ["tried"], "retain": 1}

    def preview(query="", repository="images", **body):
        path = f"/api/v1/repositories/{repository}/cleanup/preview{query}"
        send = {"content_type": "application/json", "data": json.dumps({**criteria, **body})}
        return site.client.request("POST", path, **send)

    page = preview("?decision=goes&limit=2&filter=tried").json
    assert (page["goes"], page["kept"]) == (3, 1)
    assert [(each["version"], each["policy"]) for each in page["items"]] == [
        ("c", None),
        ("b", None),
    ]
    assert page["items"][0]["reason"] == "goes: its name matches tried, 2nd newest, 1 is kept"
    token = page["continuationToken"]
    rest = preview(f"?decision=goes&limit=2&filter=tried&continuationToken={token}").json
    assert [each["version"] for each in rest["items"]] == ["a"]
    assert site.repoman.cleanup_policies.all() == known
    assert tags(site, "tried") == [*"abcd"]
    for wrong, field in (
        ({"retain": 0}, "retain"),
        ({"namePatterns": [""]}, "namePatterns"),
        ({"format": "raw"}, "format"),
    ):
        answer = preview(**wrong)
        assert answer.status_code == 400, wrong
        assert [each["field"] for each in answer.json["errors"]] == [field]
    assert preview(repository="none").status_code == 404
    login = site.user("nx-settings-read")
    path = "/api/v1/repositories/images/cleanup/preview"
    request = {"data": "{}", "content_type": "application/json", "login": False, "auth": login}
    assert site.client.request("POST", path, **request).status_code == 403
