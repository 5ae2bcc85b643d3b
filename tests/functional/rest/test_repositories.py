"""Repositories over REST: who sees which, and what can be done with them."""

import json

import pytest

from repoman.plugin import Action, Limit
from repoman.security.rights_records import Role
from repoman.testing import ADMIN
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw

PASSWORD = "a password"
SETTINGS = {
    "name": "new",
    "online": True,
    "storage": {
        "blobStoreName": "default",
        "strictContentTypeValidation": True,
        "writePolicy": "ALLOW",
    },
}


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"docker": docker, "raw": raw}, security={"login_failures": 0})
    make = repoman.repositories.create
    make("files", "raw-hosted", {})
    make("cache", "raw-proxy", {"proxy": {"remote_url": "https://files.example.com/"}})
    make("all", "raw-group", {"group": {"members": ["files", "cache"]}})
    return repoman


@pytest.fixture
def make_user(repoman):
    """Makes users with privileges and returns their logins."""

    def make(name, *privileges):
        repoman.security.roles.create(Role(name, "", privileges=privileges))
        repoman.users.create(name, PASSWORD, [name])
        return name, PASSWORD

    return make


def ask(client, method, path, body=None, **options):
    if body is not None:
        options |= {"data": json.dumps(body), "content_type": "application/json"}
    return client.request(method, f"/service/rest/v1/{path}", **options)


def names(answer):
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json]


def view(repository, action, format_="raw"):
    return f"nx-repository-view-{format_}-{repository}-{action}"


def admin(repository, action, format_="raw"):
    return f"nx-repository-admin-{format_}-{repository}-{action}"


# --- Lists ---------------------------------------------------------------------------------------


def test_repositories_are_listed_with_what_clients_read(client):
    listed = {each["name"]: each for each in ask(client, "GET", "repositories").json}
    assert listed["cache"] == {
        "name": "cache",
        "format": "raw",
        "type": "proxy",
        "url": "http://localhost/repository/cache",
        "size": 0,
        "attributes": {"proxy": {"remoteUrl": "https://files.example.com/"}},
    }
    assert listed["files"]["attributes"] == listed["all"]["attributes"] == {}
    assert ask(client, "GET", "repositories/CACHE").json == listed["cache"]
    assert client.put("/repository/files/a", b"12345").status_code == 201
    assert ask(client, "GET", "repositories/files").json["size"] == 5
    assert "size" not in listed["all"]  # Its members have the bytes.


def test_who_may_browse_something_sees_the_repository(client, make_user):
    browser = make_user("browser", view("files", "browse"))
    reader = make_user("reader", view("files", "read"))
    nobody = make_user("nobody")
    assert names(ask(client, "GET", "repositories", auth=browser)) == ["files"]
    assert names(ask(client, "GET", "repositories", auth=reader)) == []
    assert names(ask(client, "GET", "repositories", auth=nobody)) == []
    assert names(ask(client, "GET", "repositories", login=False)) == []
    assert ask(client, "GET", "repositories/files", auth=browser).status_code == 200
    assert ask(client, "GET", "repositories/files", auth=reader).status_code == 200


def test_a_member_is_visible_to_who_may_use_its_group(client, make_user):
    login = make_user("grouped", view("all", "read"))
    assert ask(client, "GET", "repositories/files", auth=login).status_code == 200


@pytest.mark.parametrize("name", ["files", "none", "%2e%2e", "x" * 3000])
def test_nobody_learns_what_exists(client, make_user, name):
    nobody = make_user("nobody")
    cases = [
        ("GET", f"repositories/{name}"),
        ("DELETE", f"repositories/{name}"),
        ("POST", f"repositories/{name}/invalidate-cache"),
        ("POST", f"repositories/{name}/rebuild-index"),
        ("POST", f"repositories/{name}/health-check"),
        ("DELETE", f"repositories/{name}/health-check"),
    ]
    for method, path in cases:
        assert ask(client, method, path, auth=nobody).status_code == 403, (method, path)
    settings = f"repositories/raw/hosted/{name}"
    assert ask(client, "GET", settings, auth=nobody).status_code == 404
    assert ask(client, "PUT", settings, SETTINGS, auth=nobody).status_code == 403


def test_an_unknown_repository_is_not_found_by_who_may_everything(client):
    for method, path in [("GET", "none"), ("DELETE", "none")]:
        answer = ask(client, method, f"repositories/{path}")
        assert (answer.status_code, answer.data) == (404, b"")
    answer = ask(client, "PUT", "repositories/raw/hosted/none", {**SETTINGS, "name": "none"})
    assert (answer.status_code, answer.data) == (404, b"")
    for path in ("none/invalidate-cache", "none/rebuild-index"):
        answer = ask(client, "POST", f"repositories/{path}")
        assert (answer.status_code, answer.json["id"]) == (404, "*")


def test_a_private_repository_looks_to_the_anonymous_as_if_it_did_not_exist(repoman, client):
    repoman.options.update("anonymous", {"enabled": True})
    repoman.repositories.create("private", "raw-hosted", {"access": {"anonymous": False}})
    assert ask(client, "GET", "repositories/cache", login=False).status_code == 200
    statuses = {
        ask(client, "GET", f"repositories/{name}", login=False).status_code
        for name in ("private", "none")
    }
    assert len(statuses) == 1


