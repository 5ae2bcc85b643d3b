"""Roles over REST: what is kept, what they contain, and who may."""

import pytest

from repoman.security.actors import Access, Action, Actor, RepositoryRef
from repoman_docker import plugin
from tests.functional.rest.security_client import SecurityClient, user_of

TEAM = RepositoryRef("docker", "team")


@pytest.fixture
def start(repoman_factory):
    """Start a server on the data of the test, and return what asks it."""
    return lambda: SecurityClient(repoman_factory({"docker": plugin}))


@pytest.fixture
def rest(start):
    client = start()
    client.repoman.repositories.create("team", "docker-hosted", {})
    return client


def role_of(id_, /, **values):
    return {"id": id_, "name": id_, "description": "", "privileges": [], "roles": [], **values}


def view(action):
    return f"nx-repository-view-docker-team-{action}"


def test_a_role_is_given_back_as_it_was_set_after_a_restart_too(rest, start):
    body = role_of("dev", name="The developers", privileges=[view("read"), "nx-search-read"])
    shown = {"source": "default", "readOnly": False}
    assert rest.done("POST", "/roles", body) == {**body, **shown}
    changed = role_of("dev", description="two\nlines", roles=["nx-anonymous"])
    assert rest.ask("PUT", "/roles/dev", changed).status_code == 204
    rest = start()
    assert rest.get("/roles/dev") == {**changed, **shown}
    assert {**changed, **shown} in rest.get("/roles")
    assert rest.ask("DELETE", "/roles/dev").status_code == 204
    assert rest.ask("GET", "/roles/dev").status_code == 404


@pytest.mark.parametrize(
    ("given", "shown"), [({}, "dev"), ({"description": None}, "dev"), ({"description": ""}, "")]
)
def test_a_missing_description_is_the_id(rest, given, shown):
    body = {"id": "dev", "name": "The developers", **given}
    assert rest.done("POST", "/roles", body)["description"] == shown
    rest.done("PUT", "/roles/dev", {**body, "privileges": None, "roles": None})
    assert rest.get("/roles/dev")["description"] == shown
    assert rest.get("/roles/dev")["privileges"] == []


def test_the_built_in_roles_are_those_that_clients_look_for(rest):
    found = {each["id"]: each for each in rest.get("/roles")}
    assert {"nx-admin", "nx-anonymous"} <= found.keys()
    assert all(each["readOnly"] for each in found.values())
    assert found["nx-admin"]["privileges"] == ["nx-all"]
    assert found == {each["id"]: each for each in rest.get("/roles?source=default")}
    assert rest.ask("GET", "/roles?source=nope").status_code == 400
    for method, body in (("PUT", role_of("nx-admin")), ("DELETE", None)):
        assert rest.ask(method, "/roles/nx-admin", body).status_code == 400


def test_a_role_gives_what_it_contains(rest):
    rest.done("POST", "/roles", role_of("readers", privileges=[view("read")]))
    rest.done("POST", "/roles", role_of("team", roles=["readers"], privileges=[view("add")]))
    rest.done("POST", "/users", user_of("jo", roles=["team"]))
    is_allowed = rest.repoman.security.authorizer.is_allowed

    def allowed():
        return {a for a in Action if is_allowed(Actor("jo"), TEAM, Access(frozenset({a})))}

    assert allowed() == {"read", "add"}
    rest.done("PUT", "/roles/readers", role_of("readers", privileges=[view("delete")]))
    assert allowed() == {"delete", "add"}
    rest.done("DELETE", "/roles/readers")
    assert allowed() == {"add"}
    assert rest.get("/roles/team")["roles"] == []


