"""Uploads of tarballs by a form, over REST: the page of uploads sends the same."""

import base64
import hashlib
import io
import tarfile

import pytest

FORM = "/service/rest/v1/components?repository=js"
SPEC = "/service/rest/v1/formats/npm/upload-specs"


def upload(client, data, **options):
    form = {"npm.asset": (io.BytesIO(data), "any-name.tgz")}
    return client.request("POST", FORM, data=form, content_type="multipart/form-data", **options)


def tarball_of(text, path="package/package.json"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        info = tarfile.TarInfo(path)
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return data.getvalue()


def test_the_form_has_one_file(client):
    spec = client.get(SPEC).json
    assert (spec["format"], spec["multipleUpload"], spec["componentFields"]) == ("npm", False, [])
    assert [each["name"] for each in spec["assetFields"]] == ["asset"]


@pytest.mark.parametrize("name", ["demo", "@acme/lib"])
def test_a_tarball_is_what_its_package_json_says(client, publisher, tarball, name):
    publisher.publish(name, "1.0.0")
    data = tarball(name, "0.9.0")
    assert upload(client, data).status_code == 204
    found = publisher.document(name)
    assert found["dist-tags"] == {"latest": "0.9.0"}
    dist = found["versions"]["0.9.0"]["dist"]
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    assert dist["integrity"] == f"sha512-{digest}"
    assert client.get(dist["tarball"].removeprefix("http://localhost")).data == data
    assert sorted(found["versions"]) == ["0.9.0", "1.0.0"]
    again = upload(client, data)
    assert (again.status_code, "previously published" in again.text) == (409, True)


@pytest.mark.parametrize(
    "data",
    [
        b"no archive",
        tarball_of(b'{"name": "demo", "version": "1.0.0"}', "package.json"),
        tarball_of(b"{"),
        tarball_of(b"[]"),
        tarball_of(b'{"name": "Demo", "version": "1.0.0"}'),
        tarball_of(b'{"name": "../demo", "version": "1.0.0"}'),
        tarball_of(b'{"name": "demo"}'),
        tarball_of(b'{"name": "demo", "version": "1"}'),
        tarball_of(b'{"name": "demo", "version": {}}'),
        tarball_of(b'{"name": "demo", "version": "1.0.0+twin"}'),
        tarball_of(b" " * (5 << 20)),
    ],
    ids=range(11),
)
def test_what_cannot_be_published_leaves_nothing(client, publisher, repoman, data):
    publisher.publish()
    before = publisher.document()
    assert upload(client, data).status_code in (400, 409, 413)
    assert publisher.document() == before
    assert list((repoman.data / "blobs" / "default" / "uploads").iterdir()) == []


def test_a_form_keeps_the_limits_of_the_repository(client, publisher, repoman):
    repoman.repositories.update("js", {"npm": {"versions_limit": 1}})
    publisher.publish()
    refused = upload(client, tarball_of(b'{"name": "demo", "version": "2.0.0"}'))
    assert (refused.status_code, "npm.versions_limit" in refused.text) == (413, True)
    assert list(publisher.document()["versions"]) == ["1.0.0"]


def test_who_may_not_add_uploads_nothing(client, repoman):
    repoman.users.create("amy", "a password", ["nx-anonymous"])
    data = tarball_of(b'{"name": "demo", "version": "1.0.0"}')
    refused = upload(client, data, login=False, auth=("amy", "a password"))
    assert refused.status_code == 403
