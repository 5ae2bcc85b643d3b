"""What a command writes belongs to the owner of the data directory, whoever runs it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from repoman.cli.ownership import act_as_owner
from repoman.errors import Unavailable
from tests.live import run_program

# Somebody else than the runner, if the runner may give files away; else the runner.
OWNER = 54_321 if os.geteuid() == 0 else os.getuid()


@pytest.fixture
def data():
    """A data directory that belongs to the owner, below a directory that everybody may enter."""
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    directory = top / "data"
    directory.mkdir(mode=0o750)
    os.chown(directory, OWNER, OWNER if os.geteuid() == 0 else -1)
    yield directory
    shutil.rmtree(top)


def run(*words, given=""):
    return run_program(*map(str, words), given=given)


def strangers(directory):
    """The files of a directory that do not belong to the owner."""
    return [str(path) for path in directory.rglob("*") if path.lstat().st_uid != OWNER]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["secret", "rotate"], ""),
        (["cert", "create", "localhost"], ""),
        (["user", "create", "ana", "--password-stdin"], "correct horse battery staple\n"),
        (["repo", "create", "docker-hosted", "team"], ""),
        (["repo", "list"], ""),
        (["blob", "verify"], ""),
    ],
)
def test_every_file_belongs_to_the_owner_after(data, words, given):
    assert run("init", "--data", data).returncode == 0
    assert strangers(data) == []
    done = run(*words, "--data", data, given=given)
    assert done.returncode == 0, done.stderr
    assert (data / "repoman.db").exists()
    assert strangers(data) == []


def test_the_files_of_an_open_database_belong_to_the_owner(data):
    script = f"""
import os, pathlib
from repoman.cli.ownership import act_as_owner
from repoman.config import load_settings
from repoman.core import Repoman
data = pathlib.Path({str(data)!r})
act_as_owner(data)
with Repoman(load_settings(data=data)):
    print(sorted({{path.name: path.stat().st_uid for path in data.iterdir()}}.items()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert f"('repoman.db-wal', {OWNER})" in done.stdout
    assert f"('repoman.db-shm', {OWNER})" in done.stdout


def test_the_audit_log_still_tells_who_ran_the_command(data):
    run("init", "--data", data)
    run("repo", "create", "docker-hosted", "team", "--data", data)
    told = run("audit", "list", "--json", "--data", data).stdout
    name = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    assert json.loads(told.splitlines()[0])["attributes"]["user"] == name


@pytest.mark.parametrize("mode", [0o750, 0o755])
def test_somebody_else_is_told_whom_to_be(mode, tmp_path, monkeypatch):
    data = Path(tmp_path, "data")
    data.mkdir(mode=mode)
    (data / "repoman.db").touch(mode=0o600)
    monkeypatch.setattr(os, "geteuid", lambda: data.stat().st_uid + 1)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(Unavailable, match=r"belongs to the user .* as that user, or as root"):
        act_as_owner(data)


def test_a_file_in_place_of_the_directory_is_said(tmp_path):
    path = tmp_path / "data"
    path.touch()
    done = run("repo", "list", "--data", path)
    assert done.returncode == 1
    assert (
        done.stderr == f"Error: {path} is not a directory. Name the data directory with --data.\n"
    )
