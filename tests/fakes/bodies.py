"""Answers of a remote for downloads, in the order and the pieces that a test writes."""

import hashlib

from repoman.blobs.upload import BlobUpload
from repoman.errors import UpstreamUnavailable
from repoman.proxy.download import Download
from repoman.proxy.fetching import FetchRequest
from tests.clock import WAIT_S

DATA = bytes(range(256)) * 40
SIZE = len(DATA)


class Body:
    """An answer in pieces; a piece may be an error, or an event to wait for."""

    def __init__(self, pieces, status=200, headers=None, length=SIZE):
        self.pieces = iter(pieces)
        self.status = status
        self.headers = headers or {}
        self.length = length
        self.is_closed = False

    def read(self):
        for piece in self.pieces:
            if isinstance(piece, bytes):
                return piece
            if isinstance(piece, Exception):
                raise piece
            assert piece.wait(WAIT_S)
        return b""

    def close(self):
        self.is_closed = True


def broken():
    """The error of a connection that ends early."""
    return UpstreamUnavailable("The remote stopped.")


class Remote:
    """Answers requests one after the other; an answer may be an error."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.starts = []

    def open(self, start):
        self.starts.append(start)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def part(start, data=None, total=SIZE, **headers):
    """The answer to a request for a part."""
    data = DATA[start:] if data is None else data
    content_range = f"bytes {start}-{total - 1}/{total}"
    return Body([data], 206, {"Content-Range": content_range, **headers}, len(data))


def new_download(blobs, remote, data=DATA, has_digest=True, **options):
    """A download that has not begun; ``kept`` and ``ended`` tell what has come of it."""
    kept = []
    order = FetchRequest(
        "a blob",
        {"sha256": hashlib.sha256(data).hexdigest()} if has_digest else {},
        remote.open,
        options.pop("keep", kept.append),
        **options,
    )
    ended = []
    download = Download(order, BlobUpload(blobs), lambda: ended.append(1), sleep=lambda _: None)
    download.kept, download.ended = kept, ended
    return download


def read(download, start=0, length=None):
    """The bytes that a reader gets; all from ``start`` on without a length."""
    reader = download.open()
    return b"".join(reader.pieces(start, len(DATA) - start if length is None else length))
