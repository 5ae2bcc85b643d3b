"""The settings of repositories over REST: what is set is given back, and what is wrong is named."""

import json
import sqlite3
import threading
from contextlib import closing
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from repoman.plugin import (
    Built,
    ConnectorSection,
    Format,
    HostedStorageSection,
    Recipe,
    RepositoryType,
    Rest,
    Section,
    hookimpl,
)
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.routing_records import RoutingMode, RoutingRule
from repoman.testing import HttpClient
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.rest.repository_requests import (
    DOCKER,
    HOSTED,
    LOGIN,
    PROXY,
    SECRET,
    STORAGE,
    create,
    group,
    read,
    refused,
    replace,
    send,
    with_value,
)
from tests.live import free_port


class Toy(ConnectorSection):
    in_rest: ClassVar = dict.fromkeys(("http_port", "external_url"), Rest())


class Access(Section):
    in_rest: ClassVar = {"pass_phrase": Rest("signing.passPhrase")}

    key_name: str = Field("", description="A key.")
    levels: tuple[int, ...] = Field((1,), description="Levels.")
    pass_phrase: SecretStr = Field(SecretStr(""), description="A secret.")


class Toys:
    """A format of which the core knows nothing."""

    @hookimpl
    def repoman_register_formats(self):
        return [Format("toy-box", "Toy", ())]

    @hookimpl
    def repoman_register_recipes(self):
        sections = {
            "storage": HostedStorageSection,
            "toy": Toy,
            "toy_access": Access,
        }
        return [Recipe("toy-box", RepositoryType.HOSTED, sections, build=Built)]


@pytest.fixture
def plugins():
    return {"docker": docker, "raw": raw, "toys": Toys()}


@pytest.fixture
def repoman(repoman_factory, plugins):
    return repoman_factory(plugins)


def covers(told, given):
    """Whether an answer has all that a request gave, but for secrets."""
    if isinstance(given, dict):
        return all(
            key in ("password", "bearerToken") or covers(told[key], given[key]) for key in given
        )
    return told == given


def changes(repoman):
    return [
        (event["type"], event["attributes"])
        for event in reversed(repoman.audit.search({"domain": "repository"}, limit=50))
    ]


