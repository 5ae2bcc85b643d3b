"""Uploads by a form to a real server: large ones, lost connections, and a kill; the commands."""

import hashlib
import json
import secrets
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.clock import WAIT_S, wait_until
from tests.live import LiveServer

URL = "/service/rest/v1/components?repository=files"
EDGE = "an-edge"
MIB = 1 << 20
LARGE_MIB = 256
MEMORY_MIB = 48  # What the server may take on top for an upload of any size.


@pytest.fixture
def own(tmp_path):
    """A server with a raw repository that the test may end."""
    server = LiveServer(tmp_path / "own", settings={"security": {"password_cost": 8192}})
    server.cli("init")
    server.cli("repo", "create", "raw-hosted", "files")
    server.start()
    yield server
    server.end()


def part(name, data, filename=None):
    named = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    return f"--{EDGE}\r\nContent-Disposition: {named}\r\n\r\n".encode() + data + b"\r\n"


HEAD = part("raw.directory", b"/big") + part("raw.asset1.filename", b"file.bin")
BEGIN = part("raw.asset1", b"", "file.bin")[:-2]
END = f"\r\n--{EDGE}--\r\n".encode()
HEADERS = {"Content-Type": f"multipart/form-data; boundary={EDGE}"}


def uploads(server):
    """The files that take what arrives."""
    return [each for each in (server.data / "blobs/default/uploads").rglob("*") if each.is_file()]


def assert_nothing_is_left(server):
    with closing(sqlite3.connect(server.data / "repoman.db")) as connection:
        for table in ("asset", "component", "blob"):
            assert connection.execute(f"select count(*) from {table}").fetchone() == (0,)
    store = server.data / "blobs/default/sha256"
    assert [each for each in store.rglob("*") if each.is_file()] == []


