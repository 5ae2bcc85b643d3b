"""Uploads by twine and its like, and what is refused."""

import hashlib
import io
import tarfile
import time
import zipfile

import pytest


def test_a_wheel_is_listed_and_downloaded(publisher, client, page, wheel):
    data = wheel("demo", "1.0")
    assert publisher.publish(data=data).status_code == 200
    found = page()
    assert (found["name"], found["versions"], found["meta"]) == (
        "demo",
        ["1.0"],
        {"api-version": "1.1"},
    )
    [file] = found["files"]
    assert file["filename"] == "demo-1.0-py3-none-any.whl"
    assert file["hashes"] == {"sha256": hashlib.sha256(data).hexdigest()}
    assert (file["size"], file["requires-python"]) == (len(data), ">=3.8")
    assert file["url"] == "../../packages/demo/1.0/demo-1.0-py3-none-any.whl"
    path = file["url"].removeprefix("../../")
    assert client.get(f"/repository/py/{path}").data == data
    described = client.get(f"/repository/py/{path}.metadata")
    assert described.data.startswith(b"Metadata-Version: 2.1\nName: demo\n")
    assert file["core-metadata"] == {"sha256": hashlib.sha256(described.data).hexdigest()}


@pytest.mark.parametrize("path", ["", "legacy/", "legacy", "simple/", "simple"])
def test_uploads_are_taken_with_and_without_a_slash(publisher, page, path):
    assert publisher.publish(path=path).status_code == 200
    assert page()["versions"] == ["1.0"]


def test_the_same_file_again_changes_nothing(publisher, page):
    assert publisher.publish().status_code == 200
    before = page()
    assert publisher.publish().status_code == 200
    assert page() == before


def test_other_bytes_are_refused_in_words_that_clients_know(publisher, page, wheel):
    publisher.publish()
    before = page()
    refused = publisher.publish(data=wheel("demo", "1.0", extra="more"))
    assert refused.status == "400 File already exists ('demo-1.0-py3-none-any.whl')."
    assert refused.text == "File already exists ('demo-1.0-py3-none-any.whl').\n"
    assert page() == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"sha256_digest": "0" * 64}, "sha256_digest: the digest does not match"),
        ({"sha256_digest": None}, "no digest"),
        ({"name": "other"}, "does not fit the name"),
        ({"version": "1.1", "filename": "demo-1.0-py3-none-any.whl"}, "does not fit the version"),
        ({"filename": "demo.zip"}, "is not the name of a wheel"),
        ({"filename": "../demo-1.0-py3-none-any.whl"}, "is not the name of a wheel"),
        ({"filename": "demo-1.0-py3-none-any.whl\r"}, ""),
        ({"action": "submit"}, "no longer needed"),
        ({"action": "remove"}, "is not supported"),
        ({"data": b"no archive"}, "is not a valid archive"),
        ({"data": b"PK\x05\x06" + bytes(18)}, "it has 0 files"),
    ],
)
def test_what_is_wrong_is_refused_and_stores_nothing(publisher, client, repoman, options, problem):
    if "name" in options:
        options = {**options, "filename": "demo-1.0-py3-none-any.whl"}
    refused = publisher.publish(**options)
    assert refused.status_code == 400
    assert problem in refused.text
    assert client.get("/repository/py/simple/demo/").status_code == 404
    assert list((repoman.data / "blobs" / "default" / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"requires_python": "python 3"}, "requires_python: Invalid specifier"),
        ({"filename": "demo-1.0-py3-none-any.whl.metadata"}, "is not the name of a wheel"),
        ({"filename": "démo-1.0-py3-none-any.whl"}, "is not the name of a wheel"),
        ({"filename": "demo-1.0 -py3-none-any.whl"}, "is not the name of a wheel"),
        ({"filename": "a/demo-1.0-py3-none-any.whl"}, "is not the name of a wheel"),
        ({"filename": "a\\\\demo-1.0-py3-none-any.whl"}, "is not the name of a wheel"),
        ({"filename": f"demo-1.0-py3-none-{'x' * 300}.whl"}, "is not the name of a wheel"),
        ({"name": "..", "filename": "demo-1.0-py3-none-any.whl"}, "does not fit the name"),
        ({"name": "dёmo", "filename": "demo-1.0-py3-none-any.whl"}, "does not fit the name"),
        ({"version": "1.0/../2", "filename": "demo-1.0-py3-none-any.whl"}, "fit the version"),
    ],
)
def test_odd_names_and_versions_are_refused(publisher, client, wheel, options, problem):
    refused = publisher.publish(data=wheel("demo", "1.0"), **options)
    assert (refused.status_code, problem in refused.text) == (400, True), refused.text
    assert client.get("/repository/py/simple/demo/").status_code == 404


