"""Bodies between the application and the server: the contract of both.

**Request bodies.** A route asks for its body where it wants it, with :func:`receive_body` (any
size, into a sink) or :func:`read_body` (small, as bytes). A server that can will call the
application *before* the body is read, with ``environ[ADMISSION]`` set. Then one of two things
happens:

- the route asks for the body: :class:`BodyWanted` leaves the application; the server moves the
  body into the sink (or a bounded buffer) and calls the application once more, without ADMISSION
  and with the sink under ``environ[RECEIVED]``, where the route continues at the same line;
- the application answers without asking (401, 404, 413, …): that is the final response, and the
  body is never read.

A small body may have come with the header. Then the server moves it when the route asks
(``environ[TAKE_BODY]``), and the route goes on in the same call.

So every rule is written once, in the route, and refuses before the first byte. A route must change
nothing before it asks for its body. Under a plain WSGI server the body is read in place.

**Response bodies** that are not there yet when they are sent: a :class:`Stream` gives pieces as
they come; a worker sends them. Of a :class:`GrowingFile` a server can also ask what is ready, so
that it can send it without a worker.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

from werkzeug.wsgi import get_input_stream

from repoman.errors import RepomanError, TooLarge

ADMISSION = "repoman.admission"  # present: the body has not been read yet
RECEIVED = "repoman.received"  # the sink that holds the body
# During admission: takes a BodyWanted, and returns what the second call would find in environ; None
# if the body has not come yet.
TAKE_BODY = "repoman.take_body"
BODY_ERROR = "repoman.body_error"  # the RepomanError that ended the body early

# environ: a server that can send growing files has here what makes a response body of a
# GrowingFile, the position of the first byte, and the number of bytes.
SEND_GROWING = "repoman.send_growing"

CHUNK = 1 << 18  # bytes moved at a time when the body is read in place

Environ = dict[str, Any]
WSGI = Callable[[Environ, Any], Iterable[bytes]]


class BodySink(Protocol):
    """Takes a request's body while it arrives; used by one thread at a time."""

    def check_room(self, size: int) -> object:
        """Refuse a body of this size if it certainly does not fit; called before the first byte.

        Raises:
            StorageFull: it does not fit; the body is refused.
        """

    def write(self, data: bytes | memoryview) -> object:
        """Store the next bytes; a memoryview is only valid during the call.

        Raises:
            RepomanError: the bytes cannot be stored (StorageFull, TooLarge); the body ends here.
        """

    def close(self) -> None:
        """Release everything. Called if the body was cut off, and safe to call again."""


Sink = TypeVar("Sink", bound=BodySink)


class BodyWanted(BaseException):
    """Leaves the application during admission: read the body, then call again.

    Not an ``Exception``, so that no error handler on the way takes it for a failure.

    Attributes:
        sink: where the body goes, or None for a buffer of the server's own.
        limit: the largest buffered body, in bytes (only with ``sink`` None).
    """

    def __init__(self, sink: BodySink | None, limit: int = 0) -> None:
        super().__init__()
        self.sink = sink
        self.limit = limit


def receive_body(environ: Environ, open_sink: Callable[[], Sink]) -> Sink:
    """Move the whole body into the sink and return it; the caller then owns the sink.

    ``open_sink`` is called once per request and may raise any RepomanError to refuse the body.
    """
    received: Sink | None = environ.pop(RECEIVED, None)
    if received is not None:
        return _checked(environ, received)
    sink = open_sink()
    _check_room(environ, sink)
    if ADMISSION in environ:
        _take_body(environ, BodyWanted(sink))
        del environ[RECEIVED]
        return _checked(environ, sink)
    try:
        stream = get_input_stream(environ)
        while data := stream.read(CHUNK):
            sink.write(data)
    except BaseException:
        sink.close()
        raise
    return sink


def _take_body(environ: Environ, wanted: BodyWanted) -> None:
    """Have the server move a body that is there; leave the application until it is (BodyWanted)."""
    take = environ.pop(TAKE_BODY, None)
    found: Environ | None = None if take is None else take(wanted)
    if found is None:
        raise wanted
    del environ[ADMISSION]
    environ.update(found)


def body_length(environ: Environ) -> int | None:
    """Return how many bytes the body has; None for one in chunks that has not arrived yet.

    A request that says nothing of a body has none (RFC 9112, section 6.3).
    """
    if text := environ.get("CONTENT_LENGTH"):
        return int(text)
    is_coming = ADMISSION in environ or "HTTP_TRANSFER_ENCODING" in environ
    return None if is_coming else 0


def _check_room(environ: Environ, sink: BodySink) -> None:
    length = body_length(environ)
    if length == 0:  # The last request of an upload has none.
        return
    try:
        sink.check_room(length or 0)
    except BaseException:
        sink.close()
        raise


def _checked(environ: Environ, sink: Sink) -> Sink:
    error: RepomanError | None = environ.pop(BODY_ERROR, None)
    if error is not None:
        sink.close()
        raise error
    return sink


def close_untaken(environ: Environ) -> None:
    """Close the sink of a body that was received, but that the application did not ask for again.

    It may have found a reason against the request that it did not see at admission. Called before
    the response leaves: the client may come back at once for what the sink holds.
    """
    sink: BodySink | None = environ.pop(RECEIVED, None)
    if sink is not None:
        sink.close()


def read_body(environ: Environ, limit: int) -> bytes:
    """Return the whole body, at most ``limit`` bytes.

    Raises:
        TooLarge: the body is longer; during admission this is known from Content-Length alone.
    """
    if (body_length(environ) or 0) > limit:
        raise _too_large(limit)
    if ADMISSION in environ:
        _take_body(environ, BodyWanted(None, limit))
    error: RepomanError | None = environ.pop(BODY_ERROR, None)
    if error is not None:
        raise error
    data = get_input_stream(environ).read(limit + 1)
    if len(data) > limit:
        raise _too_large(limit)
    return data


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is larger than the limit of {limit} bytes.")


@runtime_checkable
class Stream(Protocol):
    """Bytes on their way."""

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        """Yield ``length`` bytes from ``start`` on, as they come.

        Raises:
            Exception: they cannot be read; the client's connection has to be closed.
        """

    def close(self) -> None:
        """Let go of everything; safe to call again."""


@runtime_checkable
class GrowingFile(Stream, Protocol):
    """A file that somebody is writing."""

    def fileno(self) -> int:
        """Return its descriptor; to be read by position only."""

    def ready(self, position: int) -> int | bytes:
        """Return what may be sent now from ``position`` on. Must not wait; any thread.

        That is so many bytes of the file; or these, which are not in it. Who asks does not need
        what is before any more.

        Raises:
            Exception: no more will come; the client's connection has to break.
        """

    def subscribe(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called, from any thread, when more is ready; until closed."""
