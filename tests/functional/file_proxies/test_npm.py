"""Proxies and groups of npm packages: packuments, tarballs, and remotes that fail or lie."""

import base64
import gzip
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from formats.npm.tests.conftest import make_tarball
from repoman.clocks import DAY_S
from repoman.errors import UpstreamUnavailable
from repoman.files.format import Metadata
from repoman.proxy.cached_files import LASTING_S
from repoman.security.rights_records import Role
from repoman_npm import plugin
from repoman_npm.routes import audits
from tests.clock import WAIT_S, wait_until
from tests.fakes.scripted import reply

SHORT = "application/vnd.npm.install-v1+json"
DATA = b"a tarball" * 1000
URL = "/repository/mirror"
SLOW = 12  # Packages for which a remote makes clients wait.
BULK = "-/npm/v1/security/advisories/bulk"


class Registry:
    """A remote registry; tests change what it says."""

    def __init__(self):
        self.packages = {"demo": {"1.0.0": DATA}, "@acme/lib": {"1.0.0": DATA}}
        self.dist = {}
        self.tag = '"one"'

    def __call__(self, asked):
        name = asked.path[1:].replace("%2f", "/")
        if asked.method == "POST":
            sent = json.loads(asked.body)
            return reply(200, {name: [{"title": "bad"}] for name in sent})
        if name == "-/v1/search":
            objects = [{"package": {"name": each, "version": "1.0.0"}} for each in self.packages]
            return reply(200, {"objects": objects, "total": 2})
        if name in self.packages:
            if asked.headers.get("If-None-Match") == self.tag:
                return reply(304, ETag=self.tag)
            return self.packument(name, "gzip" in asked.headers.get("Accept-Encoding", ""))
        if asked.path.startswith("/files/"):
            package, _, version = asked.path[7:].partition("~")
            return reply(200, self.packages[package.replace("+", "/")][version])
        return reply(404, {"error": "not found"})

    def packument(self, name, is_packed):
        versions = {}
        for version, data in self.packages[name].items():
            integrity = base64.b64encode(hashlib.sha512(data).digest()).decode()
            versions[version] = {
                "name": name,
                "version": version,
                "dist": {
                    "tarball": f"/files/{name.replace('/', '+')}~{version}",
                    "integrity": f"sha512-{integrity}",
                    **self.dist,
                },
            }
        value = {
            "name": name,
            "_rev": "7-remote",
            "versions": versions,
            "dist-tags": {"latest": max(versions), "gone": "0.0.1"},
            "time": {"modified": "2026-01-01T00:00:00.000Z"},
        }
        body, headers = json.dumps(value).encode(), {"ETag": self.tag}
        if is_packed:
            body, headers = gzip.compress(body), {**headers, "Content_Encoding": "gzip"}
        return reply(200, body, Content_Type="application/json", **headers)


@pytest.fixture
def plugins():
    return {"npm": plugin}


@pytest.fixture
def remote():
    return Registry()


@pytest.fixture
def post(client):
    def send(repository, path, value):
        data = json.dumps(value).encode()
        answer = client.request("POST", f"/repository/{repository}/{path}", data=data)
        assert answer.status_code == 200, answer.text
        return answer.json

    return send


@pytest.fixture
def packument(client):
    def read(name="demo", repository="mirror", *, accept="application/json", status=200, query=""):
        path = f"/repository/{repository}/{name.replace('/', '%2f')}{query}"
        answer = client.get(path, headers={"Accept": accept})
        assert answer.status_code == status, answer.text
        return answer

    return read


@pytest.fixture
def publish(client):
    def send(name, version="1.0.0", repository="own"):
        file = f"{name}-{version}.tgz"
        data = make_tarball(name, version)
        dist = {"shasum": hashlib.sha1(data, usedforsecurity=False).hexdigest()}
        sent = {
            "name": name,
            "dist-tags": {"latest": version},
            "versions": {version: {"name": name, "version": version, "dist": dist}},
            "_attachments": {file: {"data": base64.b64encode(data).decode()}},
        }
        path = f"/repository/{repository}/{name.replace('/', '%2f')}"
        answer = client.put(path, json.dumps(sent).encode())
        assert answer.status_code == 201, answer.text
        return data

    return send


