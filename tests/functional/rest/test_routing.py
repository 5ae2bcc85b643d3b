"""Routing rules over REST, and what they do to proxies and groups."""

import json
from threading import Barrier, Thread
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from repoman.cli import cli
from repoman.errors import Conflict, Invalid
from repoman.repositories.routing import RoutingRules
from repoman.repositories.routing_records import RoutingMode, RoutingRule, delete_rule
from repoman.testing import ADMIN, HttpClient
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.fakes.registry import fake_registry
from tests.fakes.scripted import Scripted, reply
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.wires import InProcess
from tests.functional.rest.locks import note_locks
from tests.functional.rest.rights import ANN, let_ann, make_ann

RULE = {"name": "rr", "description": "", "mode": "BLOCK", "matchers": ["^/x/.*"]}


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw, "docker": docker})
    make_ann(repoman)
    return repoman


@pytest.fixture
def send(client):
    def send(method, path, body=None, **options):
        if body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        return client.request(method, f"/service/rest/v1/routing-rules{path}", **options)

    return send


@pytest.fixture
def origin():
    """A file server that has everything."""
    server = Scripted(lambda asked: reply(200, asked.path.encode()))
    yield server
    server.stop()


@pytest.fixture
def get(client):
    return lambda path: client.get(f"/repository/{path}")


def reach(repoman, name):
    """A Docker repository on the main port."""
    return Registry(InProcess(HttpClient(repoman)), f"/repository/{name}", ADMIN)


def make_group(repoman):
    """A Docker group under the rule, whose pushes go to its only member, "own"."""
    repoman.repositories.create("own", "docker-hosted", {})
    group = {"members": ["own"], "writable_member": "own"}
    settings = {"group": group, "routing": {"rule": "rr"}}
    repoman.repositories.create("all", "docker-group", settings)
    return reach(repoman, "all")


def make_proxy(repoman, origin, name="mirror", **routing):
    settings = {"proxy": {"remote_url": origin.url}, "routing": routing}
    repoman.repositories.create(name, "raw-proxy", settings)


# --- The objects ---------------------------------------------------------------------------------


def test_a_rule_is_given_back_as_it_was_set(send):
    rule = {**RULE, "description": "grün", "mode": "allow", "matchers": ["^/b/.*", "/a", "^/b/.*"]}
    assert send("POST", "", rule).status_code == 204
    assert send("GET", "/rr").json == {**rule, "mode": "ALLOW"}
    assert send("GET", "/RR").json["name"] == "rr"
    assert send("PUT", "/rr", RULE).status_code == 204
    assert send("GET", "").json == [RULE]
    assert send("DELETE", "/rr").status_code == 204
    assert send("GET", "/rr").status_code == 404
    assert send("PUT", "/rr", RULE).status_code == 404
    assert send("DELETE", "/rr").status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "RR"}, "name"),
        ({"name": "None"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": None}, None),
        ({"description": None}, None),
        ({"description": 7}, None),
        ({"mode": "MAYBE"}, None),
        ({"mode": None}, None),
        ({"matchers": []}, "matchers"),
        ({"matchers": None}, None),
        ({"matchers": "/x"}, None),
        ({"matchers": ["/ok", "("]}, "matchers[1]"),
        ({"matchers": ["\ud800"]}, None),
        ({"matchers": ["(?=x)"]}, "matchers[0]"),
        ({"matchers": ["(" * 200 + ")" * 200]}, "matchers[0]"),
        ({"matchers": [None]}, None),
    ],
)
def test_what_is_wrong_is_named(send, change, field):
    assert send("POST", "", RULE).status_code == 204
    answer = send("POST", "", {**RULE, "name": "new", **change})
    assert answer.status_code == 400, answer.text
    assert field is None or answer.json[0]["id"] == field
    assert send("GET", "").json == [RULE]


