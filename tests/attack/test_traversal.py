"""No path, name, digest or id leads out of a repository, however its dots are written."""

import pytest

from tests.attack.raw import request, send

UP = (
    "../../../../../../../../{}",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/{}",
    "%252e%252e/%252e%252e/%252e%252e/%252e%252e/{}",
    "..%2f..%2f..%2f..%2f..%2f..%2f{}",
    "..%252f..%252f..%252f..%252f..%252f{}",
    "..%5c..%5c..%5c..%5c{}",
    "..\\..\\..\\..\\{}",
    "....//....//....//....//{}",
    "..;/..;/..;/{}",
    "%c0%ae%c0%ae/%c0%ae%c0%ae/%c0%ae%c0%ae/{}",
    "%e0%80%ae%e0%80%ae/%e0%80%ae%e0%80%ae/{}",
    "a/../../../../../{}",
    "sha256:../../../../{}",
    "sha256/../../../../{}",
    "/{}",
    "//{}",
    "%2f{}",
    "file:///{}",
    "{}%00",
    "..%00/..%00/{}",
)
WANTED = ("etc/passwd", "data/admin.password", "admin.password", "repoman.db", "keys/secrets.key")
PLACES = (
    "/{}",
    "/static/{}",
    "/repository/{}",
    "/repository/files/{}",
    "/repository/docker-hosted/{}",
    "/repository/docker-hosted/v2/{}",
    "/repository/docker-hosted/v2/{}/manifests/latest",
    "/repository/docker-hosted/v2/{}/tags/list",
    "/repository/docker-hosted/v2/image/manifests/{}",
    "/repository/docker-hosted/v2/image/blobs/{}",
    "/repository/docker-hosted/v2/image/referrers/{}",
    "/repository/docker-hosted/v2/image/blobs/uploads/{}",
    "/repository/docker-hosted/v2/image/blobs/uploads/?mount={}&from=image",
    "/repository/docker-hosted/v2/image/blobs/uploads/?mount=sha256:abc&from={}",
    "/repository/docker-hosted/v2/image/blobs/uploads/?digest={}",
    "/repository/docker-hosted/v2/image/blobs/uploads/?digest-algorithm={}",
    "/repository/docker-hosted/v2/image/tags/list?last={}",
    "/repository/docker-hosted/v2/_catalog?last={}",
    "/repository/docker-hosted/v1/images/{}/json",
    "/repository/docker-hosted/v1/images/{}/layer",
    "/repository/docker-hosted/v1/repositories/{}/tags",
    "/repository/docker-hosted/v1/repositories/{}/images",
    "/repository/docker-hosted/v1/search?q={}",
    "/account/sessions/{}/end",
    "/login?next={}",
    "/api/v1/audit?target={}",
    "/api/v1/repositories/{}/trace?path=/v2/",
    "/api/v1/repositories/all/trace?path={}",
    "/api/v1/repositories/all/trace?path=/v2/{}/manifests/1",
    "/account/tokens/{}/revoke",
    "/repository/mirror/v2/{}/manifests/latest",
    "/repository/mirror/v2/image/manifests/{}",
    "/repository/mirror/v2/image/blobs/{}",
    "/repository/all/v2/{}/manifests/latest",
    "/repository/all/v2/image/blobs/{}",
    "/repository/all/v2/image/manifests/latest?ns={}",
    "/repository/docker-hosted/v2/image/manifests/latest?ns={}",
)
METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
BODY = b"an attacker was here"


def secrets_of(server):
    """What only files outside of a repository contain."""
    yield server.password.encode()
    yield b"SQLite format 3"
    yield b"root:x:0:0"
    yield (server.data / "keys/secrets.key").read_bytes().strip()[:20]


def files_of(server):
    """Every file that no repository has a reason to touch, with its size unless it is the log's."""
    directory = server.data.parent
    inside = {directory / "data/blobs", directory / "data/spool"}
    return {
        each
        for each in directory.rglob("*")
        if not (inside & {each, *each.parents}) and "-journal" not in each.name
    }


def is_told(answer, server):
    return [each for each in secrets_of(server) if each in answer.raw]


@pytest.mark.parametrize("place", PLACES)
def test_no_path_leads_out(attack, victim, place):
    before = files_of(victim)
    for number, up in enumerate(UP):
        for each in WANTED:
            answer = attack("GET", place.format(up.format(each)))
            assert not is_told(answer, victim), (place, up)
        target = place.format(up.format("planted"))
        method = METHODS[1 + number % 4]
        answer = attack(method, target, body=BODY)
        assert not is_told(answer, victim), (place, up)
    assert files_of(victim) == before
    assert send(victim.main_port, request("GET", "/login")).status == 200


def test_the_connector_is_as_closed(attack, victim):
    for up in UP:
        for each in WANTED:
            for place in ("/{}", "/v2/{}", "/v2/image/blobs/{}", "/v2/image/manifests/{}"):
                target = place.format(up.format(each))
                answer = attack("GET", target, port=victim.connector_port)
                assert not is_told(answer, victim), target


def test_what_would_be_told_is_noticed(attack, victim):
    attack("PUT", "/repository/files/leak", body=victim.password.encode())
    assert is_told(attack("GET", "/repository/files/leak"), victim)
    attack("DELETE", "/repository/files/leak")