# --- What is given back --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/docker/hosted",
            {
                "name": "images",
                "online": False,
                "storage": {**HOSTED, "writePolicy": "ALLOW_ONCE", "latestPolicy": True},
                "component": {"proprietaryComponents": True},
                "docker": {**DOCKER, "v1Enabled": True, "httpsPort": free_port()},
            },
        ),
        (
            "/docker/proxy",
            {
                **PROXY,
                "storage": {**STORAGE, "strictContentTypeValidation": False},
                "proxy": {
                    "remoteUrl": "https://registry-1.docker.io/",
                    "contentMaxAge": -1,
                    "metadataMaxAge": 0,
                },
                "negativeCache": {"enabled": False, "timeToLive": 7},
                "httpClient": {
                    "blocked": True,
                    "autoBlock": False,
                    "connection": {
                        "retries": 0,
                        "timeout": None,
                        "userAgentSuffix": "x",
                        "enableCookies": True,
                        "enableCircularRedirects": True,
                        "useTrustStore": True,
                    },
                    "authentication": {
                        "type": "ntlm",
                        "username": "bob",
                        "password": SECRET,
                        "ntlmHost": "h",
                        "ntlmDomain": "d",
                    },
                },
                "replication": {"preemptivePullEnabled": True, "assetPathRegex": "a.*"},
                "dockerProxy": {
                    "indexType": "CUSTOM",
                    "indexUrl": "https://index.example.com/v1/",
                    "cacheForeignLayers": True,
                    "foreignLayerUrlWhitelist": ["https://a/.*", "b,c"],
                },
            },
        ),
        (
            "/raw/proxy",
            {
                **{key: each for key, each in PROXY.items() if not key.startswith("docker")},
                "httpClient": {
                    "blocked": False,
                    "autoBlock": True,
                    "connection": {"retries": None, "enableCookies": None},
                    "authentication": {"type": "bearerToken", "bearerToken": SECRET},
                },
                "raw": {"contentDisposition": "INLINE"},
            },
        ),
        (
            "/toy-box/hosted",
            {
                "name": "box",
                "online": True,
                "storage": HOSTED,
                "toy": {"httpPort": free_port(), "externalUrl": "https://toys.example.com"},
                "toyAccess": {"keyName": "k", "levels": [3, 2]},
            },
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_was_set_is_given_back(repoman_factory, plugins, path, body):
    client = HttpClient(repoman_factory(plugins))
    where = create(client, path, body)
    told = read(client, where)
    connection = body.get("httpClient", {}).get("connection")
    if connection:  # null is what the reference says of these
        body["httpClient"]["connection"] = {
            key: (False if each is None and key.startswith("enable") else each)
            for key, each in connection.items()
        }
    assert covers(told, body), told
    assert SECRET not in json.dumps(told)
    again = HttpClient(repoman_factory(plugins))  # a restart
    assert read(again, where) == told
    replace(again, where, {**told, "name": body["name"]})
    assert read(again, where) == told


def test_optional_objects_are_null_until_they_are_set(client):
    body = {**PROXY, "httpClient": {"blocked": False, "autoBlock": True}}
    told = read(client, create(client, "/docker/proxy", body))
    assert told["httpClient"] == {
        "blocked": False,
        "autoBlock": True,
        "connection": None,
        "authentication": None,
    }
    assert told["replication"] is None
    assert told["negativeCache"] == {"enabled": True, "timeToLive": 1440}
    assert told["docker"]["httpPort"] is told["docker"]["subdomain"] is None
    assert told["dockerProxy"] == {
        "indexType": "HUB",
        "indexUrl": None,
        "cacheForeignLayers": False,
        "foreignLayerUrlWhitelist": [],
    }


def test_what_a_request_leaves_out_is_reset_and_what_rest_does_not_show_is_kept(client, repoman):
    where = create(
        client,
        "/docker/proxy",
        {
            **PROXY,
            "httpClient": {**PROXY["httpClient"], "connection": {"retries": 7}},
            "replication": {"preemptivePullEnabled": True},
        },
    )
    repoman.repositories.update("hub", {"proxy": {"cache_limit": 1000}, "access": {"anonymous": 1}})
    replace(client, where, {**PROXY, "httpClient": {"blocked": True}})
    told = read(client, where)
    assert told["replication"] is None
    assert told["httpClient"] == {
        "blocked": True,
        "autoBlock": True,
        "connection": None,
        "authentication": None,
    }
    kept = repoman.repositories.get("hub").config.settings()
    assert kept["proxy"]["cache_limit"] == 1000
    assert kept["access"]["anonymous"] is True


def test_raw_files_are_saved_unless_they_are_shown_inline(client):
    body = {"name": "files", "online": True, "storage": HOSTED}
    where = create(client, "/raw/hosted", body)
    assert read(client, where)["raw"] == {"contentDisposition": "ATTACHMENT"}
    client.put("/repository/files/a.txt", b"hello")
    assert client.get("/repository/files/a.txt").headers["Content-Disposition"] == "attachment"
    replace(client, where, {**body, "raw": {"contentDisposition": "inline"}})
    assert read(client, where)["raw"] == {"contentDisposition": "INLINE"}
    assert "Content-Disposition" not in client.get("/repository/files/a.txt").headers


def test_a_plan_of_the_same_settings_changes_nothing(client, repoman):
    """As Terraform works: create, read, plan; change, read, plan; destroy."""
    where = create(client, "/docker/proxy", PROXY)
    before = len(changes(repoman))
    replace(client, where, PROXY)
    assert len(changes(repoman)) == before
    changed = {**PROXY, "online": False, "negativeCache": {"enabled": False, "timeToLive": 3}}
    replace(client, where, changed)
    assert covers(read(client, where), changed)
    assert send(client, "DELETE", "/hub").status_code == 204
    assert send(client, "GET", where).status_code == 404


def test_cleanup_policies_and_a_routing_rule_are_named(client, repoman):
    repoman.cleanup_policies.create(CleanupPolicy("old"))
    repoman.routing_rules.create(
        RoutingRule("acme", mode=RoutingMode.BLOCK, matchers=(".*acme.*",))
    )
    where = create(client, "/docker/proxy", PROXY)
    told = read(client, where)
    assert told["cleanup"] is told["routingRuleName"] is None
    for key in ("routingRule", "routingRuleName"):
        replace(client, where, {**PROXY, "cleanup": {"policyNames": ["old"]}, key: "acme"})
        told = read(client, where)
        assert told["cleanup"] == {"policyNames": ["old"]}
        assert told["routingRuleName"] == "acme"
        replace(client, where, {**PROXY, "cleanup": {"policyNames": None}})
        told = read(client, where)
        assert told["cleanup"] == {"policyNames": []}
        assert told["routingRuleName"] is None
    replace(client, where, PROXY)
    assert read(client, where)["cleanup"] is None


# --- Secrets -------------------------------------------------------------------------------------


def password_of(repoman):
    client = repoman.repositories.get("hub").config.sections["http_client"]
    return client.credentials


def test_a_secret_is_kept_while_the_request_has_no_other_one(client, repoman):
    where = create(client, "/docker/proxy", PROXY)
    http = {**PROXY["httpClient"], "authentication": {"type": "username", "username": "eve"}}
    replace(client, where, {**PROXY, "httpClient": http})
    assert (password_of(repoman).username, password_of(repoman).password) == ("eve", SECRET)
    http["authentication"]["password"] = "another password"
    replace(client, where, {**PROXY, "httpClient": http})
    assert password_of(repoman).password == "another password"
    replace(client, where, {**PROXY, "httpClient": {"autoBlock": True}})
    replace(client, where, {**PROXY, "httpClient": http | {"authentication": {"type": "username"}}})
    assert password_of(repoman).password == ""


def test_a_secret_does_not_go_to_another_server(client, repoman):
    where = create(client, "/docker/proxy", PROXY)
    http = {**PROXY["httpClient"], "authentication": {"type": "username", "username": "bob"}}
    stolen = {**PROXY, "httpClient": http, "proxy": {"remoteUrl": "https://thief.example.com"}}
    replace(client, where, stolen)
    assert (password_of(repoman).username, password_of(repoman).password) == ("bob", "")
    replace(client, where, {**stolen, "httpClient": PROXY["httpClient"]})
    assert password_of(repoman).password == SECRET


def test_one_type_of_login_replaces_the_other(client, repoman):
    where = create(client, "/docker/proxy", PROXY)
    http = {**PROXY["httpClient"], "authentication": {"type": "BEARERTOKEN", "bearerToken": "t"}}
    replace(client, where, {**PROXY, "httpClient": http})
    assert read(client, where)["httpClient"]["authentication"] == {
        "type": "bearerToken",
        "username": None,
        "ntlmHost": None,
        "ntlmDomain": None,
    }
    found = password_of(repoman)
    assert (found.username, found.password, found.bearer_token) == ("", "", "t")
    replace(client, where, PROXY)
    found = password_of(repoman)
    assert (found.username, found.password, found.bearer_token) == ("bob", SECRET, "")


def test_no_secret_is_in_the_audit_log_or_plain_in_the_database(client, repoman):
    where = create(client, "/docker/proxy", PROXY)
    http = {**PROXY["httpClient"], "authentication": {**LOGIN, "password": "another password"}}
    replace(client, where, {**PROXY, "httpClient": http})
    assert changes(repoman)[-1] == ("change", {"keys": "http_client.password"})
    with closing(sqlite3.connect(repoman.data / "repoman.db")) as database:
        for table in ("repository", "audit"):
            text = str(database.execute(f"SELECT * FROM {table}").fetchall())
            assert SECRET not in text
            assert "another password" not in text


def test_the_audit_log_has_the_fields_that_changed(client, repoman):
    where = create(client, "/docker/proxy", PROXY)
    changed = {**PROXY, "online": False, "proxy": {**PROXY["proxy"], "contentMaxAge": 5}}
    replace(client, where, changed)
    assert changes(repoman)[-1] == (
        "change",
        {"keys": "proxy.content_max_age", "is_online": "False"},
    )


# --- Groups --------------------------------------------------------------------------------------


@pytest.fixture
def members(client):
    hosted = {"online": True, "storage": HOSTED, "docker": DOCKER}
    create(client, "/docker/hosted", {"name": "images", **hosted})
    create(client, "/docker/proxy", PROXY)
    create(client, "/raw/hosted", {"name": "files", "online": True, "storage": HOSTED})


@pytest.mark.usefixtures("members")
def test_members_keep_their_order_and_pins_are_kept(client, repoman):
    where = create(client, "/docker/group", group("all", "hub", "images", writableMember="images"))
    told = read(client, where)
    assert told["group"] == {"memberNames": ["hub", "images"], "writableMember": "images"}
    assert "cleanup" not in told
    repoman.repositories.update("all", {"group": {"pins": {"acme/*": ["images"]}}})
    replace(client, where, group("all", "images", "hub"))
    assert read(client, where)["group"] == {
        "memberNames": ["images", "hub"],
        "writableMember": None,
    }
    assert repoman.repositories.get("all").config.sections["group"].pins == {"acme/*": ("images",)}


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (group("g"), "PARAMETER memberNames"),
        (group("g", "none"), "HelperBean.memberNames"),
        (group("g", "files"), "HelperBean.memberNames"),
        (group("g", "images", "images"), "HelperBean.memberNames"),
        (group("g", "g"), "HelperBean.memberNames"),
        (group("g", "images", writableMember="hub"), "HelperBean.writableMember"),
        (group("g", "hub", writableMember="images"), "HelperBean.writableMember"),
    ],
)
def test_wrong_members_are_named(client, body, wrong):
    told = refused(client, "POST", "/docker/group", body)
    assert [each["id"] for each in told] == [wrong]


