"""Proxies in a real server: real clients, real registries as upstream, and upstreams that die."""

import http.client
import json
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.clock import LONG_S, WAIT_S
from tests.e2e.clients import Docker, own_daemon
from tests.e2e.registry import Registry
from tests.fakes.registry import FakeRegistry, Fault, fake_registry
from tests.functional.docker.images import digest_of, make_image
from tests.live import LiveServer, free_port, is_open, live_server, wait_until
from tests.programs import find_program

NAME = "team/app"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory) -> Iterator[LiveServer]:
    """A server that anybody may pull from."""
    directory = tmp_path_factory.mktemp("proxies")
    with live_server(directory, settings={"security": {"anonymous_read": True}}) as server:
        yield server


@pytest.fixture
def upstream() -> Iterator[FakeRegistry]:
    with fake_registry() as registry:
        yield registry


def make_proxy(server: LiveServer, remote: str, name: str = "", **settings: object) -> int:
    """Make a proxy and return the port of its connector."""
    port, name = free_port(), name or f"proxy-{secrets.token_hex(4)}"
    options = {
        "proxy.remote_url": remote,
        "docker.http_port": port,
        "http_client.auto_block": "false",
        **{key.replace("__", "."): value for key, value in settings.items()},
    }
    words = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    server.cli("repo", "create", "docker-proxy", name, *words)
    wait_until(lambda: is_open(port), what="the connector of the proxy")
    return port


def make_group(server: LiveServer, *members: str) -> int:
    """Make a group and return the port of its connector."""
    port = free_port()
    server.cli(
        *("repo", "create", "docker-group", f"group-{secrets.token_hex(4)}"),
        *("--set", f"group.members={json.dumps(members)}", "--set", f"docker.http_port={port}"),
    )
    wait_until(lambda: is_open(port), what="the connector of the group")
    return port


