"""Blobs on their way in: streams, chunks, one request, and what clients do wrong."""

import secrets
import threading

import pytest

from tests.functional.docker.driver import Failures, Mistake
from tests.functional.docker.images import ABSENT, digest_of, make_image

DATA = bytes(range(256)) * 40
ALGORITHMS = ("sha256", "sha512")


@pytest.fixture
def data():
    """Bytes that no other test has stored."""
    return secrets.token_bytes(16) + DATA


def assert_stored(registry, name, data, digest=None):
    """The blob can be had at once, whole."""
    digest = digest or digest_of(data)
    assert registry.head(f"{name}/blobs/{digest}").headers["Content-Length"] == str(len(data))
    answer = registry.get(f"{name}/blobs/{digest}")
    assert (answer.status, answer.body) == (200, data)


def assert_created(registry, answer, name, digest):
    """The answer to a finished upload leads to the blob."""
    assert answer.status == 201, answer.body
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.headers["Content-Length"] == "0"
    assert registry.get(answer.headers["Location"]).status == 200
    assert answer.headers["Location"].endswith(f"/v2/{name}/blobs/{digest}")


def assert_refused(answer, status, code):
    assert (answer.status, answer.code) == (status, code), answer.body


# --- Ways to upload ------------------------------------------------------------------------------


def in_a_stream(registry, name, data, digest):
    location = registry.append(registry.begin(name), [data[:999], data[999:]]).headers["Location"]
    return registry.finish(location, digest)


def in_two_streams(registry, name, data, digest):
    location = registry.append(registry.begin(name), [data[:999]]).headers["Location"]
    location = registry.append(location, [data[999:]]).headers["Location"]
    return registry.finish(location, digest)


def in_chunks(registry, name, data, digest):
    location = registry.begin(name)
    for start in range(0, len(data), 1000):
        answer = registry.append(location, data[start : start + 1000], start)
        location = answer.headers["Location"]
    return registry.finish(location, digest)


def in_chunks_of_unknown_length(registry, name, data, digest):
    location = registry.begin(name)
    for start in range(0, len(data), 1000):
        part = data[start : start + 1000]
        registry.append(location, [part[:7], part[7:]], start, start + len(part) - 1)
    return registry.finish(location, digest)


def with_the_last_chunk_in_the_put(registry, name, data, digest):
    location = registry.append(registry.begin(name), data[:1000], 0).headers["Location"]
    return registry.finish(location, digest, data[1000:], 1000)


def in_the_put(registry, name, data, digest):
    return registry.finish(registry.begin(name), digest, data)


def in_the_put_of_unknown_length(registry, name, data, digest):
    return registry.finish(registry.begin(name), digest, [data[:10], data[10:]])


def in_the_post(registry, name, data, digest):
    return registry.send("POST", f"{name}/blobs/uploads/", data, query={"digest": digest})


def in_the_post_of_unknown_length(registry, name, data, digest):
    return registry.send("POST", f"{name}/blobs/uploads/", [data], query={"digest": digest})


def in_the_post_without_a_slash(registry, name, data, digest):
    return registry.send("POST", f"{name}/blobs/uploads", data, query={"digest": digest})


def announced(registry, name, data, digest):
    algorithm = digest.partition(":")[0]
    location = registry.begin(name, **{"digest-algorithm": algorithm})
    return registry.finish(location, digest, data)


