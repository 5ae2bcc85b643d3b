"""Cleanup policies over REST, at both addresses, and the repositories that use them."""

import json

import pytest
from click.testing import CliRunner

from repoman.cli import cli
from repoman.errors import Invalid
from repoman.repositories.cleanup import CleanupPolicies
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import HttpClient
from repoman_raw import plugin as raw
from tests.functional.rest.locks import note_locks
from tests.functional.rest.rights import ANN, let_ann, make_ann

POLICY = {
    "name": "old",
    "format": "raw",
    "notes": "grün",
    "criteriaLastBlobUpdated": 30,
    "criteriaLastDownloaded": 40,
    "criteriaReleaseType": "PRERELEASES",
    "criteriaAssetRegex": "/a/.*",
    "retain": 3,
    "sortBy": "version",
}
V1, INTERNAL = "v1", "internal"
both = pytest.mark.parametrize("api", [V1, INTERNAL])


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw})
    make_ann(repoman)
    return repoman


@pytest.fixture
def send(repoman):
    client = HttpClient(repoman)

    def send(method, path, body=None, **options):
        if body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        api, slash, rest = path.partition("/")
        return client.request(
            method, f"/service/rest/{api}/cleanup-policies{slash}{rest}", **options
        )

    return send


@both
def test_a_policy_is_given_back_as_it_was_set(send, api):
    made = send("POST", api, POLICY)
    shown = {**POLICY, "inUseCount": 0}
    assert (made.status_code, made.data) == (201, b"") if api == V1 else made.json == shown
    assert send("GET", f"{api}/old").json == shown
    smallest = {"name": "other", "format": "*"}
    assert send("POST", api, smallest).status_code == (201 if api == V1 else 200)
    nothing = {key: None for key in shown}
    assert send("GET", f"{api}/OTHER").json == {**nothing, **smallest, "inUseCount": 0}
    assert [each["name"] for each in send("GET", api).json] == ["old", "other"]
    changed = send("PUT", f"{api}/old", smallest)
    assert changed.status_code == (204 if api == V1 else 200)
    assert send("GET", f"{api}/old").json == {
        **nothing,
        "name": "old",
        "format": "*",
        "inUseCount": 0,
    }
    assert send("DELETE", f"{api}/old").status_code == 204
    for method, body in (("GET", None), ("PUT", POLICY), ("DELETE", None)):
        gone = send(method, f"{api}/old", body)
        assert (gone.status_code, gone.data) == (404, b"")


def test_the_internal_list_can_be_limited_to_a_format(send):
    for name, format_ in (("a", "raw"), ("b", "*")):
        send("POST", V1, {"name": name, "format": format_})
    assert [each["name"] for each in send("GET", f"{INTERNAL}").json] == ["a", "b"]
    assert [each["name"] for each in send("GET", "internal/?format=raw").json] == ["a", "b"]
    assert [each["name"] for each in send("GET", "internal/?format=none").json] == ["b"]
    formats = send("GET", f"{INTERNAL}/criteria/formats").json
    assert [each["id"] for each in formats] == ["*", "raw"]


@both
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": None}, None),
        ({"format": "zz"}, "format"),
        ({"format": None}, None),
        ({"criteriaLastBlobUpdated": 0}, "criteriaLastBlobUpdated"),
        ({"criteriaLastDownloaded": 10**30}, "criteriaLastDownloaded"),
        ({"criteriaLastDownloaded": "soon"}, None),
        ({"criteriaLastDownloaded": True}, "criteriaLastDownloaded"),
        ({"criteriaReleaseType": "SOME"}, "criteriaReleaseType"),
        ({"criteriaAssetRegex": "("}, "criteriaAssetRegex"),
        ({"retain": 0}, "retain"),
        ({"retain": 10**30}, "retain"),
        ({"sortBy": 7}, None),
        ({"sortBy": "dates"}, "sortBy"),
    ],
)
def test_what_is_wrong_is_named(send, api, change, field):
    answer = send("POST", api, {**POLICY, "name": "new", **change})
    assert answer.status_code == 400, answer.text
    assert field is None or answer.json[0]["id"] == field
    assert send("GET", api).json == []


def test_a_taken_name_is_a_conflict_or_a_problem_of_the_name(send):
    send("POST", V1, POLICY)
    assert send("POST", V1, {**POLICY, "name": "OLD"}).status_code == 409
    refused = send("POST", INTERNAL, POLICY)
    assert (refused.status_code, refused.json[0]["id"]) == (400, "PARAMETER name")


