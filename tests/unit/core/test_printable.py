"""What reaches terminals and logs: nothing that they would obey."""

import io
import logging
import sys

import pytest

from repoman.printable import PrintableFormatter, PrintableStream, escaped, without_secrets

EVIL = "a\x1b[2J\x9b31m\x07\x7f\u202e\u2028\r\nb"
TAMED = "a\\x1b[2J\\x9b31m\\x07\\x7f\\u202e\\u2028\\r\\nb"


def test_what_cannot_be_printed_is_escaped():
    assert escaped(EVIL) == TAMED
    assert escaped("Grüße, 日本") == "Grüße, 日本"
    assert escaped("a\tb\nc\r", keep="\n\t") == "a\tb\nc\\r"
    assert escaped("\udc80") == "\\udc80"


def render(*given: object, exc_info: object = None) -> str:
    record = logging.LogRecord("name", logging.INFO, "file", 1, "%s", given, exc_info)
    return PrintableFormatter("%(levelname)s %(message)s").format(record)


def test_a_record_is_one_line():
    assert render(EVIL) == f"INFO {TAMED}"
    assert render(ValueError(EVIL)) == f"INFO {TAMED}"


def test_a_traceback_has_lines_and_nothing_else_to_obey():
    try:
        raise ValueError(EVIL)
    except ValueError:
        lines = render("it failed", exc_info=sys.exc_info()).split("\n")
    assert lines[:2] == ["INFO it failed", "Traceback (most recent call last):"]
    assert all(line.isprintable() for line in lines)


def test_the_secret_of_a_user_token_is_told_nowhere():
    path = "/-/user/token/rpm_0123456789abcdef_a-Secret_0/x?t=rpm_fedcba9876543210_Other&a=1"
    masked = "/-/user/token/rpm_0123456789abcdef_***/x?t=rpm_fedcba9876543210_***&a=1"
    assert without_secrets(path) == masked
    assert render(path) == f"INFO {masked}"
    try:
        raise ValueError(path)
    except ValueError:
        assert "Secret" not in render("it failed", exc_info=sys.exc_info())
    assert without_secrets("rpm_0123456789abcdef rpm_x_y") == "rpm_0123456789abcdef rpm_x_y"


@pytest.mark.parametrize("errors", ["strict", "backslashreplace"])
def test_a_stream_is_sent_line_breaks_and_nothing_else_to_obey(errors):
    buffer = io.BytesIO()
    stream = PrintableStream(io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=True))
    assert stream.write(EVIL) == len(EVIL)
    stream.write("\tc\n")
    assert buffer.getvalue().decode() == TAMED.replace("\\nb", "\nb") + "\tc\n"
    assert (stream.encoding, stream.errors, stream.line_buffering) == ("utf-8", errors, True)
