"""Roles, privileges and users: what can be made of them, and what is gone with what."""

import pytest

from repoman.errors import Conflict, Invalid, NotFound
from repoman.security.actors import Access, Action, Actor, RepositoryRef
from repoman.security.rights_records import Role
from repoman.security.user_records import Status, insert_user
from repoman_docker import plugin
from tests.clock import cpu_limit
from tests.statements import executed_statements

TEAM = RepositoryRef("docker", "team")


@pytest.fixture
def repoman(repoman_factory):
    """A Repoman with the repositories team and other."""
    repoman = repoman_factory({"docker": plugin})
    for name in ("team", "other"):
        repoman.repositories.create(name, "docker-hosted", {})
    return repoman


@pytest.fixture
def roles(repoman):
    return repoman.security.roles


@pytest.fixture
def privileges(repoman):
    return repoman.security.privileges


@pytest.fixture
def allowed(repoman):
    """What the user ann may do in a repository."""

    def ask(ref: RepositoryRef = TEAM) -> set[str]:
        is_allowed = repoman.security.authorizer.is_allowed
        return {a for a in Action if is_allowed(Actor("ann"), ref, Access(frozenset({a})))}

    return ask


def view(action: str, repository: str = "team") -> str:
    return f"nx-repository-view-docker-{repository}-{action}"


# --- Roles ---------------------------------------------------------------------------------------


def test_a_role_gives_what_its_privileges_and_its_roles_give(repoman, roles, allowed):
    roles.create(Role("readers", "", privileges=(view("read"),)))
    roles.create(Role("team", "", privileges=(view("add"),), roles=("readers",)))
    repoman.users.create("ann", "a password", ["team"])
    assert allowed() == {"read", "add"}
    assert allowed(RepositoryRef("docker", "other")) == set()
    roles.change(Role("readers", "Readers", privileges=(view("*"),)))
    assert allowed() == set(Action)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("anonymous", {"roles": ["team"]}),
        ("ldap", {"default_roles": ["team"]}),
        ("ldap", {"roles": {"developers": ["nx-developer", "team"]}}),
    ],
)
def test_a_role_that_an_option_names_stays_until_it_does_not(repoman, roles, section, values):
    roles.create(Role("team", ""))
    repoman.options.update(section, values)
    [key] = values
    with pytest.raises(Conflict, match=rf"{section}\.{key} uses the role 'team'"):
        roles.delete("team")
    repoman.options.update(section, {key: type(values[key])()})
    roles.delete("team")


def test_nobody_gets_a_role_that_does_not_exist_without_a_login(repoman):
    with pytest.raises(Invalid, match=r"there is no role 'team'; use the id of"):
        repoman.options.update("anonymous", {"roles": ["nx-anonymous", "team"]})
    assert repoman.options.describe("anonymous")["roles"] == ["nx-anonymous"]


def test_a_role_cannot_include_itself_in_any_way(roles):
    for each in "abc":
        roles.create(Role(each, ""))
    roles.change(Role("a", "", roles=("b",)))
    roles.change(Role("b", "", roles=("c",)))
    with pytest.raises(
        Invalid, match=r"'c' would include 'a', which includes 'b', which inc.* 'c'"
    ):
        roles.change(Role("c", "", roles=("a",)))
    with pytest.raises(Invalid, match="'a' would include 'a'"):
        roles.change(Role("a", "", roles=("a",)))
    assert roles.get("c").roles == ()


@pytest.mark.parametrize("role_id", ["nx-admin", "nx-anonymous", "nx-developer"])
def test_a_shipped_role_stays_as_it_is(roles, role_id):
    before = roles.get(role_id)
    for change in (
        lambda: roles.change(Role(role_id, "")),
        lambda: roles.delete(role_id),
        lambda: roles.create(Role(role_id, "")),
    ):
        with pytest.raises(Invalid, match=r"built.in"):
            change()
    assert roles.get(role_id) == before


def test_a_role_needs_privileges_and_roles_that_exist(roles):
    with pytest.raises(Invalid, match="no privilege 'nx-repository-view-docker-nowhere-read'"):
        roles.create(Role("a", "", privileges=(view("read", "nowhere"),)))
    with pytest.raises(Invalid, match="no role 'nobody'; use the id of"):
        roles.create(Role("a", "", roles=("nobody",)))
    with pytest.raises(Invalid, match="'a b' is not a valid name of a role"):
        roles.create(Role("a b", ""))
    roles.create(Role("a", ""))
    with pytest.raises(Conflict, match="'a' already"):
        roles.create(Role("a", ""))


