"""All settings of repositories, and options, by merge patches: /api/v1/…/settings and /options."""

import json
from base64 import b64encode

import pytest

import repoman_docker.plugin
import repoman_raw.plugin
from repoman.mail import EMAIL_OPTIONS, EmailOptions
from repoman.repositories.proxy_sections import HttpClientSection
from repoman.security.rights_records import Role
from repoman.testing import ADMIN

ANN = ("ann", "a password")
SECRET = "s3cret of the remote"
MASK = "*" * 10
FILES = "/repositories/files/settings"
REMOTE = "/repositories/remote/settings"
GROUP = "/repositories/all/settings"


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"docker": repoman_docker.plugin, "raw": repoman_raw.plugin})
    create = repoman.repositories.create
    create("files", "raw-hosted", {})
    create("more", "raw-hosted", {})
    create("all", "raw-group", {"group": {"members": ["files", "more"]}})
    login = {"username": "me", "password": SECRET}
    create(
        "remote",
        "raw-proxy",
        {"proxy": {"remote_url": "http://127.0.0.1:9/"}, "http_client": login},
    )
    repoman.users.create(*ANN)
    return repoman


def patch(client, path, body, *, user=ADMIN, kind="application/merge-patch+json", **headers):
    """Send a merge patch and return the answer."""
    options = {"auth": user} if user else {"login": False}
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return client.request(
        "PATCH",
        f"/api/v1{path}",
        data=json.dumps(body),
        content_type=kind,
        headers=named,
        **options,
    )


def settings_of(client, path):
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json["settings"]


def password_of(repoman):
    section = repoman.repositories.get("remote").config.section("http_client", HttpClientSection)
    return section.password.get_secret_value()


def changes(repoman):
    """What was changed, the newest first: type, target and what else the audit log has of it."""
    repoman.audit.flush()
    found = [
        each for each in repoman.audit.search({}) if each["domain"] in ("repository", "option")
    ]
    return [(each["type"], each["target"], each["attributes"]) for each in found]


# Repositories ------------------------------------------------------------------------------------


def test_every_setting_of_every_type_can_be_read_and_written_back(repoman, client):
    recipes = repoman.repositories.list_recipes()
    for recipe in recipes:
        given = {}
        if recipe.type == "proxy":
            given = {"proxy": {"remote_url": "http://127.0.0.1:9/"}}
        if recipe.type == "group":
            member = f"m-{recipe.format}"
            repoman.repositories.create(member, f"{recipe.format}-hosted", {})
            given = {"group": {"members": [member]}}
        repoman.repositories.create(f"r-{recipe.name}", recipe.name, given)
        path = f"/repositories/r-{recipe.name}/settings"
        document = client.get(f"/api/v1{path}").json
        assert {key: set(each) for key, each in document["settings"].items()} == {
            key: set(each.model_fields) for key, each in recipe.sections.items()
        }
        answer = patch(client, path, document)
        assert (answer.status_code, answer.json) == (200, document)
    told = [kind for kind, target, _ in changes(repoman) if target.startswith("r-")]
    assert told == ["create"] * len(recipes)  # What changes nothing is no change.


def test_settings_without_a_name_in_the_reference_are_set_and_audited(repoman, client):
    answer = patch(client, GROUP, {"settings": {"group": {"pins": {"acme/*": ["files"]}}}})
    assert answer.json["settings"]["group"]["pins"] == {"acme/*": ["files"]}
    assert answer.json["settings"]["group"]["members"] == ["files", "more"]
    answer = patch(
        client, REMOTE, {"settings": {"proxy": {"cache_limit": 1 << 30}}, "online": False}
    )
    assert (answer.json["settings"]["proxy"]["cache_limit"], answer.json["online"]) == (
        1 << 30,
        False,
    )
    assert changes(repoman)[:2] == [
        ("change", "remote", {"keys": "proxy.cache_limit", "is_online": "False"}),
        ("change", "all", {"keys": "group.pins"}),
    ]