# Proxies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["demo", "@acme/lib"])
def test_one_request_serves_both_forms_and_addresses_lead_here(packument, server, name):
    first, again = packument(name), packument(name)
    assert [each.headers["X-Repoman-Cache"] for each in (first, again)] == ["MISS", "HIT"]
    short = packument(name, accept=SHORT)
    assert (short.headers["Content-Type"], set(short.json)) == (
        SHORT,
        {"name", "dist-tags", "versions", "modified"},
    )
    file = f"{name.rpartition('/')[2]}-1.0.0.tgz"
    for each in (first, short):
        tarball = each.json["versions"]["1.0.0"]["dist"]["tarball"]
        assert tarball == f"http://localhost{URL}/{name}/-/{file}"
    assert first.json["dist-tags"] == {"latest": "1.0.0"}
    assert server.paths() == [f"/{name.replace('/', '%2f')}"]


def test_what_says_the_same_for_a_while_may_be_repeated(repoman, packument, clock):
    def may_be_repeated(name):
        service = repoman.repositories.find(name).service
        return service.document(Metadata("demo", "demo")).is_cacheable

    packument("demo")
    assert may_be_repeated("mirror")
    assert not may_be_repeated("all")
    clock.jump(DAY_S - LASTING_S + 1)
    assert packument("demo").headers["X-Repoman-Cache"] == "HIT"
    assert not may_be_repeated("mirror")


def test_addresses_have_the_host_that_was_asked(client, packument):
    packument()
    headers = {"Host": "npm.example.com:8443"}
    found = client.get(f"{URL}/demo", headers=headers).json["versions"]["1.0.0"]["dist"]["tarball"]
    assert found == f"http://npm.example.com:8443{URL}/demo/-/demo-1.0.0.tgz"


@pytest.mark.parametrize("name", ["demo", "@acme/lib"])
def test_a_tarball_is_fetched_by_its_packument_and_kept(client, server, clock, name):
    file = f"{URL}/{name}/-/{name.rpartition('/')[2]}-1.0.0.tgz"
    assert client.get(file).data == DATA  # as a lock file has it: nobody has asked for more
    wait_until(lambda: client.head(file).headers["X-Repoman-Cache"] == "HIT", what="the copy")
    clock.jump(30 * DAY_S)
    assert client.get(file).data == DATA
    assert len(server.paths("/files/")) == 1


def test_what_was_rendered_before_is_not_parsed_again(packument, monkeypatch, repoman):
    first = packument()
    repoman.repositories.get("mirror").service._documents._parsed.clear()
    monkeypatch.setattr(plugin.packument, "parse", None)  # calling it would fail
    assert packument().data == first.data


def test_a_packument_over_age_is_checked_with_its_validators(packument, remote, clock):
    packument()
    clock.jump(2 * DAY_S)
    assert packument().headers["X-Repoman-Cache"] == "REVALIDATED"
    remote.packages["demo"]["1.1.0"], remote.tag = b"more", '"two"'
    clock.jump(2 * DAY_S)
    assert list(packument().json["versions"]) == ["1.0.0", "1.1.0"]


def test_a_version_that_the_kept_packument_lacks_is_looked_for_once_more(
    packument, client, remote, clock
):
    packument()
    remote.packages["demo"]["1.1.0"], remote.tag = b"more", '"two"'
    clock.jump(120)
    assert client.get(f"{URL}/demo/-/demo-1.1.0.tgz").data == b"more"


def test_a_version_is_found_as_soon_as_the_packument_lists_it(
    packument, client, remote, clock, server
):
    packument()
    remote.packages["demo"]["1.1.0"], remote.tag = b"more", '"two"'
    clock.jump(20)
    assert client.get(f"{URL}/demo/-/demo-1.1.0.tgz").status_code == 404
    assert server.paths() == ["/demo"]
    clock.jump(60)
    assert client.get(f"{URL}/demo/-/demo-1.1.0.tgz").data == b"more"


def test_what_is_not_there_is_asked_for_once(packument, server):
    for _ in range(3):
        assert packument("none", status=404).json["error"]
    assert server.paths() == ["/none"]


@pytest.mark.parametrize("dist", [{"integrity": "sha512-AAAA"}, {"integrity": "", "shasum": "00"}])
def test_a_wrong_digest_reaches_nobody_whole(client, remote, dist):
    remote.dist = dist
    try:  # The answer may have begun before the last byte is checked, which then never comes.
        answer = client.get(f"{URL}/demo/-/demo-1.0.0.tgz")
    except UpstreamUnavailable as error:
        assert "does not match the digest" in str(error)  # noqa: PT017 - either way
    else:
        assert answer.status_code == 502


