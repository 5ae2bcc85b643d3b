"""The file of the configuration: what YAML and JSON mean, and references to secrets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from repoman.errors import Invalid
from repoman.provisioning.documents import (
    Secrets,
    parse_document,
    plain,
    references,
    render_document,
    without_defaults,
)
from repoman.sections import Section
from tests.examples import count

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
LOOKALIKES = [
    "no",
    "yes",
    "on",
    "off",
    "true",
    "null",
    "~",
    "1",
    "-1",
    "+1",
    "007",
    "0x1f",
    "0o7",
    "1.5",
    "1.",
    ".5",
    "1e5",
    "1.5e+3",
    "1_000",
    "3:00",
    "12:30:45",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    ".inf",
    ".nan",
    "<<",
    "=",
    "-",
    "?",
    "!",
    "&",
    "*",
    "@",
    "`",
    "#",
    "NO",
    "True",
    "NULL",
]


@settings(max_examples=count(200))
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_again(document):
    for form in ("yaml", "json"):
        assert parse_document(render_document(document, form).encode()) == document


@pytest.mark.parametrize("text", LOOKALIKES)
def test_text_stays_text(text):
    document = {"a": text, text: ["x", text]}
    assert parse_document(render_document(document, "yaml").encode()) == document


def test_plain_values_are_those_of_json():
    text = b"a: no\nb: 3:00\n5000: x\nc: 2026-01-01\nd: 1.5\ne: true\nf: ~\ng:\nh: 007\ni: -12\n"
    assert parse_document(text) == {
        "a": "no",
        "b": "3:00",
        "5000": "x",
        "c": "2026-01-01",
        "d": 1.5,
        "e": True,
        "f": None,
        "g": None,
        "h": "007",
        "i": -12,
    }
    assert parse_document(b"") == {}
    assert parse_document(b"# nothing\n") == {}


def test_mappings_can_be_merged():
    text = b"base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3\n"
    assert parse_document(text)["more"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a: 1\nb: 2\na: 3", "the key 'a' is given twice in line 3"),
        (b'{"a": 1, "a": 2}', "the key 'a' is given twice"),
        (b"a: [", "in line 1"),
        (b"- a", "must be a mapping"),
        (b"a", "must be a mapping"),
        (b"? [1]\n: 2", "a key must be text"),
        (b"a: {<<: {? [1] : 2}}", "a key must be text"),
        (b"a: !!python/object:os.system x", "could not determine a constructor"),
        (b"a: \x00", "neither YAML nor JSON"),
        (b"\xff\xfe\xff", "neither YAML nor JSON"),
        (b"a: \xc3", "neither YAML nor JSON"),
        (b"[" * 5000, "neither YAML nor JSON"),
        (b"a: &a [*a]", "neither YAML nor JSON"),
        (b"a: *b", "neither YAML nor JSON"),
        (b'a: "\\ud800"', "neither YAML nor JSON"),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
            b"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
            b"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]",
            "more than 1000000 values",
        ),
        (b"---\na: 1\n---\nb: 2", "neither YAML nor JSON"),
        (b" " * (11 << 20), "larger than"),
    ],
)
def test_what_is_no_document_is_refused_in_words(data, problem):
    with pytest.raises(Invalid, match=problem):
        parse_document(data)


class Remote(Section):
    url: str
    places: tuple[int, ...] = (80,)
    labels: dict[str, str] = Field(default_factory=dict)
    password: SecretStr = SecretStr("")


def test_secrets_become_references():
    values = plain(Remote(url="u", password=SecretStr("very secret")))
    assert values["password"].get_secret_value() == "very secret"
    shown = references({"settings": {"remote": values}}, "repository my.files-1", set())
    assert shown["settings"]["remote"]["password"] == {
        "secret": "REPOSITORY_MY_FILES_1_SETTINGS_REMOTE_PASSWORD"
    }
    assert "password" not in references(plain(Remote(url="u")), "x", set())


def test_defaults_are_left_out():
    assert without_defaults(plain(Remote(url="u")), Remote).keys() - {"password"} == {"url"}
    changed = plain(Remote(url="u", places=(80, 81), labels={"a": "b"}))
    assert without_defaults(changed, Remote) | {"password": 0} == {
        "url": "u",
        "places": [80, 81],
        "labels": {"a": "b"},
        "password": 0,
    }


def test_a_reference_is_resolved_by_what_is_given_or_the_environment(monkeypatch):
    monkeypatch.setenv("HUB", "of the environment")
    resolve = Secrets({"GIVEN": "of standard input"}).resolve_section
    for name, value in (("HUB", "of the environment"), ("GIVEN", "of standard input")):
        assert resolve(Remote, {"password": {"secret": name}}, "x")["password"] == value
    with pytest.raises(Invalid, match=r"x\.password: the secret GONE is not known"):
        resolve(Remote, {"password": {"secret": "GONE"}}, "x")
    # Only what is secret can refer to a secret: anything else would be exported.
    assert resolve(Remote, {"url": {"secret": "HUB"}}, "x") == {"url": {"secret": "HUB"}}
