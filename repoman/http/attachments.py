"""JSON documents with files in base64, which go to sinks of their own while they arrive.

As in CouchDB, a document has an object ``_attachments``, and in it an object for each file, by its
name, whose ``data`` is the file in base64. Files that the caller asks for go to their sinks; the
rest of the document is kept in memory, with the data of all others as texts.
"""

import binascii
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar

from repoman.errors import Invalid, TooLarge
from repoman.http.body import BodySink, Environ, receive_body

DOCUMENT_MAX_BYTES = 16 << 20  # Of a document without its files; a longer one is refused.
DEPTH_MAX = 100  # Objects and arrays inside each other.
KEY_MAX_BYTES = 1000  # Of the keys on the way to a file.
FILES_MAX = 10  # Files of a document: each is open until all have arrived.
ATTACHMENTS, DATA = "_attachments", "data"

_TOKEN = re.compile(rb'["{}\[\]:,]')
_TEXT = re.compile(rb'(?:[^"\\]|\\.)*+', re.DOTALL)
_QUOTE = b'"'

Sink = TypeVar("Sink", bound=BodySink)


@dataclass(slots=True)
class OpenDocument(Generic[Sink]):
    """A document that has arrived; leaving its context closes the sinks of its files.

    ``value`` has an empty text in place of each file.
    """

    value: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Sink] = field(default_factory=dict)

    def __enter__(self) -> "OpenDocument[Sink]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self.files.values():
            each.close()


OpenFile = Callable[[str], Sink | None]  # None: what it has is no base64, and stays a text


class _Base64:
    """Decodes a text that comes in pieces, in which only the slash may be escaped."""

    def __init__(self, sink: BodySink) -> None:
        self._sink = sink
        self._rest = b""
        self._has_ended = False

    def write(self, data: bytes) -> None:
        """Take the next piece (Invalid: it is not base64)."""
        data = self._rest + data
        is_cut = data.endswith(b"\\")  # A slash may follow.
        data = data.replace(b"\\/", b"/")
        size = (len(data) - is_cut) // 4 * 4
        self._rest = data[size:]
        if size:
            self._decode(data[:size])

    def _decode(self, data: bytes) -> None:
        try:
            if self._has_ended:
                raise ValueError("something follows the end")
            self._sink.write(binascii.a2b_base64(data, strict_mode=True))
        except ValueError as error:
            raise Invalid(f"{ATTACHMENTS}: the data of a file is not base64: {error}.") from error
        self._has_ended = data.endswith(b"=")

    def finish(self) -> None:
        """Return at the end of the text (Invalid: it is incomplete)."""
        if self._rest:
            raise Invalid(f"{ATTACHMENTS}: the data of a file is not base64: it is incomplete.")