def test_a_digest_that_is_none_is_an_error_of_the_remote(client, remote):
    remote.dist = {"integrity": "sha512-%%%"}
    answer = client.get(f"{URL}/demo/-/demo-1.0.0.tgz")
    assert (answer.status_code, "a digest" in answer.json["error"]) == (502, True)


def test_without_any_digest_the_tarball_is_taken_as_it_comes(client, remote, packument):
    remote.dist = {"integrity": ""}
    assert client.get(f"{URL}/demo/-/demo-1.0.0.tgz").data == DATA


def test_old_copies_bridge_a_remote_that_fails(packument, client, clock, server):
    packument()
    client.get(f"{URL}/demo/-/demo-1.0.0.tgz")
    clock.jump(2 * DAY_S)
    server.answer = lambda _: reply(500)
    found = packument()
    assert found.headers["X-Repoman-Cache"] == "STALE"
    assert "110" in found.headers["Warning"]
    assert client.get(f"{URL}/demo/-/demo-1.0.0.tgz").data == DATA
    assert packument("other", status=502).json["error"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b"null", b"[" * 50_000, b'{"name": "other"}', b'{"versions": 1}'),
        b'{"versions": {"1.0.0": {}}}',
        b'{"versions": {"1.0.0": {"dist": {"tarball": 5}}}}',
        b'{"versions": {"1.0.0": 5}}',
        b'{"dist-tags": [1]}',
        *(b'{"readme": %s}' % number for number in (b"NaN", b"-Infinity", b"1e999")),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_remote(packument, body, server):
    server.answer = lambda _: reply(200, body, Content_Type="application/json")
    assert "cannot be read" in packument(status=502).json["error"]


def test_an_address_that_leads_nowhere_takes_no_other_version_with_it(packument, client, server):
    digest = hashlib.sha1(DATA, usedforsecurity=False).hexdigest()
    urls = {"1.0.0": "/files/x", "1.1.0": "http://[bad/x"}
    versions = {each: {"dist": {"tarball": urls[each], "shasum": digest}} for each in urls}
    body = json.dumps({"versions": versions, "dist-tags": {"latest": "1.1.0"}}).encode()
    bodies = {"/demo": body, "/files/x": DATA}
    server.answer = lambda asked: reply(200, bodies[asked.path], Content_Type="application/json")
    assert list(packument().json["versions"]) == ["1.0.0"]
    assert client.get(f"{URL}/demo/-/demo-1.0.0.tgz").data == DATA
    assert client.get(f"{URL}/demo/-/demo-1.1.0.tgz").status_code == 404


def test_a_proxy_takes_no_uploads(client):
    for method, path in (("PUT", "demo"), ("DELETE", "demo/-rev/1")):
        answer = client.request(method, f"{URL}/{path}", data=b"{}")
        assert (answer.status_code, "is a proxy" in answer.json["error"]) == (405, True)


# Groups -------------------------------------------------------------------------------------------


def test_a_group_has_what_its_members_have(packument, client, publish):
    publish("ours")
    assert list(packument("demo", "all").json["versions"]) == ["1.0.0"]
    assert client.get("/repository/all/demo/-/demo-1.0.0.tgz").data == DATA
    tarball = packument("ours", "all").json["versions"]["1.0.0"]["dist"]["tarball"]
    assert tarball == "http://localhost/repository/all/ours/-/ours-1.0.0.tgz"


def test_a_name_of_our_own_is_never_looked_for_elsewhere(packument, client, post, publish, server):
    publish("demo", "0.1.0")
    assert list(packument("demo", "all").json["versions"]) == ["0.1.0"]
    assert client.get("/repository/all/demo/-/demo-1.0.0.tgz").status_code == 404
    assert post("all", BULK, {"demo": ["1"]}) == {}
    assert server.paths() == []