def test_tables_are_merged_and_null_is_the_default(repoman, client):
    patch(client, GROUP, {"settings": {"group": {"pins": {"a/*": ["files"], "b/*": ["more"]}}}})
    answer = patch(client, GROUP, {"settings": {"group": {"pins": {"a/*": None, "c/*": ["more"]}}}})
    assert answer.json["settings"]["group"]["pins"] == {"b/*": ["more"], "c/*": ["more"]}
    answer = patch(client, GROUP, {"settings": {"group": {"pins": None}}})
    assert answer.json["settings"]["group"]["pins"] == {}
    patch(
        client,
        REMOTE,
        {"settings": {"proxy": {"metadata_max_age": 7}, "negative_cache": {"enabled": False}}},
    )
    answer = patch(
        client, REMOTE, {"settings": {"proxy": {"metadata_max_age": None}, "negative_cache": None}}
    )
    shown = answer.json["settings"]
    assert shown["proxy"]["metadata_max_age"] == 1440
    assert shown["negative_cache"] == {"enabled": True, "time_to_live": 5}
    assert shown["http_client"]["username"] == "me"


def test_secrets_are_never_shown_and_stay_until_they_are_replaced(repoman, client):
    document = client.get(f"/api/v1{REMOTE}")
    assert SECRET not in document.text
    assert document.json["settings"]["http_client"]["password"] == MASK
    patch(client, REMOTE, document.json)
    patch(client, REMOTE, {"settings": {"http_client": {"retries": 1}}})
    assert password_of(repoman) == SECRET
    answer = patch(client, REMOTE, {"settings": {"http_client": {"password": "another one"}}})
    assert "another one" not in answer.text
    assert password_of(repoman) == "another one"
    patch(client, REMOTE, {"settings": {"proxy": {"remote_url": "http://127.0.0.2:9/"}}})
    assert password_of(repoman) == ""  # It is not for that server.
    assert "another one" not in repr(changes(repoman))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"settings": {"group": {"pins": {"a/*": ["nobody"]}}}}, "group.pins"),
        ({"settings": {"group": {"pins": 5}}}, "group.pins"),
        ({"settings": {"group": {"pins": {"a/*": {"b": 1}}}}}, "group.pins.a/*"),
        ({"settings": {"group": {"members": None}}}, "group.members"),
        ({"settings": {"group": {"nope": 1}}}, "group.nope"),
        ({"settings": {"nope": {}}}, "nope"),
        ({"settings": {"nope": None}}, "nope"),
        ({"settings": None}, "settings"),
        ({"settings": {"group": []}}, "group"),
        ({"settings": {"storage": {"blob_store": "other"}}}, "storage.blob_store"),
        ({"group": {}}, "group"),
        ({"online": None}, "online"),
        ({"name": "other"}, "name"),
        ({"type": "hosted"}, "type"),
    ],
)
def test_what_is_wrong_is_named(client, body, field):
    before = settings_of(client, GROUP)
    answer = patch(client, GROUP, body)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json"), (
        answer.text
    )
    assert [each["field"] for each in answer.json["errors"]] == [field]
    assert settings_of(client, GROUP) == before


@pytest.mark.parametrize("data", ["[]", "7", "null", "{", "[" * 100_000, '"text"'])
def test_what_is_no_object_is_refused(client, data):
    for path in (GROUP, "/options/http"):
        answer = client.request(
            "PATCH", f"/api/v1{path}", data=data, content_type="application/merge-patch+json"
        )
        assert answer.status_code == 400


def test_the_media_type_is_that_of_a_merge_patch_or_json(client):
    for kind, status in (("application/json", 200), ("application/json-patch+json", 415)):
        assert patch(client, FILES, {}, kind=kind).status_code == status


def test_one_of_two_clients_cannot_undo_the_other(client):
    tag = client.get(f"/api/v1{GROUP}").headers["ETag"]
    first = patch(client, GROUP, {"settings": {"group": {"pins": {"a/*": ["more"]}}}}, If_Match=tag)
    second = patch(
        client, GROUP, {"settings": {"group": {"pins": {"b/*": ["more"]}}}}, If_Match=tag
    )
    assert (first.status_code, second.status_code) == (200, 412)
    assert first.headers["ETag"] == client.get(f"/api/v1{GROUP}").headers["ETag"] != tag
    third = patch(
        client,
        GROUP,
        {"settings": {"group": {"pins": {"b/*": ["more"]}}}},
        If_Match=first.headers["ETag"],
    )
    assert set(third.json["settings"]["group"]["pins"]) == {"a/*", "b/*"}


def test_rights_on_settings(repoman, client):
    assert patch(client, FILES, {}, user=None).status_code in (401, 403)
    assert patch(client, FILES, {}, user=ANN).status_code == 404
    give(repoman, "nx-repository-admin-raw-files-read")
    assert client.request("GET", f"/api/v1{FILES}", auth=ANN, login=False).status_code == 200
    assert patch(client, FILES, {}, user=ANN).status_code == 403
    assert patch(client, REMOTE, {}, user=ANN).status_code == 404
    give(repoman, "nx-repository-admin-raw-files-edit")
    assert (
        patch(client, FILES, {"settings": {"access": {"anonymous": True}}}, user=ANN).status_code
        == 200
    )
    assert settings_of(client, FILES)["access"] == {"anonymous": True}


