"""Hosted charts: uploads, the index, and archives that are made to do harm."""

import gzip
import hashlib
import io
import json

import pytest

from formats.helm.tests.conftest import make_archive, make_chart
from repoman_helm.index import entries
from repoman_helm.index.yaml_files import parse_yaml
from repoman_helm.paths import split_path
from repoman_helm.plugin import INDEX

URL = "/repository/charts"
API = f"{URL}/api/charts"


def post(client, url=API, **files):
    """Send a form with files, as ChartMuseum's clients do."""
    data = {name: (io.BytesIO(content), "any.tgz") for name, content in files.items()}
    return client.request("POST", url, data=data, content_type="multipart/form-data")


def test_a_chart_is_put_and_listed(client, entries):
    data = make_chart(more="appVersion: 1.10\ndeprecated: true\nkeywords: [a, 1]\nother: x\n")
    assert client.put(f"{URL}/demo-1.0.0.tgz", data).status_code == 201
    [entry] = entries()["demo"]
    assert entry.pop("created").endswith("Z")
    assert entry == {
        "apiVersion": "v2",
        "name": "demo",
        "version": "1.0.0",
        "appVersion": "1.10",
        "deprecated": True,
        "keywords": ["a", "1"],
        "digest": hashlib.sha256(data).hexdigest(),
        "urls": ["demo-1.0.0.tgz"],
    }
    assert client.get(f"{URL}/demo-1.0.0.tgz").data == data


@pytest.mark.parametrize("is_form", [True, False])
def test_a_chart_is_posted_and_deleted(client, entries, is_form):
    data = make_chart()
    answer = (
        post(client, chart=data, prov=b"signed")
        if is_form
        else client.request("POST", API, data=data)
    )
    assert (answer.status_code, answer.json) == (201, {"saved": True})
    assert client.get(f"{URL}/demo-1.0.0.tgz").data == data
    provenance = client.get(f"{URL}/demo-1.0.0.tgz.prov")
    assert (provenance.status_code, provenance.data == b"signed") == (
        (200, True) if is_form else (404, False)
    )
    deleted = client.delete(f"{API}/demo/1.0.0")
    assert (deleted.status_code, deleted.json) == (200, {"deleted": True})
    assert entries() == {}
    assert client.get(f"{URL}/demo-1.0.0.tgz.prov").status_code == 404
    again = client.delete(f"{API}/demo/1.0.0")
    assert (again.status_code, "There is no chart" in again.json["error"]) == (404, True)


def test_a_version_is_published_once(client):
    data, other = make_chart(), make_chart(more="description: other\n")
    assert post(client, chart=data).status_code == 201
    assert post(client, chart=data).status_code == 201
    refused = post(client, chart=other)
    assert refused.status_code == 409
    assert "demo-1.0.0.tgz exists" in refused.json["error"]
    assert client.put(f"{URL}/demo-1.0.0.tgz", other).status_code == 409
    assert client.get(f"{URL}/demo-1.0.0.tgz").data == data


def test_the_newest_version_comes_first(client, entries):
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1", "v2.0.0+build.5"):
        assert post(client, chart=make_chart(version=version)).status_code == 201
    found = [each["version"] for each in entries()["demo"]]
    assert found == ["v2.0.0+build.5", "1.10.0", "1.10.0-rc.1", "1.9.0"]
    [url] = entries()["demo"][0]["urls"]
    assert client.get(f"{URL}/{url}").status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        gzip.compress(b"no archive", mtime=0),
        make_chart()[:60],
        make_archive({"demo/values.yaml": b"a: 1"}),
        make_archive({"Chart.yaml": b"name: demo\nversion: 1.0.0\n"}),
        make_archive({"demo/Chart.yaml": b"- a list"}),
        make_archive({"demo/Chart.yaml": b"name: demo\n\tversion: x"}),
        make_archive({"demo/Chart.yaml": b"name: demo\n"}),
        make_chart(name="../evil"),
        make_chart(name="d\u00e9mo"),
        make_chart(version="latest"),
        make_chart(more="maintainers: none\n"),
        make_chart(more="dependencies: [{version: 1}]\n"),
    ],
    ids=lambda data: hashlib.sha256(data).hexdigest()[:8],
)
def test_what_is_no_chart_is_refused(client, entries, data):
    refused = client.request("POST", API, data=data, content_type="application/gzip")
    assert refused.status_code == 400
    assert refused.json["error"]
    assert entries() == {}


