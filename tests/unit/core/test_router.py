"""From a path or a connector to the repository, and who gets in."""

import pytest
from flask import Blueprint, has_app_context, has_request_context
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.test import create_environ

from repoman.http import rules
from repoman.http.router import FormatApp, FormatContext, RestConverter, RestRoutes
from repoman.plugin import Built, Recipe, RepositoryType, StorageSection, hookimpl
from repoman.testing import HttpClient

SEEN = "/repository/Team/seen/there"


class Pages:
    """Brings a page of the main port."""

    @hookimpl
    def repoman_register_web(self):
        pages = Blueprint("pages", __name__)
        pages.add_url_rule("/about", view_func=lambda: "about")
        return [pages]


class Orphan:
    """Brings a recipe of a format that nobody brings."""

    @hookimpl
    def repoman_register_recipes(self):
        return [Recipe("orphan", RepositoryType.HOSTED, {"storage": StorageSection}, build=Built)]


def test_on_the_main_port_the_path_names_the_repository(client):
    seen = client.get(SEEN).json
    assert seen["repository"] == "Team"
    assert seen["path"] == "there"
    assert seen["root"] == "/repository/Team"
    assert seen["url"] == "/repository/Team/seen/there"


def test_a_connector_is_its_repository(repoman):
    seen = HttpClient(repoman, connector="Team").get("/seen/there").json
    assert seen["repository"] == "Team"
    assert (seen["root"], seen["url"]) == ("", "/seen/there")


def test_a_connector_does_not_lead_to_other_repositories(repoman):
    repoman.repositories.create("other", "toy-hosted", {})
    connector = HttpClient(repoman, connector="Team")
    assert connector.get("/repository/other/seen/there").status_code == 404


def test_what_a_client_says_of_the_host_does_not_matter(repoman):
    for client, url in (
        (HttpClient(repoman), SEEN),
        (HttpClient(repoman, connector="Team"), "/seen/there"),
    ):
        seen = client.get(url, headers={"Host": "elsewhere:5000"}).json
        assert seen["repository"] == "Team"


def test_the_name_is_found_in_any_case_and_links_keep_the_one_asked_for(client):
    seen = client.get("/repository/tEAM/seen/x").json
    assert seen["repository"] == "Team"
    assert seen["url"] == "/repository/tEAM/seen/there"


@pytest.mark.parametrize("path", ["", "/", "/a", "/a/b", "//a"])
def test_a_path_is_handed_on_as_it_is(client, path):
    assert client.get(f"/repository/Team/seen/x{path}").json["path"] == f"x{path}"


@pytest.mark.parametrize(
    "path", ["/", "/repository", "/repository/", "/repository/nobody/x", "/repositoryTeam/"]
)
def test_what_is_no_repository_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_pages_of_the_main_port_are_not_on_connectors(repoman_factory, toy):
    repoman = repoman_factory({"toy": toy, "pages": Pages()})
    repoman.repositories.create("Team", "toy-hosted", {})
    assert HttpClient(repoman).get("/about").data == b"about"
    assert HttpClient(repoman, connector="Team").get("/about").status_code == 404


def test_a_connector_whose_repository_is_gone_says_so(repoman):
    connector = HttpClient(repoman, connector="Team")
    repoman.repositories.delete("Team")
    closing = connector.get("/seen/there")
    assert (closing.status_code, closing.text) == (503, "This connector is closing.\n")


def test_an_offline_repository_says_so_to_those_who_may_know_it(client, repoman):
    repoman.repositories.update("Team", {}, is_online=False)
    assert client.get(SEEN, login=False).status_code == 401
    offline = client.get(SEEN)
    assert (offline.status_code, offline.text) == (503, "toy: The repository 'Team' is offline.")
    repoman.repositories.update("Team", {}, is_online=True)
    assert client.get(SEEN).status_code == 200


def test_a_repository_whose_format_is_away_says_so(repoman_factory, repoman):
    without = repoman_factory()
    answer = HttpClient(without).get(SEEN)
    assert (answer.status_code, answer.text) == (503, "The format 'toy' is not installed.\n")


def test_a_recipe_without_its_format_is_said_too(repoman_factory):
    repoman = repoman_factory({"orphan": Orphan()})
    repoman.repositories.create("Team", "orphan-hosted", {})
    answer = HttpClient(repoman).get(SEEN)
    assert (answer.status_code, answer.text) == (503, "The format 'orphan' is not installed.\n")


# --- Who gets in ---------------------------------------------------------------------------------


def test_a_login_says_who_asks(client):
    assert client.get(SEEN).json["actor"] == "admin"


@pytest.mark.parametrize("auth", [("admin", "guess"), ("nobody", "guess"), ("admin", "")])
def test_a_wrong_login_is_refused_even_where_none_is_needed(repoman_factory, toy, auth):
    repoman = repoman_factory({"toy": toy}, security={"anonymous_read": True})
    repoman.repositories.create("Team", "toy-hosted", {})
    refused = HttpClient(repoman).get(SEEN, auth=auth)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="repoman"'
    assert refused.text == "toy: Wrong user name or password."


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_without_a_login_nothing_is_allowed(client, method):
    refused = client.request(method, "/repository/Team/stored", login=False)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="repoman"'


