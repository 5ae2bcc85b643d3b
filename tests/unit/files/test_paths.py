"""Which paths a file may have."""

import pytest

from repoman.files.paths import PATH_MAX_CHARS, check_path
from repoman.plugin import Invalid

GOOD = [
    "a",
    "folder/hello.txt",
    "...",
    ".hidden/..file",
    "with space/ä/日本/🐟",
    "a:b?c#d%2f\\",
    "x" * PATH_MAX_CHARS,
]
BAD = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "a/./b",
    "..",
    "../a",
    "a/..",
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "a\x85b",
    "a\ufffdb",
    "x" * (PATH_MAX_CHARS + 1),
]


@pytest.mark.parametrize("path", GOOD)
def test_a_file_may_be_at(path):
    check_path(path)


@pytest.mark.parametrize("path", BAD)
def test_no_file_is_at(path):
    with pytest.raises(Invalid):
        check_path(path)
