"""A large package through a real server."""

import secrets
from pathlib import Path

from tests.npm_registries import publish_large

MIB = 1 << 20
LARGE_MIB = 200
GROWTH_MAX_MIB = 16


def memory(server, name):
    """Resident memory of the process in MiB: VmRSS is that of now, VmHWM the largest."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [each for each in status.splitlines() if each.startswith(name)]
    return int(line.split()[1]) / 1024


def test_a_large_package_needs_no_memory(server):
    server.cli("repo", "create", "npm-hosted", "large")
    url = f"http://127.0.0.1:{server.main_port}/repository/large/large"
    piece = secrets.token_bytes(MIB)
    publish_large(url, server.admin, "1.0.0", [piece] * 4)
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the largest is that of now
    before = memory(server, "VmRSS")
    publish_large(url, server.admin, "2.0.0", [piece] * LARGE_MIB)
    assert memory(server, "VmHWM") - before <= GROWTH_MAX_MIB
