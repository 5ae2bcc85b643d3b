"""Upstreams that keep the rules of HTTP, or bend them, in ways that clients hardly notice."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.fakes.scripted import Answer, Asked, Reply, reply
from tests.functional.docker.images import OCI_INDEX, digest_of
from tests.functional.docker_proxy.shapes import (
    LOGIN,
    NAME,
    REFERRER,
    TAG,
    check_all,
    digests,
    guarded,
    serve,
)

LIST = f"{NAME}/tags/list"


class Hinting(socketserver.StreamRequestHandler):
    """Sends an informational answer before each other one."""

    answer: Answer
    hint: int

    def handle(self) -> None:
        """Answer the requests of one connection."""
        with suppress(OSError):  # the client may go
            while line := self.rfile.readline():
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                method, target, _ = line.decode().split(" ")
                self._send(method, type(self).answer(Asked(method, target, {}, b"")))

    def _send(self, method: str, found: Reply) -> None:
        headers = [*found.headers, ("Content-Length", str(len(found.body)))]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        hint = f"HTTP/1.1 {self.hint} Hint\r\nLink: </x>; rel=preload\r\n\r\n"
        head = f"{hint}HTTP/1.1 {found.status} Answer\r\n{lines}\r\n"
        self.wfile.write(head.encode() + (b"" if method == "HEAD" else found.body))


@contextmanager
def hinting(answer: Answer, hint: int) -> Iterator[str]:
    """A server that sends hints; yields its address."""
    handler = type("Handler", (Hinting,), {"answer": staticmethod(answer), "hint": hint})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("status", [100, 102, 103])
def test_hints_before_the_answer(make_proxy, image, status):
    with hinting(serve(image), status) as url:
        check_all(make_proxy(url), image)


def test_a_link_that_names_an_address_in_its_query(make_proxy, script):
    link = f'<http://internal.example/v2/{LIST}?last=a&from=http://x/y>; rel="next"'

    def answer(asked):
        if "last" in asked.query:
            return reply(200, {"tags": ["b"]})
        return reply(200, {"tags": ["a"]}, Link=link)

    server = script(answer)
    answer = make_proxy(server.url).get(LIST)
    assert (answer.status, answer.json()["tags"]) == (200, ["a", "b"])
    assert server.log[-1].query == {"last": ["a"], "from": ["http://x/y"]}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 501, 200])
@pytest.mark.parametrize("has_tag", [True, False])
def test_a_registry_without_the_api_of_referrers(make_proxy, script, image, status, has_tag):
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [REFERRER]}
    tag = image.digest.replace(":", "-")

    def guard(asked):
        if "/referrers/" in asked.path:
            return reply(status, b"<html>", Content_Type="text/html")
        if has_tag and asked.path.endswith(f"/manifests/{tag}"):
            return reply(200, index, Content_Type=OCI_INDEX)
        return None

    server = script(guarded(guard, serve(image)))
    answer = make_proxy(server.url).get(f"{NAME}/referrers/{image.digest}")
    found = [each["digest"] for each in answer.json()["manifests"]]
    assert (answer.status, found) == (200, [REFERRER["digest"]] if has_tag else [])


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_registry_that_fails_has_not_said_that_there_are_no_referrers(
    make_proxy, script, image, status
):
    def guard(asked):
        return reply(status) if "/referrers/" in asked.path else None

    server = script(guarded(guard, serve(image)))
    assert make_proxy(server.url).get(f"{NAME}/referrers/{image.digest}").status == 502


def test_a_page_of_referrers_that_fails_does_not_bring_back_the_tag(make_proxy, script, image):
    path = f"/v2/{NAME}/referrers/{image.digest}"
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [REFERRER]}

    def guard(asked):
        if asked.path != path:
            return None
        if "page" in asked.query:
            return reply(200, b"<html>")
        return reply(200, index, Content_Type=OCI_INDEX, Link=f'<{path}?page=2>; rel="next"')

    server = script(guarded(guard, serve(image)))
    assert make_proxy(server.url).get(path.removeprefix("/v2/")).status == 502


def test_a_limit_of_another_host_does_not_stop_the_remote(make_proxy, script, image):
    store = script(lambda _: reply(429, Retry_After="600"))

    def guard(asked):
        return reply(307, Location=store.url + asked.path) if "/blobs/" in asked.path else None

    server = script(guarded(guard, serve(image)))
    proxy = make_proxy(server.url)
    digest = next(iter(digests(image)))
    for _ in range(2):
        answer = proxy.get(f"{NAME}/blobs/{digest}")
        assert (answer.status, answer.headers["Retry-After"]) in [(429, "600"), (503, "600")]
    assert len(store.log) == 1
    assert proxy.get(TAG).body == image.manifest


@pytest.mark.parametrize("again", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_failure_that_need_not_be_waited_for_is_tried_again(make_proxy, script, image, again):
    def guard(asked):
        is_first = len(server.asked(asked.target)) == 1
        return reply(503, Retry_After=again) if is_first else None

    server = script(guarded(guard, serve(image)))
    check_all(make_proxy(server.url), image)


@pytest.mark.parametrize("port", ["", ":443"])
def test_a_backslash_does_not_hide_whose_token_service_it_is(make_proxy, script, image, port):
    """To some a host ends at a backslash, and to others at the @ behind it."""
    stranger = script(lambda _: reply(200, {"token": "T"}))
    own = "127.0.0.1" + port

    def guard(_):
        realm = f"http://localhost:{stranger.port}\\\\@{own}/token"
        return reply(401, WWW_Authenticate=f'Bearer realm="{realm}",service="s"')

    proxy = make_proxy(script(guarded(guard, serve(image))).url, **LOGIN)
    assert proxy.get(TAG).status == 502
    assert stranger.log == []


def test_a_backslash_does_not_hide_where_a_redirect_leads(make_proxy, script, image):
    stranger = script(serve(image))

    def guard(asked):
        host = f"localhost:{stranger.port}\\@{server.url.removeprefix('http://')}"
        return reply(307, Location=f"http://{host}{asked.path}")

    server = script(guard)
    assert make_proxy(server.url, **LOGIN).get(TAG).status == 502
    assert stranger.log == []


def test_token_services_that_redirect_and_are_named_by_a_path(make_proxy, script, image):
    def guard(asked):
        if asked.path == "/token":
            return reply(302, Location=f"/other?{asked.target.partition('?')[2]}")
        if asked.path == "/other":
            return reply(200, {"access_token": "T"})
        if asked.authorization != "Bearer T":
            return reply(401, WWW_Authenticate='Bearer realm="/token#part",service="s"')
        return None

    check_all(make_proxy(script(guarded(guard, serve(image))).url), image)


def test_a_blob_goes_on_where_no_part_of_it_is_given(make_proxy, script):
    blob = bytes(range(256)) * 8_000
    digest = digest_of(blob)

    def answer(asked):
        if "Range" in asked.headers:
            return reply(416)
        is_first = len(server.asked(f"GET /v2/{NAME}/blobs/")) == 1
        size = 1_000_000 if is_first else len(blob)
        # The fake closes after an answer in the form of HTTP/1.0, however long it was to be.
        return Reply(200, blob[:size], (("Content-Length", str(len(blob))),), is_old=is_first)

    server = script(answer)
    assert make_proxy(server.url).get(f"{NAME}/blobs/{digest}").body == blob
    assert server.log[-2].headers["Range"] == "bytes=1000000-"
