"""The commands about browser sessions, which the pages bring."""

import json

import pytest
from click.testing import CliRunner

from repoman.cli import cli
from repoman.security.actors import Actor
from repoman.testing import ADMIN


@pytest.fixture
def secrets(repoman_factory):
    """The secrets of two sessions."""
    repoman = repoman_factory({})
    begin = repoman.security.sessions.begin
    made = [begin(Actor(ADMIN[0]), f"10.0.0.{number}", "a browser") for number in (1, 2)]
    repoman_factory.stop()
    return made


@pytest.fixture
def run(repoman_factory, secrets):
    def run(*words):
        return CliRunner().invoke(cli, ["session", *words, "--data", str(repoman_factory.data)])

    return run


def test_sessions_are_listed_and_ended(run, repoman_factory, secrets):
    listed = json.loads(run("list", "admin", "--json").output)
    assert {each["address"] for each in listed} == {"10.0.0.1", "10.0.0.2"}
    lines = run("list", "admin").output.splitlines()
    assert len(lines) == len(listed)
    for line, each in zip(lines, listed, strict=True):
        assert line.startswith(f"{each['id'][:16]}  {each['address']}  ")
    first = next(each["id"] for each in listed if each["address"] == "10.0.0.1")
    assert run("end", "admin", first[:16]).output == "Ended 1 sessions of admin.\n"
    repoman = repoman_factory({})
    assert [repoman.security.sessions.find(each) is None for each in secrets] == [True, False]
    [told] = repoman.audit.search({"domain": "login", "type": "end"})
    assert (told["actor"], told["target"]) == ("cli", "admin")
    repoman_factory.stop()
    assert run("end", "admin").output == "Ended 1 sessions of admin.\n"
    assert run("list", "admin").output == ""


def test_what_is_not_there_is_said(run):
    assert "There is no user 'nobody'" in str(run("list", "nobody").exception)
    refused = run("end", "admin", "none")
    assert refused.exit_code == 2
    assert "admin has 0 sessions whose id begins with 'none'." in refused.output