@pytest.mark.parametrize(
    ("body", "id_"),
    [
        ({"name": "x"}, "PARAMETER id"),
        ({"id": "x"}, "PARAMETER name"),
        (role_of(" ", name="x"), "PARAMETER id"),
        (role_of("a b"), "PARAMETER id"),
        (role_of("nx-mine"), "PARAMETER id"),
        (role_of("x", name="a\x07"), "PARAMETER id"),
        (role_of("x", description="x" * 5000), "*"),
        (role_of("x", privileges=["zz"]), "*"),
        (role_of("x", privileges=["nx-repository-view-docker-zz-read"]), "*"),
        (role_of("x", privileges=[1]), "privileges"),
        (role_of("x", privileges="nx-all"), "privileges"),
        (role_of("x", roles=["zz"]), "*"),
        (role_of("x", roles=["x"]), "*"),
        (role_of("taken"), "*"),
        ([], None),
    ],
)
def test_a_role_that_will_not_do_is_refused(rest, body, id_):
    rest.done("POST", "/roles", role_of("taken"))
    answer = rest.ask("POST", "/roles", body)
    assert answer.status_code == 400
    told = answer.json if isinstance(answer.json, list) else [answer.json]
    if id_ is not None:
        assert [each["id"] for each in told] == [id_]
        assert isinstance(answer.json, list) is (id_ != "*")
    assert rest.ask("GET", "/roles/x").status_code == 404


def test_a_change_that_will_not_do_is_refused(rest):
    rest.done("POST", "/roles", role_of("a"))
    rest.done("POST", "/roles", role_of("b", roles=["a"]))
    for body, status in (
        (role_of("b"), 409),
        (role_of("a", roles=["b"]), 400),
        (role_of("a", name=""), 400),
    ):
        assert rest.ask("PUT", "/roles/a", body).status_code == status
    assert rest.ask("PUT", "/roles/zz", role_of("zz")).status_code == 404
    assert rest.ask("DELETE", "/roles/zz").status_code == 404
    assert rest.get("/roles/a")["roles"] == []


def test_a_change_of_what_has_changed_since_is_refused(rest):
    rest.done("POST", "/roles", role_of("dev"))
    tag = rest.ask("GET", "/roles/dev").headers["ETag"]
    rest.done("PUT", "/roles/dev", role_of("dev", name="of one"), headers={"If-Match": tag})
    for method, body in (("PUT", role_of("dev", name="of another")), ("DELETE", None)):
        answer = rest.ask(method, "/roles/dev", body, headers={"If-Match": tag})
        assert answer.status_code == 412
    assert rest.get("/roles/dev")["name"] == "of one"


CALLS = {
    "read": [("GET", "/roles", None), ("GET", "/roles/dev", None)],
    "create": [("POST", "/roles", role_of("new"))],
    "update": [("PUT", "/roles/dev", role_of("dev"))],
    "delete": [("DELETE", "/roles/dev", None)],
}


@pytest.mark.parametrize("action", CALLS)
def test_each_call_needs_its_own_right(rest, action):
    rest.done("POST", "/roles", role_of("dev"))
    others = [each for each in CALLS if each != action]
    without = (rest.make_user("nobody"), rest.make_helper("other", "roles", *others), None)
    helper = rest.make_helper("helper", "roles", action)
    for method, path, body in CALLS[action]:
        for login in without:
            assert rest.ask(method, path, body, login=login).status_code in (401, 403)
        assert rest.ask(method, path, body, login=helper).status_code in (200, 204)


def test_the_last_administrator_keeps_the_role(rest):
    rest.done("POST", "/roles", role_of("ops", roles=["nx-admin"]))
    admin = {**user_of("admin", roles=["ops"]), "source": "default"}
    rest.done("PUT", "/users/admin", admin)
    assert rest.ask("DELETE", "/roles/ops").status_code == 409
    assert rest.ask("PUT", "/roles/ops", role_of("ops")).status_code == 409
    assert rest.get("/roles/ops")["roles"] == ["nx-admin"]


def test_the_log_has_what_changed(rest):
    rest.done("POST", "/roles", role_of("dev"))
    rest.done("PUT", "/roles/dev", role_of("dev"))
    rest.done("PUT", "/roles/dev", role_of("dev", privileges=["nx-search-read"]))
    assert rest.events("role.change") == [("dev", {"privileges": "nx-search-read"})]
    [(target, told)] = rest.events("role.create")
    assert (target, told["name"]) == ("dev", "dev")