@pytest.mark.parametrize("repository", ["own", "all"])
def test_a_name_stays_ours_after_the_last_unpublish(
    packument, client, post, publish, server, repoman, repository
):
    publish("demo", "0.1.0")
    revision = packument("demo", repository, query="?write=true").json["_rev"]
    gone = client.request("DELETE", f"/repository/{repository}/demo/-rev/{revision}")
    assert gone.status_code == 200
    refused = packument("demo", "all", status=404)
    assert "keeps the name" in refused.json["error"]
    assert client.get("/repository/all/demo/-/demo-1.0.0.tgz").status_code == 404
    assert client.get("/repository/all/demo/latest").status_code == 404
    assert post("all", BULK, {"demo": ["1"]}) == {}
    found = client.get("/repository/all/-/v1/search?text=demo").json["objects"]
    assert "demo" not in [each["package"]["name"] for each in found]
    assert server.paths("/demo") == server.paths("/files") == []
    repoman.repositories.update("all", {"group": {"pins": {"demo": ["mirror"]}}})
    assert list(packument("demo", "all").json["versions"]) == ["1.0.0"]


def test_pinned_names_are_merged_and_the_first_member_wins(packument, client, repoman, publish):
    group = {"pins": {"demo": ["own", "mirror"]}}
    data = publish("demo", "0.1.0")
    repoman.repositories.update("all", {"group": group})
    found = packument("demo", "all").json
    assert set(found["versions"]) == {"0.1.0", "1.0.0"}
    assert found["dist-tags"]["latest"] == "0.1.0"
    assert client.get("/repository/all/demo/-/demo-0.1.0.tgz").data == data
    assert client.get("/repository/all/demo/-/demo-1.0.0.tgz").data == DATA


def test_writes_go_to_the_writable_member(packument, client, publish):
    publish("ours", repository="all")
    found = packument("ours", "all", query="?write=true").json
    found["versions"]["1.0.0"]["deprecated"] = "old"
    answer = client.put("/repository/all/ours", json.dumps(found).encode())
    assert answer.status_code == 201
    assert packument("ours", "own").json["versions"]["1.0.0"]["deprecated"] == "old"
    packument("demo", "all", status=404, query="?write=true")


def test_a_group_says_what_it_could_not_ask_for(packument, publish, server):
    server.answer = lambda _: reply(500)
    publish("ours")
    assert packument("ours", "all").json["versions"]
    assert packument("demo", "all", status=502)


def test_packages_that_hang_keep_no_other_one_waiting(packument, repoman, remote, server):
    repoman.repositories.update("mirror", {"http_client": {"timeout": int(WAIT_S)}})
    repoman.repositories.create("remotes", "npm-group", {"group": {"members": ["mirror"]}})
    go_on = threading.Event()

    def hang(asked):
        if asked.path.startswith("/slow"):
            go_on.wait(WAIT_S)
        return remote(asked)

    server.answer = hang
    with ThreadPoolExecutor(SLOW) as pool:
        slow = [pool.submit(packument, f"slow{n}", "remotes", status=404) for n in range(SLOW)]
        wait_until(lambda: len(server.paths("/slow")) == SLOW, what="all to be asked for")
        assert packument("demo", "remotes").json["name"] == "demo"
        assert not any(each.done() for each in slow)
        go_on.set()


# Searches, audits ---------------------------------------------------------------------------------


def test_a_group_finds_its_own_first_and_each_once(client, publish):
    publish("demo", "3.0.0")
    publish("ours")
    answer = client.get("/repository/all/-/v1/search?text=").json
    found = [(each["package"]["name"], each["package"]["version"]) for each in answer["objects"]]
    assert found == [("demo", "3.0.0"), ("ours", "1.0.0"), ("@acme/lib", "1.0.0")]


def test_a_search_reads_no_more_than_it_tells(client, publish, repoman, server, monkeypatch):
    for number in range(5):
        publish(f"ours-{number}")
    service, read = repoman.repositories.get("own").service, []
    document = service.document
    monkeypatch.setattr(service, "document", lambda of: read.append(of.key) or document(of))
    answer = client.get("/repository/all/-/v1/search?text=ours&from=1&size=2").json
    found = [each["package"]["name"] for each in answer["objects"]]
    assert found == ["ours-1", "ours-2"] == read[1:]
    assert server.paths() == []
    client.get("/repository/all/-/v1/search?text=ours&from=4&size=2")
    assert read[4:] == ["ours-4"]
    assert len(server.paths()) == 1


