"""Tarballs that are published: one whole package, and the one that they are said to be."""

import pytest

from formats.npm.tests.conftest import make_tarball

GOOD = make_tarball("demo", "1.0.0")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "ends too early"),
        (b"no archive", "not a valid archive"),
        (GOOD[:-20], "ends too early"),
        (make_tarball("demo", "1.0.0", paths=["package.json"]), "no file"),
        (make_tarball("demo", "1.0.0", paths=["package/lib/package.json"]), "no file"),
        (make_tarball("demo", "1.0.0", paths=["a/package.json", "b/package.json"]), "2 files"),
        (make_tarball("demo", "1.0.0", paths=["a/package.json", "a/./package.json"]), "2 files"),
        (make_tarball("demo", "1.0.0", paths=["package/package.json", "a/../../x"]), "outside"),
        (make_tarball("other", "1.0.0"), "the package.json of 'other', '1.0.0'"),
        (make_tarball("demo", "1.0.1"), "the package.json of 'demo', '1.0.1'"),
        (make_tarball(["demo"], {}), "the package.json of"),
    ],
)
def test_another_tarball_than_was_announced_is_refused(publisher, data, problem):
    refused = publisher.publish(data=data)
    assert (refused.status_code, problem in refused.json["error"]) == (400, True), refused.text
    assert publisher.get("demo").status_code == 404


@pytest.mark.parametrize("folder", ["package", "demo", "demo-1.0.0"])
@pytest.mark.parametrize("version", ["1.0.0", "v1.0.0", " =1.0.0", "1.0.0+build.5"])
def test_the_first_folder_and_the_spelling_of_the_version_are_free(publisher, folder, version):
    paths = [f"{folder}/lib/package.json", f"{folder}/package.json"]
    data = make_tarball("demo", version, paths=paths)
    assert publisher.publish(data=data).status_code == 201
    assert publisher.get("demo/-/demo-1.0.0.tgz").data == data


@pytest.mark.parametrize("name", ["-rev", "-demo", "-", "@-acme/demo", "@acme/-rev"])
def test_a_name_with_a_dash_in_front_is_refused(publisher, name):
    refused = publisher.publish(name)
    assert refused.status_code in (400, 404)
    assert refused.json["error"]
    assert publisher.get(name.replace("/", "%2f")).status_code == 404
