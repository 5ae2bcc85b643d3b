"""Explanations of rights: they agree with the decisions, and name what grants them."""

from itertools import product

import pytest

from repoman.errors import NotFound
from repoman.security.actors import (
    ANONYMOUS,
    Access,
    Action,
    Actor,
    Limit,
)
from repoman.security.explanation import Source, find_actor
from repoman.security.rights_records import Role, SelectorRow
from repoman.security.user_records import Status
from repoman_raw import plugin as raw

EVERYTHING = frozenset(Action)


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw})
    for name in ("files", "other"):
        repoman.repositories.create(name, "raw-hosted", {})
    repoman.repositories.create("open", "raw-hosted", {"access": {"anonymous": True}})
    repoman.repositories.create("shut", "raw-hosted", {"access": {"anonymous": False}})
    return repoman


@pytest.fixture
def security(repoman):
    security = repoman.security
    security.selectors.create(SelectorRow("Team", 'path =^ "/team/"'))
    security.selectors.create(SelectorRow("docs", 'format == "raw" and path =~ ".*[.]md"'))
    for name, selector, actions in (
        ("team-write", "Team", ["add", "edit"]),
        ("docs-read", "docs", ["read"]),
    ):
        properties = {"selector": selector, "format": "raw", "actions": actions}
        security.privileges.create(name, "repository-content-selector", properties)
    security.privileges.create("all-raw", "wildcard", {"pattern": "nexus:repository-view:raw"})
    view = "nx-repository-view-raw-files-"
    for role in (
        Role("base", "", privileges=(f"{view}browse", "docs-read")),
        Role("team", "", privileges=("team-write",), roles=("base",)),
        Role("lead", "", privileges=(f"{view}browse",), roles=("team",)),
        Role("raw", "", privileges=("all-raw",)),
        Role("nothing", ""),
    ):
        security.roles.create(role)
    for name, roles in (
        ("ann", ["team"]),
        ("lea", ["lead", "base"]),
        ("ray", ["raw"]),
        ("none", ["nothing"]),
        ("root", ["nx-admin"]),
    ):
        repoman.users.create(name, None, roles)
    return security


def explain(security, repoman, actor, repository="files", path="/team/a.md", actions=EVERYTHING):
    ref = repoman.repositories.get(repository).ref
    return security.authorizer.explain(actor, ref, Access(frozenset(actions), path, path[1:]))


def test_explanations_agree_with_decisions(repoman, security):
    paths = ("/", "/team/a.md", "/team/a.txt", "/a.md", "/b")
    actors = [Actor(name) for name in ("ann", "lea", "ray", "none", "root", "nobody")]
    actors += [ANONYMOUS, Actor("ray", limit=Limit(("files",), ("team/*",), frozenset({"read"})))]
    seen = set()
    for is_open, actor, repository, path in product(
        (False, True), actors, ("files", "other", "open", "shut"), paths
    ):
        repoman.options.update("anonymous", {"enabled": is_open})
        ref = repoman.repositories.get(repository).ref
        for each in explain(security, repoman, actor, repository, path):
            access = Access(frozenset({each.action}), path, path[1:])
            is_allowed = security.authorizer.is_allowed(actor, ref, access)
            assert each.is_allowed == is_allowed
            assert (each.is_within_limit and bool(each.reasons)) == is_allowed, (actor, ref, path)
            seen.add((is_allowed, each.is_within_limit, bool(each.reasons)))
    assert seen == {(True, True, True), (False, True, False), (False, False, True)}


def test_a_reason_names_the_way_from_a_role_to_the_privilege_and_the_selector(repoman, security):
    read, add = explain(security, repoman, Actor("ann"), actions={Action.READ, Action.ADD})[::-1]
    assert [(each.roles, each.privilege, each.selector) for each in read.reasons] == [
        (("team", "base"), "docs-read", "docs")
    ]
    assert [(each.roles, each.privilege, each.selector) for each in add.reasons] == [
        (("team",), "team-write", "team")
    ]
    [browse] = explain(security, repoman, Actor("ann"), actions={Action.BROWSE})
    [reason] = browse.reasons
    assert (reason.source, reason.selector) == (Source.USER, "")


def test_every_way_is_named(repoman, security):
    [browse] = explain(security, repoman, Actor("lea"), actions={Action.BROWSE})
    assert sorted(each.roles for each in browse.reasons) == [("base",), ("lead",)]


def test_rights_of_anybody_are_told_apart(repoman, security):
    [read] = explain(security, repoman, Actor("none"), "open", actions={Action.READ})
    assert [each.source for each in read.reasons] == [Source.REPOSITORY]
    repoman.options.update("anonymous", {"enabled": True})
    [read] = explain(security, repoman, Actor("none"), actions={Action.READ})
    assert [(each.source, each.roles) for each in read.reasons] == [
        (Source.ANONYMOUS, ("nx-anonymous",))
    ]


def test_a_user_is_found_as_the_one_who_acts(repoman, security):
    assert find_actor("ann") == (Actor("ann"), True)
    repoman.users.change("ann", status=Status.DISABLED)
    assert find_actor("ann")[1] is False
    assert not explain(security, repoman, Actor("ann"), actions={Action.READ})[0].is_allowed
    assert find_actor("anonymous") == (ANONYMOUS, True)
    with pytest.raises(NotFound, match="no user 'nobody'"):
        find_actor("nobody")


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("name", ["ann", "lea", "ray", "none", "root", "anonymous"])
def test_the_overview_agrees_with_decisions(repoman, security, name, is_open):
    repoman.options.update("anonymous", {"enabled": is_open})
    actor, _ = find_actor(name)
    overview, authorizer = security.authorizer.overview(actor), security.authorizer
    for repository in repoman.repositories.all():
        extent = overview.of_repository(repository.ref)
        for action in Action:
            single = frozenset({action})
            everywhere = authorizer.may_do_everywhere(actor, repository.ref, single)
            somewhere = authorizer.may_do_somewhere(actor, repository.ref, single)
            assert (action in extent.everything) == everywhere
            assert (action in extent.everything | extent.partly) == somewhere
    for domain, action in product(("users", "search", "tasks"), ("read", "create", "start")):
        found = overview.of_server(domain, [action]).everything
        if actor is not ANONYMOUS:
            assert (action in found) == authorizer.may_administer(actor, domain, action)


def test_the_overview_names_the_roles_of_the_user(repoman, security):
    overview = security.authorizer.overview(find_actor("lea")[0])
    extent = overview.of_repository(repoman.repositories.get("files").ref)
    assert (extent.roles, extent.anybody) == (("base", "lead"), False)
    assert extent.everything == {Action.BROWSE}
    assert extent.partly == {Action.READ, Action.ADD, Action.EDIT}
    shown = overview.of_repository(repoman.repositories.get("open").ref)
    assert shown.anybody