def test_repositories_use_policies_until_they_are_deleted(send, repoman):
    for name in ("old", "Kept"):
        send("POST", V1, {**POLICY, "name": name})
    for name, policies in (("one", ["OLD", "kept"]), ("two", ["old"]), ("three", [])):
        settings = {"cleanup": {"policy_names": policies}}
        repoman.repositories.create(name, "raw-hosted", settings)
    uses = {each["name"]: each["inUseCount"] for each in send("GET", V1).json}
    assert uses == {"old": 2, "Kept": 1}
    refused = send("PUT", f"{V1}/old", {**POLICY, "format": "*"})
    assert (refused.status_code, refused.json[0]["id"]) == (400, "format")
    assert send("PUT", f"{V1}/old", {**POLICY, "retain": 9}).status_code == 204
    assert send("DELETE", f"{V1}/old").status_code == 204

    def policies_of(name):
        config = repoman.repositories.get(name).config
        return config.settings()["cleanup"]["policy_names"]

    assert [policies_of(each) for each in ("one", "two", "three")] == [["kept"], [], []]
    with pytest.raises(Invalid) as caught:
        repoman.repositories.update("three", {"cleanup": {"policy_names": ["kept", "old"]}})
    assert caught.value.field == "cleanup.policy_names"


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", V1, "nexus:settings:read"),
        ("GET", f"{V1}/old", "nexus:settings:read"),
        ("POST", V1, "nexus:settings:create"),
        ("PUT", f"{V1}/old", "nexus:settings:update"),
        ("DELETE", f"{V1}/old", "nexus:settings:delete"),
        ("GET", INTERNAL, "nexus:settings:read"),
        ("GET", f"{INTERNAL}/old", "nexus:settings:read"),
        ("POST", INTERNAL, "nexus:*"),
        ("PUT", f"{INTERNAL}/old", "nexus:*"),
        ("DELETE", f"{INTERNAL}/old", "nexus:*"),
    ],
)
def test_each_action_has_its_right(send, repoman, method, path, needed):
    send("POST", V1, POLICY)
    body = {**POLICY, "name": "new"} if method in ("POST", "PUT") else None
    if needed == "nexus:*":
        let_ann(repoman, "nexus:settings:*", "nexus:blobstores:*")
        assert send(method, path, body, auth=ANN).status_code == 403
    else:
        assert send(method, path, body, auth=ANN).status_code == 403
        let_ann(repoman, needed)
        assert send(method, path, body, auth=ANN).status_code < 300
    assert send(method, path, body, login=False).status_code in (401, 403)
    assert send(method, path, body).status_code in (200, 201, 204, 400, 404, 409)


def test_changes_are_in_the_audit_log(send, repoman):
    send("POST", V1, {"name": "old", "format": "raw", "retain": 1})
    send("PUT", f"{V1}/old", {"format": "raw", "criteriaAssetRegex": "/x"})
    send("DELETE", f"{V1}/old")
    repoman.audit.flush()
    told = [
        (each["type"], each["target"], each["attributes"])
        for each in reversed(repoman.audit.search({"domain": "cleanup-policy"}))
    ]
    assert told == [
        ("create", "old", {"format": "raw", "retain": "1"}),
        ("change", "old", {"asset_regex": "/x", "removed": "retain"}),
        ("delete", "old", {}),
    ]


@both
def test_nobody_changes_a_policy_between_its_reading_and_its_change(
    send, repoman, monkeypatch, api
):
    send("POST", api, POLICY)
    locks = note_locks(monkeypatch, CleanupPolicies, repoman.data)
    assert send("PUT", f"{api}/old", {**POLICY, "retain": 4}).status_code < 300
    assert locks[0]


def test_nobody_changes_a_policy_while_a_command_does(repoman_factory, monkeypatch):
    repoman = repoman_factory({"raw": raw})
    repoman.cleanup_policies.create(CleanupPolicy("old", "raw", retain=3))
    repoman.stop()
    locks = note_locks(monkeypatch, CleanupPolicies, repoman_factory.data)
    words = ["cleanup", "set", "old", "--updated-days", "9", "--data", str(repoman_factory.data)]
    assert CliRunner().invoke(cli, words).output == "Updated the cleanup policy old.\n"
    assert locks
    assert all(locks)


def test_the_commands(server, tmp_path):
    server.cli("cleanup", "create", "old", "--format", "raw", "--updated-days", "30")
    server.cli("cleanup", "set", "old", "--retain", "3", "--unset", "updated-days")
    [policy] = json.loads(server.cli("cleanup", "list", "--json").stdout)
    assert {key: value for key, value in policy.items() if value not in (None, [])} == {
        "name": "old",
        "format": "raw",
        "retain": 3,
        "in_use": 0,
    }
    assert server.cli("cleanup", "list").stdout == "old  raw  retain=3  (used by 0)\n"
    server.cli("repo", "create", "raw-hosted", "previewed")
    file = tmp_path / "a.txt"
    file.write_text("a file")
    server.cli("component", "upload", "previewed", str(file), "--field", "directory=/")
    tried = ("cleanup", "preview", "previewed", "--policy", "old")
    assert (
        server.cli(*tried).stdout
        == "0 components go (0 bytes of 0 bytes will be freed), 1 stays.\n"
    )
    server.cli("cleanup", "set", "old", "--name-pattern", "*.txt", "--unset", "retain")
    assert server.cli("cleanup", "list").stdout == "old  raw  name_patterns=*.txt  (used by 0)\n"
    listed = server.cli(*tried).stdout
    assert listed == (
        "/a.txt  goes: its name matches *.txt\n"
        "1 component goes (6 bytes of 6 bytes will be freed), 0 stay.\n"
    )
    told = json.loads(server.cli(*tried, "--json").stdout)
    assert (told["goes"], told["kept"], told["is_complete"]) == (1, 0, True)
    [chosen] = told["items"]
    assert (chosen["name"], chosen["namespace"], chosen["policy"]) == ("/a.txt", "/", "old")
    server.cli("cleanup", "set", "old", "--keep-name", "a*")
    kept = server.cli(*tried, "--show", "all").stdout.splitlines()
    assert kept[0] == "/a.txt  kept: matches keep pattern a*"
    assert server.cli("cleanup", "preview", "previewed").stdout.startswith("0 components go")
    criteria = ("cleanup", "preview", "previewed", "--name-pattern", "*.txt")
    assert server.cli(*criteria).stdout == listed
    refused = server.cli(*criteria, "--policy", "old", check=False)
    assert "either policies (--policy) or criteria" in refused.stderr
    assert "0 components go" in server.cli(*criteria, "--keep-name", "a*").stdout
    assert len(json.loads(server.cli("cleanup", "list", "--json").stdout)) == 1
    server.cli("cleanup", "delete", "old", "--yes")
    assert server.cli("cleanup", "list").stdout == ""