def get(port: int, path: str) -> tuple[int, bytes]:
    """GET a path; a connection that breaks has the status 0."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with closing(connection):
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError):
            return 0, b""


def pull(port: int, name: str, tag: str) -> None:
    """Pull an image whole, checking every digest."""
    status, body = get(port, f"/v2/{name}/manifests/{tag}")
    assert status == 200, body
    manifest = json.loads(body)
    for each in (manifest["config"], *manifest["layers"]):
        status, data = get(port, f"/v2/{name}/blobs/{each['digest']}")
        assert (status, digest_of(data)) == (200, each["digest"])


# --- Many clients --------------------------------------------------------------------------------


def test_fifty_clients_pull_one_cold_image(open_server, upstream):
    image = make_image(secrets.token_bytes(3_000_000), secrets.token_bytes(1_000_000))
    upstream.put(NAME, "1", image)
    port = make_proxy(open_server, upstream.url)
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda _: pull(port, NAME, "1"), range(50)))
    gets = [line for line in upstream.lines() if line.startswith("GET")]
    assert len(gets) == len(set(gets)) == 1 + len(image.blobs)


def test_slow_downloads_hold_no_worker(open_server, upstream):
    data = secrets.token_bytes(500_000)
    digest = upstream.put_blob(NAME, data)
    port = make_proxy(open_server, upstream.url, http_client__timeout=int(LONG_S))
    upstream.gate.clear()
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(get, port, f"/v2/{NAME}/blobs/{digest}") for _ in range(30)]
        wait_until(lambda: upstream.count("blobs"), what="the fetch")
        try:
            assert get(port, "/v2/_catalog")[0] == 200
        finally:
            upstream.gate.set()
        assert {each.result(WAIT_S) == (200, data) for each in waiting} == {True}


def test_the_first_bytes_come_before_the_last(open_server, upstream):
    data = secrets.token_bytes(2_000_000)
    digest = upstream.put_blob(NAME, data)
    port = make_proxy(open_server, upstream.url)
    upstream.gate.clear()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with closing(connection):
        connection.request("GET", f"/v2/{NAME}/blobs/{digest}")
        answer = connection.getresponse()
        first = answer.read(1)
        upstream.gate.set()
        assert first + answer.read() == data


@pytest.mark.parametrize("fault", [{"corrupt": True}, {"cut": 100_000}], ids=["wrong", "short"])
def test_a_bad_body_breaks_the_connections(open_server, make_upstream, fault):
    upstream = make_upstream(ranges=False)
    data = secrets.token_bytes(3_000_000)
    digest = upstream.put_blob(NAME, data)
    port = make_proxy(open_server, upstream.url)
    path = f"/v2/{NAME}/blobs/{digest}"
    upstream.faults.append(Fault("blobs", **fault))
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: get(port, path), range(10)))
    assert all(status != 200 for status, _ in answers)
    upstream.faults.clear()
    assert get(port, path) == (200, data)


@pytest.fixture
def make_upstream():
    running = []

    def make(**options):
        context = fake_registry(**options)
        running.append(context)
        return context.__enter__()

    yield make
    for context in running:
        context.__exit__(None, None, None)


def test_the_upstream_dies_in_the_middle_of_twenty_pulls(open_server, upstream):
    data = secrets.token_bytes(2_000_000)
    digest = upstream.put_blob(NAME, data)
    port = make_proxy(open_server, upstream.url, http_client__retries=1)
    path = f"/v2/{NAME}/blobs/{digest}"
    upstream.gate.clear()
    with ThreadPoolExecutor(20) as pool:
        pulls = [pool.submit(get, port, path) for _ in range(20)]
        wait_until(lambda: upstream.count("blobs"), what="the fetch")
        upstream.stop()
        upstream.gate.set()
        assert all(each.result(WAIT_S)[0] != 200 for each in pulls)
    upstream.start()
    assert get(port, path) == (200, data)


def test_the_client_leaves_and_the_fetch_goes_on(open_server, upstream):
    data = secrets.token_bytes(500_000)
    digest = upstream.put_blob(NAME, data)
    port = make_proxy(open_server, upstream.url)
    upstream.gate.clear()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET /v2/{NAME}/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: upstream.count("blobs"), what="the fetch")
    upstream.gate.set()
    store = open_server.data / "blobs/default/sha256"
    wait_until(lambda: list(store.glob(f"*/{digest.removeprefix('sha256:')}")), what="the blob")
    upstream.stop()
    wait_until(lambda: get(port, f"/v2/{NAME}/blobs/{digest}")[0] == 200, what="the cached blob")


def test_the_server_ends_in_the_middle_of_a_download(tmp_path, upstream):
    digest = upstream.put_blob(NAME, secrets.token_bytes(500_000))
    settings = {"security": {"anonymous_read": True}, "server": {"drain_timeout": LONG_S}}
    with live_server(tmp_path / "end", settings=settings) as server:
        port = make_proxy(server, upstream.url)
        upstream.gate.clear()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(f"GET /v2/{NAME}/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_until(lambda: upstream.count("blobs"), what="the fetch")
        assert server.stop() == 0
        upstream.gate.set()
        server.start()
        assert get(port, f"/v2/{NAME}/blobs/{digest}")[0] == 200
        uploads = server.data / "blobs/default/uploads"
        # The last byte leaves once it is verified, a moment before the file has its place.
        wait_until(lambda: list(uploads.iterdir()) == [], what="the end of the download's file")


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send a request; return status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


@pytest.mark.parametrize("in_group", [False, True], ids=["proxy", "group"])
def test_head_and_parts_of_a_cold_blob(open_server, upstream, in_group):
    image = make_image(secrets.token_bytes(500_000))
    upstream.put(NAME, "1", image)
    proxy = f"proxy-{secrets.token_hex(4)}"
    port = make_proxy(open_server, upstream.url, proxy)
    if in_group:
        port = make_group(open_server, "docker-hosted", proxy)
    data, path = image.layers[0], f"/v2/{NAME}/blobs/{digest_of(image.layers[0])}"
    assert get(port, f"/v2/{NAME}/manifests/1")[0] == 200
    status, headers, body = ask(port, "HEAD", path)
    assert (status, headers["Content-Length"], body) == (200, "500000", b"")
    assert upstream.count(f"GET {path}") == 0
    upstream.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        parts = [
            pool.submit(ask, port, "GET", path, Range=each)
            for each in ("bytes=1000-1999", "bytes=-10", "bytes=499999-")
        ]
        wait_until(lambda: upstream.count(f"GET {path}"), what="the fetch")
        upstream.gate.set()
        answers = [each.result(WAIT_S) for each in parts]
    assert [(status, body) for status, _, body in answers] == [
        (206, data[1000:2000]),
        (206, data[-10:]),
        (206, data[499_999:]),
    ]
    assert answers[0][1]["Content-Range"] == "bytes 1000-1999/500000"
    assert ask(port, "GET", path, Range="bytes=500000-")[0] == 416
    assert get(port, path) == (200, data)
    assert upstream.count(f"GET {path}") == 1


# --- Real registries -----------------------------------------------------------------------------


@contextmanager
def debian_registry(directory: Path) -> Iterator[str]:
    """Debian's docker-registry; its address."""
    port = free_port()
    directory.mkdir()
    config = directory / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [find_program("docker-registry"), "serve", str(config)], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: is_open(port), what="docker-registry")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_S)