def test_a_deleted_role_is_taken_from_all_who_have_it(repoman, roles, allowed):
    roles.create(Role("inner", "", privileges=(view("read"),)))
    roles.create(Role("outer", "", roles=("inner",)))
    repoman.users.create("ann", "a password", ["inner", "outer"])
    roles.delete("inner")
    assert roles.get("outer").roles == ()
    assert repoman.users.get("ann").roles == ("outer",)
    roles.create(Role("inner", "", privileges=(view("read"),)))
    assert allowed() == set()
    with pytest.raises(NotFound, match="no role 'never'"):
        roles.delete("never")


# --- Privileges ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "properties", "expected"),
    [
        ("wildcard", {"pattern": "nexus:*"}, set(Action)),
        ("wildcard", {"pattern": "nexus:repository-view:*:team:read,add"}, {"read", "add"}),
        ("application", {"domain": "users", "actions": ["*"]}, set()),
        ("repository-view", {"repository": "team", "actions": ["edit"]}, {"edit"}),
        ("repository-view", {"format": "docker", "actions": ["*"]}, set(Action)),
        ("repository-view", {"format": "raw", "actions": ["*"]}, set()),
        ("repository-admin", {"repository": "team", "actions": ["*"]}, set()),
    ],
)
def test_a_privilege_grants_what_it_is_made_of(
    repoman, roles, privileges, allowed, kind, properties, expected
):
    privileges.create("mine", kind, properties)
    roles.create(Role("team", "", privileges=("mine",)))
    repoman.users.create("ann", "a password", ["team"])
    assert allowed() == expected


@pytest.mark.parametrize(
    ("name", "kind", "properties", "text"),
    [
        ("nx-mine", "wildcard", {"pattern": "nexus:*"}, "name: 'nx-mine' begins with 'nx-'"),
        (view("read"), "wildcard", {"pattern": "nexus:*"}, "begins with 'nx-'"),
        ("mine", "magic", {}, "type: there is no privilege type 'magic'"),
        ("mine", "wildcard", {}, "pattern: is required"),
        ("mine", "wildcard", {"pattern": "apache:*"}, "pattern: .*must begin with nexus:"),
        ("mine", "wildcard", {"pattern": "nexus::read"}, "pattern: .*empty part"),
        ("mine", "wildcard", {"pattern": "nexus:*", "format": "docker"}, "format: unknown key"),
        ("mine", "application", {"domain": "users", "actions": []}, "actions: "),
        ("mine", "repository-view", {"actions": ["fly"]}, "actions.0: must be "),
        ("mine", "repository-view", {"repository": "x", "actions": ["*"]}, "no repository 'x'"),
        (
            "mine",
            "repository-view",
            {"repository": "team", "format": "raw", "actions": ["*"]},
            "no repository 'team' of this format",
        ),
        (
            "mine",
            "repository-content-selector",
            {"selector": "x", "actions": ["*"]},
            "no content selector 'x'",
        ),
    ],
)
def test_a_privilege_that_will_not_do_is_refused(privileges, name, kind, properties, text):
    with pytest.raises(Invalid, match=text):
        privileges.create(name, kind, properties)


def test_a_deleted_privilege_is_taken_from_all_roles(privileges, roles):
    privileges.create("mine", "wildcard", {"pattern": "nexus:users:read"})
    roles.create(Role("team", "", privileges=("mine", "nx-search-read")))
    privileges.delete("mine")
    assert roles.get("team").privileges == ("nx-search-read",)
    for name, error in (("mine", NotFound), ("nx-all", Invalid), (view("read"), Invalid)):
        with pytest.raises(error):
            privileges.delete(name)


def test_each_repository_brings_its_privileges(repoman, privileges):
    def names() -> set[str]:
        return {each.name for each in privileges.of_repositories()}

    assert {view("read"), view("*"), "nx-repository-admin-docker-team-edit"} <= names()
    repoman.repositories.create("third", "docker-hosted", {})
    assert view("read", "third") in names()
    repoman.repositories.delete("third")
    assert view("read", "third") not in names()


def test_a_format_has_its_privileges_before_its_first_repository(repoman, privileges, roles):
    name = "nx-repository-view-docker-*-read"
    roles.create(Role("puller", "", privileges=(name,)))
    for each in list(repoman.repositories.all()):
        repoman.repositories.delete(each.name)
    assert name in {each.name for each in privileges.of_repositories()}
    assert privileges.get(name).properties["format"] == "docker"
    assert roles.get("puller").privileges == (name,)
    with pytest.raises(NotFound):
        privileges.get("nx-repository-view-pears-*-read")


