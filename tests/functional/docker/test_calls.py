"""How far a request walks through the code; ``benchmarks/calls.py`` counts it."""

import json
import subprocess
import sys

import pytest

from benchmarks.calls import ROOT

FILES = {"blob GET": 33, "blob GET with a login": 36, "manifest GET": 34, "PATCH of 400 kB": 38}
CALLS = {"blob GET": 170, "blob GET with a login": 180, "manifest GET": 165}


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
