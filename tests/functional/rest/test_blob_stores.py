"""Blob stores over REST, as Terraform and scripts use them."""

import json

import pytest
import requests

from repoman.errors import Invalid, NotFound
from repoman.testing import HttpClient
from repoman_raw import plugin as raw
from tests.clock import WAIT_S, wait_until
from tests.functional.rest.rights import ANN, let_ann, make_ann
from tests.statements import executed_statements

QUOTA = {"type": "spaceUsedQuota", "limit": 1_000_000}
PASSWORD = "a password"


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
        return client.request(method, f"/service/rest/v1/blobstores{path}", **options)

    return send


def test_a_store_is_given_back_as_it_was_set(send):
    assert send("POST", "/file", {"name": "b", "path": "./a//b", "softQuota": QUOTA}).status == (
        "204 NO CONTENT"
    )
    assert send("GET", "/file/b").json == {"path": "./a//b", "softQuota": QUOTA}
    [listed] = [each for each in send("GET", "").json if each["name"] == "b"]
    assert listed.pop("availableSpaceInBytes") > 0
    assert listed == {
        "softQuota": QUOTA,
        "name": "b",
        "type": "File",
        "unavailable": False,
        "blobCount": 0,
        "totalSizeInBytes": 0,
    }
    assert send("PUT", "/file/b", {"path": "./a//b", "softQuota": None}).status_code == 204
    assert send("GET", "/file/b").json["softQuota"] is None


def test_the_store_of_the_settings_file_keeps_its_path(send):
    assert send("GET", "/file/default").json == {"path": "default", "softQuota": None}
    answer = send("PUT", "/file/default", {"path": "default", "softQuota": QUOTA})
    assert answer.status_code == 204
    assert send("GET", "/file/default").json["softQuota"] == QUOTA
    moved = send("PUT", "/file/default", {"path": "elsewhere"})
    assert (moved.status_code, moved.json[0]["id"]) == (400, "path")
    refused = send("DELETE", "/default")
    assert (refused.status_code, refused.json["id"]) == (400, "*")
    assert "settings file" in refused.json["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"path": "x"}, "PARAMETER name"),
        ({"name": "x"}, "PARAMETER path"),
        ({"name": None, "path": "x"}, None),
        ({"name": 7, "path": "x"}, None),
        ({"name": "x", "path": []}, None),
        ({"name": "", "path": "x"}, "name"),
        ({"name": "a b", "path": "x"}, "name"),
        ({"name": "x" * 300, "path": "x"}, "name"),
        ({"name": "default", "path": "x"}, "name"),
        ({"name": "x", "path": ""}, "path"),
        ({"name": "x", "path": "../../etc"}, "path"),
        ({"name": "x", "path": "/proc/1/x"}, "path"),
        ({"name": "x", "path": "x/" * 600}, "path"),
        ({"name": "x", "path": "y" * 300}, "path"),
        ({"name": "x", "path": "a\u0000b"}, "path"),
        ({"name": "x", "path": "default"}, "path"),
        ({"name": "x", "path": "x", "softQuota": {}}, None),
        ({"name": "x", "path": "x", "softQuota": {"type": "much", "limit": 1}}, None),
        ({"name": "x", "path": "x", "softQuota": {"type": "spaceUsedQuota", "limit": -1}}, None),
        ({"name": "x", "path": "x", "softQuota": {"type": "spaceUsedQuota", "limit": 1e40}}, None),
        ({"name": "x", "path": "x", "softQuota": "none"}, None),
    ],
)
def test_what_is_wrong_is_named_and_leaves_nothing(send, repoman, body, field):
    before = {each.name for each in (repoman.data / "blobs").iterdir()}
    answer = send("POST", "/file", body)
    assert answer.status_code == 400, answer.text
    assert field is None or answer.json[0]["id"] == field
    assert len(send("GET", "").json) == 1
    assert {each.name for each in (repoman.data / "blobs").iterdir()} == before


