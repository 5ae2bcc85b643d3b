"""Blobs that are there: whole, in part, conditionally; deleted, mounted, and for whom."""

import secrets

import pytest

from tests.functional.docker.driver import Failures
from tests.functional.docker.images import ABSENT, digest_of, make_image

DATA = bytes(range(256)) * 4  # 1024 bytes
SIZE = len(DATA)


@pytest.fixture
def digest(registry, name):
    """A blob of the image."""
    return registry.push_blob(name, DATA)


@pytest.fixture
def data():
    """Bytes that no other test has stored."""
    return secrets.token_bytes(100)


def get(registry, name, digest, **headers):
    names = {key: key.replace("_", "-") for key in headers}
    return registry.get(
        f"{name}/blobs/{digest}", headers={names[key]: value for key, value in headers.items()}
    )


def is_unknown(answer):
    return (answer.status, answer.code) == (404, "BLOB_UNKNOWN")


# --- Download ------------------------------------------------------------------------------------


def test_a_blob_comes_with_all_that_clients_need(registry, name, digest):
    answer = get(registry, name, digest)
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.headers["ETag"] == f'"{digest}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "max-age=31536000" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_unknown_blob_is_not_found(registry, name, digest, algorithm):
    absent = digest_of(b"absent", algorithm)
    answer = get(registry, name, absent)
    assert is_unknown(answer)
    assert absent in answer.message
    assert is_unknown(get(registry, "no/such/image", digest))


@pytest.mark.parametrize("algorithm", ["md5", "blake3", "sha256+b64u"])
def test_a_digest_of_an_unknown_algorithm_is_not_found(registry, name, algorithm):
    assert is_unknown(get(registry, name, f"{algorithm}:{'a' * 32}"))


