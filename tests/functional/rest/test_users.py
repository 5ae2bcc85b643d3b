"""Users over REST: what is kept, who may, and what each status does."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from repoman.bootstrap import PASSWORD_FILE
from repoman.security.actors import Actor, Limit
from repoman.security.user_records import Status, find_user, insert_user
from repoman_docker import plugin
from tests.functional.rest.security_client import PASSWORD, SecurityClient, change_of, user_of
from tests.statements import executed_statements


@pytest.fixture
def start(repoman_factory):
    """Start a server on the data of the test, and return what asks it."""

    def start(**security):
        settings = {"login_failures": 0, **security}
        return SecurityClient(repoman_factory({"docker": plugin}, security=settings))

    return start


@pytest.fixture
def rest(start):
    return start()


def names(found):
    return [each["userId"] for each in found]


def test_a_user_is_given_back_as_it_was_set_after_a_restart_too(start):
    rest = start()
    made = rest.done("POST", "/users", user_of("jo", status="disabled", source="elsewhere"))
    assert made == {
        "userId": "jo",
        "firstName": "Jo",
        "lastName": "Doe",
        "emailAddress": "jo@example.org",
        "source": "default",
        "status": "disabled",
        "readOnly": False,
        "roles": ["nx-anonymous"],
        "externalRoles": [],
    }
    assert rest.get("/users?userId=jo") == [made]
    changed = change_of("jo", firstName="Jö", status="locked", roles=["nx-developer", "nx-admin"])
    rest.done("PUT", "/users/jo", changed)
    rest = start()
    [found] = rest.get("/users?userId=jo&source=default")
    assert {key: found[key] for key in changed} == changed
    rest.done("DELETE", "/users/jo")
    assert rest.get("/users?userId=jo") == []


def test_users_are_found_by_how_their_names_begin(rest):
    for name in ("Jody", "jo", "john", "mary", "j_"):
        rest.done("POST", "/users", user_of(name))
    assert names(rest.get("/users?userId=JO")) == ["jo", "Jody", "john"]
    assert names(rest.get("/users?userId=j_")) == ["j_"]
    assert names(rest.get("/users?userId=%25")) == []
    assert names(rest.get("/users?userId=")) == names(rest.get("/users"))
    assert names(rest.get("/users")) == ["admin", "j_", "jo", "Jody", "john", "mary", "anonymous"]
    assert names(rest.get("/users?userId=a")) == ["admin", "anonymous"]
    assert rest.get("/users?source=nope") == []
    assert rest.get("/users?userId=%F4%8F%BF%BF%00") == []


def test_a_list_is_one_query_by_an_index_and_bounded_unless_it_is_of_local_users(rest):
    with rest.repoman.database.transaction():
        for number in range(150):
            insert_user(f"user{number:03}", "", first_name="Some")
    with executed_statements() as statements:
        assert len(rest.get("/users?userId=user")) == 100
    assert len([each for each in statements if "lower(" in each.lower()]) == 1
    assert len(rest.get("/users?userId=USER&source=default")) == 150
    assert len(rest.get("/users?source=default")) == 152
    plan = rest.repoman.database._sqlite.execute_sql(
        "EXPLAIN QUERY PLAN SELECT * FROM user AS t1 "
        "WHERE lower(t1.name) >= lower('us') AND lower(t1.name) < lower('usz') "
        "ORDER BY lower(t1.name), t1.name LIMIT 100"
    ).fetchall()
    assert "USING INDEX user_lower_name" in str(plan)


@pytest.mark.parametrize(
    ("values", "id_"),
    [
        ({"userId": None}, "PARAMETER userId"),
        ({"userId": " "}, "PARAMETER userId"),
        ({"userId": "a b"}, "PARAMETER userId"),
        ({"userId": "x" * 101}, "PARAMETER userId"),
        ({"userId": "system"}, "PARAMETER userId"),
        ({"userId": {}}, "userId"),
        ({"firstName": ""}, "PARAMETER firstName"),
        ({"lastName": "x" * 300}, "PARAMETER lastName"),
        ({"firstName": "a\x1b[31m"}, "PARAMETER firstName"),
        ({"emailAddress": "nobody"}, "PARAMETER emailAddress"),
        ({"emailAddress": 7}, "emailAddress"),
        ({"password": None}, "PARAMETER password"),
        ({"password": "short"}, "password"),
        ({"password": "   "}, "*"),
        ({"status": "asleep"}, "PARAMETER status"),
        ({"status": 1}, "PARAMETER status"),
        ({"roles": []}, "PARAMETER roles"),
        ({"roles": None}, "PARAMETER roles"),
        ({"roles": "nx-admin"}, "roles"),
        ({"roles": ["nobody"]}, "roles"),
        ({"userId": "admin"}, "*"),
        ({"userId": "anonymous"}, "*"),
    ],
)
def test_a_user_that_will_not_do_is_refused(rest, values, id_):
    answer = rest.ask("POST", "/users", user_of("jo", **values))
    assert answer.status_code == 400
    told = answer.json if isinstance(answer.json, list) else [answer.json]
    assert [each["id"] for each in told] == [id_]
    assert isinstance(answer.json, list) is (id_ != "*")
    assert "short" not in answer.text
    assert names(rest.get("/users")) == ["admin", "anonymous"]


def test_a_change_that_will_not_do_is_refused(rest):
    rest.done("POST", "/users", user_of("jo"))
    before = rest.get("/users?userId=jo")
    for body, status in (
        (change_of("jo", source=""), 400),
        (change_of("jo", source="LDAP"), 404),
        (change_of("jo", emailAddress=None), 400),
        (change_of("jo", firstName=""), 400),
        (change_of("jo", roles=["zz"]), 400),
        (change_of("x"), 400),
        ([], 400),
    ):
        assert rest.ask("PUT", "/users/jo", body).status_code == status, body
    assert rest.ask("PUT", "/users/zz", change_of("zz")).status_code == 404
    assert rest.get("/users?userId=jo") == before


@pytest.mark.parametrize(
    ("status", "is_in"),
    [("active", True), ("locked", False), ("DISABLED", False), ("ChangePassword", True)],
)
def test_a_status_says_whether_the_user_may_log_in(rest, status, is_in):
    rest.done("POST", "/users", user_of("jo"))
    path, login = "/repository/none/", ("jo", PASSWORD)
    assert rest.http.get(path, auth=login).status_code == 404
    rest.done("PUT", "/users/jo", change_of("jo", status=status))
    assert rest.http.get(path, auth=login).status_code == (404 if is_in else 401)
    assert rest.get("/users?userId=jo")[0]["status"] == status.lower()
    rest.done("PUT", "/users/jo", change_of("jo"))
    assert rest.http.get(path, auth=login).status_code == 404


def test_who_must_change_the_password_has_done_so_with_one_of_their_own(rest):
    rest.done("POST", "/users", user_of("jo", status="changepassword"))
    users = rest.repoman.users
    rest.done("PUT", "/users/jo/change-password", data="temporary", content_type="text/plain")
    assert users.get("jo").status == Status.CHANGE_PASSWORD
    users.set_password("jo", "my own password", is_own=True)
    assert users.get("jo").status == Status.ACTIVE
    users.change("jo", status=Status.LOCKED)
    users.set_password("jo", "my own password", is_own=True)
    assert users.get("jo").status == Status.LOCKED


# --- Passwords -----------------------------------------------------------------------------------


def change_password(rest, name, password, **options):
    options.setdefault("content_type", "text/plain")
    path = f"/users/{name}/change-password"
    return rest.ask("PUT", path, data=password.encode(), **options)


def test_a_new_password_counts_at_once(rest):
    rest.done("POST", "/users", user_of("jo"))
    assert change_password(rest, "jo", "another one ä").status_code == 204
    path = "/repository/none/"
    assert rest.http.get(path, auth=("jo", PASSWORD)).status_code == 401
    assert rest.http.get(path, auth=("jo", "another one ä")).status_code == 404


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [
        ("jo", "", 400),
        ("jo", "  ", 400),
        ("jo", "short", 400),
        ("jo", "two\nlines of it", 400),
        ("zz", "long enough", 404),
        ("anonymous", "long enough", 400),
        ("dora", "long enough", 400),
    ],
)
def test_a_password_that_will_not_do_is_refused(rest, name, password, status):
    rest.done("POST", "/users", user_of("jo"))
    rest.repoman.security.accounts.keep(Actor("dora", realm="ldap"))
    answer = change_password(rest, name, password)
    assert answer.status_code == status
    assert "short" not in answer.text


def test_a_setting_allows_shorter_passwords(start):
    rest = start(password_min_chars=3)
    rest.done("POST", "/users", user_of("jo", password="new"))
    assert change_password(rest, "jo", "no").status_code == 400
    assert change_password(rest, "jo", "yes").status_code == 204


@pytest.mark.parametrize(
    ("chosen", "version", "least"),
    [({}, "", 8), ({}, "3.83.0-08", 1), ({"password_min_chars": 8}, "3.83.0-08", 8)],
)
def test_a_compatible_server_accepts_short_passwords(repoman_factory, chosen, version, least):
    settings = {"login_failures": 0, **chosen}
    server = {"nexus_compatibility": version}
    rest = SecurityClient(repoman_factory({"docker": plugin}, security=settings, server=server))
    rest.done("POST", "/users", user_of("jo", password="x" * least))
    answer = rest.ask("POST", "/users", user_of("jim", password="x" * (least - 1)))
    assert answer.status_code == 400


def test_a_script_that_sets_up_a_server_changes_the_first_password(rest):
    path = "/service/rest/internal/ui/onboarding"
    first = rest.repoman.data / PASSWORD_FILE
    first.write_text("any")
    assert rest.http.get(path).json == [{"type": "ChangeAdminPassword", "priority": 0}]
    own = {"auth": rest.make_helper("helper", "users", "*")}
    text = {"data": b"quite another one", "content_type": "text/plain"}
    for method, address in (("GET", path), ("PUT", f"{path}/change-admin-password")):
        assert rest.http.request(method, address, **text, **own).status_code == 403
    answer = rest.http.put(f"{path}/change-admin-password", **text)
    assert (answer.status_code, first.exists()) == (204, False)
    assert rest.http.get(path, auth=("admin", "quite another one")).json == []
    assert rest.http.get(path).status_code == 401


def test_only_who_may_do_everything_changes_passwords(rest):
    rest.done("POST", "/users", user_of("jo"))
    for number, privileges in enumerate((("nx-users-all",), ("nx-users-all", "nx-roles-all"))):
        login = rest.make_user(f"helper{number}", *privileges)
        assert change_password(rest, "jo", "another one", login=login).status_code == 403
    rest.repoman.security.privileges.create("root", "wildcard", {"pattern": "nexus:*"})
    login = rest.make_user("root", "root")
    assert change_password(rest, "jo", "another one", login=login).status_code == 204


# --- Rights --------------------------------------------------------------------------------------

CALLS = {
    "read": ("GET", "/users", None, 200),
    "create": ("POST", "/users", user_of("new"), 200),
    "update": ("PUT", "/users/jo", change_of("jo", lastName="Roe"), 204),
    "delete": ("DELETE", "/users/jo", None, 204),
}


@pytest.mark.parametrize("action", CALLS)
def test_each_call_needs_its_own_right(rest, action):
    rest.done("POST", "/users", user_of("jo"))
    method, path, body, status = CALLS[action]
    others = [each for each in CALLS if each != action]
    for login in (rest.make_user("nobody"), rest.make_helper("other", "users", *others), None):
        refused = rest.ask(method, path, body, login=login)
        assert refused.status_code in (401, 403)
    login = rest.make_helper("helper", "users", action)
    assert rest.ask(method, path, body, login=login).status_code == status
    token = rest.repoman.security.user_tokens.create("helper", "ci", Limit())
    assert rest.ask(method, path, body, login=("helper", token)).status_code == 403


def test_who_may_create_users_may_give_any_role(rest):
    """As in Sonatype Nexus Repository 3; docs/rights.md says so."""
    login = rest.make_user("helper", "nx-users-create")
    rest.done("POST", "/users", user_of("root", roles=["nx-admin"]), login=login)
    assert rest.repoman.security.authorizer.may_administer(Actor("root"), "*", "*")


def test_nobody_deletes_themselves_or_the_last_administrator(rest):
    answer = rest.ask("DELETE", "/users/admin")
    assert answer.status_code == 400
    assert "Can not delete currently signed in user" in answer.text
    login = rest.make_user("helper", "nx-users-all")
    assert rest.ask("DELETE", "/users/admin", login=login).status_code == 409
    for body in (
        change_of("admin", status="locked", roles=["nx-admin"]),
        change_of("admin", roles=["nx-developer"]),
    ):
        assert rest.ask("PUT", "/users/admin", body, login=login).status_code == 409
    assert find_user("admin").roles == ("nx-admin",)


# --- The anonymous user, and users of other realms -----------------------------------------------


def test_the_anonymous_user_is_the_option(rest):
    [found] = rest.get("/users?userId=anonymous")
    assert found == {
        "userId": "anonymous",
        "firstName": "Anonymous",
        "lastName": "User",
        "emailAddress": "anonymous@example.org",
        "source": "default",
        "status": "active",
        "readOnly": False,
        "roles": ["nx-anonymous"],
        "externalRoles": [],
    }
    rest.done("PUT", "/users/anonymous", {**found, "roles": ["nx-developer"]})
    assert rest.repoman.options.describe("anonymous")["roles"] == ["nx-developer"]
    assert rest.get("/users?userId=anonymous")[0]["roles"] == ["nx-developer"]
    for values in ({"status": "disabled"}, {"firstName": "Nobody"}, {"roles": ["zz"]}):
        assert rest.ask("PUT", "/users/anonymous", {**found, **values}).status_code == 400
    assert rest.ask("DELETE", "/users/anonymous").status_code == 400


def test_a_user_of_a_directory_has_its_source_and_may_get_roles(rest):
    assert rest.get("/user-sources") == [{"id": "default", "name": "Local"}]
    rest.repoman.security.accounts.keep(Actor("dora", realm="ldap", roles=("nx-anonymous",)))
    assert rest.get("/user-sources") == [
        {"id": "LDAP", "name": "LDAP"},
        {"id": "default", "name": "Local"},
    ]
    [found] = rest.get("/users?source=LDAP")
    assert (found["userId"], found["source"]) == ("dora", "LDAP")
    assert (found["roles"], found["externalRoles"]) == ([], ["nx-anonymous"])
    assert rest.get("/users?userId=dora&source=default") == []
    rest.done("PUT", "/users/dora", {**found, "firstName": "New", "roles": ["nx-developer"]})
    user = find_user("dora")
    assert (user.first_name, user.roles) == ("", ("nx-developer",))
    assert user.external_roles == ("nx-anonymous",)
    assert rest.ask("PUT", "/users/dora", change_of("dora")).status_code == 404
    for path, status in (("/users/dora", 400), ("/users/dora?realm=x", 400)):
        assert rest.ask("DELETE", path).status_code == status
    assert rest.ask("DELETE", "/users/dora?realm=NexusAuthenticatingRealm").status_code == 400
    rest.done("DELETE", "/users/dora?realm=LDAP")
    assert find_user("dora") is None


@pytest.mark.parametrize(("name", "realm"), [("jo", "local"), ("dora", "ldap")])
def test_a_realm_with_another_name_here_is_no_source(rest, name, realm):
    rest.done("POST", "/users", user_of("jo"))
    rest.repoman.security.accounts.keep(Actor("dora", realm="ldap"))
    [before] = rest.get(f"/users?userId={name}")
    bare = {"userId": name, "source": realm, "status": "active", "roles": ["nx-anonymous"]}
    assert rest.ask("PUT", f"/users/{name}", bare).status_code == 404
    assert rest.get(f"/users?source={realm}") == []
    assert rest.ask("DELETE", f"/users/{name}?realm={realm}").status_code == 400
    assert rest.get(f"/users?userId={name}") == [before]


@pytest.mark.parametrize(
    ("realm", "source"),
    [("ldap", "LdapRealm"), ("local", "NexusAuthenticatingRealm"), ("local", "default")],
)
def test_a_user_of_a_realm_can_be_deleted_by_its_id(rest, realm, source):
    rest.repoman.security.accounts.keep(Actor("dora", realm="ldap", roles=("nx-anonymous",)))
    rest.done("POST", "/users", user_of("jo"))
    name = {"ldap": "dora", "local": "jo"}[realm]
    rest.done("DELETE", f"/users/{name}?realm={source}")
    assert find_user(name) is None


# --- The audit log, and two at once --------------------------------------------------------------


def test_the_log_has_what_changed_and_no_secret(rest):
    rest.done("POST", "/users", user_of("jo"))
    rest.done("PUT", "/users/jo", change_of("jo"))
    rest.done("PUT", "/users/jo", change_of("jo", lastName="Roe", roles=["nx-developer"]))
    change_password(rest, "jo", "another one")
    assert rest.events("user.change") == [("jo", {"last_name": "Roe", "roles": "nx-developer"})]
    [(target, told)] = rest.events("user.create")
    assert (target, told["email"], told["roles"]) == ("jo", "jo@example.org", "nx-anonymous")
    assert rest.events("user.password") == [("jo", {})]
    assert PASSWORD not in str(rest.repoman.audit.search({}))


def test_of_two_who_create_the_same_user_one_succeeds(rest):
    def create(number):
        return rest.ask("POST", "/users", user_of("jo", lastName=str(number))).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == [200, 400, 400, 400]
    assert len(rest.get("/users?userId=jo")) == 1


@pytest.mark.parametrize("name", ["%2e%2e", "a%00b", "%F0%9F%98%80", "x" * 3000, "%C3%28", "a%2Fb"])
def test_an_odd_name_is_not_found(rest, name):
    for method, path, body in (
        ("DELETE", f"/users/{name}", None),
        ("PUT", f"/users/{name}", change_of("jo")),
    ):
        assert rest.ask(method, path, body).status_code in (400, 404, 405)
