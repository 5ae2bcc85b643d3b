"""A large package through a real server."""

import base64
import hashlib
import http.client
import json
import secrets
from pathlib import Path

MIB = 1 << 20
LARGE_MIB = 200
GROWTH_MAX_MIB = 16


def memory(server, name):
    """Resident memory of the process in MiB: VmRSS is that of now, VmHWM the largest."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [each for each in status.splitlines() if each.startswith(name)]
    return int(line.split()[1]) / 1024


def send(server, path, body, length):
    user, password = server.admin
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Length": str(length)}
    connection = http.client.HTTPConnection("127.0.0.1", server.main_port, timeout=300)
    connection.request("PUT", path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 201, text


def document(version, data_size, digest):
    """Return what comes before and after the file in a publish."""
    name, file = "large", f"large-{version}.tgz"
    manifest = {"name": name, "version": version, "dist": {"shasum": digest}}
    text = json.dumps(
        {
            "name": name,
            "dist-tags": {"latest": version},
            "versions": {version: manifest},
            "_attachments": {file: {"data": "HERE", "length": data_size}},
        }
    )
    before, _, after = text.partition("HERE")
    return before.encode(), after.encode()


def test_a_large_package_needs_no_memory(server):
    server.cli("repo", "create", "npm-hosted", "large")
    piece = secrets.token_bytes(3 * (MIB // 3))

    def publish(version, pieces):
        state = hashlib.sha1(usedforsecurity=False)
        for _ in range(pieces):
            state.update(piece)
        encoded = base64.b64encode(piece)
        before, after = document(version, pieces * len(piece), state.hexdigest())
        length = len(before) + pieces * len(encoded) + len(after)
        body = (each for each in (before, *[encoded] * pieces, after))
        send(server, "/repository/large/large", body, length)

    publish("1.0.0", 4)
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the largest is that of now
    before = memory(server, "VmRSS")
    publish("2.0.0", LARGE_MIB)
    assert memory(server, "VmHWM") - before <= GROWTH_MAX_MIB
