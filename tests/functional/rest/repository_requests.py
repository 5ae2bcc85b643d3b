"""Requests for the settings of repositories, and what they are about."""

import json

SECRET = "the password of the remote"
STORAGE = {"blobStoreName": "default", "strictContentTypeValidation": True}
HOSTED = {**STORAGE, "writePolicy": "ALLOW"}
DOCKER = {"v1Enabled": False, "forceBasicAuth": True}
LOGIN = {"type": "username", "username": "bob", "password": SECRET}
PROXY = {
    "name": "hub",
    "online": True,
    "storage": STORAGE,
    "proxy": {"remoteUrl": "https://registry-1.docker.io"},
    "negativeCache": {"enabled": True},
    "httpClient": {"blocked": False, "autoBlock": True, "authentication": LOGIN},
    "docker": DOCKER,
    "dockerProxy": {"indexType": "HUB"},
}


def send(client, method, path, body=None, **options):
    if body is not None:
        options |= {"data": json.dumps(body), "content_type": "application/json"}
    return client.request(method, f"/service/rest/v1/repositories{path}", **options)


def create(client, path, body):
    answer = send(client, "POST", path, body)
    assert (answer.status_code, answer.data) == (201, b""), answer.text
    return f"{path}/{body['name']}"


def read(client, path):
    answer = send(client, "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json


def replace(client, path, body):
    answer = send(client, "PUT", path, body)
    assert (answer.status_code, answer.data) == (204, b""), answer.text


def refused(client, method, path, body):
    answer = send(client, method, path, body)
    assert answer.status_code == 400, answer.text
    return answer.json


def group(name, *members, **more):
    return {
        "name": name,
        "online": True,
        "storage": STORAGE,
        "group": {"memberNames": list(members), **more},
        "docker": DOCKER,
    }


def with_value(body, path, value):
    """A request with another value somewhere; ``...`` takes it out."""
    copy = json.loads(json.dumps(body))
    *objects, name = path.split(".")
    place = copy
    for each in objects:
        place = place.setdefault(each, {})
    if value is ...:
        del place[name]
    else:
        place[name] = value
    return copy