def test_without_a_login_reading_is_allowed_where_the_setting_says_so(repoman_factory, toy):
    repoman = repoman_factory({"toy": toy}, security={"anonymous_read": True})
    repoman.repositories.create("Team", "toy-hosted", {})
    client = HttpClient(repoman)
    assert client.get(SEEN, login=False).json["actor"] == "anonymous"
    assert client.get(SEEN, auth=("", "")).json["actor"] == "anonymous"
    assert client.head(SEEN, login=False).status_code == 200
    assert client.put("/repository/Team/stored", b"x", login=False).status_code == 401


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic YQ==", "Digest x=1", "\xff"])
def test_a_broken_login_is_none(client, header):
    assert client.get(SEEN, auth=None, headers={"Authorization": header}).status_code == 401


def test_a_broken_login_is_told_which_ones_there_are(client):
    path, headers = "/repository/Team/seen/x", {"Authorization": "Digest x=1"}
    refused = client.get(path, auth=None, headers=headers)
    assert refused.status_code == 401
    assert "Basic, with the user name" in refused.text
    assert "Bearer, with a user token" in refused.text


def test_a_path_is_not_told_to_those_who_may_not_read(client):
    assert client.get("/repository/Team/nothing/here", login=False).status_code == 401
    assert client.get("/repository/Team/nothing/here").status_code == 404


@pytest.mark.parametrize("connector", [None, "Team"])
def test_a_format_may_write_the_names_of_headers_as_it_likes(repoman, connector):
    root = "" if connector else "/repository/Team"
    answer = HttpClient(repoman, connector=connector).get(f"{root}/policy")
    [policy] = answer.headers.getlist("Content-Security-Policy")
    assert (policy == "default-src 'self'") is (connector is not None)
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]


# --- Routes that take the rest of a path ----------------------------------------------------------

RULES = {
    "one": ["/v2", "/v2/<rest:path>", "/v2/token"],
    "slashes": ["/a/", "/a/<rest:path>", "/b"],
    "every path": ["/<rest:path>"],
    "every path and others": ["/<rest:path>", "/fixed", "/_kept/"],
    "a choice": ["/v1/<rest:path>", "/v1/users/<name>/", "/v2/<rest:path>"],
    "two at one place": ["/a/<rest:path>", "/a/<name>"],
    "deeper": ["/a/b/<rest:path>", "/a/<rest:path>", "/c/<rest:path>"],
    "a variable first": ["/<name>/x", "/a/<rest:path>"],
}
PATHS = ["/", "/v2", "/v2/", "/v2/token", "/v2/token/", "/v2/a//b/", "/v2//", "/v1/users/ann/"]
PATHS += ["/v1/users/ann", "/a", "/a/", "/a//", "/a/b", "/a/b/", "/a/b/c", "/a/x", "/fixed", "/b/"]
PATHS += ["/_kept", "/_kept/", "/_kept/x", "/c/", "/v22/x", "/a/\n", "/x"]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_a_rest_is_found_as_the_router_finds_it(rules):
    made = Map(
        [Rule(each, endpoint=each, methods=["GET"]) for each in rules],
        converters={"rest": RestConverter},
        merge_slashes=False,
    )
    routes, adapter = RestRoutes(made.iter_rules()), made.bind("host")
    for path in PATHS:
        found = routes.find(path, "GET")
        try:
            expected = adapter.match(path, "GET", return_rule=True)
        except HTTPException:
            expected = None
        assert found in (None, expected), path
        assert routes.find(path, "PUT") is None


def test_most_rests_are_found_without_the_router():
    made = Map(
        [Rule(each, endpoint=each, methods=["GET"]) for each in RULES["one"]],
        converters={"rest": RestConverter},
    )
    found = RestRoutes(made.iter_rules()).find("/v2/team/app/manifests/1", "GET")
    assert found is not None
    assert (found[0].rule, found[1]) == ("/v2/<rest:path>", {"path": "team/app/manifests/1"})


def test_a_rule_with_values_of_its_own_is_left_to_the_router():
    made = Map(
        [
            Rule("/a/<rest:path>", endpoint="a", methods=["GET"], defaults={"kind": "a"}),
            Rule("/b/<rest:path>", endpoint="b", methods=["GET"]),
        ],
        converters={"rest": RestConverter},
    )
    routes = RestRoutes(made.iter_rules())
    assert routes.find("/a/x", "GET") is None
    assert routes.find("/b/x", "GET") is not None


def test_a_context_is_left_even_if_a_file_cannot_be_closed():
    class File:
        def close(self):
            raise OSError("it cannot be closed")

    context = FormatContext(FormatApp(__name__), create_environ("/", method="POST"))
    context.push()
    context.request.__dict__["files"] = {"file": File()}
    with pytest.raises(OSError, match="cannot be closed"):
        context.pop()
    assert not has_request_context()
    assert not has_app_context()


def test_addresses_are_compiled_by_one_thread_at_a_time(monkeypatch):
    compiled = []

    def compile_(self, append_unknown=True):
        compiled.append(rules._COMPILING.locked())
        return lambda *_, **__: ("", "/there")

    monkeypatch.setattr(Rule, "_compile_builder", compile_)
    pages = Map([rules.LateRule("/there/<name>", endpoint="there")]).bind("host")
    assert compiled == [], "nobody has asked"
    assert [pages.build("there", {"name": "a"}) for _ in range(2)] == ["/there"] * 2
    assert compiled == [True], "once"
