"""Text for people: in terminals and logs, control characters would be obeyed, or forge lines."""

import logging
import re
from io import TextIOWrapper
from typing import TextIO

_SECRET = re.compile(r"(rpm_[0-9a-f]{16}_)[\w-]+", re.ASCII)  # a user token, after its id


def without_secrets(text: str) -> str:
    """Return a text with stars in place of the secrets of user tokens; their ids stay.

    Some clients send a token as a part of an address, to end it for example.
    """
    return _SECRET.sub(r"\1***", text)


def escaped(text: str, keep: str = "") -> str:
    """Return a text with escapes, such as that of a bell, in place of what cannot be printed.

    Control and format characters (which turn the direction of writing) are among that, line breaks
    too. The characters in ``keep`` stay as they are.
    """
    if _without(text, keep).isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _escape(each) for each in text)


def _without(text: str, keep: str) -> str:
    for each in keep:
        text = text.replace(each, "")
    return text


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def pluralize(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun, such as ``1 blob`` or ``2 blobs``."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class PrintableFormatter(logging.Formatter):
    """Writes a record as one printable line without secrets; only tracebacks have more."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of logging
        """Return the line of a record."""
        return escaped(without_secrets(super().formatMessage(record)))

    def formatException(self, ei: object) -> str:  # noqa: N802 - the name of logging
        """Return a traceback; what an error says may come from anywhere."""
        text = super().formatException(ei)  # type: ignore[arg-type]
        return escaped(without_secrets(text), keep="\n")


class PrintableStream(TextIOWrapper):
    """A stream to a terminal that is sent line breaks and tabs, and nothing else to obey.

    Args:
        stream: an open text stream, which is of no use afterwards.
    """

    def __init__(self, stream: TextIOWrapper) -> None:
        encoding, errors = stream.encoding, stream.errors
        is_line_buffered = stream.line_buffering
        super().__init__(stream.detach(), encoding, errors, line_buffering=is_line_buffered)

    def write(self, text: str) -> int:
        """Write a text and return its length."""
        super().write(escaped(text, keep="\n\t"))
        return len(text)


def printable(stream: TextIO) -> TextIO:
    """Return a stream in place of another one that sends on what can be printed alone."""
    return PrintableStream(stream) if isinstance(stream, TextIOWrapper) else stream


def render_size(size: int) -> str:
    """Return a number of bytes with one decimal, such as ``142.3 MiB``."""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