@pytest.mark.usefixtures("members")
def test_a_group_must_not_contain_itself(client):
    inner = create(client, "/docker/group", group("inner", "images"))
    create(client, "/docker/group", group("outer", "inner"))
    told = refused(client, "PUT", inner, group("inner", "images", "outer"))
    assert [each["id"] for each in told] == ["HelperBean.memberNames"]


@pytest.mark.usefixtures("members")
def test_groups_lose_a_member_that_is_deleted(client, repoman):
    where = create(client, "/docker/group", group("all", "images", writableMember="images"))
    repoman.repositories.update("all", {"group": {"pins": {"acme/*": ["images"]}}})
    assert send(client, "DELETE", "/images").status_code == 204
    assert read(client, where)["group"] == {"memberNames": [], "writableMember": None}
    section = repoman.repositories.get("all").config.sections["group"]
    assert section.pins == {"acme/*": ()}  # so that no other member answers for these names
    assert ("change", {"keys": "group.members"}) in changes(repoman)
    repoman.repositories.update("all", {}, is_online=False)
    replace(client, where, group("all", "hub"))


# --- Two clients, formats, the description -------------------------------------------------------


def test_two_clients_that_change_different_fields_lose_nothing(client, repoman):
    """One sets what REST has, the other what it has not; both are in the end."""
    where = create(client, "/docker/proxy", PROXY)
    errors = []

    def over_rest():
        for number in range(10):
            answer = send(client, "PUT", where, with_value(PROXY, "proxy.contentMaxAge", number))
            errors.extend([answer.text] if answer.status_code != 204 else [])

    thread = threading.Thread(target=over_rest)
    thread.start()
    for number in range(10):
        repoman.repositories.update("hub", {"proxy": {"cache_limit": number}})
    thread.join()
    assert errors == []
    section = repoman.repositories.get("hub").config.sections["proxy"]
    assert (section.content_max_age, section.cache_limit) == (9, 9)