def test_debians_registry_as_upstream(open_server, tmp_path):
    data = secrets.token_bytes(2_000_000)
    with debian_registry(tmp_path / "registry") as url:
        Registry(url).push_image(NAME, "1", data)
        port = make_proxy(open_server, url)
        pull(port, NAME, "1")
        assert json.loads(get(port, f"/v2/{NAME}/tags/list")[1])["tags"] == ["1"]
        assert get(port, f"/v2/{NAME}/manifests/2")[0] == 404
        absent = f"sha256:{'0' * 64}"
        assert json.loads(get(port, f"/v2/{NAME}/referrers/{absent}")[1])["manifests"] == []
    pull(port, NAME, "1")


def test_this_product_as_upstream_of_itself(open_server, tmp_path):
    data = secrets.token_bytes(2_000_000)
    with live_server(tmp_path / "upstream") as other:
        url = f"http://{other.registry}"
        Registry(url, other.admin).push_image(NAME, "1", data)
        port = make_proxy(
            open_server, url, http_client__username="admin", http_client__password=other.password
        )
        pull(port, NAME, "1")
        by_path = make_proxy(
            open_server,
            f"{other.main_url}/repository/docker-hosted",
            http_client__username="admin",
            http_client__password=other.password,
        )
        pull(by_path, NAME, "1")
        refused = make_proxy(open_server, url)
        assert get(refused, f"/v2/{NAME}/manifests/1")[0] == 404
    pull(port, NAME, "1")


def test_a_proxy_of_a_proxy(open_server, upstream):
    upstream.put(NAME, "1", make_image())
    first = make_proxy(open_server, upstream.url)
    second = make_proxy(open_server, f"http://127.0.0.1:{first}")
    pull(second, NAME, "1")


# --- docker --------------------------------------------------------------------------------------


@pytest.mark.xdist_group("docker")
def test_docker_pulls_through_a_proxy(docker, open_server, tmp_path):
    with debian_registry(tmp_path / "registry") as url:
        there = f"{url.removeprefix('http://')}/{NAME}:1"
        docker.import_image(there, secrets.token_bytes(300_000))
        docker.run("push", there)
        docker.run("rmi", there)
        port = make_proxy(open_server, url)
        here = f"127.0.0.1:{port}/{NAME}:1"
        docker.run("pull", here)
        docker.run("rmi", here)
    docker.run("pull", here)  # the upstream is gone
    docker.login(f"127.0.0.1:{port}", *open_server.admin)
    pushed = docker.run("push", here, check=False)
    docker.run("rmi", here)
    assert pushed.status != 0
    assert "is a proxy" in pushed.text
    assert "Push to a hosted repository: docker-hosted" in pushed.text


@pytest.mark.xdist_group("docker")
def test_docker_uses_a_proxy_as_its_mirror_of_docker_hub(docker, open_server, tmp_path):
    with debian_registry(tmp_path / "registry") as url:
        there = f"{url.removeprefix('http://')}/library/hello:1"
        docker.import_image(there, secrets.token_bytes(10_000))
        docker.run("push", there)
        docker.run("rmi", there)
        port = make_proxy(open_server, url, docker_proxy__expand_library="true")
        with own_daemon("--registry-mirror", f"http://127.0.0.1:{port}") as mirrored:
            other = Docker(mirrored, tmp_path)
            other.run("pull", "hello:1")
            assert other.has_image("hello:1")


# --- A silent upstream ---------------------------------------------------------------------------


@pytest.fixture
def silent():
    """A remote that accepts connections and says nothing: its address, and how to end it."""
    connections = []
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def accept():
            with suppress(OSError):
                while True:
                    connections.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()

        def end():
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(WAIT_S)
            for each in connections:
                each.close()

        yield f"http://127.0.0.1:{listener.getsockname()[1]}", end
        end()