class DocumentSink(Generic[Sink]):
    """Takes a document, and gives each file to the sink that is opened for it.

    It is a :class:`repoman.http.body.BodySink`. It knows where in the document it is; whether that
    is JSON is found out at the end, when the rest of it is parsed.
    """

    def __init__(self, open_file: OpenFile[Sink], max_bytes: int = DOCUMENT_MAX_BYTES) -> None:
        self._open_file = open_file
        self._max_bytes = max_bytes
        self._document: OpenDocument[Sink] = OpenDocument()
        self._kept = bytearray()  # The document without its files.
        self._path: list[str | None] = []  # The key in each open object; None: an array.
        self._is_key = False  # Whether the next text is a key.
        self._text: bytearray | None = None  # A text that may be a key on the way to a file.
        self._step: Callable[[bytes, int], int] = self._take_structure
        self._file: _Base64 | None = None

    def check_room(self, size: int) -> None:
        """Return: each file is checked while it arrives."""

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            Invalid: they are not such a document.
            TooLarge: it is too long without its files, too deep, or has too many files.
            RepomanError: a file cannot be stored.
        """
        piece, position = bytes(data), 0
        while position < len(piece):
            position = self._step(piece, position)
        if len(self._kept) > self._max_bytes:
            raise TooLarge(f"The document has more than {self._max_bytes} bytes.")

    def finish(self) -> OpenDocument[Sink]:
        """Return the whole document (Invalid: it is none)."""
        try:
            value = read_json(self._kept)
            if not isinstance(value, dict):
                raise ValueError("it is no object")
        except ValueError as error:
            self.close()
            raise Invalid(f"The body is not a JSON document: {error}.") from error
        self._document.value = value
        return self._document

    def close(self) -> None:
        """Close the sinks of all files."""
        self._document.__exit__(None, None, None)

    # Steps: each takes bytes from a position on, and returns the position of what is left --------

    def _take_structure(self, data: bytes, start: int) -> int:
        found = _TOKEN.search(data, start)
        end = len(data) if found is None else found.end()
        self._kept += data[start:end]
        if found is not None:
            self._note(found[0])
        return end

    def _take_text(self, data: bytes, start: int) -> int:
        found = _TEXT.match(data, start)
        last = start if found is None else found.end()
        self._keep_text(data[start : last + 1])
        if last < len(data) and data[last] == ord(_QUOTE):
            self._end_text()
        elif last < len(data):  # A backslash is the last byte.
            self._step = self._take_escaped
        return last + 1

    def _take_escaped(self, data: bytes, start: int) -> int:
        self._keep_text(data[start : start + 1])
        self._step = self._take_text
        return start + 1

    def _take_file(self, data: bytes, start: int) -> int:
        end = data.find(_QUOTE, start)
        file = self._file
        assert file is not None  # noqa: S101 - as :meth:`_begin_text` has set it
        file.write(data[start : len(data) if end < 0 else end])
        if end < 0:
            return len(data)
        file.finish()
        self._kept += b'"'
        self._step = self._take_structure
        return end + 1

    # Where we are ---------------------------------------------------------------------------------

    def _note(self, token: bytes) -> None:
        if token == b'"':
            self._begin_text()
        elif token in b"{[":
            self._path.append("" if token == b"{" else None)
            self._is_key = token == b"{"
            if len(self._path) > DEPTH_MAX:
                raise TooLarge(f"The document is nested more than {DEPTH_MAX} deep.")
        elif token in b"}]" and self._path:
            self._path.pop()
        elif token == b",":
            self._is_key = bool(self._path) and self._path[-1] is not None
        elif token == b":":
            self._is_key = False

    def _begin_text(self) -> None:
        match self._path:
            case [parent, str() as name, key] if not self._is_key:
                if (parent, key) == (ATTACHMENTS, DATA) and self._begin_file(name):
                    return
        self._step = self._take_text
        self._text = bytearray() if self._is_key and len(self._path) <= 3 else None

    def _begin_file(self, name: str) -> bool:
        """Return whether the text that begins is a file."""
        files = self._document.files
        if name in files:
            raise Invalid(f"{ATTACHMENTS}: the file {name!r} is there twice.")
        if len(files) == FILES_MAX:
            raise TooLarge(f"The document has more than {FILES_MAX} files.")
        sink = self._open_file(name)
        if sink is None:
            return False
        files[name] = sink
        self._file = _Base64(sink)
        self._step = self._take_file
        return True

    def _keep_text(self, data: bytes) -> None:
        self._kept += data
        if self._text is not None and len(self._text) <= KEY_MAX_BYTES:
            self._text += data

    def _end_text(self) -> None:
        self._step = self._take_structure
        if self._text is None or not self._path:
            return
        try:
            key = json.loads(b'"' + self._text)
        except ValueError:
            key = ""  # too long, or no text: then it leads to no file
        self._path[-1] = key


def read_json(data: bytes | bytearray) -> Any:
    """Return a JSON value (ValueError: it is none, too deep, or has numbers that JSON cannot tell).

    Python would take NaN and 1e999, and send them on as what no other reader takes.
    """
    try:
        return json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:80]} is no number")


def receive_document(
    environ: Environ, open_file: OpenFile[Sink], max_bytes: int = DOCUMENT_MAX_BYTES
) -> OpenDocument[Sink]:
    """Return the JSON document of a request, once all its files are in their sinks.

    Without its files, it may have at most ``max_bytes``.

    Raises:
        Invalid: the body is no JSON object.
        RepomanError: it is too large, or a file cannot be stored.
    """
    return receive_body(environ, lambda: DocumentSink(open_file, max_bytes)).finish()
