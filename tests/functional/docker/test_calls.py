"""How far a request walks through the code; ``benchmarks/calls.py`` counts it."""

import json
import subprocess
import sys

import pytest

from benchmarks.calls import ROOT

FILES = {"blob GET": 30, "blob GET with a login": 33, "manifest GET": 31, "PATCH of 400 kB": 38}
CALLS = {"blob GET": 200, "blob GET with a login": 215, "manifest GET": 190}


@pytest.fixture(scope="module")
def walks() -> dict[str, dict[str, int]]:
    """What a server in a process of its own has counted."""
    command = [sys.executable, "-m", "benchmarks.calls", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize(("request_", "most"), FILES.items())
def test_a_request_enters_few_files(walks, request_, most):
    assert 0 < walks[request_]["files"] <= most


@pytest.mark.parametrize(("request_", "most"), CALLS.items())
def test_a_request_takes_few_calls(walks, request_, most):
    assert 0 < walks[request_]["calls"] <= most


def test_a_repeated_request_enters_only_the_server(walks):
    assert walks["manifest GET, repeated"]["files"] * 3 < walks["manifest GET"]["files"]
