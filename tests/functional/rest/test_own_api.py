"""The parts of the API that Sonatype Nexus Repository 3 does not have: paths below /api/v1."""

import json

import pytest

from repoman.db.models import database_proxy
from repoman.security.rights_records import Role, SelectorRow
from repoman.testing import ADMIN
from repoman_raw import plugin as raw
from tests.statements import executed_statements

PASSWORD = "a password"


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw})
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.repositories.create("all", "raw-group", {"group": {"members": ["files"]}})
    for name in ("ann", "bob"):
        repoman.users.create(name, PASSWORD)
    return repoman


def ask(client, path, method="GET", user=ADMIN, body=None):
    """Send a request as a user, or as nobody; return status and JSON."""
    login = (user, PASSWORD) if isinstance(user, str) else user
    options = {"auth": login} if login else {"login": False}
    if body is not None:
        options |= {"data": json.dumps(body), "content_type": "application/json"}
    answer = client.request(method, f"/api/v1{path}", **options)
    return answer.status_code, answer.json if answer.data and answer.is_json else None


def give(repoman, user, *privileges):
    repoman.security.roles.create(Role(f"of-{user}", "", privileges=privileges))
    repoman.users.change(user, roles=[f"of-{user}"])


def put(client, path, data=b"x", name="files"):
    assert client.put(f"/repository/{name}/{path}", data=data).status_code < 300


# Rights on the endpoints -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "privilege"),
    [
        ("GET", "/audit", "nx-audit-read"),
        ("GET", "/events", "nx-audit-read"),
        ("GET", "/usage/blobstores", "nx-blobstores-read"),
        ("GET", "/users/bob/tokens", "nx-users-read"),
        ("DELETE", "/users/bob/tokens/x", "nx-users-update"),
        ("POST", "/users/bob/tokens", "nx-all"),
    ],
)
def test_an_endpoint_needs_its_privilege(repoman, client, method, path, privilege):
    body = {"name": "ci"} if method == "POST" else None
    assert ask(client, path, method, None, body)[0] in (401, 403)
    status, problem = ask(client, path, method, "ann", body)
    assert (status, problem["title"]) == (403, "Forbidden")
    give(repoman, "ann", privilege)
    assert (
        ask(client, path, method, "ann", body)[0]
        == {"GET": 200, "POST": 201, "DELETE": 404}[method]
    )


@pytest.mark.parametrize("path", ["rights", "usage", "packages", "trace?path=/a", "remote"])
def test_a_hidden_repository_looks_absent(repoman, client, path):
    hidden = ask(client, f"/repositories/files/{path}", user="ann")
    absent = ask(client, f"/repositories/nothing/{path}", user="ann")
    assert hidden[0] == 404
    assert hidden[1] == absent[1]


# Connectors --------------------------------------------------------------------------------------


def test_connectors_are_for_who_may_read_the_settings(repoman, client):
    assert ask(client, "/connectors", user=None)[0] in (401, 403)
    assert ask(client, "/connectors", user="ann") == (200, [])
    assert ask(client, "/connectors") == (200, [])  # raw repositories have none


# Events ------------------------------------------------------------------------------------------


def test_events_are_listed_in_pages_in_both_orders(client):
    for number in range(7):
        put(client, f"docs/{number}.txt")
    put(client, "docs/3.txt", b"y")
    assert client.request("DELETE", "/repository/files/docs/3.txt").status_code < 300
    for order in ("asc", "desc"):
        found, token = [], ""
        while token is not None:
            status, page = ask(client, f"/events?limit=2&order={order}&continuationToken={token}")
            assert status == 200
            assert len(page["items"]) <= 2
            found += page["items"]
            token = page["continuationToken"]
        ids = [each["id"] for each in found]
        assert ids == sorted(ids, reverse=order == "desc")
        changes = [each["change"] for each in found]
        assert sorted(changes) == ["created"] * 7 + ["deleted", "updated"]
    first = found[-1]
    assert first["path"].endswith("docs/0.txt")
    assert (first["actor"], first["repository"], first["source"]) == ("admin", "files", "request")
    assert (first["oldDigest"], len(first["newDigest"])) == (None, 64)