def test_a_change_of_a_state_that_another_client_has_replaced_is_refused(client):
    where = create(client, "/docker/proxy", PROXY)
    seen = send(client, "GET", where).headers["ETag"]
    replace(client, where, {**PROXY, "online": False})
    late = send(client, "PUT", where, PROXY, headers={"If-Match": seen})
    assert late.status_code == 412
    assert read(client, where)["online"] is False
    seen = send(client, "GET", where).headers["ETag"]
    assert send(client, "PUT", where, PROXY, headers={"If-Match": seen}).status_code == 204


def test_of_two_clients_that_change_one_state_at_once_one_is_refused(client, repoman, monkeypatch):
    where = create(client, "/docker/proxy", PROXY)
    settings = "/api/v1/repositories/hub/settings"
    seen = {"If-Match": send(client, "GET", where).headers["ETag"]}
    seen_settings = {"If-Match": client.get(settings).headers["ETag"]}
    update, statuses = repoman.repositories.update, []

    def ask_otherwise():
        answers = (
            send(client, "PUT", where.replace("hub", "HUB"), PROXY, headers=seen),
            client.request("PATCH", settings, json={"online": True}, headers=seen_settings),
        )
        statuses.extend(each.status_code for each in answers)

    def update_late(*given, **named):
        monkeypatch.undo()
        other = threading.Thread(target=ask_otherwise)
        other.start()
        other.join()
        return update(*given, **named)

    monkeypatch.setattr(repoman.repositories, "update", update_late)
    body = {**PROXY, "online": False}
    assert send(client, "PUT", where, body, headers=seen).status_code == 204
    assert statuses == [412, 412]
    assert read(client, where)["online"] is False