# --- Rights on settings --------------------------------------------------------------------------


def test_each_action_on_settings_has_its_right(client, make_user, repoman):
    for action in ("add", "delete"):
        pattern = f"nexus:repository-admin:raw:new:{action}"
        repoman.security.privileges.create(f"{action}-new", "wildcard", {"pattern": pattern})
    reader = make_user("reader", admin("files", "read"))
    editor = make_user("editor", admin("files", "edit"))
    adder = make_user("adder", "add-new")
    deleter = make_user("deleter", "delete-new")
    files = "repositories/raw/hosted/files"
    change = {**SETTINGS, "name": "files"}

    assert ask(client, "GET", files, auth=reader).status_code == 200
    assert names(ask(client, "GET", "repositorySettings", auth=reader)) == ["files"]
    assert ask(client, "PUT", files, change, auth=reader).status_code == 403

    assert ask(client, "PUT", files, change, auth=editor).status_code == 204
    assert ask(client, "GET", files, auth=editor).status_code == 404
    assert ask(client, "DELETE", "repositories/files", auth=editor).status_code == 403
    assert names(ask(client, "GET", "repositorySettings", auth=editor)) == []

    other = {**SETTINGS, "name": "other"}
    path = "repositories/raw/hosted"
    assert ask(client, "POST", path, SETTINGS, auth=editor).status_code == 403
    assert ask(client, "POST", path, other, auth=adder).status_code == 403
    assert ask(client, "POST", "repositories/docker/hosted", {}, auth=adder).status_code == 403
    assert ask(client, "POST", path, SETTINGS, auth=adder).status_code == 201

    assert ask(client, "DELETE", "repositories/new", auth=adder).status_code == 403
    assert ask(client, "DELETE", "repositories/new", auth=deleter).status_code == 204


def test_settings_need_a_login(client, repoman):
    repoman.options.update("anonymous", {"enabled": True})
    for method, path in [
        ("GET", "repositorySettings"),
        ("GET", "repositories/raw/hosted/files"),
        ("PUT", "repositories/raw/hosted/files"),
        ("POST", "repositories/raw/hosted"),
        ("DELETE", "repositories/files"),
    ]:
        answer = ask(client, method, path, login=False)
        assert answer.status_code in (401, 403)


def test_a_limited_token_configures_nothing(client, repoman):
    limit = Limit(actions=frozenset({Action.READ}))
    secret = repoman.security.user_tokens.create(ADMIN[0], "ci", limit)
    answer = ask(client, "GET", "repositories/raw/hosted/files", auth=(ADMIN[0], secret))
    assert answer.status_code == 404


def test_all_settings_are_listed(client):
    listed = ask(client, "GET", "repositorySettings").json
    assert [each["name"] for each in listed] == ["all", "cache", "files"]
    for each in listed:
        path = f"repositories/{each['format']}/{each['type']}/{each['name']}"
        assert ask(client, "GET", path).json == each


def test_another_type_or_format_in_the_path_is_not_found(client):
    for path in ("raw/proxy/files", "docker/hosted/files", "raw/group/files"):
        answer = ask(client, "GET", f"repositories/{path}")
        assert (answer.status_code, answer.json["id"]) == (404, "*")


# --- Actions -------------------------------------------------------------------------------------


def test_a_deleted_repository_takes_its_content_and_privileges_along(client, repoman):
    assert ask(client, "DELETE", "repositories/files").status_code == 204
    assert repoman.repositories.find("files") is None
    assert ask(client, "GET", "repositories/files").status_code == 404
    group = ask(client, "GET", "repositories/raw/group/all").json
    assert group["group"]["memberNames"] == ["cache"]
    assert ask(client, "POST", "repositories/raw/hosted", {**SETTINGS, "name": "files"}).data == b""
    assert client.get("/repository/files/a.txt").status_code == 404


def test_a_group_invalidates_the_caches_of_the_proxies_in_it(client, repoman):
    repoman.repositories.create("outer", "raw-group", {"group": {"members": ["all"]}})
    assert ask(client, "POST", "repositories/outer/invalidate-cache").status_code == 204
    assert ask(client, "POST", "repositories/cache/invalidate-cache").status_code == 204
    refused = ask(client, "POST", "repositories/files/invalidate-cache")
    assert (refused.status_code, refused.json["id"]) == (400, "*")
    told = [event["target"] for event in repoman.audit.search({"type": "invalidate"}, limit=5)]
    assert told == ["cache", "outer"]


def test_rebuilding_an_index_is_possible_where_there_is_one(client):
    statuses = {
        name: ask(client, "POST", f"repositories/{name}/rebuild-index").status_code
        for name in ("files", "cache", "all")
    }
    assert statuses == {"files": 204, "cache": 204, "all": 400}


def test_a_health_check_is_for_proxies(client):
    for method in ("POST", "DELETE"):
        assert ask(client, method, "repositories/cache/health-check").status_code == 204
        assert ask(client, method, "repositories/files/health-check").status_code == 409