WAYS = [
    in_a_stream,
    in_two_streams,
    in_chunks,
    in_chunks_of_unknown_length,
    with_the_last_chunk_in_the_put,
    in_the_put,
    in_the_put_of_unknown_length,
    in_the_post,
    in_the_post_of_unknown_length,
    in_the_post_without_a_slash,
    announced,
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_blob_is_uploaded(registry, name, data, way, algorithm):
    digest = digest_of(data, algorithm)
    assert_created(registry, way(registry, name, data, digest), name, digest)
    assert_stored(registry, name, data, digest)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("data", [b"", b"{}"], ids=["no byte", "an empty object"])
@pytest.mark.parametrize("way", [in_the_put, in_the_post, in_a_stream, announced])
def test_a_blob_may_be_tiny(registry, name, data, way, algorithm):
    digest = digest_of(data, algorithm)
    assert_created(registry, way(registry, name, data, digest), name, digest)
    assert_stored(registry, name, data, digest)


def test_a_blob_may_be_empty_without_a_patch(registry, name):
    digest = digest_of(b"")
    assert_created(registry, registry.finish(registry.begin(name), digest, None), name, digest)


def test_a_blob_is_known_by_the_digest_it_was_uploaded_with(registry, name, data):
    registry.push_blob(name, data, "sha512")
    assert registry.has_blob(name, digest_of(data, "sha512"))
    assert not registry.has_blob(name, digest_of(data))


def test_an_upload_may_be_repeated(registry, name, data):
    for _ in range(2):
        registry.push_blob(name, data)
    assert_stored(registry, name, data)


def test_several_clients_upload_the_same_blob(registry, name, data):
    locations = [registry.begin(name) for _ in range(4)]
    for location in locations:
        assert registry.append(location, data[:5000], 0).status == 202
    statuses = []

    def finish(location):
        statuses.append(registry.finish(location, digest_of(data), data[5000:], 5000).status)

    threads = [threading.Thread(target=finish, args=(each,)) for each in locations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 4
    assert_stored(registry, name, data)


# --- Sessions ------------------------------------------------------------------------------------


def test_a_session_begins_empty_and_tells_how_to_go_on(registry, name):
    answer = registry.start(name)
    assert answer.status == 202
    upload = answer.headers["Docker-Upload-UUID"]
    assert answer.headers["Location"].endswith(f"/v2/{name}/blobs/uploads/{upload}")
    assert (answer.headers["Range"], answer.headers["Content-Length"]) == ("0-0", "0")
    assert "OCI-Chunk-Min-Length" not in answer.headers


def test_clients_may_be_asked_for_longer_chunks_and_need_not_obey(site, name, data):
    registry = site.create({"docker.chunk_min_length": 5000})
    answer = registry.start(name)
    assert answer.headers["OCI-Chunk-Min-Length"] == "5000"
    location = registry.append(answer.headers["Location"], data[:9], 0).headers["Location"]
    assert registry.finish(location, digest_of(data), data[9:], 9).status == 201


def test_a_patch_tells_how_far_the_upload_is(registry, name, data):
    answer = registry.append(registry.begin(name), data[:1000], 0)
    assert (answer.status, answer.headers["Range"]) == (202, "0-999")
    assert answer.headers["Content-Length"] == "0"
    assert answer.headers["Docker-Upload-UUID"] in answer.headers["Location"]


def test_the_state_of_an_upload_can_be_asked_for(registry, name, data):
    location = registry.begin(name)
    answer = registry.get(location)
    assert (answer.status, answer.headers["Range"]) == (204, "0-0")
    registry.append(location, data[:1000], 0)
    answer = registry.get(location)
    assert (answer.status, answer.headers["Range"]) == (204, "0-999")
    assert answer.headers["Location"] == location


@pytest.mark.parametrize("start", [0, 999, 1001, 5000], ids=lambda start: f"at {start}")
def test_a_chunk_out_of_order_is_refused_and_the_session_lives_on(registry, name, data, start):
    location = registry.append(registry.begin(name), data[:1000], 0).headers["Location"]
    answer = registry.append(location, data[start : start + 500], start)
    assert_refused(answer, 416, "RANGE_INVALID")
    assert (answer.headers["Location"], answer.headers["Range"]) == (location, "0-999")
    assert registry.get(location).headers["Range"] == "0-999"
    assert registry.append(location, data[1000:], 1000).status == 202
    assert registry.finish(location, digest_of(data)).status == 201
    assert_stored(registry, name, data)


def test_a_first_chunk_must_begin_at_nought(registry, name, data):
    location = registry.begin(name)
    answer = registry.append(location, data[1:], 1)
    assert_refused(answer, 416, "RANGE_INVALID")
    assert answer.headers["Range"] == "0-0"
    assert registry.append(location, data, 0).status == 202


def test_a_last_chunk_out_of_order_is_refused_and_the_session_lives_on(registry, name, data):
    location = registry.append(registry.begin(name), data[:1000], 0).headers["Location"]
    answer = registry.finish(location, digest_of(data), data[1001:], 1001)
    assert_refused(answer, 416, "RANGE_INVALID")
    assert (answer.headers["Location"], answer.headers["Range"]) == (location, "0-999")
    assert registry.finish(location, digest_of(data), data[1000:], 1000).status == 201


@pytest.mark.parametrize("text", ["bytes 0-999/*", "bytes 0-999/9999", "bytes=0-999", " 0-999 "])
def test_a_chunk_may_be_announced_as_http_does(registry, name, data, text):
    location = registry.begin(name)
    answer = registry.send("PATCH", location, data[:1000], headers={"Content-Range": text})
    assert (answer.status, answer.headers["Range"]) == (202, "0-999")


@pytest.mark.parametrize("text", ["", "0", "-1", "0-", "a-b", "9-0", "0-9-9", "0,9", "items 0-9/9"])
def test_an_announcement_that_is_none_is_refused(registry, name, data, text):
    location = registry.begin(name)
    answer = registry.send("PATCH", location, data, headers={"Content-Range": text})
    assert_refused(answer, 400, "BLOB_UPLOAD_INVALID")
    assert registry.get(location).headers["Range"] == "0-0"


@pytest.mark.parametrize("end", [5, 2000], ids=["too few", "too many"])
def test_a_chunk_must_be_as_long_as_announced(registry, name, data, end):
    location = registry.begin(name)
    assert_refused(registry.append(location, data[:1000], 0, end), 400, "SIZE_INVALID")
    assert registry.get(location).headers["Range"] == "0-0"


@pytest.mark.parametrize("end", [5, 2000], ids=["too few", "too many"])
def test_a_chunk_of_unknown_length_must_be_as_long_as_announced(registry, name, data, end):
    location = registry.begin(name)
    assert_refused(registry.append(location, [data[:1000]], 0, end), 400, "SIZE_INVALID")
    # The bytes came before their number was known: they stay, and that is what the server says.
    assert registry.get(location).headers["Range"] == "0-999"
    assert registry.finish(location, digest_of(data), data[1000:], 1000).status == 201


def test_an_empty_stream_changes_nothing(registry, name, data):
    location = registry.begin(name)
    assert registry.append(location, []).headers["Range"] == "0-0"
    assert registry.append(location, b"").headers["Range"] == "0-0"
    assert registry.finish(location, digest_of(data), data).status == 201


def test_a_cancelled_upload_is_gone(registry, name, data):
    location = registry.append(registry.begin(name), data).headers["Location"]
    assert registry.delete(location).status == 204
    assert_refused(registry.delete(location), 404, "BLOB_UPLOAD_UNKNOWN")
    assert_refused(registry.get(location), 404, "BLOB_UPLOAD_UNKNOWN")
    assert_refused(registry.append(location, data), 404, "BLOB_UPLOAD_UNKNOWN")
    assert_refused(registry.finish(location, digest_of(data)), 404, "BLOB_UPLOAD_UNKNOWN")
    assert not registry.has_blob(name, digest_of(data))


def test_a_finished_upload_is_gone(registry, name, data):
    location = registry.begin(name)
    assert registry.finish(location, digest_of(data), data).status == 201
    for answer in (
        registry.get(location),
        registry.append(location, b"more"),
        registry.finish(location, digest_of(data)),
        registry.delete(location),
    ):
        assert_refused(answer, 404, "BLOB_UPLOAD_UNKNOWN")
    assert_stored(registry, name, data)


def test_an_upload_belongs_to_its_image(registry, name, other_name, data):
    location = registry.begin(name)
    elsewhere = location.replace(name, other_name)
    assert_refused(registry.get(elsewhere), 404, "BLOB_UPLOAD_UNKNOWN")
    assert_refused(registry.append(elsewhere, data), 404, "BLOB_UPLOAD_UNKNOWN")
    assert registry.get(location).status == 204


def test_an_upload_belongs_to_who_began_it(site, registry, name, data):
    other = registry.as_user(site.make_user())
    location = registry.append(registry.begin(name), data[:1000]).headers["Location"]
    for answer in (
        other.get(location),
        other.append(location, data[1000:], 1000),
        other.finish(location, digest_of(data[:1000])),
        other.delete(location),
    ):
        assert_refused(answer, 404, "BLOB_UPLOAD_UNKNOWN")
    assert registry.get(location).headers["Range"] == "0-999"


@pytest.mark.parametrize(
    "upload", ["0" * 32, "x", "..", "%2e%2e", "a%00b", "\u00e9".encode().hex()]
)
def test_an_unknown_upload_is_refused(registry, name, data, upload):
    location = f"{registry.prefix}/v2/{name}/blobs/uploads/{upload}"
    assert_refused(registry.get(location), 404, "BLOB_UPLOAD_UNKNOWN")
    assert_refused(registry.append(location, data), 404, "BLOB_UPLOAD_UNKNOWN")


# --- Digests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_digest_of_other_bytes_is_refused_and_nothing_is_stored(
    registry, name, data, way, algorithm
):
    other = digest_of(b"other", algorithm)
    answer = way(registry, name, data, other)
    assert_refused(answer, 400, "DIGEST_INVALID")
    assert digest_of(data, algorithm) in answer.message
    for digest in (other, digest_of(data, algorithm)):
        assert not registry.has_blob(name, digest)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_digest_must_be_right_to_its_last_digit(registry, name, data, algorithm):
    digest = digest_of(data, algorithm)
    nearly = digest[:-1] + ("0" if digest[-1] == "1" else "1")
    assert_refused(in_the_put(registry, name, data, nearly), 400, "DIGEST_INVALID")
    assert_refused(in_the_post(registry, name, data, nearly), 400, "DIGEST_INVALID")
    assert not registry.has_blob(name, nearly)


def test_an_upload_with_a_wrong_digest_is_over(registry, name, data):
    location = registry.begin(name)
    assert_refused(registry.finish(location, ABSENT, data), 400, "DIGEST_INVALID")
    assert_refused(registry.get(location), 404, "BLOB_UPLOAD_UNKNOWN")


BAD_DIGESTS = [
    "",
    "sha256",
    "sha256:",
    "sha256:abc",
    "sha256:" + "A" * 64,
    "sha256:" + "0" * 63,
    "sha512:" + "0" * 64,
    "md5:" + "0" * 32,
    "sha256:" + "0" * 64 + "\n",
    "0" * 64,
    "SHA256:" + "0" * 64,
]


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_a_malformed_digest_is_refused_and_the_session_lives_on(registry, name, data, digest):
    location = registry.append(registry.begin(name), data).headers["Location"]
    assert_refused(registry.finish(location, digest), 400, "DIGEST_INVALID")
    assert registry.finish(location, digest_of(data)).status == 201


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_a_malformed_digest_of_a_post_is_refused(registry, name, data, digest):
    answer = registry.send("POST", f"{name}/blobs/uploads/", data, query={"digest": digest})
    assert_refused(answer, 400, "DIGEST_INVALID")


def test_a_digest_must_be_given_at_the_end(registry, name, data):
    location = registry.append(registry.begin(name), data).headers["Location"]
    assert_refused(registry.finish(location, None), 400, "DIGEST_INVALID")
    assert registry.finish(location, digest_of(data)).status == 201


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "SHA256", "blake3", ""])
def test_an_algorithm_that_is_not_supported_is_refused(registry, name, algorithm):
    answer = registry.start(name, **{"digest-algorithm": algorithm})
    assert_refused(answer, 400, "DIGEST_INVALID")


