"""Changes of the configuration are whole or have not happened, whenever a process is killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.rest.configuration_killer import WORKS

ROOT = Path(__file__).parents[3]
KILLER = "tests.functional.rest.configuration_killer"


@pytest.mark.slow
@pytest.mark.parametrize(("work", "least"), [("repositories", 15), ("document", 40)])
def test_a_kill_leaves_nothing_half_made(tmp_path, work, least):
    assert work in WORKS
    done = subprocess.run(
        [sys.executable, "-m", KILLER, work, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= least  # it was killed so often
