"""Proxies and groups of charts: indexes that are large, wrong, or about names of our own."""

import hashlib
import json
from dataclasses import replace

import pytest
import yaml

from formats.helm.tests.conftest import make_chart
from repoman.errors import Unavailable
from repoman_helm import plugin
from repoman_helm.plugin import INDEX
from tests.fakes.scripted import reply
from tests.functional.rights.stage import Stage

DATA = make_chart("remote", "1.0.0")


class Museum:
    """A remote with an index in YAML, and archives; tests change what it says."""

    def __init__(self):
        self.charts = {("remote", "1.0.0"): DATA, ("own", "9.0.0"): make_chart("own", "9.0.0")}
        self.digest = ""

    def __call__(self, asked):
        if asked.path == "/index.yaml":
            return reply(200, self.index(), Content_Type="text/plain")
        for (name, version), data in self.charts.items():
            if asked.path == f"/files/{name}-{version}.tgz":
                return reply(200, data)
        return reply(404)

    def index(self):
        entries = {}
        for (name, version), data in self.charts.items():
            digest = self.digest or hashlib.sha256(data).hexdigest()
            urls = [f"files/{name}-{version}.tgz"]
            entry = {"name": name, "version": version, "urls": urls, "digest": digest}
            entries.setdefault(name, []).append(entry)
        return yaml.safe_dump({"apiVersion": "v1", "entries": entries}).encode()


@pytest.fixture
def plugins():
    return {"helm": plugin}


@pytest.fixture
def remote():
    return Museum()


@pytest.fixture
def names(client):
    """Reads which versions an index has, by the names of charts."""

    def read(repository="all"):
        answer = client.get(f"/repository/{repository}/index.yaml")
        assert answer.status_code == 200, answer.text
        entries = json.loads(answer.data)["entries"]
        return {name: [each["version"] for each in found] for name, found in entries.items()}

    return read


def publish(client, name, version):
    answer = client.put(f"/repository/all/{name}-{version}.tgz", make_chart(name, version))
    assert answer.status_code == 201


@pytest.mark.parametrize("entries", [b"", b" null", b" ~", b" {}"])
def test_an_index_without_entries_is_an_empty_one(names, server, entries):
    server.answer = lambda _: reply(200, b"apiVersion: v1\nentries:" + entries)
    assert names("mirror") == {}


def test_the_index_is_asked_for_again_once_a_chart_is_invalidated(client, names, remote):
    before = names("mirror")
    remote.charts["remote", "1.1.0"] = make_chart("remote", "1.1.0")
    assert names("mirror") == before
    invalidate = "/service/rest/v1/repositories/mirror/invalidate-cache?name=remote"
    assert client.request("POST", invalidate).status_code == 204
    assert names("mirror")["remote"] == ["1.1.0", "1.0.0"]


def test_a_chart_is_found_by_the_index_and_compared_with_its_digest(client, server):
    assert client.get("/repository/mirror/remote-1.0.0.tgz").data == DATA
    assert client.get("/repository/mirror/remote-1.0.0.tgz").data == DATA
    assert server.paths() == ["/index.yaml", "/files/remote-1.0.0.tgz"]
    assert client.get("/repository/mirror/remote-2.0.0.tgz").status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"entries: 1", b"entries: {a: *x}", b"{" * 5000, b"a: [", b"\xff\xfe\xff"]
)
def test_an_index_that_cannot_be_read_is_an_error_of_the_remote(client, body, server):
    server.answer = lambda _: reply(200, body)
    assert client.get("/repository/mirror/index.yaml").status_code == 502


def test_a_group_lists_no_other_versions_of_a_name_of_our_own(names, client):
    assert names() == {"own": ["9.0.0"], "remote": ["1.0.0"]}
    publish(client, "own", "1.0.0")
    assert names() == {"own": ["1.0.0"], "remote": ["1.0.0"]}
    assert client.get("/repository/all/own-9.0.0.tgz").status_code == 404
    assert client.get("/repository/all/own-1.0.0.tgz").status_code == 200


