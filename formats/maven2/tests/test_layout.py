"""Which artifact a path belongs to, and how versions are ordered."""

import pytest

from repoman.plugin import Checksum, File, Invalid, Metadata
from repoman_maven2.layout import base_of, is_snapshot, parse_path
from repoman_maven2.plugin import MAVEN
from repoman_maven2.rules import is_prerelease, version_key

SNAPSHOTS = "org/acme/lib/1.0-SNAPSHOT"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("junit/junit/4.13/junit-4.13.jar", ("junit", "junit", "4.13", "4.13", "", "jar")),
        ("org/acme/lib/1.0/lib-1.0.pom", ("org.acme", "lib", "1.0", "1.0", "", "pom")),
        (
            "org/acme/lib/1.0/lib-1.0-sources.jar",
            ("org.acme", "lib", "1.0", "1.0", "sources", "jar"),
        ),
        ("org/acme/lib/1.0/lib-1.0-bin.tar.gz", ("org.acme", "lib", "1.0", "1.0", "bin", "tar.gz")),
        ("org/acme/lib/1.0/lib-1.0.jar.asc", ("org.acme", "lib", "1.0", "1.0", "", "jar.asc")),
        ("org/acme/lib/1.0/lib-1.0-x-2.12.jar", ("org.acme", "lib", "1.0", "1.0", "x-2.12", "jar")),
        (
            f"{SNAPSHOTS}/lib-1.0-20261129.155608-3-tests.jar",
            ("org.acme", "lib", "1.0-20261129.155608-3", "1.0-SNAPSHOT", "tests", "jar"),
        ),
        (
            f"{SNAPSHOTS}/lib-1.0-SNAPSHOT.jar",
            ("org.acme", "lib", "1.0-SNAPSHOT", "1.0-SNAPSHOT", "", "jar"),
        ),
    ],
)
def test_a_path_says_which_artifact_it_is_of(path, expected):
    found = parse_path(path)
    assert found is not None
    parts = (found.group, found.name, found.version, found.base, found.classifier, found.extension)
    assert parts == expected
    assert base_of(found.version) == found.base


@pytest.mark.parametrize(
    "path",
    [
        "lib-1.0.jar",
        "lib/1.0/lib-1.0.jar",
        "org/acme/lib/1.0/other-1.0.jar",
        "org/acme/lib/1.0/lib-1.1.jar",
        "org/acme/lib/1.0/lib-1.0",
        "org/acme/lib/1.0/lib-1.0.1.jar",
        "org.acme/lib/1.0/lib-1.0.jar",
        "org.acme/lib/maven-metadata.xml",
        "org/acme.x/lib/1.0-SNAPSHOT/maven-metadata.xml",
        "org/äcme/lib/1.0/lib-1.0.jar",
        f"{SNAPSHOTS}/lib-1.0-20261129-3.jar",
    ],
)
def test_other_paths_are_of_no_artifact(path):
    assert parse_path(path) is None
    assert MAVEN.target(path) == File(path, is_mutable=True)


def test_metadata_is_about_a_package_or_a_group():
    def read(folder):
        return MAVEN.target(f"{folder}/maven-metadata.xml").package

    assert read("org/acme/lib") == "org.acme:lib"
    assert read(SNAPSHOTS) == "org.acme:lib"
    assert read("org") == ":org"
    assert read("org/acme/lib.core") == "org.acme:lib.core"


def test_checksums_lie_beside_everything_but_checksums():
    path = "org/acme/lib/1.0/lib-1.0.jar"
    file = File(path, "org.acme:lib", "1.0")
    assert MAVEN.target(path) == file
    assert MAVEN.target(f"{path}.sha512") == Checksum(file, "sha512")
    key = "org/acme/lib/maven-metadata.xml"
    assert MAVEN.target(f"{key}.md5") == Checksum(Metadata(key, "org.acme:lib"), "md5")
    assert MAVEN.target(f"{path}.md5.sha1") is None


@pytest.mark.parametrize("path", ["a//b", "../a", "a/./b", "a\nb"])
def test_paths_that_lead_elsewhere_are_refused(path):
    with pytest.raises(Invalid):
        MAVEN.target(path)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0.0"), ("1.0", "1.0-ga"), ("1.0-rc1", "1.0-cr1"), ("1.0a1", "1-alpha-1")],
)
def test_versions_that_are_the_same(one, other):
    assert version_key(one) == version_key(other)


def test_builds_of_a_snapshot_come_before_its_release():
    builds = ["1.0-20261128.101010-1", "1.0-20261129.101010-2", "1.0"]
    assert sorted(reversed(builds), key=version_key) == builds
    assert [is_snapshot(each) for each in builds] == [True, True, False]
    assert [is_prerelease(each) for each in builds] == [True, True, False]


@pytest.mark.parametrize("version", ["", "-", "..", "-.-", "SNAPSHOT", "v1", "9" * 500, "é"])
def test_any_text_has_a_place_in_the_order(version):
    assert version_key(version).startswith("0")
