"""A restoration that is killed at any statement leaves nothing that cannot be used or completed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KILLER = "tests.functional.docker.restore_killer"


@pytest.mark.slow
def test_a_killed_restoration_is_completed_by_the_next(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", KILLER, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= 20  # it was killed so often
