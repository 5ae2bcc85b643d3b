"""Multipart forms whose files go to sinks of their own while they arrive; nothing is buffered."""

from collections.abc import Callable
from types import TracebackType

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from repoman.errors import Invalid, RepomanError, TooLarge
from repoman.http.body import Environ, receive_body
from repoman.rest.endpoints import Form, Part, PartSink

PARTS_MAX = 1000  # Fields and files of a form.
FILES_MAX = 100  # Files of a form: each is open until all have arrived.
TEXTS_MAX_BYTES = 1 << 18  # All texts of a form together.
STEP_BYTES = 1 << 16  # What the decoder gets at a time.
DECODER_MAX_BYTES = 1 << 18  # What the decoder may hold, such as the headers of a part.

# Returns where a file goes, by the names of its field and of the file, and by its media type.
OpenPart = Callable[[str, str, str], PartSink]


class OpenForm(Form):
    """A form that has arrived; leaving its context closes the sinks of its files."""

    def __enter__(self) -> "OpenForm":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sinks of all files."""
        for each in self.parts:
            each.sink.close()


class FormSink:
    """Takes the body of a multipart form, and gives each file to the sink that is opened for it.

    It is a :class:`repoman.http.body.BodySink`.
    """

    def __init__(self, boundary: bytes, open_part: OpenPart) -> None:
        self._decoder = MultipartDecoder(boundary, DECODER_MAX_BYTES, max_parts=PARTS_MAX)
        self._open_part = open_part
        self._form = OpenForm()
        self._field = ""  # Of the text that arrives.
        self._text: bytearray | None = None  # None: a file arrives, for the last sink.
        self._texts_size = 0

    def check_room(self, size: int) -> None:
        """Return: each file is checked while it arrives."""

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            Invalid: they are not a multipart form.
            TooLarge: the form has too many parts or too long texts.
            RepomanError: a file cannot be stored.
        """
        for start in range(0, len(data), STEP_BYTES):
            self._feed(bytes(data[start : start + STEP_BYTES]))

    def finish(self) -> OpenForm:
        """Return the whole form (Invalid: its end is missing)."""
        try:
            self._feed(None)
        except RepomanError:
            self.close()
            raise
        return self._form

    def close(self) -> None:
        """Close the sinks of all files."""
        self._form.close()

    def _feed(self, data: bytes | None) -> None:
        try:
            self._decoder.receive_data(data)
            while self._take(self._decoder.next_event()):
                pass
        except RequestEntityTooLarge as error:
            raise TooLarge("The form has too many parts, or too long texts.") from error
        except ValueError as error:
            raise Invalid("The body is not a complete multipart form.") from error

    def _take(self, event: Event) -> bool:
        """Handle a piece of the form; return whether there may be another one."""
        if isinstance(event, File):
            self._begin_file(event)
        elif isinstance(event, Field):
            self._text = bytearray()
            self._field = event.name or ""
        elif isinstance(event, Data):
            if self._text is None:
                self._form.parts[-1].sink.write(event.data)
            else:
                self._take_text(self._text, event)
        return not isinstance(event, NeedData | Epilogue)

    def _begin_file(self, event: File) -> None:
        self._text = None
        if len(self._form.parts) == FILES_MAX:
            raise TooLarge(f"The form has more than {FILES_MAX} files.")
        field = event.name or ""
        media_type = event.headers.get("Content-Type", "application/octet-stream")
        sink = self._open_part(field, event.filename, media_type)
        self._form.parts.append(Part(field, event.filename, media_type, sink))

    def _take_text(self, text: bytearray, event: Data) -> None:
        text += event.data
        self._texts_size += len(event.data)
        if self._texts_size > TEXTS_MAX_BYTES:
            raise TooLarge("The form has too many parts, or too long texts.")
        if not event.more_data:
            self._form.fields.setdefault(self._field, []).append(text.decode())


def receive_form(environ: Environ, open_part: OpenPart) -> OpenForm:
    """Return the form of a request, once all its files are in their sinks.

    Raises:
        Invalid: the body is not a multipart form.
        RepomanError: it is too large, or a file cannot be stored.
    """
    kind, options = parse_options_header(environ.get("CONTENT_TYPE", ""))
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise Invalid("The body must be multipart/form-data.")
    return receive_body(environ, lambda: FormSink(boundary.encode(), open_part)).finish()
