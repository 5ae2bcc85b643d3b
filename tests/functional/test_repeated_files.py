"""Files of any format, answered from the server's memory of responses: never a wrong one."""

import hashlib
import http.client
import json
import re
import secrets
import sqlite3
import sys
from base64 import b64encode
from contextlib import closing

import pytest

from formats.npm.tests.conftest import make_tarball
from tests.clock import LONG_S, WAIT_S
from tests.fakes.scripted import reply, scripted
from tests.functional.file_proxies.test_npm import DATA, Registry
from tests.live import live_server, run_program, wait_until

# Starts a server that ends nothing by the clock, so that only the change itself can have ended it.
PROGRAM = f"""#!{sys.executable}
import sys
from repoman.cli import main
from repoman.http import current
from repoman.security import authentication
current.LIFETIME_S = authentication.HEADER_TRUST_S = {LONG_S}
sys.exit(main())
"""
FROM_MEMORY = re.compile(r"^.* 0\.0 ms .*$", re.MULTILINE)
# The main loop repeats a small file; a worker opens a large one again.
SIZES = {"small": 1000, "large": 200_000}


@pytest.fixture(scope="module")
def forgetless(tmp_path_factory):
    """A server for these tests, whose memory does not forget."""
    directory = tmp_path_factory.mktemp("repeated")
    program = directory / "repoman"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    with live_server(directory, program=program) as server:
        yield server


class Site:
    """A server with repositories, and a client that always sends the same bytes."""

    def __init__(self, server):
        self.server = server
        self.name = f"r{secrets.token_hex(4)}"

    def cli(self, *words, **options):
        """Run a command without the program of this server, which starts slowly."""
        where = ("--config", str(self.server.config), "--data", str(self.server.data))
        done = run_program(*words, *where, **options)
        assert done.returncode == 0, f"{words}:\n{done.stdout}{done.stderr}"

    def create(self, recipe, *settings, name=""):
        words = [word for each in settings for word in ("--set", each)]
        self.cli("repo", "create", recipe, name or self.name, *words)
        return name or self.name

    def send(self, method, path, body=None, *, login=None, repository="", **headers):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        token = b64encode(":".join(login or self.server.admin).encode()).decode()
        given["Authorization"] = f"Basic {token}"
        url = f"/repository/{repository or self.name}/{path}"
        connection = http.client.HTTPConnection("127.0.0.1", self.server.main_port, timeout=WAIT_S)
        with closing(connection):
            connection.request(method, url, body, given)
            answer = connection.getresponse()
            answer.data = answer.read()
        return answer

    def status(self, path, **options):
        return self.send("GET", path, **options).status

    def repeated(self, path, method="GET", user="admin", repository=""):
        """How many answers to a path came from memory, as the log tells."""
        told = f' {user} "{method} /repository/{repository or self.name}/{path}" '
        return sum(told in line for line in FROM_MEMORY.findall(self.server.log))

    def ask_until_repeated(self, path, method="GET", login=None, repository="", **headers):
        """Send the same request until an answer comes from memory; all have to be the same."""
        user, answers = (login or self.server.admin)[0], []

        def is_repeated():
            answers.append(self.send(method, path, login=login, repository=repository, **headers))
            return self.repeated(path, method, user, repository)

        wait_until(is_repeated, what=f"a repeated answer to {method} {path}")
        shown = [
            (each.status, each.data, {*each.getheaders()} - {*told_now(each)}) for each in answers
        ]
        assert shown[-1] == shown[0]
        return answers[-1]

    def make_user(self, *roles):
        login = (f"user-{secrets.token_hex(4)}", secrets.token_hex(8))
        words = [word for each in roles for word in ("--role", each)]
        given = f"{login[1]}\n"
        self.cli("user", "create", login[0], *words, "--password-stdin", given=given)
        return login


def told_now(answer):
    """The headers about the time."""
    return [pair for pair in answer.getheaders() if pair[0] in ("Date", "Age")]


@pytest.fixture
def site(forgetless):
    return Site(forgetless)


@pytest.fixture(params=SIZES)
def data(request):
    return secrets.token_bytes(SIZES[request.param])


@pytest.fixture
def stored(site, data):
    """The path of a file that the server answers from memory."""
    site.create("raw-hosted")
    assert site.send("PUT", "dir/file.bin", data).status == 201
    assert site.ask_until_repeated("dir/file.bin").data == data
    return "dir/file.bin"


