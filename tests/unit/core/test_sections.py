"""What a section makes of texts that somebody wrote, and how it says what is wrong."""

import json
from enum import StrEnum
from typing import Literal

import pytest
from pydantic import Field, SecretStr

from repoman.errors import Invalid
from repoman.repositories.proxy_sections import HttpClientSection
from repoman.sections import RegularExpression, Section, Text, WebAddress, parse_section


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Sample(Section):
    word: str = ""
    maybe: str | None = None
    secret: SecretStr = SecretStr("")
    colour: Colour = Colour.RED
    count: int = Field(0, ge=0, le=9, description="How many there are.")
    port: int | None = None
    share: float = 0.5
    flag: bool | None = None
    names: tuple[str, ...] = Field((), min_length=0)
    given: tuple[str, ...] = ("a",)
    expressions: tuple[RegularExpression, ...] = ()
    table: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    address: WebAddress | Literal[""] = ""


KEY_FILE = json.dumps({"type": "service_account", "private_key": "-----BEGIN\nabc\n"}, indent=2)


@pytest.mark.parametrize(
    "text", ["12345678", KEY_FILE, '"quoted"', "true", "null", "[1]", "", " a "]
)
def test_a_field_of_text_takes_the_text(text):
    made = Sample(word=Text(text), maybe=Text(text), secret=Text(text))
    assert (made.word, made.maybe, made.secret.get_secret_value()) == (text, text, text)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("colour", "blue", Colour.BLUE),
        ("count", "7", 7),
        ("port", "5000", 5000),
        ("port", "null", None),
        ("port", "", None),
        ("flag", "true", True),
        ("flag", "null", None),
        ("names", "a,b", ("a", "b")),
        ("names", "a, b,", ("a", "b")),
        ("names", "a", ("a",)),
        ("names", "1", ("1",)),
        ("names", '["a", "b"]', ("a", "b")),
        ("names", "", ()),
        ("names", "null", ()),
        ("names", '["null"]', ("null",)),
        ("given", "null", ("a",)),
        ("given", "", ()),
        ("count", "null", 0),
        ("expressions", "x{1,2}", ("x{1,2}",)),
        ("expressions", "[a-z]+", ("[a-z]+",)),
        ("expressions", '["a", "b"]', ("a", "b")),
        ("expressions", "null", ()),
        ("expressions", "", ()),
        ("table", '{"a": ["b"]}', {"a": ("b",)}),
        ("table", "null", {}),
    ],
)
def test_other_fields_read_it(key, text, value):
    assert getattr(Sample(**{key: Text(text)}), key) == value


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("word", 5, "sample.word: must be a string."),
        ("secret", 12345678, "sample.secret: must be a string."),
        ("colour", Text("green"), "sample.colour: must be 'red' or 'blue'."),
        ("count", Text("many"), "sample.count: must be a whole number (How many there are)."),
        ("count", Text("10"), "sample.count: must be at most 9 (How many there are)."),
        ("count", True, "sample.count: must be a whole number (How many there are)."),
        ("count", Text("true"), "sample.count: must be a whole number (How many there are)."),
        ("port", False, "sample.port: must be a whole number."),
        ("share", True, "sample.share: must be a number."),
        ("flag", Text("perhaps"), "sample.flag: must be true or false."),
        ("names", 5, 'sample.names: must be a list, such as a,b or ["a", "b"].'),
        ("names", ["a", 5], "sample.names.1: must be a string."),
        ("table", Text("a"), 'sample.table: must be a JSON object, such as {"key": "value"}.'),
        (
            "address",
            "http://a?b",
            "sample.address: must not have a query or a fragment: write http://a.",
        ),
        ("wrod", "a", "sample.wrod: unknown key; did you mean word?"),
        (
            "xyz",
            "a",
            "sample.xyz: unknown key; choose one of: address, colour, count, expressions, flag, "
            "given, maybe, names, port, secret, share, table, word.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_words(key, value, said):
    with pytest.raises(Invalid) as caught:
        parse_section(Sample, {key: value}, "sample")
    assert str(caught.value) == said


@pytest.mark.parametrize("key", ["bearer_token", "user_agent_suffix"])
@pytest.mark.parametrize("text", ["é", "☃", "a\r\nX-Other: b", "a\n", "a\0"])
def test_what_no_header_takes_is_refused_and_not_told(key, text):
    with pytest.raises(Invalid) as caught:
        parse_section(HttpClientSection, {key: text}, "http_client")
    said = str(caught.value)
    assert said.startswith(f"http_client.{key}: must be one line of ASCII characters")
    assert text not in said
    assert HttpClientSection(**{key: "plain-0.1"})


class Needed(Section):
    names: tuple[str, ...]


def test_null_is_no_name_in_a_list_that_has_to_be_there():
    with pytest.raises(Invalid, match="must be a list, such as a,b"):
        parse_section(Needed, {"names": Text("null")}, "needed")
