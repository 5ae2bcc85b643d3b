"""The description of the REST API says what is served."""

import json
import re

import pytest
import yaml

from repoman import __version__
from repoman.testing import HttpClient


@pytest.fixture
def client(repoman_factory):
    return HttpClient(repoman_factory({}))


@pytest.fixture
def described(client):
    return client.get("/service/rest/openapi.json", login=False).json


def operations(described):
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_it_is_open_and_has_the_address_of_nexus_too(client, described):
    assert client.get("/service/rest/swagger.json", login=False).json == described
    as_yaml = client.get("/service/rest/swagger.yaml", login=False)
    assert as_yaml.mimetype == "application/yaml"
    assert yaml.safe_load(as_yaml.text) == described
    assert described["openapi"].startswith("3.")
    assert described["info"]["version"] == __version__


def test_all_references_lead_somewhere(described):
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(described)))
    assert names
    assert names <= set(described["components"]["schemas"])


def test_each_operation_says_what_it_does_and_needs(described):
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(set(ids)) == len(ids)
    tags = {each["name"] for each in described["tags"]}
    for path, _, operation in operations(described):
        assert operation["summary"].endswith(".")
        assert set(operation["tags"]) <= tags
        assert "401" in operation["responses"]
        named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))


def test_what_creates_something_links_to_what_shows_changes_and_deletes_it(described):
    paths = described["paths"]
    links = {
        path: paths[path]["post"]["responses"][status]["links"]
        for path, status in (
            ("/v1/security/users", "200"),
            ("/v1/security/roles", "200"),
            ("/v1/security/privileges/wildcard", "201"),
            ("/v1/blobstores/file", "204"),
        )
    }
    users, roles, privileges, stores = links.values()
    assert users["delete_user"] == {
        "operationId": "delete_user",
        "parameters": {"user_id": "$response.body#/userId"},
    }
    assert roles["show_role"]["parameters"] == {"role_id": "$response.body#/id"}
    assert privileges["show_privilege"]["parameters"] == {"name": "$request.body#/name"}
    assert stores["delete_blob_store"]["parameters"] == {"name": "$request.body#/name"}
    known = {operation["operationId"] for _, _, operation in operations(described)}
    assert {each for found in links.values() for each in found} <= known


def test_the_operations_are_there(client, described):
    for path, method, operation in operations(described):
        url = "/service/rest" + re.sub(r"\{\w+\}", "none", path) + "?repository=none"
        status = client.request(method.upper(), url, login=False).status_code
        if operation["security"]:
            assert status in (401, 422), path  # 422: it names nothing that a right could be for.
        else:
            assert status not in (401, 403, 405), path


def test_it_describes_parameters_and_answers(client, described):
    own = client.get("/api/v1/openapi.json", login=False).json
    audit = own["paths"]["/audit"]["get"]
    limit = next(each for each in audit["parameters"] if each["name"] == "limit")
    assert limit["schema"]["maximum"] == 1000
    assert limit["description"] == "Events of a page."
    schema = audit["responses"]["200"]["content"]["application/json"]["schema"]
    page = own["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert set(page["properties"]) == {"items", "continuationToken"}
    remote = described["paths"]["/v1/repositories/{name}/invalidate-cache"]["post"]
    assert "content" not in remote["responses"]["204"]


def test_who_guesses_passwords_gets_the_answer_that_is_described(client, described):
    path = "/v1/security/realms/active"  # Its other errors are plain text.
    answer = client.get(f"/service/rest{path}", login=False)
    for _ in range(100):
        if answer.status_code == 429:
            break
        answer = client.put(f"/service/rest{path}", b"[]", login=False, auth=("admin", "wrong"))
    assert (answer.status_code, answer.mimetype) == (429, "application/json")
    told = described["paths"][path]["put"]["responses"]
    assert "text/plain" in told["400"]["content"]
    for status in ("401", "429"):
        assert told[status] == {"$ref": f"#/components/responses/{status}"}