LISTS = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
LISTS += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
TEXTS = [f"a: &a {'x' * 2000}", f"keywords: [{', '.join(['*a'] * 1000)}]"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (LISTS, "its aliases stand for"),
        (TEXTS, "its aliases stand for"),
        ([*LISTS, "annotations: {a: *a11}"], "its aliases stand for"),
        (["other: &a {a: *a}"], "no anchor a"),
        (["other: &a [*a, *a]"], "no anchor a"),
    ],
)
def test_aliases_that_multiply_are_refused(client, entries, lines, problem):
    refused = client.request("POST", API, data=make_chart(more="\n".join(lines)))
    assert (refused.status_code, problem in refused.json["error"]) == (400, True)
    assert entries() == {}


def test_an_index_whose_aliases_multiply_cannot_be_read():
    body = "\n".join(["entries: {}", *LISTS]).encode()
    with pytest.raises(ValueError, match="its aliases stand for"):
        entries.parse(body, "https://charts.example.com/index.yaml")


def test_aliases_are_read(client, entries):
    more = "appVersion: &v 1.10\ndescription: *v\nx: &x [a, b]\nkeywords: *x\n"
    assert client.request("POST", API, data=make_chart(more=more)).status_code == 201
    [entry] = entries()["demo"]
    assert (entry["description"], entry["keywords"]) == ("1.10", ["a", "b"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("demo-1.0.0.tgz", ("demo", "1.0.0")),
        ("my-chart-1.0.0-rc1.tgz.prov", ("my-chart", "1.0.0-rc1")),
        ("k8s-1-2.3.4.tgz", ("k8s-1", "2.3.4")),
        ("demo-1.0.0-20200101.1.2.tgz", ("demo", "1.0.0-20200101.1.2")),
        ("demo-v1.2+x.tgz", ("demo", "v1.2+x")),
        ("demo.tgz", None),
        ("demo-1.0.0.zip", None),
        ("demo-1.0.0", None),
    ],
)
def test_a_path_says_which_chart_it_is_of(path, expected):
    assert split_path(path) == expected


def test_texts_of_yaml_stay_texts():
    value = parse_yaml(b"version: 1.10\ncreated: 2020-01-01T00:00:00Z\non: yes\n")
    assert value == {"version": "1.10", "created": "2020-01-01T00:00:00Z", "on": "yes"}


def test_an_index_is_read_as_helm_and_others_write_it():
    body = b"""
apiVersion: v1
entries:
  demo:
  - {name: demo, version: 1.10, urls: [demo-1.10.tgz], created: 2020-01-01T00:00:00Z}
  - {name: demo, version: 2.0.0, urls: ["https://files.example.com/x.tgz"], digest: AB}
  - {name: demo, version: 3.0.0, urls: ["oci://registry.example.com/demo"]}
  - {name: demo, version: 4.0.0}
  - {name: demo, version: 5.0.0, urls: [x.tgz], maintainers: wrong}
  - nothing
  empty:
"""
    found = entries.parse(body, "https://charts.example.com/stable/index.yaml")
    assert {version: link for version, (_, link) in found["demo"].items()} == {
        "1.10": "https://charts.example.com/stable/demo-1.10.tgz",
        "2.0.0": "https://files.example.com/x.tgz",
    }
    rendered = json.loads(entries.render(found))["entries"]["demo"]
    assert [each["urls"] for each in rendered] == [["demo-2.0.0.tgz"], ["demo-1.10.tgz"]]
    assert rendered[1]["created"] == "2020-01-01T00:00:00Z"


def test_a_large_index_is_made_once(client, repoman, entries):
    assert post(client, chart=make_chart()).status_code == 201
    service = repoman.repositories.get("charts").service
    made = service.document(INDEX).value
    assert service.document(INDEX).value is made
    assert post(client, chart=make_chart(version="1.1.0")).status_code == 201
    assert service.document(INDEX).value is not made
    assert len(entries()["demo"]) == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (make_chart()[:-20], "ends too early"),
        (make_archive({"../Chart.yaml": b"name: demo\nversion: 1.0.0\n"}), "outside of itself"),
        (make_chart(**{"other/Chart.yaml": b"name: other\nversion: 1.0.0\n"}), "2 files"),
    ],
)
def test_an_archive_that_is_not_one_whole_chart_is_refused(client, entries, data, problem):
    for answer in (
        client.request("POST", API, data=data, content_type="application/gzip"),
        client.put(f"{URL}/demo-1.0.0.tgz", data),
    ):
        assert (answer.status_code, problem in answer.text) == (400, True), answer.text
    assert entries() == {}


def test_a_chart_is_stored_only_where_its_condition_is_met(client, entries):
    only_new = {"data": make_chart(), "headers": {"If-None-Match": "*"}}
    assert client.request("POST", API, **only_new).status_code == 201
    refused = client.request("POST", API, **only_new)
    assert (refused.status_code, "If-None-Match" in refused.json["error"]) == (412, True)
    assert len(entries()["demo"]) == 1