def test_an_audit_is_passed_on_without_names_of_our_own(post, publish, server):
    publish("ours")
    sent = {"ours": ["1.0.0"], "demo": ["1.0.0"]}
    assert set(post("mirror", BULK, sent)) == {"ours", "demo"}
    assert set(post("all", BULK, sent)) == {"demo"}
    assert json.loads(server.log[-1].body) == {"demo": ["1.0.0"]}
    tree = {"dependencies": {"ours": {"version": "1.0.0"}, "demo": {"requires": {"ours": "1"}}}}
    post("all", "-/npm/v1/security/audits/quick", tree)
    assert json.loads(server.log[-1].body) == {"dependencies": {"demo": {"requires": {}}}}


@pytest.mark.parametrize("repository", ["mirror", "all"])
def test_what_can_be_no_name_is_never_asked_for(post, publish, server, repository):
    sent = {"demo": ["1.0.0"], "\ud800": ["1"], "..": ["1"], "x" * 300: ["1"]}
    assert set(post(repository, BULK, sent)) == {"demo"}
    tree = {"dependencies": {key: {"version": "1.0.0"} for key in sent}}
    post(repository, "-/npm/v1/security/audits", tree)
    assert list(json.loads(server.log[-1].body)["dependencies"]) == ["demo"]


@pytest.mark.parametrize("depth", [150, 500])
def test_an_audit_is_neither_endless_nor_bottomless(client, server, depth):
    names = json.dumps({f"n{number}": [] for number in range(audits.NAMES_MAX + 1)})
    tree = '{"dependencies":{"a":' * depth + "{}" + "}}" * depth
    wide = f'{{"dependencies":{names}}}'
    for path, body in ((BULK, names), ("audits", tree), ("audits", wide)):
        address = path if path == BULK else f"-/npm/v1/security/{path}"
        answer = client.request("POST", f"/repository/all/{address}", data=body.encode())
        assert answer.status_code in (400, 413), address
    assert server.log == []


def test_who_may_read_nothing_asks_no_remote(client, repoman, server):
    repoman.users.create("amy", "a password")
    pattern = "nexus:repository-view:npm:mirror:add"
    repoman.security.privileges.create("writer", "wildcard", {"pattern": pattern})
    repoman.security.roles.create(Role("writer", "writer", "", ("writer",)))
    repoman.users.change("amy", roles=["writer"])
    repoman.repositories.update("mirror", {"access": {"anonymous": False}})
    amy = {"auth": ("amy", "a password")}
    data = b'{"demo": ["1.0.0"]}'
    for path in (BULK, "-/npm/v1/security/audits"):
        assert client.request("POST", f"{URL}/{path}", data=data, **amy).status_code == 403
    for path in ("-/npm/v1/keys", "-/v1/search?text=demo"):
        assert client.get(f"{URL}/{path}", **amy).status_code == 403
    assert server.log == []


def test_a_search_survives_what_a_remote_says(client, publish, server):
    publish("ours")
    for body in (b"[" * 100_000, b'{"objects": [{"package": {"name": "\\ud800"}}]}', b"[1e999]"):
        server.answer = lambda _, body=body: reply(200, body)
        found = client.get("/repository/all/-/v1/search?text=").json["objects"]
        assert [each["package"]["name"] for each in found] == ["ours"]


def test_an_audit_fails_if_no_remote_answers(client, server):
    server.answer = lambda _: reply(500)
    path = f"/repository/all/{BULK}"
    assert client.request("POST", path, data=b'{"demo": ["1.0.0"]}').status_code == 502
    answer = client.get("/repository/all/-/v1/search?text=demo")
    assert (answer.status_code, answer.json["objects"]) == (200, [])


def test_keys_are_passed_on(client, server):
    server.answer = lambda _: reply(200, {"keys": []})
    assert client.get("/repository/all/-/npm/v1/keys").json == {"keys": []}
    assert client.get("/repository/own/-/npm/v1/keys").status_code == 404


def test_a_remote_that_fails_hides_no_keys_of_the_next(client, repoman, server):
    proxy = {"remote_url": "http://127.0.0.1:9"}
    http = {"timeout": 1, "retries": 0, "auto_block": False}
    repoman.repositories.create("broken", "npm-proxy", {"proxy": proxy, "http_client": http})
    group = {"members": ["broken", "mirror"]}
    repoman.repositories.create("both", "npm-group", {"group": group})
    server.answer = lambda _: reply(200, {"keys": []})
    assert client.get("/repository/both/-/npm/v1/keys").json == {"keys": []}
    assert client.get("/repository/broken/-/npm/v1/keys").status_code == 502
