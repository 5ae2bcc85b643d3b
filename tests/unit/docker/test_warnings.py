"""The header Warning."""

from repoman_docker.protocol.texts import WARNING_MAX_CHARS, WARNINGS_MAX, render_warnings


def test_each_text_is_there_once_in_quotes():
    assert render_warnings(["Old.", "No remote.", "Old."]) == '299 - "Old.", 299 - "No remote."'


def test_what_would_break_the_header_is_left_out():
    assert render_warnings(['a"b\\c\r\nd: é']) == '299 - "abcd: "'


def test_it_stays_short():
    header = render_warnings(
        f"{number}{'x' * 2 * WARNING_MAX_CHARS}" for number in range(2 * WARNINGS_MAX)
    )
    assert header.count("299") == WARNINGS_MAX
    assert len(header) < WARNINGS_MAX * (WARNING_MAX_CHARS + 20)
