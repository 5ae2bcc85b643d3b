"""Small content as bytes, and an in-memory cache of values derived from it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import closing
from threading import Lock
from typing import Generic, TypeVar

from repoman.plugin import Asset, Content, ContentStore, Stream
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.service import failure

PIECE = 1 << 18  # bytes to read at a time

Value = TypeVar("Value")


def read_content(content: Content, limit: int) -> bytes:
    """Return all bytes of a content.

    Raises:
        RegistryFailure: MANIFEST_UNKNOWN, it has more than ``limit`` bytes.
    """
    if content.size > limit:
        raise failure(ErrorCode.MANIFEST_UNKNOWN, f"A part of the image exceeds {limit} bytes.")
    body = content.open()
    if isinstance(body, bytes):
        return body
    with closing(body):
        if isinstance(body, Stream):
            return b"".join(body.pieces(0, content.size))
        return body.read()


def pieces_of(content: Content) -> Iterator[bytes]:
    """Yield all bytes of a content, of whatever size, as they come."""
    body = content.open()
    if isinstance(body, bytes):
        yield body
        return
    with closing(body):
        if isinstance(body, Stream):
            yield from body.pieces(0, content.size)
        else:
            while piece := body.read(PIECE):
                yield piece


def read_asset(content: ContentStore, asset: Asset) -> bytes:
    """Return all bytes of a small asset."""
    body = content.open_body(asset)
    if isinstance(body, bytes):
        return body
    with body:
        return body.read()


class BytesBody:
    """Bytes as the response of a remote; see :class:`repoman.plugin.Body`."""

    status = 200

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length: int | None = len(data)
        self.headers: Mapping[str, str] = {}

    def read(self) -> bytes:
        """Return all bytes, then none."""
        data, self._data = self._data, b""
        return data

    def close(self) -> None:
        """Do nothing."""


class Memory(Generic[Value]):
    """A cache of the most recently used values, for values that never change. Thread safe.

    ``capacity`` is the maximum total weight; ``weigh`` returns the weight of a value, by default 1.
    """

    def __init__(self, capacity: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self._capacity = capacity
        self._weigh = weigh
        self._weight = 0
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """Return the value of a key; ``work`` computes it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = work()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._weight += self._weigh(value)
            while self._weight > self._capacity:
                self._weight -= self._weigh(self._values.popitem(last=False)[1])
        return value
