"""Names, versions and paths."""

import pytest

from repoman.plugin import File, Metadata
from repoman_npm.paths import is_tag, is_version, version_key
from repoman_npm.plugin import NPM

ORDERED = [
    *("0.9.9", "1.0.0-0", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1"),
    *("1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"),
    *("1.0.1", "1.2.0", "1.10.0", "2.0.0-rc", "2.0.0", "10.0.0"),
]


def test_versions_sort_as_semver_says():
    assert sorted(reversed(ORDERED), key=version_key) == ORDERED


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("lodash", Metadata("lodash", "lodash")),
        ("JSONStream", Metadata("JSONStream", "JSONStream")),
        ("@a/b", Metadata("@a/b", "@a/b")),
        ("@a%2Fb", Metadata("@a/b", "@a/b")),
        ("lodash/latest", Metadata("lodash", "lodash", "latest")),
        ("lodash/-/lodash-1.2.3.tgz", File("lodash/-/lodash-1.2.3.tgz", "lodash", "1.2.3")),
        ("@a/b/-/b-1.0.0-rc.1+x.tgz", File("@a/b/-/b-1.0.0-rc.1+x.tgz", "@a/b", "1.0.0-rc.1+x")),
        ("@a/b/-/@a/b-1.0.0.tgz", File("@a/b/-/b-1.0.0.tgz", "@a/b", "1.0.0")),
        *((each, None) for each in ("", "-", "@a", "@a/", "a/b/c", "a/-", "a/-/b-1.0.0.tgz")),
        *(
            (each, None)
            for each in ("a/-/a-1.tgz", "a/-/x/a-1.0.0.tgz", "..", "a/-/../a-1.0.0.tgz")
        ),
        *((each, None) for each in ("é", "a\x00", "node_modules", "a" * 215, "-/all")),
    ],
)
def test_what_is_at_a_path(path, target):
    assert NPM.target(path) == target


def test_versions_and_tags_are_told_apart():
    for text in ("1", "1.2", "v1.0.0", "1.0.0.0", "1.0.0-", "1.0.0+", "x", "\uff11.0.0", "1.0.0\n"):
        assert not is_version(text)
    for text in ("1.0.0", "v2", "", "a b", "a/b"):
        assert not is_tag(text)
    assert is_tag("latest")