def test_only_administrators_use_absolute_paths(send, repoman, tmp_path):
    let_ann(repoman, "nexus:blobstores:*")
    body = {"name": "far", "path": str(tmp_path / "far")}
    refused = send("POST", "/file", body, auth=ANN)
    assert (refused.status_code, refused.json[0]["id"]) == (400, "path")
    assert send("POST", "/file", body).status_code == 204
    assert (tmp_path / "far" / "store.json").is_file()
    assert send("GET", "/file/far").json["path"] == body["path"]


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "", "read"),
        ("GET", "/file/b", "read"),
        ("GET", "/b/quota-status", "read"),
        ("POST", "/file", "create"),
        ("POST", "/s3", "create"),
        ("PUT", "/file/b", "update"),
        ("DELETE", "/b", "delete"),
    ],
)
def test_each_action_has_its_right(send, repoman, method, path, action):
    assert send("POST", "/file", {"name": "b", "path": "b"}).status_code == 204
    body = {"name": "c", "path": "b" if method == "PUT" else "c"}
    body = body if method in ("POST", "PUT") else None
    assert send(method, path, body, auth=ANN).status_code == 403
    assert send(method, path, body, login=False).status_code in (401, 403)
    let_ann(repoman, f"nexus:blobstores:{action}")
    allowed = send(method, path, body, auth=ANN)
    assert allowed.status_code == (400 if path == "/s3" else allowed.status_code)
    assert allowed.status_code not in (401, 403)


def test_quotas_tell_whether_they_are_exceeded(send):
    assert send("GET", "/default/quota-status").json["isViolation"] is False
    quota = {"type": "SPACEREMAININGQUOTA", "limit": 2**60}
    assert send("PUT", "/file/default", {"path": "default", "softQuota": quota}).status_code == 204
    status = send("GET", "/default/quota-status").json
    assert (status["isViolation"], status["blobStoreName"]) == (True, "default")
    assert "soft quota" in status["message"]
    assert send("GET", "/file/default").json["softQuota"]["type"] == "spaceRemainingQuota"


def test_the_list_takes_the_same_statements_for_any_number(send):
    def count():
        with executed_statements() as statements:
            assert send("GET", "").status_code == 200
        return len(statements)

    count()  # what is remembered of users and rights
    before = count()
    for number in range(5):
        send("POST", "/file", {"name": f"s{number}", "path": f"s{number}"})
    send("GET", "")
    assert count() == before


def test_a_lost_update_is_noticed(send):
    etag = send("GET", "/file/default").headers["ETag"]
    body = {"path": "default", "softQuota": QUOTA}
    assert send("PUT", "/file/default", body, headers={"If-Match": etag}).status_code == 204
    assert send("PUT", "/file/default", body, headers={"If-Match": etag}).status_code == 412


@pytest.mark.parametrize("kind", ["s3", "azure", "google", "group"])
def test_other_types_are_refused(send, kind):
    answer = send("POST", f"/{kind}", {"name": "x", "bucketConfiguration": {}})
    assert (answer.status_code, answer.json["id"]) == (400, "*")
    for method, body in (("GET", None), ("PUT", {"name": "default"})):
        assert send(method, f"/{kind}/default", body).status_code == 400
        assert send(method, f"/{kind}/gone", body).status_code == 404
    assert send("GET", f"/{kind}").status_code in (404, 405)


def test_changes_are_in_the_audit_log(send, repoman):
    send("POST", "/file", {"name": "b", "path": "b", "softQuota": QUOTA})
    send("PUT", "/file/b", {"path": "b"})
    send("DELETE", "/b")
    repoman.audit.flush()
    told = [
        (each["type"], each["actor"], each["attributes"])
        for each in reversed(repoman.audit.search({"domain": "blob-store"}))
    ]
    assert told == [
        ("create", "admin", {"path": "b", "quota": "used 1000000"}),
        ("change", "admin", {"quota": "none"}),
        ("delete", "admin", {}),
    ]
    with pytest.raises(NotFound):
        repoman.stores.get("b")