@pytest.mark.parametrize(("name", "version"), [("other", "1.0"), ("demo", "1.1"), ("", "")])
def test_a_wheel_says_inside_what_it_is(publisher, name, version):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("demo-1.0.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n")
    refused = publisher.publish(data=data.getvalue())
    assert (refused.status_code, "does not fit" in refused.text) == (400, True), refused.text


def described(text):
    """Return a wheel with a METADATA."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("demo-1.0.dist-info/METADATA", text)
    return data.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "Name: demo\n",
        "Name: demo\n\nVersion: 1.0\n",
        "Name: demo\r\n\r\nVersion: 1.0\r\n",
        "Name: demo\nVersion: 1.0\nName: demo\n",
        "Name: demo\nVersion: 1.0\nname: other\n",
        "Summary: x\n Name: demo\nVersion: 1.0\n",
        "Name: d\u00e9mo\nVersion: 1.0\n",
    ],
)
def test_a_wheel_says_once_what_it_is(publisher, text):
    refused = publisher.publish(data=described(text))
    assert (refused.status_code, "does not fit" in refused.text) == (400, True), refused.text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_wheel_may_have_very_many_fields(publisher, end):
    fields = [*(f"X{number}: " for number in range(200_000)), "NAME:Demo ", "version:  1.0"]
    text = end.join([*fields, "", "Name: other"])
    began = time.process_time()
    assert publisher.publish(data=described(text)).status_code == 200
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("name", "filename"),
    [("Demo", "Demo-1.0.tar.gz"), ("demo", "DEMO-1.0.tar.gz"), ("demo", "demo-1.0.TAR.GZ")],
)
def test_a_version_has_a_file_once_however_it_is_spelled(publisher, page, name, filename):
    assert publisher.publish(filename="demo-1.0.tar.gz", data=b"an archive").status_code == 200
    refused = publisher.publish(name=name, filename=filename, data=b"another one")
    assert refused.status_code == 400
    assert [each["filename"] for each in page()["files"]] == ["demo-1.0.tar.gz"]


def test_the_page_in_html_has_nothing_that_was_written_into_a_form(publisher, client):
    nasty = "<script>alert('1')</script>"
    publisher.publish(requires_python=">=3.8,<4", summary=nasty, author=nasty)
    text = client.get("/repository/py/simple/demo/").text
    assert 'data-requires-python="&gt;=3.8,&lt;4"' in text
    assert "script" not in text


def test_a_form_needs_one_file(publisher, wheel):
    fields = {":action": "file_upload", "name": "demo", "version": "1.0"}
    assert "exactly one file" in publisher.post(fields, []).text
    data = wheel("demo", "1.0")
    file = ("content", "demo-1.0-py3-none-any.whl", data)
    assert "exactly one file" in publisher.post(fields, [file, file]).text


def test_a_source_distribution_has_no_metadata_file(publisher, client, page):
    answer = publisher.publish(filename="demo-1.0.tar.gz", data=b"an archive")
    assert answer.status_code == 200
    [file] = page()["files"]
    assert file["core-metadata"] is False
    address = "/repository/py/packages/demo/1.0/demo-1.0.tar.gz"
    assert client.get(address).data == b"an archive"
    assert client.get(f"{address}.metadata").status_code == 404


def test_a_read_only_repository_refuses(publisher, repoman):
    repoman.repositories.update("py", {"storage": {"write_policy": "deny"}})
    refused = publisher.publish()
    assert (refused.status_code, "read-only" in refused.status) == (403, True)


def test_who_may_not_add_is_refused(publisher, repoman, page, wheel):
    repoman.users.create("amy", "a password", ["nx-anonymous"])
    publisher.publish()
    fields = {":action": "file_upload", "name": "demo", "version": "2.0"}
    file = ("content", "demo-2.0-py3-none-any.whl", wheel("demo", "2.0"))
    refused = publisher.post(fields, [file], auth=("amy", "a password"))
    assert refused.status_code in (403, 404)
    assert publisher.post(fields, [file], login=False).status_code == 401
    assert page()["versions"] == ["1.0"]


FORM = "/service/rest/v1/components?repository=py"
NAME = "demo-1.0-py3-none-any.whl"
WHEEL = f"packages/demo/1.0/{NAME}"


def send_form(client, filename, data, **options):
    form = {"pypi.asset": (io.BytesIO(data), filename)}
    return client.request("POST", FORM, data=form, content_type="multipart/form-data", **options)


def sdist(name, version):
    data, text = io.BytesIO(), f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        info = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return data.getvalue()


def test_a_form_takes_wheels_and_source_distributions(client, page, wheel):
    spec = client.get("/service/rest/v1/formats/pypi/upload-specs").json
    assert [each["name"] for each in spec["assetFields"]] == ["asset"]
    data = wheel("demo", "1.0")
    assert send_form(client, "demo-1.0-py3-none-any.whl", data).status_code == 204
    assert send_form(client, "demo-1.0.tar.gz", sdist("demo", "1.0")).status_code == 204
    files = {each["filename"]: each for each in page()["files"]}
    assert files.keys() == {"demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"}
    found = files["demo-1.0-py3-none-any.whl"]
    assert found["hashes"] == {"sha256": hashlib.sha256(data).hexdigest()}
    path = found["url"].removeprefix("../../")
    assert client.get(f"/repository/py/{path}").data == data


@pytest.mark.parametrize(
    ("filename", "data"),
    [
        ("demo.zip", sdist("demo", "1.0")),
        ("demo-1.0.tar.gz", sdist("other", "1.0")),
        ("demo-1.0.tar.gz", sdist("demo", "2.0")),
        ("demo-1.0.tar.gz", b"no archive"),
        ("demo-1.0-py3-none-any.whl", sdist("demo", "1.0")),
        ("demo-1.0.tar.gz.asc", b"x"),
    ],
)
def test_a_form_with_another_file_than_it_says_leaves_nothing(client, repoman, filename, data):
    assert send_form(client, filename, data).status_code == 400
    assert client.get("/repository/py/simple/demo/").status_code == 404
    assert list((repoman.data / "blobs" / "default" / "uploads").iterdir()) == []


def test_a_form_stores_the_metadata_of_a_wheel_beside_it(client, page, wheel):
    data = wheel("demo", "1.0")
    assert send_form(client, NAME, data).status_code == 204
    before = page()
    described = client.get(f"/repository/py/{WHEEL}.metadata")
    assert described.data.startswith(b"Metadata-Version: 2.1\nName: demo\n")
    [file] = before["files"]
    assert file["core-metadata"] == {"sha256": hashlib.sha256(described.data).hexdigest()}
    assert send_form(client, NAME, data).status_code == 204
    assert page() == before
    [component] = client.get(FORM).json["items"]
    assert client.delete(f"/service/rest/v1/components/{component['id']}").status_code == 204
    for path in (WHEEL, f"{WHEEL}.metadata"):
        assert client.get(f"/repository/py/{path}").status_code == 404


def test_a_wheel_without_metadata_leaves_nothing(client, publisher, repoman):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("demo/__init__.py", "")
    assert publisher.publish(data=data.getvalue()).status_code == 400
    assert send_form(client, NAME, data.getvalue()).status_code == 400
    for path in (WHEEL, f"{WHEEL}.metadata", "simple/demo/"):
        assert client.get(f"/repository/py/{path}").status_code == 404
    assert list((repoman.data / "blobs" / "default" / "uploads").iterdir()) == []


def test_an_upload_is_stored_only_where_its_condition_is_met(publisher, client):
    absent, present = {"If-None-Match": "*"}, {"If-Match": "*"}
    assert publisher.publish(headers=present).status_code == 412
    assert client.get(f"/repository/py/{WHEEL}").status_code == 404
    assert publisher.publish(headers=absent).status_code == 200
    refused = publisher.publish(headers=absent)
    assert (refused.status_code, "If-None-Match" in refused.text) == (412, True)
    assert publisher.publish(headers=present).status_code == 200