def memory(server):
    """The largest resident memory of the process so far, in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [each for each in status.splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def test_a_large_file_needs_no_memory(own):
    piece = secrets.token_bytes(MIB)
    wanted = hashlib.sha256()

    def body():
        yield HEAD + BEGIN
        for _ in range(LARGE_MIB):
            wanted.update(piece)
            yield piece
        yield END

    before = memory(own)
    answer = requests.post(
        own.main_url + URL, data=body(), headers=HEADERS, auth=own.admin, timeout=10 * WAIT_S
    )
    assert answer.status_code == 204, answer.text
    assert memory(own) - before < MEMORY_MIB
    found = requests.get(own.main_url + URL, auth=own.admin, timeout=WAIT_S).json()
    [asset] = found["items"][0]["assets"]
    assert asset["fileSize"] == LARGE_MIB * MIB
    assert asset["checksum"]["sha256"] == wanted.hexdigest()
    assert uploads(own) == []


def begin(server, length=100 * MIB):
    """Send the head of an upload and a part of its file; return the connection."""
    request = requests.Request("POST", server.main_url + URL, auth=server.admin, headers=HEADERS)
    prepared = request.prepare()
    lines = [f"POST {prepared.path_url} HTTP/1.1", f"Host: 127.0.0.1:{server.main_port}"]
    lines += [f"{name}: {value}" for name, value in prepared.headers.items()]
    lines = [each for each in lines if not each.startswith("Content-Length")]
    lines += [f"Content-Length: {length}", "", ""]
    connection = socket.create_connection(("127.0.0.1", server.main_port), timeout=WAIT_S)
    connection.sendall("\r\n".join(lines).encode() + HEAD + BEGIN + bytes(3 * MIB))
    wait_until(lambda: sum(each.stat().st_size for each in uploads(server)) > MIB, what="a file")
    return connection


def test_a_lost_connection_leaves_nothing(own):
    with closing(begin(own)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: uploads(own) == [], what="the end of the upload")
    assert_nothing_is_left(own)
    assert requests.get(own.main_url + URL, auth=own.admin, timeout=WAIT_S).json()["items"] == []


def test_a_kill_in_an_upload_leaves_nothing_after_the_next_start(own):
    with closing(begin(own)):
        own.kill()
        assert uploads(own) != []
        own.start()
    wait_until(lambda: uploads(own) == [], what="the end of the upload")
    assert_nothing_is_left(own)


def test_what_was_stored_outlives_a_kill(own):
    body = HEAD + BEGIN + b"content" + END
    answer = requests.post(
        own.main_url + URL, data=body, headers=HEADERS, auth=own.admin, timeout=WAIT_S
    )
    assert answer.status_code == 204
    listed = requests.get(own.main_url + URL, auth=own.admin, timeout=WAIT_S).json()
    own.kill()
    own.start()
    again = requests.get(own.main_url + URL, auth=own.admin, timeout=WAIT_S).json()
    assert again == listed
    got = requests.get(
        listed["items"][0]["assets"][0]["downloadUrl"], auth=own.admin, timeout=WAIT_S
    )
    assert got.content == b"content"


def test_an_upload_without_a_right_is_refused_before_it_is_sent(own):
    own.cli("user", "create", "ann", "--password-stdin", given="a password\n")
    head = (
        f"POST {URL} HTTP/1.1",
        "Host: 127.0.0.1",
        "Authorization: Basic YW5uOmEgcGFzc3dvcmQ=",
        f"Content-Type: {HEADERS['Content-Type']}",
        f"Content-Length: {1 << 40}",
    )
    with socket.create_connection(("127.0.0.1", own.main_port), timeout=WAIT_S) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 403")


def test_the_command_line_shows_and_changes_the_same(own, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    files = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    done = own.cli("component", "upload", "files", *files, "--field", "directory=/docs")
    assert done.stdout == "Uploaded 2 files to files.\n"
    listed = requests.get(own.main_url + URL, auth=own.admin, timeout=WAIT_S).json()["items"]
    assert [each["name"] for each in listed] == ["/docs/a.txt", "/docs/b.txt"]
    lines = own.cli("component", "list", "files").stdout.splitlines()
    assert [each.split()[0] for each in lines] == [each["id"] for each in listed]
    assert [each.split()[-1] for each in lines] == ["/docs/a.txt", "/docs/b.txt"]
    found = own.cli("search", "name=*b.txt", "format=raw", "--json").stdout
    shown = json.loads(found)
    assert shown == json.loads(own.cli("component", "show", listed[1]["id"]).stdout)
    assert shown["assets"][0]["digest"] == hashlib.sha256(b"b.txt").hexdigest()
    [version] = own.cli("search", "name=*b.txt", "--versions", "--json").stdout.splitlines()
    assert json.loads(version)["repositories"] == ["files"]
    assert own.cli("search", "name=*b.txt", "--versions").stdout.split()[-1] == "files"
    for option in (("--assets",), ("--sort", "name")):
        refused = own.cli("search", "name=*b.txt", "--versions", *option, check=False)
        assert refused.returncode == 2
        assert "--versions goes with neither --assets nor --sort." in refused.stderr
    assert len(own.cli("asset", "list", "files", "--limit", "1").stdout.splitlines()) == 1
    assert own.cli("asset", "tree", "files").stdout.split()[-1] == "docs/"
    assert own.cli("asset", "tree", "files", "/docs/").stdout.split()[-1] == "docs/b.txt"
    asset_id = shown["assets"][0]["id"]
    assert json.loads(own.cli("asset", "show", asset_id).stdout)["path"] == "/docs/b.txt"
    done = own.cli("component", "delete", listed[0]["id"])
    assert done.stdout == "deleted /docs/a.txt from files\n"
    own.cli("asset", "delete", asset_id)
    assert own.cli("search", "--assets").stdout == ""
    for words in (("component", "show", "!!!"), ("search", "name"), ("asset", "list", "none")):
        refused = own.cli(*words, check=False)
        assert refused.returncode == 1
        assert refused.stderr.startswith("Error: ")