def test_conditions_ranges_and_heads_are_answered_as_ever(site, stored, data):
    etag = site.send("GET", stored).headers["ETag"]
    unchanged = site.ask_until_repeated(stored, If_None_Match=etag)
    assert (unchanged.status, unchanged.data) == (304, b"")
    head = site.ask_until_repeated(stored, "HEAD")
    assert (head.headers["Content-Length"], head.data) == (str(len(data)), b"")
    for _ in range(4):
        part = site.send("GET", stored, Range="bytes=10-19")
        assert (part.status, part.data) == (206, data[10:20])
        assert site.send("GET", stored, Range=f"bytes={len(data)}-").status == 416
        assert site.send("GET", stored).data == data


def test_other_bytes_count_for_the_next_request(site, stored, data):
    for _ in range(5):
        data = secrets.token_bytes(len(data))
        assert site.send("PUT", stored, data).status == 204
        assert site.send("GET", stored).data == data
    assert site.send("DELETE", stored).status == 204
    assert site.status(stored) == 404


@pytest.mark.parametrize(
    "end",
    [
        "user set {user} --disable",
        "user set {user} --without nx-developer",
        "user delete {user} --yes",
    ],
)
def test_the_end_of_a_users_rights_ends_what_is_repeated_to_them(site, stored, end):
    login = site.make_user("nx-developer")
    site.ask_until_repeated(stored, login=login)
    site.cli(*end.format(user=login[0]).split())
    wait_until(lambda: site.status(stored, login=login) != 200, what="the end of the rights")
    assert site.status(stored) == 200
    assert site.status(stored, login=("admin", "wrong")) == 401


def test_a_selector_that_picks_the_file_no_more_ends_it(site, stored):
    name = site.name
    cli = site.cli
    cli("selector", "create", name, 'path =^ "/dir/"')
    given = ("--selector", name, "--repository", name, "--action", "read")
    cli("privilege", "create", "repository-content-selector", name, *given)
    cli("role", "create", name, "--privilege", name)
    login = site.make_user(name)
    site.ask_until_repeated(stored, login=login)
    cli("selector", "set", name, 'path =^ "/other/"')
    wait_until(lambda: site.status(stored, login=login) == 403, what="the end of the right")


def test_a_repository_taken_offline_answers_no_more(site, stored):
    site.cli("repo", "set", site.name, "--offline")
    wait_until(lambda: site.status(stored) == 503, what="the end of service")


def test_a_file_whose_bytes_are_lost_is_not_given_out(site):
    site.create("raw-hosted")
    site.send("PUT", "file", secrets.token_bytes(SIZES["large"]))
    digest = site.ask_until_repeated("file").headers["ETag"].strip('"')
    [blob] = site.server.data.glob(f"blobs/default/**/{digest}")
    blob.rename(blob.with_name("aside"))
    assert site.status("file") == 404
    blob.with_name("aside").rename(blob)
    assert site.status("file") == 200


def test_pulls_from_memory_are_counted_like_others(server, data):
    site = Site(server)
    site.create("raw-hosted")
    site.send("PUT", "file", data)
    site.ask_until_repeated("file")
    for _ in range(20):
        site.send("GET", "file")
    assert server.stop() == 0
    asked = sum('/file" 200' in each for each in server.log.splitlines() if '"GET' in each)
    assert site.repeated("file") > 20
    with closing(sqlite3.connect(server.data / "repoman.db")) as database:
        days = dict(database.execute("SELECT path, sum(n) FROM pull_day GROUP BY path"))
        [(last,)] = database.execute("SELECT downloaded_at FROM asset WHERE path = 'file'")
    assert days == {"file": asked}
    assert last


def test_recorded_pulls_are_not_repeated(tmp_path, data):
    with live_server(tmp_path / "server", settings={"audit": {"pulls": True}}) as server:
        site = Site(server)
        site.create("raw-hosted")
        site.send("PUT", "file", data)
        for _ in range(10):
            assert site.send("GET", "file").data == data

        def told():
            lines = server.cli("audit", "list", "--domain", "content", "--json").stdout.splitlines()
            return [json.loads(each)["type"] for each in lines].count("pull")

        wait_until(lambda: told() == 10, what="ten pulls in the audit log")


# Proxies and groups -------------------------------------------------------------------------------


@pytest.fixture
def remote():
    with scripted(Registry()) as server:
        yield server


@pytest.fixture
def mirror(site, remote):
    """The name of a proxy of packages, which never change."""
    return site.create("npm-proxy", f"proxy.remote_url={remote.url}")


