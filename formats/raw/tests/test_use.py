"""The lines to copy for clients are filled in, and nothing else gets into a shell."""

import pytest

from repoman.plugin import UseRequest
from repoman_raw.plugin import repoman_web_use

ADDRESS = "http://127.0.0.1:8081/repository/files/"


@pytest.fixture
def lines(repoman):
    def ask(repository, **values):
        found = repoman.repositories.get(repository)
        guide = repoman_web_use(UseRequest(found, found, ADDRESS, **values))
        return [each.text for each in guide.sections[0].snippets]

    return ask


def test_a_file_is_downloaded_and_uploaded(lines):
    assert lines("files") == [f"curl --fail --user USER --remote-name {ADDRESS}PATH"]
    assert lines("files", name="/docs/a.txt", user="ann", may_add=True, is_open=True) == [
        f"curl --fail --remote-name {ADDRESS}docs/a.txt",
        f"curl --fail --user ann --upload-file FILE {ADDRESS}docs/a.txt",
    ]


def test_nothing_is_uploaded_where_nothing_is_taken(repoman, lines):
    repoman.repositories.create("fixed", "raw-hosted", {"storage": {"write_policy": "deny"}})
    repoman.repositories.create("whole", "raw-group", {"group": {"members": ["files"]}})
    for name in ("fixed", "whole"):
        assert len(lines(name, may_add=True)) == 1


def test_what_is_filled_in_is_no_command(lines):
    (line,) = lines("files", name="a b;$(id)`id`", user="ann; id")
    assert line == (
        f"curl --fail --user 'ann; id' --remote-name {ADDRESS}a%20b%3B%24%28id%29%60id%60"
    )
