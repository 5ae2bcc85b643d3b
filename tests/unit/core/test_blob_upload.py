"""One body straight into a blob store."""

import hashlib

import pytest

from repoman.blobs.upload import BlobUpload, store_bytes


def uploads(tmp_path):
    return list((tmp_path / "blobs/uploads").iterdir())


def test_what_is_committed_stays(blobs, tmp_path):
    with BlobUpload(blobs, ("sha512",)) as upload:
        upload.write(b"some ")
        upload.write(memoryview(b"bytes"))
        assert upload.size == 10
        assert upload.hexdigest("sha512") == hashlib.sha512(b"some bytes").hexdigest()
        blob = upload.commit()
    with blobs.open(blob.digest) as file:
        assert file.read() == b"some bytes"
    assert uploads(tmp_path) == []


def test_what_is_not_committed_is_dropped(blobs, tmp_path):
    with BlobUpload(blobs) as upload:
        upload.write(b"some bytes")
        assert len(uploads(tmp_path)) == 1
    assert uploads(tmp_path) == []


def test_an_error_drops_the_bytes(blobs, tmp_path):
    def write_and_fail():
        with BlobUpload(blobs) as upload:
            upload.write(b"some bytes")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert uploads(tmp_path) == []


def test_bytes_at_hand_become_a_blob(blobs):
    blob = store_bytes(blobs, b"some bytes")
    assert (blob.digest, blob.size) == (hashlib.sha256(b"some bytes").hexdigest(), 10)