def test_events_can_be_selected_and_followed(repoman, client):
    put(client, "a.txt")
    give(repoman, "ann", "nx-repository-view-raw-files-*")
    client.put("/repository/files/b.txt", data=b"b", auth=("ann", PASSWORD))
    [event] = ask(client, "/events?actor=ann")[1]["items"]
    assert event["path"].endswith("b.txt")
    assert ask(client, f"/events?path={event['path']}")[1]["items"] == [event]
    assert ask(client, "/events?repository=all")[1]["items"] == []
    assert ask(client, "/events?since=2099-01-01")[1]["items"] == []
    assert len(ask(client, "/events?since=2020-01-01T00:00:00Z")[1]["items"]) == 2
    assert ask(client, f"/events?order=asc&after={event['id']}")[1]["items"] == []
    put(client, "c.txt")
    [new] = ask(client, f"/events?order=asc&after={event['id']}")[1]["items"]
    assert new["path"].endswith("c.txt")


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_examines_a_limited_number_of_events(repoman, client, order, monkeypatch):
    monkeypatch.setattr("repoman.events.follower.EXAMINED_EVENTS", 3)
    for number in range(8):
        put(client, f"{number}.txt")
    found, token, pages = [], "", 0
    while token is not None:
        with executed_statements() as statements:
            page = ask(client, f"/events?order={order}&path=5.txt&continuationToken={token}")[1]
        asked = [each for each in statements if "FROM content_event" in each]
        assert len(asked) == 2
        for each in asked:
            [step] = database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {each}").fetchall()
            assert step[-1].startswith("SEARCH content_event USING INTEGER PRIMARY KEY (rowid")
        found, token, pages = found + page["items"], page["continuationToken"], pages + 1
    assert len(ask(client, "/events")[1]["items"]) == 3
    assert pages >= 3
    assert [each["path"] for each in found] == ["5.txt"]


@pytest.mark.parametrize("after", [0, 1])
def test_nothing_is_behind_the_oldest_event(client, after):
    put(client, "a.txt")
    page = ask(client, f"/events?after={after}")[1]
    assert (page["items"], page["continuationToken"]) == ([], None)


@pytest.mark.parametrize(
    "query",
    [
        "continuationToken=7",
        "continuationToken=%00",
        "after=-1",
        "after=99999999999999999999",
        "since=tomorrow",
        "order=sideways",
        "limit=0",
        "limit=1001",
    ],
)
def test_wrong_parameters_of_events_are_refused(client, query):
    assert ask(client, f"/events?{query}")[0] == 400


def test_a_token_of_another_list_is_refused(repoman, client):
    token = repoman.security.cursors.seal("packages:1")
    assert ask(client, f"/events?continuationToken={token}")[0] == 400


# Rights ------------------------------------------------------------------------------------------


def test_rights_are_explained(repoman, client):
    repoman.security.selectors.create(SelectorRow("team", 'path =^ "/team/"'))
    properties = {"selector": "team", "repository": "files", "actions": ["read"]}
    repoman.security.privileges.create("team", "repository-content-selector", properties)
    give(repoman, "ann", "team")
    status, told = ask(client, "/users/ann/rights?repository=files&path=/team/a&action=read")
    reason = {"source": "user", "roles": ["of-ann"], "privilege": "team", "selector": "team"}
    decision = {"action": "read", "isAllowed": True, "isWithinLimit": True, "reasons": [reason]}
    assert (status, told) == (
        200,
        {
            "user": "ann",
            "realm": "local",
            "isActive": True,
            "repository": "files",
            "path": "/team/a",
            "decisions": [decision],
        },
    )
    status, own = ask(client, "/repositories/files/rights?path=/team/a&action=read", user="ann")
    assert (status, own) == (200, told)
    denied = ask(client, "/users/ann/rights?repository=files&path=/other")[1]["decisions"]
    assert [each["action"] for each in denied] == ["add", "browse", "delete", "edit", "read"]
    assert not any(each["isAllowed"] or each["reasons"] for each in denied)
    assert ask(client, "/users/anonymous/rights?repository=files")[1]["user"] == "anonymous"


def test_rights_of_others_need_a_right_in_the_repository_too(repoman, client):
    give(repoman, "ann", "nx-users-read")
    assert ask(client, "/users/bob/rights?repository=files", user="ann")[0] == 404
    assert ask(client, "/users/bob/rights?repository=none", user="ann")[0] == 404
    assert ask(client, "/users/none/rights?repository=files")[0] == 404
    assert ask(client, "/users/bob/rights")[0] == 400
    assert ask(client, "/users/bob/rights?repository=files&path=a")[0] == 400
    assert ask(client, "/users/bob/rights?repository=files&action=fly")[0] == 400


def test_a_token_sees_what_its_limit_forbids(repoman, client):
    give(repoman, "ann", "nx-repository-view-raw-files-*")
    _, made = ask(client, "/tokens", "POST", "ann", {"name": "ci", "actions": ["read"]})
    login = ("ann", made["secret"])
    told = ask(client, "/repositories/files/rights?path=/a", user=login)[1]["decisions"]
    assert {each["action"]: each["isAllowed"] for each in told} == {
        **dict.fromkeys(["add", "browse", "delete", "edit"], False),
        "read": True,
    }
    assert all(each["reasons"] for each in told)


