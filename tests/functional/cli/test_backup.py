"""Backup and restore, by the commands of the manual."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import requests

MANUAL = Path(__file__).parents[3] / "docs" / "operations.md"


def commands_of(heading):
    """The two blocks of commands below a heading of the manual."""
    [part] = re.findall(rf"^## {heading}\n(.*?)^## ", MANUAL.read_text(), re.M | re.S)
    return re.findall(r"^```shell\n(.*?)^```$", part, re.M | re.S)


def push_blob(server, content):
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    url = f"http://{server.registry}/v2/team/app/blobs/uploads/?digest={digest}"
    assert requests.post(url, content, auth=server.admin, timeout=10).status_code == 201
    return f"http://{server.registry}/v2/team/app/blobs/{digest}"


def test_a_backup_of_a_running_server_can_be_restored(server):
    backup, restore = commands_of("Backup and restore")
    kept = push_blob(server, b"kept")
    shell = {"check": True, "cwd": server.data.parent}
    subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", backup], **shell)
    password = server.admin
    later = push_blob(server, b"later")
    server.kill()
    shutil.rmtree(server.data)

    copying, verifying = restore.splitlines()
    subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", copying], **shell)
    words = verifying.split()
    assert (words[0], words[3:]) == ("repoman", ["--data", "data"])
    assert "damaged or missing: 0." in server.cli(*words[1:3]).stderr
    server.start()
    assert server.admin == password
    assert requests.get(kept, auth=password, timeout=10).content == b"kept"
    assert requests.get(later, auth=password, timeout=10).status_code == 404
