"""How far a request walks through the code; ``benchmarks/calls.py`` counts it."""

import json
import subprocess
import sys

import pytest

from benchmarks.calls import ROOT

# A little more than it takes: one module or a few functions more have to be worth it. Where the
# router does what Flask did, a function of ours stands for several of Flask, which do not count.
# On a busy machine the body of a PATCH arrives in more pieces, each of which takes sixteen calls.
FILES = {
    "blob GET": 29,
    "blob GET with a login": 32,
    "manifest GET": 30,
    "manifest GET, repeated": 10,
    "PATCH of 400 kB": 38,
}
CALLS = {
    "blob GET": 171,
    "blob GET with a login": 182,
    "manifest GET": 165,
    "manifest GET, repeated": 28,
    "PATCH of 400 kB": 435,
}


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