# Tokens ------------------------------------------------------------------------------------------


def test_own_tokens_are_created_listed_and_revoked(repoman, client):
    body = {"name": "ci", "repositories": ["Files"], "names": ["docs/*"], "days": 30}
    status, made = ask(client, "/tokens", "POST", "ann", {**body, "actions": ["read", "browse"]})
    assert status == 201
    secret = made.pop("secret")
    assert secret.startswith(f"rpm_{made['id']}_")
    assert (made["repositories"], made["actions"]) == (["files"], ["browse", "read"])
    assert made["expiresAt"] > made["createdAt"]
    assert ask(client, "/tokens", user="ann") == (200, [made])
    assert ask(client, "/tokens", user="bob") == (200, [])
    assert ask(client, f"/tokens/{made['id']}", "DELETE", "bob")[0] == 404
    assert ask(client, "/tokens", "POST", "ann", {"name": "ci"})[0] == 409
    assert ask(client, "/usage/repositories", user=("ann", secret))[0] == 200
    assert ask(client, f"/tokens/{made['id']}", "DELETE", "ann") == (204, None)
    assert ask(client, "/usage/repositories", user=("ann", secret))[0] == 401
    told = [each for each in repoman.audit.search({"domain": "token"})]
    assert [(each["type"], each["actor"]) for each in told] == [
        ("revoke", "ann"),
        ("create", "ann"),
    ]
    assert secret not in str(told)


def test_a_token_cannot_manage_tokens(client):
    secret = ask(client, "/tokens", "POST", "ann", {"name": "ci"})[1]["secret"]
    login = ("ann", secret)
    assert ask(client, "/tokens", user=login)[0] == 403
    assert ask(client, "/tokens", "POST", login, {"name": "more"})[0] == 403
    assert ask(client, "/tokens/ci", "DELETE", login)[0] == 403


def test_administrators_manage_tokens_of_others(repoman, client):
    repoman.users.create("robot", None)
    status, made = ask(client, "/users/robot/tokens", "POST", ADMIN, {"name": "build"})
    assert (status, made["user"]) == (201, "robot")
    assert [each["name"] for each in ask(client, "/users/robot/tokens")[1]] == ["build"]
    assert ask(client, "/users/robot/tokens/build", "DELETE") == (204, None)
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/x")):
        body = {"name": "x"} if method == "POST" else None
        assert ask(client, f"/users/nobody/tokens{path}", method, ADMIN, body)[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": None},
        {"name": 7},
        {"name": "x" * 101},
        {"name": "a\x00"},
        {"name": "x", "days": 0},
        {"name": "x", "days": 10**30},
        {"name": "x", "days": "soon"},
        {"name": "x", "actions": ["fly"]},
        {"name": "x", "actions": "read"},
        {"name": "x", "repositories": ["x"] * 51},
        {"name": "x", "names": ["\n"]},
        [],
        "x",
    ],
)
def test_wrong_tokens_are_refused(client, body):
    assert ask(client, "/tokens", "POST", "ann", body)[0] == 400
    assert ask(client, "/tokens", user="ann") == (200, [])


# Usage -------------------------------------------------------------------------------------------


def test_usage_of_repositories_and_stores(repoman, client):
    put(client, "a.txt", b"12345")
    put(client, "b.txt", b"12345")
    put(client, "c.txt", b"123")
    sums = {
        "repository": "files",
        "format": "raw",
        "type": "hosted",
        "blobStore": "default",
        "assets": 3,
        "size": 8,
        "ownSize": 8,
    }
    status, told = ask(client, "/repositories/files/usage")
    assert (status, {key: told[key] for key in sums}) == (200, sums)
    listed = {each["repository"]: each for each in ask(client, "/usage/repositories")[1]}
    assert listed["files"] == told
    assert listed["all"]["size"] == 0
    assert ask(client, "/usage/repositories", user="ann") == (200, [])
    [store] = ask(client, "/usage/blobstores")[1]
    assert store == {"name": "default", "blobs": 2, "size": 8, "reclaimable": 0}


def test_the_usage_of_many_repositories_takes_as_many_statements_as_that_of_few(repoman, client):
    def count():
        ask(client, "/usage/repositories")  # What is remembered is read before.
        with executed_statements() as statements:
            status, _ = ask(client, "/usage/repositories")
        assert status == 200
        return len(statements)

    few = count()
    for number in range(20):
        repoman.repositories.create(f"more-{number}", "raw-hosted", {})
    assert count() == few


@pytest.mark.parametrize("query", ["order=color", "continuationToken=x", "limit=0", "limit=x"])
def test_wrong_parameters_of_packages_are_refused(client, query):
    assert ask(client, f"/repositories/files/packages?{query}")[0] == 400