def test_a_running_server_uses_what_commands_create(server):
    rest = f"{server.main_url}/service/rest/v1/blobstores"

    def names():
        found = requests.get(rest, auth=server.admin, timeout=WAIT_S).json()
        return {each["name"]: each["unavailable"] for each in found}

    server.cli("blobstore", "create", "fast", "--used-quota", "5")
    assert names() == {"default": False, "fast": False}
    server.cli("repo", "create", "raw-hosted", "files", "--set", "storage.blob_store=fast")
    url = f"{server.main_url}/repository/files/a"
    wait_until(
        lambda: requests.put(url, b"some bytes", auth=server.admin, timeout=WAIT_S).ok,
        what="the upload into the new store",
    )
    listed = server.cli("blobstore", "list").stdout
    assert "10 bytes are used, of 5" in listed
    [fast] = [
        each
        for each in json.loads(server.cli("blobstore", "list", "--json").stdout)
        if each["name"] == "fast"
    ]
    assert (fast["blobs"], fast["size"], fast["path"]) == (1, 10, "fast")
    server.cli("blobstore", "set", "fast", "--no-quota")
    refused = server.cli("blobstore", "delete", "fast", "--yes", check=False)
    assert refused.returncode == 1
    assert "is used by files" in refused.stderr
    server.stop()
    server.start()
    assert requests.get(url, auth=server.admin, timeout=WAIT_S).content == b"some bytes"
    server.cli("blobstore", "create", "empty")
    wait_until(lambda: "empty" in names(), what="the second store")
    server.cli("blobstore", "delete", "empty", "--yes")
    assert "empty" not in names()
    server.cli("blobstore", "create", "empty")


# --- Hard quotas --------------------------------------------------------------------------------


def test_hard_quotas_are_set_and_shown_beside_the_soft_ones(repoman, send):
    client = HttpClient(repoman)
    path = "/api/v1/blobstores/default/quota"

    def limit(number):
        options = {"data": json.dumps({"limit": number}), "content_type": "application/json"}
        return client.request("PUT", path, **options).status_code

    assert client.get(path).json == {
        "blobStore": "default",
        "used": 0,
        "limit": None,
        "isFull": False,
        "message": "",
    }
    assert (limit(0), limit(-1), limit("x")) == (204, 400, 400)
    shown = client.get(path).json
    assert (shown["limit"], shown["isFull"]) == (0, True)
    assert "has used 0 bytes of its quota of 0 bytes" in shown["message"]
    # What scripts of others know of a store stays as it is.
    assert send("GET", "/file/default").json == {"path": "default", "softQuota": None}
    assert send("PUT", "/file/default", {"path": "default", "softQuota": QUOTA}).status_code == 204
    assert client.get(path).json["limit"] == 0
    assert send("GET", "/default/quota-status").json["isViolation"] is False
    assert limit(None) == 204
    assert client.get("/api/v1/blobstores/none/quota").status_code == 404


def test_the_quota_of_a_repository_is_a_setting(repoman):
    client = HttpClient(repoman)
    repoman.repositories.create("files", "raw-hosted", {})
    path = "/api/v1/repositories/files"
    assert client.get(f"{path}/quota").json == {
        "repository": "files",
        "used": 0,
        "softLimit": None,
        "limit": None,
        "isFull": False,
        "message": "",
    }
    body = json.dumps({"settings": {"quota": {"soft_limit": 3, "limit": 10}}})
    options = {"data": body, "content_type": "application/merge-patch+json"}
    answer = client.request("PATCH", f"{path}/settings", **options)
    assert answer.status_code == 200, answer.text
    assert answer.json["settings"]["quota"] == {"soft_limit": 3, "limit": 10}
    assert client.put("/repository/files/a", b"4444").status_code == 201
    shown = client.get(f"{path}/quota").json
    assert (shown["used"], shown["isFull"]) == (4, False)
    assert shown["message"].startswith("The soft quota of the repository files is exceeded")
    assert client.put("/repository/files/b", b"1234567").status_code == 403
    known = client.get("/service/rest/v1/repositories/raw/hosted/files").json
    assert "quota" not in known
    assert client.get(f"{path}/quota", login=False).status_code == 401


@pytest.mark.parametrize("quota", [{"limit": -1}, {"limit": "x"}, {"soft_limit": 3, "limit": 2}])
def test_a_wrong_quota_is_refused(repoman, quota):
    with pytest.raises(Invalid, match="quota"):
        repoman.repositories.create("files", "raw-hosted", {"quota": quota})
