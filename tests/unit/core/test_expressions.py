"""Expressions of content selectors: what they hold for, and how they are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman.errors import Invalid
from repoman.security.expressions import Subject, parse_expression


def holds(source: str, path: str, format_: str = "toy") -> bool:
    return parse_expression(source).holds(Subject(format_, path))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('path == "/a/b"', True),
        ('path == "/a"', False),
        ('path != "/a"', True),
        ('path != "/a/b"', False),
        ('path =^ "/a"', True),
        ('path =^ "/a/b/c"', False),
        ('path =~ "/a/.*"', True),
        ('path =~ "/a"', False),
        ('path=~"^/a/b$"', True),
        ("path == '/a/b'", True),
        ('format == "toy"', True),
        ('format == "other"', False),
        ('format =^ "to"', True),
        ('format == "toy" and path =^ "/a/"', True),
        ('format == "toy" && path =^ "/b/"', False),
        ('format == "other" or path =^ "/a/"', True),
        ('format == "other" || path =^ "/b/"', False),
        # "and" binds closer than "or".
        ('path =^ "/a" or path =^ "/b" and format == "other"', True),
        ('(path =^ "/a" or path =^ "/b") and format == "other"', False),
        ('((path == "/a/b"))', True),
        ('  path\t==\n"/a/b"  ', True),
    ],
)
def test_it_holds_for_what_it_says(source, expected):
    assert holds(source, "/a/b") is expected


def test_a_backslash_stands_before_marks_and_backslashes_alone():
    assert holds(r'path == "/a\"b"', '/a"b')
    assert holds(r"path == '/a\'b\\'", r"/a'b" + "\\")
    assert holds(r'path =~ "/v1\.0"', "/v1.0")
    assert not holds(r'path =~ "/v1\.0"', "/v100")
    assert holds(r'path =~ "/v1\\.0"', "/v1.0")


@pytest.mark.parametrize(
    ("source", "at", "text"),
    [
        ("", 1, "expected 'format', 'path' or '(', found the end"),
        ("   ", 1, "found the end"),
        ("path", 5, "expected '==', '!=', '=^' or '=~', found the end"),
        ('path "/a"', 6, "expected '==', '!=', '=^' or '=~', found \"/a\""),
        ("path == /a", 9, "'/' is not allowed here"),
        ("path == a", 9, "expected a string in quotation marks, found a"),
        ('path == "/a', 9, "a string without its closing quotation mark"),
        ('path = "/a"', 6, "'=' is not allowed here"),
        ('path === "/a"', 8, "'=' is not allowed here"),
        ('name == "a"', 1, "expected 'format', 'path' or '(', found name"),
        ('path == "/a" path == "/b"', 14, "expected 'and', 'or' or the end, found path"),
        ('path == "/a" and', 17, "expected 'format', 'path' or '(', found the end"),
        ('(path == "/a"', 1, "a '(' without a ')'"),
        ('path == "/a")', 13, "expected 'and', 'or' or the end, found )"),
        ('not path == "/a"', 1, "found not"),
        ('path == "/a" ; x', 14, "';' is not allowed here"),
        ('path =~ "/a(b"', 12, "in the regular expression, a '(' without a ')'"),
        (r'path =~ "/\\d(b"', 14, "a '(' without a ')'"),
        (r'path =~ "\"\"(b"', 14, "a '(' without a ')'"),
        ('path =~ "(?=a)"', 10, "of the groups '(?…', only '(?:' is supported"),
        ("(" * 60, 51, "more than 50 nested parentheses"),
        ('__import__("os").system("id")', 1, "found __import__"),
    ],
)
def test_what_is_none_is_refused_with_its_place(source, at, text):
    with pytest.raises(Invalid) as caught:
        parse_expression(source)
    message = str(caught.value)
    assert message.startswith(f"expression: at character {at}, ")
    assert text in message
    assert caught.value.field == "expression"


def test_an_expression_without_end_is_refused():
    with pytest.raises(Invalid, match="more than 2000 characters"):
        parse_expression('path == "' + "a" * 2000 + '"')


@given(st.text(max_size=40))
def test_no_text_makes_it_fail_otherwise(source):
    assert _wrong_field(source) in (None, "expression")


def _wrong_field(source):
    try:
        parse_expression(source)
    except Invalid as error:
        return error.field
    return None


@pytest.mark.parametrize(
    ("source", "may"),
    [
        ('path == "/a/b/c"', True),
        ('path == "/b"', False),
        ('path != "/a/"', True),
        ('path =^ "/a/b"', True),
        ('path =^ "/"', True),
        ('path =^ "/b"', False),
        ('path =~ "/a/.*/c"', True),
        ('path =~ "/b/.*"', False),
        ('format == "other" and path =^ "/a/"', False),
        ('format == "toy" and path =^ "/a/"', True),
        ('path =^ "/b" or path =^ "/a"', True),
    ],
)
def test_of_a_beginning_it_says_whether_something_below_may_be_picked(source, may):
    assert parse_expression(source).holds(Subject("toy", "/a/", is_beginning=True)) is may
