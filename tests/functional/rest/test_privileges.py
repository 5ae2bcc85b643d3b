"""Privileges over REST: each type is kept as it was set, and grants what it says."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from repoman.security.actors import Action, Actor
from repoman.security.rights_records import SelectorRow
from repoman.testing import HttpClient
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.rest.security_client import PASSWORD, SecurityClient, user_of
from tests.statements import executed_statements

BODIES = {
    "wildcard": {"pattern": "nexus:users:read"},
    "application": {"domain": "users", "actions": ["ADD", "EDIT", "START", "ASSOCIATE"]},
    "repository-view": {"format": "raw", "repository": "files", "actions": ["READ", "BROWSE"]},
    "repository-admin": {"format": "*", "repository": "*", "actions": ["ALL"]},
    "repository-content-selector": {
        "format": "raw",
        "repository": "files",
        "contentSelector": "docs",
        "actions": ["ADD", "EDIT", "DELETE"],
    },
    "script": {"scriptName": "set-up", "actions": ["RUN", "ADD", "EDIT"]},
}


@pytest.fixture
def start(repoman_factory):
    """Start a server on the data of the test, and return what asks it."""
    settings = {"login_failures": 0}
    return lambda: SecurityClient(
        repoman_factory({"docker": docker, "raw": raw}, security=settings)
    )


@pytest.fixture
def rest(start):
    client = start()
    client.repoman.repositories.create("files", "raw-hosted", {})
    client.repoman.security.selectors.create(SelectorRow("docs", 'path =^ "/docs/"'))
    return client


def body_of(name, kind, /, **values):
    return {"name": name, "description": "A text.", **BODIES[kind], **values}


def grant(rest, kind, **values):
    """Make a privilege of a type and a user who has it alone, and return the login."""
    rest.done("POST", f"/privileges/{kind}", body_of("granted", kind, **values))
    role = {"id": "granted", "name": "granted", "privileges": ["granted"]}
    rest.done("POST", "/roles", role)
    rest.done("POST", "/users", user_of("jo", roles=["granted"]))
    return "jo", PASSWORD


@pytest.mark.parametrize("kind", BODIES)
def test_a_privilege_is_given_back_as_it_was_set_after_a_restart_too(rest, start, kind):
    body = body_of("mine", kind)
    assert rest.ask("POST", f"/privileges/{kind}", body).status_code == 201
    rest = start()
    shown = {"type": kind, "readOnly": False}
    assert rest.get("/privileges/mine") == {**body, **shown}
    assert {**body, **shown} in rest.get("/privileges")
    changed = {**body, "description": None}
    assert rest.ask("PUT", f"/privileges/{kind}/mine", changed).status_code == 204
    assert rest.get("/privileges/mine") == {**body, **shown, "description": ""}
    assert rest.ask("DELETE", "/privileges/mine").status_code == 204
    assert rest.ask("GET", "/privileges/mine").status_code == 404


def test_a_change_replaces_everything(rest):
    rest.done("POST", "/privileges/repository-view", body_of("mine", "repository-view"))
    body = {"name": "mine", "format": "*", "repository": "*", "actions": ["all"]}
    rest.done("PUT", "/privileges/repository-view/mine", body)
    assert rest.get("/privileges/mine") == {
        **body,
        "actions": ["ALL"],
        "description": "",
        "type": "repository-view",
        "readOnly": False,
    }


# --- What each type allows -----------------------------------------------------------------------


def test_a_wildcard_grants_its_pattern(rest):
    login = grant(rest, "wildcard")
    assert rest.ask("GET", "/users", login=login).status_code == 200
    assert rest.ask("GET", "/roles", login=login).status_code == 403
    rest.done("PUT", "/privileges/wildcard/granted", {"name": "granted", "pattern": "nexus:*"})
    assert rest.ask("GET", "/roles", login=login).status_code == 200


def test_an_application_privilege_grants_create_as_add_and_update_as_edit(rest):
    login = grant(rest, "application", actions=["add", "Edit"])
    assert rest.repoman.security.privileges.get("granted").properties["actions"] == [
        "create",
        "update",
    ]
    assert rest.ask("GET", "/users", login=login).status_code == 403
    assert rest.ask("POST", "/users", user_of("new"), login=login).status_code == 200
    change = {**user_of("new", lastName="Roe"), "source": "default"}
    assert rest.ask("PUT", "/users/new", change, login=login).status_code == 204
    assert rest.ask("DELETE", "/users/new", login=login).status_code == 403
    body = {**body_of("granted", "application"), "actions": ["ALL"]}
    rest.done("PUT", "/privileges/application/granted", body)
    assert rest.ask("DELETE", "/users/new", login=login).status_code == 204


def may(rest, login, directory):
    """What somebody may do with the files of a directory."""
    found = set()
    for name in ("a", "b"):
        rest.http.put(f"/repository/files/{directory}/{name}", b"text")
    http = HttpClient(rest.repoman)
    base = f"/repository/files/{directory}"
    if http.get(f"{base}/a", auth=login).status_code == 200:
        found.add("read")
    if http.put(f"{base}/b", b"other", auth=login).status_code in (200, 201, 204):
        found.add("write")
    if http.delete(f"{base}/a", auth=login).status_code in (200, 202, 204):
        found.add("delete")
    return found


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (["READ"], {"read"}),
        (["BROWSE"], set()),
        (["ADD", "EDIT"], {"write"}),
        (["ADD"], set()),
        (["DELETE"], {"delete"}),
        (["ALL"], {"read", "write", "delete"}),
    ],
)
def test_a_repository_view_privilege_grants_actions_on_content(rest, actions, expected):
    login = grant(rest, "repository-view", actions=actions)
    assert may(rest, login, "docs") == expected
    settings = "/service/rest/v1/repositories/files/remote"
    assert rest.http.get(settings, auth=login).status_code in (403, 404)


def test_a_repository_view_privilege_is_for_its_format_and_repository(rest):
    login = grant(rest, "repository-view", format="docker", repository="*", actions=["ALL"])
    assert may(rest, login, "docs") == set()
    for format_, repository in (("raw", "*"), ("*", "*"), ("raw", "files")):
        body = body_of("granted", "repository-view", format=format_, repository=repository)
        rest.done("PUT", "/privileges/repository-view/granted", {**body, "actions": ["READ"]})
        assert may(rest, login, "docs") == {"read"}


def test_a_content_selector_privilege_grants_actions_on_what_it_picks(rest):
    login = grant(rest, "repository-content-selector", actions=["ALL"])
    assert may(rest, login, "docs") == {"read", "write", "delete"}
    assert may(rest, login, "other") == set()
    body = body_of("granted", "repository-content-selector", actions=["READ"])
    rest.done("PUT", "/privileges/repository-content-selector/granted", body)
    assert may(rest, login, "docs") == {"read"}


@pytest.mark.parametrize(
    ("actions", "allowed"), [(["READ"], {"read"}), (["EDIT"], {"edit"}), (["ALL"], set(Action))]
)
def test_a_repository_admin_privilege_grants_actions_on_settings(rest, actions, allowed):
    login = grant(rest, "repository-admin", actions=actions)
    assert may(rest, login, "docs") == set()
    [repository] = [each for each in rest.repoman.repositories.all() if each.name == "files"]
    may_configure = rest.repoman.security.authorizer.may_configure
    assert {a for a in Action if may_configure(Actor(login[0]), repository.ref, a)} == allowed


@pytest.mark.parametrize("action", ["READ", "EDIT", "DELETE", "ADD"])
def test_repository_admin_privileges_are_what_rest_asks_for(rest, action):
    base = "/service/rest/v1/repositories"
    settings = rest.http.get(f"{base}/raw/hosted/files").json
    new = {**settings, "name": "new"}
    calls = {
        "READ": ("GET", f"{base}/raw/hosted/files", None, 200),
        "EDIT": ("PUT", f"{base}/raw/hosted/files", settings, 204),
        "DELETE": ("DELETE", f"{base}/files", None, 204),
        "ADD": ("POST", f"{base}/raw/hosted", new, 201),
    }
    login = grant(rest, "repository-admin", format="raw", repository="*", actions=[action])
    for each, (method, path, body, status) in sorted(calls.items(), key=lambda x: x[0] == action):
        answer = rest.http.request(method, path, json=body, auth=login)
        assert answer.status_code in ([status] if each == action else [403, 404]), each


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("repository-view", {"docs/a", "other/a"}),
        ("repository-content-selector", {"docs/a"}),
    ],
)
def test_privileges_on_content_are_what_rest_asks_for(rest, kind, seen):
    for path in ("docs/a", "other/a"):
        rest.http.put(f"/repository/files/{path}", b"text")
    login = grant(rest, kind, actions=["BROWSE", "READ"])
    listed = rest.http.get("/service/rest/v1/assets?repository=files", auth=login).json["items"]
    assert {each["path"].removeprefix("/") for each in listed} == seen
    found = rest.http.get("/service/rest/v1/search?repository=files", auth=login).json["items"]
    assert {each["name"].removeprefix("/") for each in found} == seen
    asset = f"/service/rest/v1/assets/{listed[0]['id']}"
    assert rest.http.delete(asset, auth=login).status_code == 403
    body = body_of("granted", kind, actions=["BROWSE", "READ", "DELETE"])
    rest.done("PUT", f"/privileges/{kind}/granted", body)
    assert rest.http.delete(asset, auth=login).status_code == 204
    assert rest.http.get(f"/repository/files/{listed[0]['path']}").status_code == 404


def test_a_script_privilege_grants_actions_on_a_script(rest):
    grant(rest, "script", actions=["RUN", "READ"])
    may_administer = rest.repoman.security.authorizer.may_administer
    assert not may_administer(Actor("jo"), "script", "run")
    rights = rest.repoman.security.authorizer._rights_of(Actor("jo"))
    [permission] = rights.permissions
    assert permission.implies("nexus", "script", "set-up", "run")
    assert not permission.implies("nexus", "script", "set-up", "add")
    assert not permission.implies("nexus", "script", "other", "run")


# --- The built-in ones ---------------------------------------------------------------------------


def test_a_fresh_server_has_the_privileges_that_clients_look_for(rest):
    found = {each["name"]: each for each in rest.get("/privileges")}
    assert list(found) == sorted(found)
    assert all(each["readOnly"] for each in found.values())
    assert found["nx-all"]["type"] == "wildcard"
    assert found["nx-all"]["pattern"] == "nexus:*"
    assert found["nx-wonderland-all"]["description"] == "All permissions for Wonderland"
    assert found["nx-script-*-add"]["actions"] == ["ADD", "READ"]
    assert found["nx-repository-view-raw-*-browse"]["description"] == (
        "Browse privilege for all 'raw'-format repository views"
    )
    users = found["nx-users-create"]
    assert (users["type"], users["domain"]) == ("application", "users")
    assert users["actions"] == ["ADD", "READ"]
    assert found["nx-users-all"]["actions"] == ["ALL"]
    assert found["nx-tasks-run"]["actions"] == ["START", "STOP"]
    assert {
        "nx-search-read",
        "nx-healthcheck-read",
        "nx-component-upload",
        "nx-userschangepw",
        "nx-ldap-all",
        "nx-ssl-truststore-read",
        "nx-capabilities-update",
        "nx-apikey-all",
        "nx-atlas-all",
        "nx-bundles-all",
        "nx-analytics-all",
        "nx-wonderland-all",
        "nx-licensing-all",
        "nx-usertoken-settings",
        "nx-script-*-run",
    } <= found.keys()
    for kind in ("view", "admin"):
        for action in ("*", "browse", "read", "edit", "add", "delete"):
            for where in ("*-*", "raw-*", "raw-files"):
                each = found[f"nx-repository-{kind}-{where}-{action}"]
                assert each["type"] == f"repository-{kind}"
                assert each["actions"] == ["ALL" if action == "*" else action.upper()]
                assert f"{each['format']}-{each['repository']}" == where


@pytest.mark.parametrize("name", ["nx-all", "nx-repository-view-raw-files-read"])
def test_a_built_in_privilege_stays(rest, name):
    shown = rest.get(f"/privileges/{name}")
    assert rest.ask("DELETE", f"/privileges/{name}").status_code == 400
    kind = shown["type"]
    body = body_of(name, kind)
    assert rest.ask("PUT", f"/privileges/{kind}/{name}", body).status_code == 400
    assert rest.ask("POST", f"/privileges/{kind}", body).status_code == 400
    assert rest.get(f"/privileges/{name}") == shown


def test_the_privileges_of_a_repository_go_with_it(rest):
    name = "nx-repository-view-raw-files-read"
    rest.done("POST", "/privileges/repository-view", body_of("mine", "repository-view"))
    assert rest.get(f"/privileges/{name}")["readOnly"] is True
    rest.repoman.repositories.delete("files")
    for gone in (name, "mine"):
        assert rest.ask("GET", f"/privileges/{gone}").status_code == 404
    assert rest.ask("DELETE", f"/privileges/{name}").status_code == 404


def test_a_list_asks_the_database_as_often_for_many_repositories(rest):
    def count():
        with executed_statements() as statements:
            rest.get("/privileges")
        return len([each for each in statements if each.startswith("SELECT")])

    before = count()
    for number in range(20):
        rest.repoman.repositories.create(f"more{number}", "raw-hosted", {})
    count()
    assert count() <= before


# --- Bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values", "id_"),
    [
        ("wildcard", {"name": None}, "PARAMETER name"),
        ("wildcard", {"name": "a b"}, "PARAMETER name"),
        ("wildcard", {"name": "nx-mine"}, "PARAMETER name"),
        ("wildcard", {"pattern": ""}, "PARAMETER pattern"),
        ("wildcard", {"pattern": "users:read"}, "PARAMETER pattern"),
        ("wildcard", {"pattern": "nexus:" + "x" * 2000}, "PARAMETER pattern"),
        ("wildcard", {"description": 1}, "description"),
        ("wildcard", {"description": "a\x1b"}, "*"),
        ("application", {"domain": "a b"}, "PARAMETER domain"),
        ("application", {"actions": ["BROWSE"]}, "*"),
        ("application", {"actions": ["RUN"]}, "*"),
        ("application", {"actions": []}, "PARAMETER actions"),
        ("application", {"actions": None}, "PARAMETER actions"),
        ("application", {"actions": "READ"}, "actions"),
        ("application", {"actions": ["FLY"]}, "PARAMETER actions"),
        ("application", {"actions": [{}]}, "PARAMETER actions"),
        ("repository-view", {"actions": ["RUN"]}, "*"),
        ("repository-view", {"repository": "nope"}, "*"),
        ("repository-view", {"repository": None}, "PARAMETER repository"),
        ("repository-view", {"format": "no such"}, "*"),
        ("repository-view", {"format": "docker"}, "*"),
        ("repository-admin", {"actions": ["START"]}, "*"),
        ("repository-content-selector", {"contentSelector": "nope"}, "*"),
        ("repository-content-selector", {"contentSelector": None}, "PARAMETER contentSelector"),
        ("script", {"scriptName": "a:b"}, "PARAMETER scriptName"),
        ("script", {"actions": ["START"]}, "*"),
    ],
)
def test_a_privilege_that_will_not_do_is_refused(rest, kind, values, id_):
    answer = rest.ask("POST", f"/privileges/{kind}", body_of("mine", kind, **values))
    assert answer.status_code == 400
    told = answer.json if isinstance(answer.json, list) else [answer.json]
    if id_ is not None:
        assert [each["id"] for each in told] == [id_]
        assert isinstance(answer.json, list) is (id_ != "*")
    assert rest.ask("GET", "/privileges/mine").status_code == 404


def test_a_change_of_name_or_type_is_refused(rest):
    rest.done("POST", "/privileges/wildcard", body_of("mine", "wildcard"))
    other = body_of("other", "wildcard")
    assert rest.ask("PUT", "/privileges/wildcard/mine", other).status_code == 409
    body = body_of("mine", "application")
    assert rest.ask("PUT", "/privileges/application/mine", body).status_code == 400
    assert rest.ask("PUT", "/privileges/wildcard/other", other).status_code == 404
    assert rest.ask("DELETE", "/privileges/other").status_code == 404
    assert rest.ask("POST", "/privileges/magic", other).status_code in (404, 405)
    assert rest.get("/privileges/mine")["pattern"] == "nexus:users:read"


def test_a_change_of_what_has_changed_since_is_refused(rest):
    rest.done("POST", "/privileges/wildcard", body_of("mine", "wildcard"))
    tag = rest.ask("GET", "/privileges/mine").headers["ETag"]
    for pattern, status in (("nexus:users:*", 204), ("nexus:*", 412)):
        body = body_of("mine", "wildcard", pattern=pattern)
        path, headers = "/privileges/wildcard/mine", {"If-Match": tag}
        assert rest.ask("PUT", path, body, headers=headers).status_code == status
    assert rest.get("/privileges/mine")["pattern"] == "nexus:users:*"


def test_of_two_who_create_the_same_privilege_one_succeeds(rest):
    def create(_number):
        return rest.ask("POST", "/privileges/wildcard", body_of("mine", "wildcard")).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == [201, 400, 400, 400]


# --- Rights, and the audit log -------------------------------------------------------------------

CALLS = {
    "read": [("GET", "/privileges", None), ("GET", "/privileges/mine", None)],
    "create": [("POST", f"/privileges/{kind}", body_of("new", kind)) for kind in BODIES],
    "update": [("PUT", "/privileges/wildcard/mine", body_of("mine", "wildcard"))],
    "delete": [("DELETE", "/privileges/mine", None)],
}


@pytest.mark.parametrize("action", CALLS)
def test_each_call_needs_its_own_right(rest, action):
    rest.done("POST", "/privileges/wildcard", body_of("mine", "wildcard"))
    others = [each for each in CALLS if each != action]
    without = (rest.make_user("nobody"), rest.make_helper("other", "privileges", *others), None)
    helper = rest.make_helper("helper", "privileges", action)
    for number, (method, path, body) in enumerate(CALLS[action]):
        if action == "create":
            body = {**body, "name": f"new{number}"}
        for login in without:
            assert rest.ask(method, path, body, login=login).status_code in (401, 403)
        assert rest.ask(method, path, body, login=helper).status_code in (200, 201, 204)


def test_the_log_has_what_changed(rest):
    rest.done("POST", "/privileges/wildcard", body_of("mine", "wildcard"))
    rest.done("PUT", "/privileges/wildcard/mine", body_of("mine", "wildcard"))
    changed = body_of("mine", "wildcard", pattern="nexus:*")
    rest.done("PUT", "/privileges/wildcard/mine", changed)
    assert rest.events("privilege.change") == [("mine", {"pattern": "nexus:*"})]
