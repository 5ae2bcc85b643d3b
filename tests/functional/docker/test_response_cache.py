"""Answers from the server's memory of whole responses: as fast as that, and never a wrong one."""

import json
import re
import secrets
import socket
import sqlite3
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests

from tests.clock import LONG_S, WAIT_S
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import OCI_MANIFEST, make_image
from tests.functional.docker.sites import LiveSite
from tests.functional.docker.wires import Answer, Socket
from tests.live import LiveServer, live_server, wait_until

# Starts a server that ends nothing by the clock, so that only the change itself can have ended it.
PROGRAM = f"""#!{sys.executable}
import sys
from repoman.cli import main
from repoman.http import current
from repoman.security import authentication
current.LIFETIME_S = authentication.HEADER_TRUST_S = {LONG_S}
sys.exit(main())
"""
FROM_MEMORY = re.compile(r"^.* docker-hosted .* 0\.0 ms .*$", re.MULTILINE)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory) -> Iterator[LiveServer]:
    """A server for these tests, whose memory does not forget."""
    directory = tmp_path_factory.mktemp("responses")
    program = directory / "repoman"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    with live_server(directory, program=program) as server:
        yield server


@pytest.fixture(scope="module")
def live(shared_server: LiveServer) -> LiveSite:
    return LiveSite(shared_server)


@pytest.fixture
def registry(live: LiveSite) -> Registry:
    return live.registry


def repeated(server: LiveServer, path: str) -> int:
    """How many answers to a path came from memory, as the log tells."""
    return sum(path in line and " admin " in line for line in FROM_MEMORY.findall(server.log))


def ask_until_repeated(server: LiveServer, registry: Registry, path: str) -> None:
    """Send the same GET until the server answers it from memory."""

    def is_repeated() -> bool:
        assert registry.get(path).status == 200
        return repeated(server, f"/v2/{path} ") > 0 or repeated(server, f'/v2/{path}"') > 0

    wait_until(is_repeated, what=f"a repeated answer to {path}")


def ask_until_remembered(server: LiveServer, registry: Registry, *request, **options) -> Answer:
    """Send the same request until an answer comes from memory; return the last one."""
    method, path = request
    answers = []

    def is_repeated() -> bool:
        answers.append(registry.send(method, path, **options))
        status = answers[-1].status
        told = f' {registry.login[0]} "{method} /v2/{path}" {status} '
        return any(told in line for line in FROM_MEMORY.findall(server.log))

    wait_until(is_repeated, what=f"a repeated answer to {method} {path}")
    for answer in answers:
        answer.headers.remove("Date")
        assert answer == answers[0]
    return answers[-1]


@pytest.fixture
def tagged(registry, name, shared_server) -> str:
    """A tag whose manifest the server answers from memory."""
    registry.push(name, "1", make_image())
    path = f"{name}/manifests/1"
    ask_until_repeated(shared_server, registry, path)
    return path


def test_a_repeated_answer_is_the_first_one_but_for_its_date(registry, name):
    image = make_image()
    registry.push(name, "1", image)
    answers = [registry.get(f"{name}/manifests/1") for _ in range(5)]
    for answer in answers:
        assert answer.body == image.manifest
        headers = {key.lower(): value for key, value in answer.headers.items()}
        first = {key.lower(): value for key, value in answers[0].headers.items()}
        assert headers.pop("date")
        assert headers == {key: value for key, value in first.items() if key != "date"}


def test_the_questions_before_a_pull_or_push_are_answered_from_memory(
    registry, name, shared_server
):
    image = make_image()
    digest = registry.push(name, "1", image)
    blob = registry.push_blob(name, b"a layer of some bytes")

    def ask(*request, **options):
        return ask_until_remembered(shared_server, registry, *request, **options)

    assert ask("GET", "").body == b"{}"
    head = ask("HEAD", f"{name}/manifests/1")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(image.manifest)))
    assert head.headers["Docker-Content-Digest"] == digest
    assert ask("HEAD", f"{name}/blobs/{blob}").headers["Content-Length"] == "21"
    etag = {"If-None-Match": head.headers["ETag"]}
    unchanged = ask("GET", f"{name}/manifests/1", headers=etag)
    assert (unchanged.status, unchanged.body) == (304, b"")