def test_a_group_lists_no_names_that_are_pinned_elsewhere(names, repoman, client):
    pins = {"remot*": ["own"]}
    repoman.repositories.update("all", {"group": {"pins": pins}})
    assert names() == {"own": ["9.0.0"]}
    assert client.get("/repository/all/remote-1.0.0.tgz").status_code == 404


def test_a_group_without_its_hosted_member_is_not_served(names, repoman, monkeypatch, client):
    publish(client, "own", "1.0.0")

    def fail(_metadata):
        raise Unavailable("The database cannot be used at the moment.")

    monkeypatch.setattr(repoman.repositories.get("own").service, "document", fail)
    assert client.get("/repository/all/index.yaml").status_code == 503


def test_a_group_says_what_it_could_not_ask_for(client, server):
    publish(client, "own", "1.0.0")
    server.answer = lambda _: reply(500)
    answer = client.get("/repository/all/index.yaml")
    assert list(json.loads(answer.data)["entries"]) == ["own"]
    assert "mirror" in answer.headers["Warning"]


def test_an_index_is_merged_once_until_a_member_changes(repoman, client):
    service = repoman.repositories.get("all").service
    service.document(INDEX)
    once = service.document(INDEX)
    assert service.document(INDEX).value is once.value
    part = replace(INDEX, part="charts/own")
    assert service.document(part).value is once.value
    publish(client, "other", "1.0.0")
    assert service.document(INDEX).value is not once.value


@pytest.mark.parametrize("repository", ["own", "mirror", "all"])
def test_charts_are_listed_as_chartmuseum_lists_them(client, repository):
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        publish(client, "ours", version)
    index = client.get(f"/repository/{repository}/index.yaml")
    api = f"/repository/{repository}/api/charts"
    charts = client.get(api)
    assert charts.json == json.loads(index.data)["entries"]
    assert (charts.mimetype, charts.json != {}) == ("application/json", True)
    for name, versions in charts.json.items():
        assert client.get(f"{api}/{name}").json == versions
        for each in versions:
            url = f"{api}/{name}/{each['version']}"
            assert client.get(url).json == each
            head = client.head(url)
            assert (head.status_code, head.data) == (200, b"")
    assert [each["version"] for each in charts.json.get("ours", ())] in (
        [] if repository == "mirror" else ["1.10.0", "1.9.0", "1.0.0"],
    )
    same = client.get(api, headers={"If-None-Match": charts.headers["ETag"]})
    assert same.status_code == 304
    for absent in ("none", "none/1.0.0", "ours/9.9.9", "remote/9.9.9"):
        answer = client.get(f"{api}/{absent}")
        assert (answer.status_code, bool(answer.json["error"])) == (404, True), absent
        assert client.head(f"{api}/{absent}").status_code == 404


def test_a_group_lists_charts_as_its_index_does(client, repoman):
    publish(client, "own", "1.0.0")
    api = "/repository/all/api/charts/own"
    assert [each["version"] for each in client.get(api).json] == ["1.0.0"]
    assert client.get(f"{api}/9.0.0").status_code == 404


def test_charts_are_listed_to_those_who_may_read_them(client, repoman):
    """Who may read the index may read all, others the versions whose archives they may read."""
    for version in ("1.0.0", "2.0.0"):
        publish(client, "demo", version)
    api, stage = "/repository/own/api/charts", Stage(repoman)
    index, archive = (
        stage.make_user(stage.make_selected("own", f'path == "/{path}"', ("browse", "read")))
        for path in ("index.yaml", "demo-1.0.0.tgz")
    )
    for path in ("", "/demo", "/demo/2.0.0", "/demo/9.0.0"):
        assert client.get(f"{api}{path}", auth=archive).status_code == 403, path
    assert client.get(f"{api}/demo/1.0.0", auth=archive).json["version"] == "1.0.0"
    assert len(client.get(f"{api}/demo", auth=index).json) == 2
    assert list(client.get(api, auth=index).json) == ["demo"]