TARBALL = "demo/-/demo-1.0.0.tgz"


def test_a_file_of_a_remote_that_never_changes_is_repeated(site, mirror, remote):
    assert site.send("GET", TARBALL).headers["X-Repoman-Cache"] == "MISS"
    wait_until(lambda: site.send("GET", TARBALL).headers["X-Repoman-Cache"] == "HIT", what="a hit")
    asked = len(remote.log)
    again = site.ask_until_repeated(TARBALL)
    assert (again.data, again.headers["X-Repoman-Cache"]) == (DATA, "HIT")
    assert len(remote.log) == asked


def test_a_file_that_may_change_is_asked_for_again_after_an_invalidation(site, remote):
    remote.answer = lambda _: reply(200, b"one", ETag='"1"')
    site.create("raw-proxy", f"proxy.remote_url={remote.url}")
    wait_until(lambda: site.send("GET", "file").headers["X-Repoman-Cache"] == "HIT", what="a hit")
    site.ask_until_repeated("file")
    remote.answer = lambda _: reply(200, b"two", ETag='"2"')
    site.cli("repo", "invalidate", site.name)
    wait_until(lambda: site.send("GET", "file").data == b"two", what="the new bytes")


def publish(site, version):
    data = make_tarball("ours", version)
    dist = {"shasum": hashlib.sha1(data, usedforsecurity=False).hexdigest()}
    file = {"data": b64encode(data).decode(), "length": len(data)}
    document = {
        "name": "ours",
        "dist-tags": {"latest": version},
        "versions": {version: {"name": "ours", "version": version, "dist": dist}},
        "_attachments": {f"ours-{version}.tgz": file},
    }
    assert site.send("PUT", "ours", json.dumps(document)).status == 201


def versions(answer):
    return list(json.loads(answer.data)["versions"])


def test_a_document_is_repeated_until_a_file_is_stored(site):
    site.create("npm-hosted")
    publish(site, "1.0.0")
    assert versions(site.ask_until_repeated("ours")) == ["1.0.0"]
    publish(site, "1.1.0")
    assert versions(site.send("GET", "ours")) == ["1.0.0", "1.1.0"]
    again = site.ask_until_repeated("ours")
    unchanged = site.ask_until_repeated("ours", If_None_Match=again.headers["ETag"])
    assert (versions(again), unchanged.status) == (["1.0.0", "1.1.0"], 304)


def test_a_document_of_a_remote_is_repeated_until_an_invalidation(site, mirror, remote):
    assert site.send("GET", "demo").headers["X-Repoman-Cache"] == "MISS"
    assert versions(site.ask_until_repeated("demo")) == ["1.0.0"]
    remote.answer.packages["demo"]["2.0.0"] = DATA
    remote.answer.tag = '"two"'
    assert versions(site.send("GET", "demo")) == ["1.0.0"]
    site.cli("repo", "invalidate", site.name)
    wait_until(lambda: "2.0.0" in versions(site.send("GET", "demo")), what="the new version")


def test_a_group_answers_by_the_first_member_that_has_a_file_by_now(site):
    own, later = (site.create("raw-hosted", name=f"{site.name}-{each}") for each in ("a", "b"))
    site.create("raw-group", f"group.members={json.dumps([own, later])}")
    assert site.send("PUT", "file", b"second", repository=later).status == 201
    found = site.ask_until_repeated("file")
    assert (found.data, found.headers["X-Repoman-Member"]) == (b"second", later)
    assert site.send("PUT", "file", b"first", repository=own).status == 201
    assert site.send("GET", "file").data == b"first"
    assert site.ask_until_repeated("file").headers["X-Repoman-Member"] == own
    site.cli("repo", "set", own, "--offline")
    wait_until(lambda: site.send("GET", "file").data == b"second", what="the other member")


def test_a_group_asks_a_remote_that_lacked_a_file_again(site, remote):
    """What it says next is in no table, so nothing behind it is repeated."""
    own, mirror = f"{site.name}-own", f"{site.name}-mirror"
    quick = ("negative_cache.enabled=false",)
    site.create("raw-proxy", f"proxy.remote_url={remote.url}", *quick, name=mirror)
    site.create("raw-hosted", name=own)
    site.create("raw-group", f"group.members={json.dumps([mirror, own])}")
    site.send("PUT", "file", b"ours", repository=own)
    for _ in range(4):
        assert site.send("GET", "file").data == b"ours"
    remote.answer = lambda _: reply(200, b"theirs")
    assert site.send("GET", "file").data == b"theirs"