@pytest.mark.parametrize(
    "end",
    [
        "user set {user} --disable",
        "user set {user} --without nx-developer",
        "user delete {user} --yes",
    ],
)
def test_the_end_of_a_users_rights_ends_what_is_repeated_to_them(
    registry, name, live, shared_server, end
):
    registry.push(name, "1", make_image())
    user = live.make_user()
    theirs = registry.as_user(user)
    ask_until_remembered(shared_server, theirs, "HEAD", f"{name}/manifests/1")
    shared_server.cli(*end.format(user=user[0]).split())
    wait_until(
        lambda: theirs.head(f"{name}/manifests/1").status != 200, what="the end of the rights"
    )


def test_the_end_of_a_token_ends_what_is_repeated_to_it(registry, name, live, shared_server):
    registry.push(name, "1", make_image())
    user, _ = live.make_user()
    secret = shared_server.cli("token", "create", user, "ci").stdout.split()[-1]
    theirs = registry.as_user((user, secret))
    ask_until_remembered(shared_server, theirs, "HEAD", f"{name}/manifests/1")
    shared_server.cli("token", "revoke", user, "ci")
    wait_until(
        lambda: theirs.head(f"{name}/manifests/1").status != 200, what="the end of the token"
    )


def test_a_login_from_another_address_is_none_of_those_that_are_repeated(
    registry, live, shared_server
):
    user = live.make_user()
    theirs = registry.as_user(user)
    ask_until_remembered(shared_server, theirs, "GET", "")
    elsewhere = Registry(Socket(registry.wire.port, source="127.0.0.2"), "", user)
    assert elsewhere.get("").status == 200

    def addresses():
        told = shared_server.cli("audit", "list", "--actor", user[0], "--json").stdout
        return {json.loads(line)["address"] for line in told.splitlines()}

    wait_until(lambda: addresses() == {"127.0.0.1", "127.0.0.2"}, what="both logins")


def test_a_moved_tag_is_seen_by_the_next_request(registry, name, tagged):
    for _ in range(10):
        image = make_image()
        registry.push(name, "1", image)
        assert registry.get(tagged).body == image.manifest


@pytest.mark.parametrize(
    "path", ["{name}/tags/list", "_catalog?n=100000", "{name}/referrers/{digest}"]
)
def test_a_list_is_answered_from_memory_until_it_changes(registry, name, shared_server, path):
    digest = registry.push(name, "1", make_image())
    path = path.format(name=name, digest=digest)
    before = ask_until_remembered(shared_server, registry, "GET", path)
    registry.push(f"{name}/other", "2", make_image())
    subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": 9}
    registry.push(name, "2", make_image(subject=subject))
    after = registry.get(path)
    assert after.status == 200
    assert after.body != before.body


def test_a_list_of_a_group_is_answered_from_memory_until_a_member_changes_it(
    live, name, shared_server
):
    first, second = live.create(), live.create()
    first.push(name, "1", make_image())
    group = f"group-{secrets.token_hex(4)}"
    members = f"group.members={first.repository},{second.repository}"
    shared_server.cli("repo", "create", "docker-group", group, "--set", members)
    registry = Registry(Socket(shared_server.main_port), f"/repository/{group}", first.login)
    wait_until(lambda: registry.get("").status == 200, what="the group")
    path = f"{registry.prefix}/v2/{name}/tags/list"

    def is_repeated():
        assert registry.tags(name) == ["1"]
        return any(path in line and " 0.0 ms " in line for line in shared_server.log.splitlines())

    wait_until(is_repeated, what="a repeated list")
    second.push(name, "2", make_image())
    assert registry.tags(name) == ["1", "2"]


def test_a_deleted_tag_is_gone_for_the_next_request(registry, tagged):
    assert registry.delete(tagged).status == 202
    assert registry.get(tagged).status == 404


def test_another_password_is_not_answered_from_memory(registry, tagged):
    assert registry.as_user(("admin", "wrong")).get(tagged).status == 401
    assert registry.as_user(None).get(tagged).status == 401