@pytest.mark.parametrize(
    "digest", ["sha256", "sha256:abc", f"sha256:{'A' * 64}", "a b", "%zz", f"{ABSENT}%0a", "..:a"]
)
def test_a_malformed_digest_is_refused(registry, name, digest):
    for send in (registry.get, registry.delete):
        answer = send(f"{name}/blobs/{digest.replace(' ', '%20')}")
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize(
    ("range_", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-1023", 0, SIZE),
        ("bytes=0-", 0, SIZE),
        ("bytes=1000-", 1000, SIZE),
        ("bytes=1023-", 1023, SIZE),
        ("bytes=5-9", 5, 10),
        ("bytes=1000-9999", 1000, SIZE),
        ("bytes=-1", 1023, SIZE),
        ("bytes=-1024", 0, SIZE),
        ("bytes=-5000", 0, SIZE),
        ("BYTES=5-9", 5, 10),
    ],
)
def test_a_range_is_sent_exactly(registry, name, digest, range_, start, stop):
    answer = get(registry, name, digest, Range=range_)
    assert (answer.status, answer.body) == (206, DATA[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert answer.headers["Docker-Content-Digest"] == digest


@pytest.mark.parametrize(
    "range_", ["bytes=1024-", "bytes=1024-1024", "bytes=9999-", "bytes=500-0", "bytes=-0"]
)
def test_a_range_without_a_byte_is_refused(registry, name, digest, range_):
    answer = get(registry, name, digest, Range=range_)
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("range_", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-9"])
def test_an_empty_blob_has_no_range(registry, name, range_):
    answer = get(registry, name, registry.push_blob(name, b""), Range=range_)
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize(
    "range_", ["bytes=0-1,5-9", "bytes=0-1, 1000-", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1"]
)
def test_several_ranges_or_none_mean_all(registry, name, digest, range_):
    answer = get(registry, name, digest, Range=range_)
    assert (answer.status, answer.body) == (200, DATA)
    assert "Content-Range" not in answer.headers


def test_a_large_blob_is_resumed_where_it_broke(registry, name):
    data = secrets.token_bytes(3_000_000)
    digest = registry.push_blob(name, data)
    answer = get(registry, name, digest, Range="bytes=2000000-")
    assert (answer.status, answer.body) == (206, data[2_000_000:])
    assert answer.headers["Content-Range"] == "bytes 2000000-2999999/3000000"


@pytest.mark.parametrize(
    "form", ['"{}"', 'W/"{}"', "{}", '"x", "{}"', '"x","{}"', "x,{}", '"x",W/"{}"', "*"]
)
def test_a_client_that_has_the_blob_is_told_so(registry, name, digest, form):
    answer = get(registry, name, digest, If_None_Match=form.format(digest))
    assert answer.status == 304
    assert answer.headers["ETag"] == f'"{digest}"'
    assert answer.headers["Docker-Content-Digest"] == digest


@pytest.mark.parametrize("form", ['"x"', "", '"{}x"', '"*"', '"', '"sha256:'])
def test_a_client_that_has_another_blob_gets_this_one(registry, name, digest, form):
    answer = get(registry, name, digest, If_None_Match=form.format(digest))
    assert (answer.status, answer.body) == (200, DATA)


def test_a_condition_comes_before_a_range(registry, name, digest):
    tag = f'"{digest}"'
    assert get(registry, name, digest, If_None_Match=tag, Range="bytes=9999-").status == 304


def test_a_range_of_what_the_client_has_begun_is_sent(registry, name, digest):
    answer = get(registry, name, digest, If_Range=f'"{digest}"', Range="bytes=5-9")
    assert (answer.status, answer.body) == (206, DATA[5:10])


@pytest.mark.parametrize("condition", ['"x"', 'W/"{}"', "Mon, 01 Jan 2024 00:00:00 GMT", "junk"])
def test_a_range_of_something_else_becomes_the_whole(registry, name, digest, condition):
    condition = condition.format(digest)
    answer = get(registry, name, digest, If_Range=condition, Range="bytes=5-9")
    assert (answer.status, answer.body) == (200, DATA)
    assert get(registry, name, digest, If_Range=condition, Range="bytes=9999-").status == 200


# --- Deletion ------------------------------------------------------------------------------------


def test_a_deleted_blob_is_gone(registry, name, data):
    digest = registry.push_blob(name, data)
    answer = registry.delete(f"{name}/blobs/{digest}")
    assert (answer.status, answer.headers["Content-Length"]) == (202, "0")
    assert is_unknown(get(registry, name, digest))
    assert is_unknown(registry.delete(f"{name}/blobs/{digest}"))
    registry.push_blob(name, data)
    assert get(registry, name, digest).body == data


def test_a_deleted_blob_stays_with_other_images(registry, name, other_name, data):
    digest = registry.push_blob(name, data)
    registry.push_blob(other_name, data)
    registry.delete(f"{name}/blobs/{digest}")
    assert get(registry, other_name, digest).body == data


def test_a_blob_that_a_manifest_needs_is_not_deleted(registry, name):
    image = make_image()
    registry.push(name, "1", image)
    for blob in image.blobs:
        answer = registry.delete(f"{name}/blobs/{digest_of(blob)}")
        assert (answer.status, answer.code) == (405, "UNSUPPORTED")
        assert image.digest in answer.message
    assert registry.pull(name, "1") == image.manifest
    registry.delete(f"{name}/manifests/{image.digest}")
    for blob in image.blobs:
        assert registry.delete(f"{name}/blobs/{digest_of(blob)}").status == 202


# --- Mounts --------------------------------------------------------------------------------------


@pytest.fixture
def mountable(registry, other_name, data):
    """A blob that only the other image has."""
    return registry.push_blob(other_name, data)


def test_a_blob_is_mounted_from_another_image(registry, name, other_name, mountable, data):
    answer = registry.start(name, mount=mountable, **{"from": other_name})
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == mountable
    assert answer.headers["Content-Length"] == "0"
    assert "Docker-Upload-UUID" not in answer.headers
    assert registry.get(answer.headers["Location"]).body == data
    assert get(registry, name, mountable).body == data


def test_a_blob_is_mounted_from_wherever_it_is(registry, name, mountable, data):
    assert registry.start(name, mount=mountable).status == 201
    assert get(registry, name, mountable).body == data


def test_a_mounted_blob_outlives_its_source(registry, name, other_name, mountable, data):
    registry.start(name, mount=mountable, **{"from": other_name})
    registry.delete(f"{other_name}/blobs/{mountable}")
    assert get(registry, name, mountable).body == data


def test_a_blob_of_another_algorithm_is_mounted(registry, name, other_name, data):
    digest = registry.push_blob(other_name, data, "sha512")
    assert registry.start(name, mount=digest, **{"from": other_name}).status == 201
    assert get(registry, name, digest).body == data


@pytest.mark.parametrize(
    "query",
    [
        {"mount": ABSENT, "from": "{other}"},
        {"mount": ABSENT},
        {"mount": "{blob}", "from": "no/such/image"},
        {"mount": "{blob}", "from": "{own}"},
        {"from": "{other}"},
    ],
    ids=["unknown blob", "unknown anywhere", "unknown image", "not in there", "no blob named"],
)
def test_a_mount_that_cannot_be_becomes_an_upload(
    registry, name, other_name, mountable, data, query
):
    places = {"other": other_name, "own": name, "blob": mountable}
    answer = registry.start(name, **{key: text.format(**places) for key, text in query.items()})
    assert answer.status == 202
    assert answer.headers["Range"] == "0-0"
    assert not registry.has_blob(name, mountable)
    location = answer.headers["Location"]
    assert registry.finish(location, digest_of(data), data).status == 201


def test_a_malformed_mount_is_refused(registry, name):
    answer = registry.start(name, mount="sha256:abc")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    answer = registry.start(name, mount=ABSENT, **{"from": "Not/A/Name"})
    assert (answer.status, answer.code) == (400, "NAME_INVALID")


# --- Access --------------------------------------------------------------------------------------


def test_a_blob_belongs_to_its_image(registry, name, other_name, mountable):
    assert is_unknown(get(registry, name, mountable))
    assert is_unknown(get(registry, f"{other_name}/below", mountable))
    assert registry.has_blob(other_name, mountable)


def test_an_image_needs_its_own_blobs(registry, name, other_name):
    image = make_image()
    registry.push_blobs(other_name, image)
    answer = registry.put_manifest(name, "1", image.manifest)
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_a_blob_belongs_to_its_repository(site, registry, name, mountable, other_name, data):
    other = site.create()
    assert is_unknown(get(other, other_name, mountable))
    assert other.start(name, mount=mountable, **{"from": other_name}).status == 202
    assert other.start(name, mount=mountable).status == 202
    other.pull(other_name, "1", failure=Failures.MANIFEST_UNKNOWN)
    assert not other.has_blob(name, mountable)
    other.push_blob(name, data)
    registry.delete(f"{other_name}/blobs/{mountable}")
    assert get(other, name, mountable).body == data


def test_nobody_reads_without_a_login(registry, name, digest):
    nobody = registry.as_user(None)
    for path in (f"{name}/blobs/{digest}", f"{name}/tags/list", "_catalog", "", "no/address"):
        answer = nobody.get(path)
        assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert nobody.head(path).status == 401