def test_a_later_repository_of_the_same_name_inherits_no_rights(
    repoman, roles, privileges, allowed
):
    privileges.create("mine", "repository-view", {"repository": "TEAM", "actions": ["add"]})
    roles.create(Role("team", "", privileges=(view("read"), view("read", "other"), "mine")))
    repoman.users.create("ann", "a password", ["team"])
    assert allowed() == {"read", "add"}
    repoman.repositories.delete("team")
    assert roles.get("team").privileges == (view("read", "other"),)
    repoman.repositories.create("Team", "docker-hosted", {})
    assert allowed() == set()
    assert "mine" not in {each.name for each in privileges.all()}


# --- Users ---------------------------------------------------------------------------------------


def test_roles_are_given_and_taken(repoman, allowed):
    repoman.users.create("ann", "a password")
    repoman.users.change("ann", roles=["nx-anonymous"], about={"email": "ann@example.org"})
    assert allowed() == {"browse", "read"}
    assert repoman.users.get("ann").email == "ann@example.org"
    repoman.users.change("ann", roles=[])
    assert allowed() == set()


def test_a_disabled_user_has_no_rights_and_is_logged_out(repoman, allowed):
    repoman.users.create("ann", "a password", ["nx-developer"])
    epoch = repoman.users.get("ann").epoch
    repoman.users.change("ann", status=Status.DISABLED)
    assert allowed() == set()
    assert repoman.users.get("ann").epoch > epoch
    repoman.users.change("ann", status=Status.ACTIVE)
    assert allowed() == set(Action)


def test_a_user_cannot_become_what_will_not_do(repoman):
    repoman.users.create("ann", "a password")
    with pytest.raises(Invalid, match="no role 'nobody'"):
        repoman.users.change("ann", roles=["nobody"])
    with pytest.raises(Invalid, match="no role 'nobody'"):
        repoman.users.create("bob", "a password", ["nobody"])
    with pytest.raises(Invalid, match=r"email: .*printable"):
        repoman.users.change("ann", about={"email": "a\nb"})
    with pytest.raises(NotFound, match="'bob'"):
        repoman.users.change("bob", roles=[])


def test_the_last_administrator_stays_one(repoman, roles, privileges):
    users = repoman.users
    for change in (
        lambda: users.delete("admin"),
        lambda: users.change("admin", status=Status.DISABLED),
        lambda: users.change("admin", roles=["nx-developer"]),
    ):
        with pytest.raises(Conflict, match="no active local user with all permissions"):
            change()
    assert users.get("admin").roles == ("nx-admin",)
    privileges.create("everything", "wildcard", {"pattern": "*"})
    roles.create(Role("operators", "", privileges=("everything",)))
    users.create("ann", "a password", ["operators"])
    users.delete("admin")
    for change in (
        lambda: roles.delete("operators"),
        lambda: roles.change(Role("operators", "")),
        lambda: privileges.delete("everything"),
        lambda: privileges.change("everything", {"pattern": "nexus:users:*"}),
        lambda: users.delete("ann"),
    ):
        with pytest.raises(Conflict, match="no active local user with all permissions"):
            change()
    assert roles.get("operators").privileges == ("everything",)


def test_the_last_administrator_is_found_among_users_of_many_roles(repoman, roles):
    users = repoman.users
    roles.create(Role("inner", "", privileges=("nx-all",)))
    roles.create(Role("outer", "", roles=("inner",)))

    def statements_of_a_change():
        with executed_statements() as statements:
            users.change("admin", status=Status.ACTIVE)
            with pytest.raises(Conflict, match="no active local user with all permissions"):
                users.change("admin", roles=[])
        return len(statements)

    few = statements_of_a_change()
    for number in range(20):
        roles.create(Role(f"role{number}", "", roles=("nx-developer",)))
        users.create(f"user{number}", "a password", [f"role{number}", "nx-anonymous"])
    assert statements_of_a_change() == few
    users.create("ann", "a password", ["outer", "role1"])
    users.delete("admin")
    with pytest.raises(Conflict, match="no active local user with all permissions"):
        roles.change(Role("outer", ""))


def test_a_change_of_a_user_does_not_read_all_users_of_a_directory(repoman):
    with repoman.database.transaction():
        for number in range(3000):
            insert_user(f"user{number}", "", ["nx-admin"], realm="ldap")
    repoman.users.create("ann", "a password")
    with cpu_limit(0.05):
        for name in "abc":
            repoman.users.change("ann", about={"first_name": name})
    with pytest.raises(Conflict, match="no active local user with all permissions"):
        repoman.users.change("admin", roles=[])