def test_an_upload_may_end_with_another_algorithm_than_announced(registry, name, data):
    location = registry.begin(name, **{"digest-algorithm": "sha512"})
    assert registry.finish(location, digest_of(data), data).status == 201
    assert_stored(registry, name, data)


# --- A push that goes wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "failure"),
    [
        (Mistake.UNKNOWN_UPLOAD, Failures.UPLOAD_UNKNOWN),
        (Mistake.GAP, Failures.OUT_OF_ORDER),
        (Mistake.WRONG_RANGE, Failures.WRONG_LENGTH),
        (Mistake.WRONG_DIGEST, Failures.WRONG_DIGEST),
        (Mistake.NO_DIGEST, Failures.NO_DIGEST),
        (Mistake.NO_LAYER, Failures.BLOB_MISSING),
        (Mistake.NO_CONFIG, Failures.BLOB_MISSING),
        (Mistake.NO_JSON, Failures.MANIFEST_INVALID),
        (Mistake.WRONG_SIZE, Failures.MANIFEST_INVALID),
    ],
    ids=lambda value: value.name if isinstance(value, Mistake) else "",
)
def test_a_push_that_goes_wrong_leaves_no_image_and_may_be_repeated(
    registry, name, mistake, failure
):
    image = make_image()
    registry.push(name, "1", image, mistake=mistake, failure=failure)
    assert registry.tags(name) == []
    registry.pull(name, "1", failure=Failures.MANIFEST_UNKNOWN)
    registry.push(name, "1", image)
    assert registry.pull(name, "1") == image.manifest
    assert registry.tags(name) == ["1"]


def test_a_push_without_a_login_ends_at_once(registry, name):
    nobody = registry.as_user(None)
    assert "Authentication is required" in nobody.push(
        name, "1", make_image(), failure=Failures.NO_LOGIN
    )


def test_a_push_with_a_wrong_password_ends_at_once(registry, name):
    stranger = registry.as_user(("admin", "wrong"))
    assert "password" in stranger.push(name, "1", make_image(), failure=Failures.NO_LOGIN)
    assert stranger.get(f"{name}/tags/list").headers["WWW-Authenticate"].startswith("Basic ")


def test_a_push_under_a_bad_name_is_refused(registry):
    registry.push("Team/App", "1", make_image(), failure=Failures.NAME_INVALID)


def test_a_push_of_a_bad_tag_is_refused(registry, name):
    registry.push(name, ".1", make_image(), failure=Failures.TAG_INVALID)
