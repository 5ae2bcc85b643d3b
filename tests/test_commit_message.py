"""The hook for commit messages refuses what CONTRIBUTING.md does not want, and nothing else."""

import subprocess
import sys

import pytest

from tests.architecture import ROOT

HOOK = ROOT / ".githooks" / "commit-msg"


def run(tmp_path, message):
    file = tmp_path / "message"
    file.write_text(message, encoding="utf-8")
    return subprocess.run(
        [sys.executable, HOOK, file], check=False, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "message",
    [
        "docker: resume uploads after a restart",
        "Resume uploads after a restart\n\nThe client gave up before.\n# a comment\n",
        "# a comment\n\ntests: feed the parser",
        "Merge branch 'x'",
        'Revert "docker: resume uploads"',
        "cli, web: " + "x" * 62,
        "0026: number the decision",
    ],
)
def test_a_good_message_passes(tmp_path, message):
    assert run(tmp_path, message).returncode == 0


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("", "is empty"),
        ("# only a comment", "is empty"),
        ("docker: " + "x" * 65, "73 characters, at most 72"),
        ("docker: resumed uploads", "'resumed'"),
        ("Fixing uploads", "'Fixing'"),
        ("docker: adds a test", "'adds'"),
        ("docker: ", "says nothing"),
        ("Resume uploads.", "full stop"),
        ("Resume uploads\nafter a restart", "second line"),
    ],
)
def test_a_bad_message_is_refused_with_a_reason(tmp_path, message, text):
    done = run(tmp_path, message)
    assert done.returncode == 1
    assert text in done.stderr