def test_who_may_choose_rules_reads_them_and_root_writes_them(send, repoman):
    for method, path in (("GET", ""), ("GET", "/rr"), ("DELETE", "/rr")):
        assert send(method, path, auth=ANN).status_code == 403
        assert send(method, path, login=False).status_code in (401, 403)
    let_ann(repoman, "nexus:repository-admin:raw:*:add", "nexus:settings:*")
    assert send("POST", "", RULE).status_code == 204
    assert send("GET", "/rr", auth=ANN).json == RULE
    assert send("POST", "", {**RULE, "name": "new"}, auth=ANN).status_code == 403
    assert send("PUT", "/rr", RULE, auth=ANN).status_code == 403
    assert send("DELETE", "/rr", auth=ANN).status_code == 403


def test_who_may_read_the_settings_of_a_repository_reads_the_rules(send, repoman):
    repoman.repositories.create("files", "raw-hosted", {})
    let_ann(repoman, "nexus:repository-admin:raw:files:read")
    assert send("GET", "", auth=ANN).json == []


def test_who_may_create_a_repository_of_one_name_reads_the_rules(send, repoman):
    let_ann(repoman, "nexus:repository-admin:raw:mirror:add")
    assert send("GET", "", auth=ANN).json == []


# --- What they do --------------------------------------------------------------------------------


def test_a_proxy_requests_nothing_that_its_rule_blocks(send, repoman, origin, get):
    send("POST", "", RULE)
    make_proxy(repoman, origin, rule="RR")
    refused = get("mirror/x/secret")
    assert refused.status_code == 404
    assert "routing rule" in refused.text
    assert get("mirror/y/x/open").data == b"/y/x/open"
    assert [each.path for each in origin.log] == ["/y/x/open"]


def test_a_rule_applies_after_a_restart(send, repoman, origin, repoman_factory):
    send("POST", "", RULE)
    make_proxy(repoman, origin, rule="rr")
    client = HttpClient(repoman_factory({"raw": raw, "docker": docker}))
    assert client.get("/repository/mirror/x/a").status_code == 404
    assert client.get("/repository/mirror/y/a").status_code == 200


