"""The page about the REST API is that of today, and its examples work."""

import re
import subprocess

import pytest

from tests.clock import WAIT_S
from tests.rest_docs import PAGE, SERVER, make_page


def test_the_page_is_that_of_today():
    assert PAGE.read_text(encoding="utf-8") == make_page(), "run: make api"


def examples():
    return re.findall(r"^curl .*$", make_page(), re.MULTILINE)


@pytest.mark.parametrize("command", examples())
def test_an_example_works(shared_server, command):
    command = command.replace(SERVER, shared_server.main_url)
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} --silent --show-error --noproxy '*'"],
        env={"PASSWORD": shared_server.password, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
    assert not done.stdout.startswith("<")
