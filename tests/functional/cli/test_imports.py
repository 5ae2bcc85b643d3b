"""A command imports what it needs: whoever types one waits for its imports."""

import json
import subprocess
import sys

import pytest

from tests.clock import WAIT_S
from tests.live import run_program

# Runs a command, and writes the names of what is imported then to the end of standard error.
TELL = """
import json, sys
from repoman.cli import main
try:
    main()
finally:
    sys.stderr.write("\\n" + json.dumps(sorted(sys.modules)))
"""


def modules_of(*words):
    """The modules that a command has imported when it is done."""
    done = subprocess.run(
        [sys.executable, "-c", TELL, *words],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    return json.loads(done.stderr.splitlines()[-1])


def test_the_version_is_told_without_the_program():
    found = modules_of("--version")
    assert not {"pydantic", "peewee", "flask", "repoman.core"} & set(found)
    assert len([each for each in found if each.startswith("repoman")]) < 10


@pytest.mark.parametrize("words", [("repo", "list"), ("task", "list")])
def test_a_command_imports_nothing_of_a_server(tmp_path, words):
    data = str(tmp_path / "data")
    assert run_program("init", "--data", data).returncode == 0
    found = modules_of(*words, "--data", data)
    assert "repoman.core" in found
    servers = (
        "repoman_web.views",
        "repoman.rest.areas",
        "repoman.server.process",
        "repoman.server.server",
        "waitress",
        "ldap3",
    )
    assert [each for each in found if each.startswith(servers)] == []
