"""Names, versions and paths."""

import pytest

from repoman.plugin import File, Metadata
from repoman_npm.paths import is_tag, is_version
from repoman_npm.plugin import NPM


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