def test_a_silent_upstream_holds_up_its_own_proxy_alone(open_server, silent):
    url, end = silent
    patience = {"http_client__timeout": int(LONG_S), "http_client__retries": 0}
    proxy = make_proxy(open_server, url, http_client__auto_block="true", **patience)
    hosted = Registry(f"http://{open_server.registry}", open_server.admin)
    answers = []

    def ask(number):
        kind = "manifests/1" if number % 2 else f"blobs/{digest_of(bytes([number]))}"
        answers.append(get(proxy, f"/v2/{NAME}-{number % 7}/{kind}"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for number in range(10):
        assert get(open_server.connector_port, "/v2/")[0] == 401
        assert get(proxy, "/v2/")[0] == 401
        hosted.push_image("team/quick", str(number), secrets.token_bytes(1000))
    wait_until(lambda: len(answers) >= 68, what="the answers to those that need not wait")
    assert {status for status, _ in answers} == {503}
    assert any(b"is slow, and 32 requests are " in body for _, body in answers)
    end()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(answers) == 100
    assert {status for status, _ in answers} <= {502, 503}
    assert "Traceback" not in open_server.log


# --- Administration ------------------------------------------------------------------------------


@pytest.fixture
def hub(open_server, upstream):
    """The name and port of a proxy whose upstream has a budget."""
    upstream.budget = (100, 50)
    name = f"hub-{secrets.token_hex(4)}"
    port = make_proxy(open_server, upstream.url, name=name, http_client__retries=0)
    return name, port


def admin_request(server, method, path):
    return requests.request(method, server.main_url + path, auth=server.admin, timeout=WAIT_S)


def ask_by_command(server, name, image):
    server.cli("repo", "invalidate", name, *(["--name", image] if image else []))


def ask_by_rest(server, name, image):
    query = f"?name={image}" if image else ""
    path = f"/service/rest/v1/repositories/{name}/invalidate-cache{query}"
    assert admin_request(server, "POST", path).status_code == 204


@pytest.mark.parametrize("image", [None, NAME], ids=["all", "one image"])
@pytest.mark.parametrize("ask", [ask_by_command, ask_by_rest])
def test_an_administrator_has_the_upstream_asked_again(open_server, upstream, hub, ask, image):
    name, port = hub
    old, new, data = make_image(), make_image(), secrets.token_bytes(100)
    upstream.put(NAME, "1", old)
    missing = [f"/v2/{NAME}/manifests/2", f"/v2/{NAME}/blobs/{digest_of(data)}"]
    pull(port, NAME, "1")
    assert [get(port, path)[0] for path in missing] == [404, 404]
    upstream.put(NAME, "1", new)
    upstream.put(NAME, "2", new)
    upstream.put_blob(NAME, data)
    assert get(port, f"/v2/{NAME}/manifests/1") == (200, old.manifest)
    assert [get(port, path)[0] for path in missing] == [404, 404]
    ask(open_server, name, image)
    wait_until(lambda: get(port, f"/v2/{NAME}/manifests/1") == (200, new.manifest))
    assert [get(port, path)[0] for path in missing] == [200, 200]


def test_an_administrator_sees_how_the_upstream_is(open_server, upstream, hub):
    name, port = hub
    upstream.put(NAME, "1", make_image())

    def is_told(*texts):
        found = open_server.cli("repo", "status", name).stdout
        return all(text in found for text in texts)

    def told():
        path = f"/api/v1/repositories/{name}/remote"
        return admin_request(open_server, "GET", path).json()

    assert is_told("Online - Ready to Connect; its remote has not been contacted yet")
    pull(port, NAME, "1")
    wait_until(lambda: is_told("Remote Available", "remaining: 49"), what="the condition")
    assert (told()["status"], told()["budget"]["limit"]) == ("Online - Remote Available", 100)
    assert told()["condition"] == "Remote Available"
    upstream.faults.append(Fault("", status=503))
    assert get(port, f"/v2/{NAME}/manifests/2")[0] == 502
    wait_until(lambda: "answered with the error 503" in told()["reason"], what="the probe")
    wait_until(lambda: is_told("Remote Unavailable", "error 503"), what="the failure")
    open_server.cli("repo", "set", name, "--offline")
    assert is_told("Offline - Repository Offline")
    wait_until(lambda: told()["status"] == "Offline - Repository Offline", what="the server")


def check_by_command(server, name):
    return server.cli("repo", "check", name, check=False).stdout


def check_by_rest(server, name):
    path = f"/api/v1/repositories/{name}/remote/check"
    return admin_request(server, "POST", path).json()["status"]


@pytest.mark.parametrize("check", [check_by_command, check_by_rest])
def test_an_administrator_ends_a_block(open_server, upstream, check):
    name = f"blocked-{secrets.token_hex(4)}"
    settings = {"http_client__auto_block": "true", "http_client__retries": 0}
    port = make_proxy(open_server, upstream.url, name=name, **settings)
    upstream.put(NAME, "1", make_image())
    path = f"/v2/{NAME}/manifests/1"
    upstream.stop()
    assert get(port, path)[0] == 502
    assert get(port, path)[0] == 503
    wait_until(
        lambda: "blocked until: " in open_server.cli("repo", "status", name).stdout,
        what="the server to write it down",
    )
    assert "Remote Auto Blocked and Unavailable" in check(open_server, name)
    upstream.start()
    assert "Online - Remote Available" in check(open_server, name)
    wait_until(lambda: get(port, path)[0] == 200, what="the server to ask again")
    wait_until(
        lambda: "Online - Remote Available" in open_server.cli("repo", "status", name).stdout,
        what="the server to write it down",
    )


def test_the_exit_status_of_a_check_tells_how_it_went(open_server, upstream, hub):
    name, _ = hub
    assert open_server.cli("repo", "check", name).returncode == 0
    upstream.stop()
    done = open_server.cli("repo", "check", name, check=False)
    assert done.returncode == 1
    assert "refused the connection; nothing listens on this port" in done.stdout


def test_a_secret_in_an_address_is_nowhere(open_server):
    for key, address in (
        ("proxy.remote_url", "https://ann:s3cret@quay.io"),
        ("proxy.remote_url", "https://quay.io?token=s3cret"),
        ("docker_proxy.index_url", "https://quay.io?token=s3cret"),
    ):
        settings = {"proxy.remote_url": "https://quay.io", key: address}
        words = [word for pair in settings.items() for word in ("--set", "=".join(pair))]
        done = open_server.cli("repo", "create", "docker-proxy", "leaky", *words, check=False)
        assert done.returncode
        assert key in done.stderr
        assert "s3cret" not in done.stdout + done.stderr
    assert "s3cret" not in open_server.cli("audit", "list").stdout


def test_only_proxies_have_a_remote(open_server):
    for words in (["status"], ["check"], ["invalidate"], ["invalidate", "--name", "x"]):
        done = open_server.cli("repo", words[0], "docker-hosted", *words[1:], check=False)
        assert done.returncode
        assert "docker-hosted has no remote" in done.stderr
    for method, path, status in (
        ("GET", "/api/v1/repositories/{}/remote", 405),
        ("POST", "/api/v1/repositories/{}/remote/check", 405),
        ("POST", "/service/rest/v1/repositories/{}/invalidate-cache", 400),  # as Nexus answers
    ):
        there, nothing = path.format("docker-hosted"), path.format("nothing")
        assert admin_request(open_server, method, there).status_code == status
        assert admin_request(open_server, method, nothing).status_code == 404
        anonymous = requests.request(method, open_server.main_url + there, timeout=WAIT_S)
        # Below the root of Nexus nobody is asked for a login where there is anonymous access.
        assert anonymous.status_code in ((401, 403) if "rest" in there else (401,))


# --- Kill -9 -------------------------------------------------------------------------------------


def test_kill_9_in_the_middle_of_a_download(tmp_path, upstream):
    data = secrets.token_bytes(3_000_000)
    path = f"/v2/{NAME}/blobs/{upstream.put_blob(NAME, data)}"
    with live_server(tmp_path, settings={"security": {"anonymous_read": True}}) as server:
        port = make_proxy(server, upstream.url)
        uploads = server.data / "blobs" / "default" / "uploads"
        upstream.gate.clear()
        with ThreadPoolExecutor(1) as pool:
            cut = pool.submit(get, port, path)
            wait_until(lambda: any(each.stat().st_size for each in uploads.iterdir()), what="bytes")
            server.kill()
            assert cut.result(WAIT_S)[0] == 0
        upstream.gate.set()
        server.start()
        assert list(uploads.iterdir()) == []
        wait_until(lambda: is_open(port), what="the connector of the proxy")
        for _ in range(2):
            assert get(port, path) == (200, data)
        assert upstream.count(f"GET {path}") == 2
        assert "Traceback" not in server.log