def test_another_header_is_another_request(registry, tagged):
    etag = registry.get(tagged).headers["ETag"]
    assert registry.get(tagged, headers={"If-None-Match": etag}).status == 304
    assert registry.get(tagged, headers={"Range": "bytes=0-9"}).status == 206
    assert registry.get(tagged).status == 200


def test_a_changed_password_counts_at_once_or_nearly(server):
    registry = Registry(Socket(server.connector_port), "", server.admin)
    registry.push("app", "1", make_image())
    ask_until_repeated(server, registry, "app/manifests/1")
    server.cli("user", "password", "admin", "--password-stdin", given=secrets.token_hex(8) + "\n")
    wait_until(
        lambda: registry.get("app/manifests/1").status == 401, what="the end of the password"
    )


def test_a_repository_taken_offline_answers_no_more(server):
    registry = Registry(Socket(server.connector_port), "", server.admin)
    registry.push("app", "1", make_image())
    ask_until_repeated(server, registry, "app/manifests/1")
    server.cli("repo", "set", "docker-hosted", "--offline")
    wait_until(lambda: registry.get("app/manifests/1").status == 503, what="the end of service")


def test_pulls_from_memory_are_counted_like_others(server):
    registry = Registry(Socket(server.connector_port), "", server.admin)
    digest = registry.push("app", "1", make_image())
    ask_until_repeated(server, registry, "app/manifests/1")
    for _ in range(20):
        registry.get("app/manifests/1")
    assert server.stop() == 0
    asked = sum('"GET /v2/app/manifests/1" 200' in line for line in server.log.splitlines())
    assert repeated(server, '/v2/app/manifests/1"') > 20
    with closing(sqlite3.connect(server.data / "repoman.db")) as database:
        days = dict(database.execute("SELECT path, sum(n) FROM pull_day GROUP BY path"))
        [(last,)] = database.execute("SELECT downloaded_at FROM asset WHERE path = 'tags/app/1'")
    assert days == {"tags/app/1": asked, f"manifests/app/{digest}": asked}
    assert time.time() - LONG_S < last <= time.time()


def test_requests_in_one_packet_are_answered_in_order(shared_server, registry, name):
    images = [make_image() for _ in range(3)]
    for number, image in enumerate(images):
        registry.push(name, str(number), image)
    token = b64encode(":".join(shared_server.admin).encode()).decode()
    requests = [
        f"GET /v2/{name}/manifests/{number % 3} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Basic {token}\r\n\r\n"
        for number in range(9)
    ]
    with socket.create_connection(("127.0.0.1", shared_server.connector_port), 10) as connection:
        connection.sendall("".join(requests).encode())
        received = b""
        while received.count(b"HTTP/1.1 200") < 9 or not received.endswith(images[2].manifest):
            data = connection.recv(65536)
            assert data
            received += data
    bodies = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [images[number % 3].manifest for number in range(9)]


def test_pushes_to_another_repository_leave_a_hot_manifest_in_the_cache(
    registry, name, live, shared_server, tagged
):
    """Of 40 requests a second, with 20 writes a second elsewhere, 98 % come from memory."""
    other = live.create()
    before = repeated(shared_server, f"/v2/{tagged}")
    for number in range(100):
        if number % 2 == 0:
            other.push_blob("app", secrets.token_bytes(100))
        for _ in range(2):
            assert registry.get(tagged).status == 200
    # The log is written a moment later.
    wait_until(
        lambda: repeated(shared_server, f"/v2/{tagged}") - before >= 196,
        what="196 answers of 200 from memory",
    )


def test_responses_from_memory_count_as_requests(shared_server, tagged, registry):
    def metrics():
        answer = requests.get(
            f"{shared_server.main_url}/service/metrics/prometheus",
            auth=shared_server.admin,
            timeout=WAIT_S,
        )
        lines = [line.rpartition(" ") for line in answer.text.splitlines() if line[0] != "#"]
        return {name: float(value) for name, _, value in lines}

    before = metrics()
    repeated = "repoman_http_repeated_responses_total"

    def has_grown():
        registry.get(tagged)
        found = metrics()
        return found[repeated] > before[repeated] and found

    after = wait_until(has_grown, what="a response that was repeated")
    count = 'repoman_http_requests_total{method="GET",code="200"}'
    assert after[count] - before[count] >= after[repeated] - before[repeated]