def test_of_two_clients_that_create_a_rule_at_once_one_fails(repoman):
    barrier, failures = Barrier(4), []

    def create(number):
        barrier.wait()
        try:
            repoman.routing_rules.create(RoutingRule("rr", RoutingMode.BLOCK, (f"/{number}",)))
        except Conflict as error:
            failures.append(error)
        finally:
            repoman.database.close()

    threads = [Thread(target=create, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(failures) == 3
    assert len(repoman.routing_rules.all()) == 1


def test_a_changed_rule_applies_at_once(send, repoman, origin, get):
    send("POST", "", RULE)
    make_proxy(repoman, origin, rule="rr")
    assert get("mirror/x/a").status_code == 404
    assert get("mirror/y/a").status_code == 200
    send("PUT", "/rr", {**RULE, "mode": "ALLOW"})
    assert get("mirror/x/a").status_code == 200
    assert get("mirror/y/a").status_code == 404  # also what is cached
    send("PUT", "/rr", {**RULE, "name": "new name".replace(" ", "-")})
    assert repoman.repositories.get("mirror").config.settings()["routing"]["rule"] == "new-name"
    assert get("mirror/x/a").status_code == 404


def test_both_the_rule_and_the_matchers_of_a_repository_count(send, repoman, origin, get):
    send("POST", "", RULE)
    make_proxy(repoman, origin, rule="rr", mode="allow", matchers=["[xy]/.*"])
    statuses = {path: get(f"mirror/{path}/a").status_code for path in "xyz"}
    assert statuses == {"x": 404, "y": 200, "z": 404}


def test_a_group_obeys_its_rule_and_those_of_its_members(send, repoman, origin, get):
    send("POST", "", RULE)
    send("POST", "", {**RULE, "name": "not-y", "matchers": ["/y/.*"]})
    make_proxy(repoman, origin, rule="rr")
    settings = {"group": {"members": ["mirror"]}, "routing": {"rule": "not-y"}}
    repoman.repositories.create("all", "raw-group", settings)
    assert get("all/z/a").status_code == 200
    assert get("all/x/a").status_code == 404
    assert get("all/y/a").status_code == 403
    assert [each.path for each in origin.log] == ["/z/a"]


def test_a_rule_on_the_paths_of_images_decides_about_them_whole(send, repoman, client):
    rule = {**RULE, "matchers": ["^/v2/secret/.*"]}
    assert send("POST", "", rule).status_code == 204
    with fake_registry() as upstream:
        upstream.put("team/app", "1", make_image())
        upstream.put("secret/app", "1", make_image())
        settings = {"proxy": {"remote_url": upstream.url}, "routing": {"rule": "rr"}}
        repoman.repositories.create("hub", "docker-proxy", settings)
        proxy = reach(repoman, "hub")
        proxy.pull("team/app", "1")
        answer = proxy.get("secret/app/manifests/1")
        assert answer.code == "MANIFEST_UNKNOWN"
        assert "routing rule" in answer.message
        assert upstream.count("secret") == 0
        send("PUT", "/rr", {**rule, "matchers": ["secret/app"]})  # an image name
        assert proxy.get("secret/app/manifests/1").status == 404
        send("PUT", "/rr", {**rule, "matchers": ["^/v2/.*/manifests/2"]})  # a tag
        proxy.pull("secret/app", "1")


def test_a_rule_on_a_tag_counts_in_groups_too(send, repoman):
    assert send("POST", "", {**RULE, "matchers": ["^/v2/.*/manifests/2"]}).status_code == 204
    group = make_group(repoman)
    image = make_image()
    for tag in ("1", "2"):
        reach(repoman, "own").push("app", tag, image)
    assert group.pull("app", "1") == image.manifest
    assert group.get("app/manifests/2").code == "DENIED"
    assert group.get("_catalog").json() == {"repositories": ["app"]}


@pytest.mark.parametrize(
    ("mode", "matcher"),
    [("BLOCK", ".*/tags/list"), ("ALLOW", "^/v2/acme/.*/(manifests|blobs)/.*")],
)
def test_a_rule_on_lists_keeps_no_image_of_a_group_from_clients(
    send, repoman, client, mode, matcher
):
    assert send("POST", "", {**RULE, "mode": mode, "matchers": [matcher]}).status_code == 204
    group = make_group(repoman)
    image, extra = make_image(), make_image()
    group.push("acme/app", "1", image)
    reach(repoman, "own").push("acme/base", "1", extra)
    source = {"mount": digest_of(extra.layers[0]), "from": "acme/base"}
    assert group.start("acme/app", **source).status == 201
    assert group.pull("acme/app", "1") == image.manifest
    path = quote("/v2/acme/app/manifests/1", safe="")
    [step] = client.get(f"/api/v1/repositories/all/trace?path={path}").json["members"]
    assert step["outcome"] == "found"
    assert group.delete("acme/app/manifests/1").status == 202
    assert group.get("acme/app/tags/list").code == "DENIED"
    referrers = group.get(f"acme/app/referrers/{image.digest}")
    assert referrers.status == (200 if mode == "BLOCK" else 403)


def test_a_rule_on_the_lists_of_a_member_keeps_no_layers_from_clients(send, repoman):
    assert send("POST", "", {**RULE, "matchers": [".*/tags/list"]}).status_code == 204
    image = make_image()
    with fake_registry() as upstream:
        upstream.put("team/app", "1", image)
        settings = {"proxy": {"remote_url": upstream.url}, "routing": {"rule": "rr"}}
        repoman.repositories.create("hub", "docker-proxy", settings)
        for name, member in (("all", "hub"), ("outer", "all")):
            repoman.repositories.create(name, "docker-group", {"group": {"members": [member]}})
        assert reach(repoman, "outer").pull("team/app", "1") == image.manifest


def test_a_rule_on_a_tag_counts_for_pushes_and_deletions_through_a_group(send, repoman):
    assert send("POST", "", {**RULE, "matchers": ["^/v2/.*/manifests/2"]}).status_code == 204
    group = make_group(repoman)
    image = make_image()
    reach(repoman, "own").push("app", "2", image)
    group.push("app", "1", image)
    assert group.put_manifest("app", "2", image.manifest).code == "DENIED"
    answer = group.send("PUT", f"app/manifests/{image.digest}?tag=2", image.manifest)
    assert answer.code == "DENIED"
    assert group.delete("app/manifests/2").code == "DENIED"
    assert group.delete(f"app/manifests/{image.digest}").code == "DENIED", "2 would go with it"
    assert reach(repoman, "own").pull("app", "2") == image.manifest


def test_an_unknown_rule_is_refused(repoman, origin):
    with pytest.raises(Invalid) as caught:
        make_proxy(repoman, origin, rule="gone")
    assert caught.value.field == "routing.rule"


def test_a_used_rule_stays(send, repoman, origin):
    send("POST", "", RULE)
    make_proxy(repoman, origin, rule="rr")
    refused = send("DELETE", "/rr")
    assert (refused.status_code, refused.json["id"]) == (400, "*")
    assert "mirror" in refused.json["message"]
    repoman.repositories.update("mirror", {"routing": {"rule": ""}})
    assert send("DELETE", "/rr").status_code == 204


def test_a_rule_that_is_missing_allows_nothing(send, repoman, origin, get, repoman_factory):
    send("POST", "", RULE)
    make_proxy(repoman, origin, rule="rr")
    with repoman.database.transaction():
        delete_rule("rr")
    repoman.repositories.refresh()
    assert "there is no routing rule 'rr'" in repoman.repositories.get("mirror").problem
    assert get("mirror/y/a").status_code == 503
    repoman.routing_rules.create(RoutingRule("rr", RoutingMode.BLOCK, ("/x/.*",)))
    repoman.repositories.refresh()
    assert get("mirror/y/a").status_code == 200


def test_only_the_repositories_of_a_rule_are_built_anew(send, repoman, origin):
    send("POST", "", RULE)
    make_proxy(repoman, origin, rule="rr")
    make_proxy(repoman, origin, name="other")
    before = {each.name: each.service for each in repoman.repositories.all()}
    send("PUT", "/rr", {**RULE, "mode": "ALLOW"})
    after = {each.name: each.service for each in repoman.repositories.all()}
    assert [name for name in after if after[name] is not before[name]] == ["mirror"]


def test_changes_are_in_the_audit_log(send, repoman):
    send("POST", "", RULE)
    send("PUT", "/rr", {**RULE, "name": "new", "mode": "ALLOW"})
    send("DELETE", "/new")
    repoman.audit.flush()
    told = [
        (each["type"], each["target"], each["attributes"])
        for each in reversed(repoman.audit.search({"domain": "routing-rule"}))
    ]
    assert told == [
        ("create", "rr", {"mode": "block", "matchers": "^/x/.*"}),
        ("change", "rr", {"mode": "allow", "matchers": "^/x/.*", "name": "new"}),
        ("delete", "new", {}),
    ]


def test_nobody_changes_a_rule_while_a_command_does(repoman_factory, monkeypatch):
    repoman = repoman_factory({"raw": raw})
    repoman.routing_rules.create(RoutingRule("rr", RoutingMode.BLOCK, ("^/x/.*",)))
    repoman.stop()
    locks = note_locks(monkeypatch, RoutingRules, repoman_factory.data)
    words = ["routing", "set", "rr", "/z", "--data", str(repoman_factory.data)]
    assert CliRunner().invoke(cli, words).output == "Updated the routing rule rr.\n"
    assert locks
    assert all(locks)


def test_the_commands(server):
    server.cli("routing", "create", "rr", "^/x/.*", "--mode", "allow")
    assert server.cli("routing", "test", "rr", "/x/a").stdout == "yes\n"
    server.cli("routing", "set", "rr", "^/y/.*", "/z", "--rename", "new")
    assert server.cli("routing", "test", "new", "/x/a").stdout == "no\n"
    [rule] = json.loads(server.cli("routing", "list", "--json").stdout)
    assert rule == {
        "name": "new",
        "mode": "allow",
        "matchers": ["^/y/.*", "/z"],
        "description": "",
        "in_use": 0,
    }
    server.cli("repo", "set", "docker-hosted", "--offline")
    server.cli("routing", "delete", "new", "--yes")
    assert server.cli("routing", "list").stdout == ""
