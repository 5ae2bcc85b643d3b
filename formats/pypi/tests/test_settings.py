"""Settings over REST, with the fields that clients of Sonatype Nexus Repository 3 know."""

import json

API = "/service/rest/v1/repositories/pypi"
COMMON = {
    "online": True,
    "storage": {"blobStoreName": "default", "strictContentTypeValidation": True},
}
PROXY = {
    **COMMON,
    "proxy": {"remoteUrl": "http://127.0.0.1:1", "contentMaxAge": 1440, "metadataMaxAge": 1440},
    "negativeCache": {"enabled": True, "timeToLive": 1440},
    "httpClient": {"blocked": False, "autoBlock": True},
}


def send(client, method, path, body):
    """Return the status of a request."""
    data = json.dumps(body)
    return client.request(
        method, API + path, data=data, content_type="application/json"
    ).status_code


def test_a_proxy_has_the_block_of_its_format(client):
    assert send(client, "POST", "/proxy", {**PROXY, "name": "remote"}) == 201
    shown = client.get(f"{API}/proxy/remote").json
    assert shown["pypi"] == {"indexPath": "simple/", "removeQuarantined": False}
    block = {"indexPath": "+simple/", "removeQuarantined": True}
    assert send(client, "PUT", "/proxy/remote", {**PROXY, "name": "remote", "pypi": block}) == 204
    assert client.get(f"{API}/proxy/remote").json["pypi"] == block
    wrong = {**PROXY, "name": "remote", "pypi": {"indexPath": "/a?b"}}
    assert send(client, "PUT", "/proxy/remote", wrong) == 400


def test_others_have_no_such_block(client):
    group = {**COMMON, "name": "both", "group": {"memberNames": ["py"]}}
    assert send(client, "POST", "/group", group) == 201
    for path in ("/hosted/py", "/group/both"):
        assert "pypi" not in client.get(API + path).json