def give(repoman, *privileges):
    roles = repoman.security.roles
    if "of-ann" in {each.id for each in roles.all()}:
        repoman.users.change("ann", roles=[])
        roles.delete("of-ann")
    roles.create(Role("of-ann", "", privileges=privileges))
    repoman.users.change("ann", roles=["of-ann"])


# Options -----------------------------------------------------------------------------------------


def test_every_option_can_be_read_and_written_back(repoman, client):
    shown = client.get("/api/v1/options").json
    assert [each["name"] for each in shown] == repoman.options.names()
    for each in shown:
        path = f"/options/{each['name']}"
        assert client.get(f"/api/v1{path}").json == each
        answer = patch(client, path, each["settings"])
        assert (answer.status_code, answer.json) == (200, each), answer.text


def test_options_are_changed_and_null_is_what_the_server_began_with(repoman, client):
    answer = patch(client, "/options/http", {"retries": 3, "non_proxy_hosts": ["*.example.com"]})
    assert answer.json["settings"]["non_proxy_hosts"] == ["*.example.com"]
    answer = patch(client, "/options/http", {"retries": None})
    assert answer.json["settings"]["retries"] is None
    assert answer.json["settings"]["non_proxy_hosts"] == ["*.example.com"]
    patch(client, "/options/ldap", {"roles": {"cn=a": ["nx-admin"], "cn=b": ["nx-admin"]}})
    answer = patch(client, "/options/ldap", {"roles": {"cn=a": None}})
    assert answer.json["settings"]["roles"] == {"cn=b": ["nx-admin"]}
    assert ("change", "http", {"keys": "retries"}) in changes(repoman)


def test_a_secret_of_options_is_not_sent_to_another_server(repoman, client):
    def password():
        return repoman.options.get(EMAIL_OPTIONS, EmailOptions).password.get_secret_value()

    mail = {"host": "mail.example.com", "port": 25, "username": "me", "password": SECRET}
    assert SECRET not in patch(client, "/options/email", mail).text
    patch(client, "/options/email", {"subject_prefix": "[repoman]"})
    assert password() == SECRET
    patch(client, "/options/email", {"host": "other.example.com", "password": MASK})
    assert password() == ""
    patch(client, "/options/email", {"host": "mail.example.com", "password": SECRET})
    assert password() == SECRET
    patch(client, "/options/email", {"password": None})
    assert password() == ""
    assert SECRET not in repr(changes(repoman))


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/options/nope", {}, 404),
        ("/options/http", {"nope": 1}, 400),
        ("/options/http", {"retries": "many"}, 400),
        ("/options/anonymous", {"roles": ["nobody"]}, 400),
    ],
)
def test_wrong_options_are_refused(client, path, body, status):
    answer = patch(client, path, body)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")


def test_rights_on_options(repoman, client):
    assert client.request("GET", "/api/v1/options", auth=ANN, login=False).json == []
    assert patch(client, "/options/http", {}, user=ANN).status_code == 403
    assert patch(client, "/options/http", {}, user=None).status_code in (401, 403)
    give(repoman, "nx-settings-update", "nx-settings-read")
    shown = client.request("GET", "/api/v1/options", auth=ANN, login=False).json
    assert {"ldap", "user_tokens", "anonymous"}.isdisjoint(each["name"] for each in shown)
    assert patch(client, "/options/http", {"retries": 1}, user=ANN).status_code == 200
    roles = {"roles": ["nx-admin"]}
    assert patch(client, "/options/anonymous", roles, user=ANN).status_code == 403
    assert patch(client, "/options/ldap", {}, user=ANN).status_code == 403


def test_a_change_by_a_browser_needs_its_proof(client):
    login = client.request("POST", "/service/rapture/session", login=False, data=encoded(ADMIN))
    assert login.status_code == 204
    answer = patch(client, FILES, {"online": False}, user=None)
    assert answer.status_code == 401
    assert client.get(f"/api/v1{FILES}").json["online"] is True


def encoded(login):
    return {
        key: b64encode(value.encode()).decode()
        for key, value in zip(("username", "password"), login, strict=True)
    }