def test_of_two_clients_that_create_one_name_one_wins(client):
    answers = []

    def make():
        answers.append(send(client, "POST", "/docker/proxy", PROXY).status_code)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(answers) == [201, 400, 400, 400]


def test_the_secrets_of_any_format_are_write_only(client, repoman):
    signing = {"passPhrase": SECRET}
    body = {
        "name": "box",
        "online": True,
        "storage": HOSTED,
        "toyAccess": {"keyName": "k", "signing": signing},
    }
    where = create(client, "/toy-box/hosted", body)
    told = read(client, where)
    assert told["toyAccess"] == {"keyName": "k", "levels": [1], "signing": None}

    def stored():
        section = repoman.repositories.get("box").config.sections["toy_access"]
        return section.pass_phrase.get_secret_value()

    assert stored() == SECRET
    replace(client, where, with_value(body, "toyAccess.signing", {}))
    assert stored() == SECRET
    replace(client, where, with_value(body, "toyAccess.signing", None))
    assert stored() == ""


def test_each_format_and_type_is_described(client):
    document = client.get("/service/rest/openapi.json").json
    schemas = document["components"]["schemas"]
    for recipe in ("Docker Hosted", "Docker Proxy", "Docker Group", "Raw Proxy", "ToyBox Hosted"):
        title = recipe.replace(" ", "")
        assert f"{title}RepositoryApiRequest" in schemas
        assert f"{title}ApiRepository" in schemas
    create = document["paths"]["/v1/repositories/docker/proxy"]["post"]
    assert create["operationId"] == "create_docker_proxy"
    request = schemas["DockerProxyRepositoryApiRequest"]
    assert set(request["required"]) == {
        "name",
        "online",
        "storage",
        "proxy",
        "negativeCache",
        "httpClient",
        "docker",
        "dockerProxy",
    }
    login = schemas["HttpClientAuthenticationAttributesRequest"]["properties"]
    assert "password" in login
    assert "password" not in schemas["HttpClientAuthenticationAttributes"]["properties"]
