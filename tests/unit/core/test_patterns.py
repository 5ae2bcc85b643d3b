"""Regular expressions in time that is in proportion to the text."""

import re
from fnmatch import fnmatchcase
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman.patterns import TEXT_MAX_CHARS, Pattern, PatternError, find_wildcards
from tests.clock import cpu_limit

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", "0", "/"])
MARKS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "{0}", "*?"])
EXPRESSIONS = st.recursive(
    st.builds(str.__add__, ATOMS, MARKS),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("({}|{}){}".format, inner, inner, MARKS),
        st.builds("(?:{}){}".format, inner, MARKS),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.text("ab0./\n", max_size=8))
def test_it_says_what_pythons_own_says(expression, text):
    assert Pattern(expression).matches(text) is bool(re.fullmatch(expression, text))


@given(EXPRESSIONS, st.text("ab0./", max_size=8), st.integers(0, 8))
def test_what_matches_begins_as_what_matches_may(expression, text, length):
    if re.fullmatch(expression, text):
        assert Pattern(expression).may_begin(text[:length])


@given(st.text("ab.*?", max_size=8), st.text("ab.", max_size=8))
def test_wildcards_say_what_those_of_file_names_say(pattern, text):
    assert find_wildcards(pattern)(text) is fnmatchcase(text, pattern)


@pytest.mark.parametrize("pattern", ["a*\ud800", "a?*\ud800"])
def test_wildcards_that_no_text_can_be_are_told(pattern):
    with pytest.raises(PatternError):
        find_wildcards(pattern)


@pytest.mark.parametrize(
    ("expression", "yes", "no"),
    [
        ("", [""], ["a"]),
        ("^/v2/|^/v2/app/.*$", ["/v2/", "/v2/app/x"], ["/v2/other"]),
        (r"/v2/(library|team)/[\w.-]+/.*", ["/v2/team/a-b/tags/list"], ["/v2/me/a/tags/list"]),
    ],
)
def test_it_matches_the_whole(expression, yes, no):
    pattern = Pattern(expression)
    assert [text for text in (*yes, *no) if pattern.matches(text)] == yes


def test_classes_hold_what_they_name():
    for expression, yes, no in (
        (r"[\]\-a]", "]-a", "\\b"),
        ("[a-c-]", "abc-", "d"),
        (r"[^\d/]", "a.", "0/"),
        (r"\w", "aZ_0", "/é"),
        (r"\s", " \t\n", "a"),
        (r"\S", "a", " "),
    ):
        pattern = Pattern(expression)
        assert all(map(pattern.matches, yes)), expression
        assert not any(map(pattern.matches, no)), expression


def test_may_begin_is_exact():
    pattern = Pattern("/v2/team/.*/manifests/1[.].*")
    for text in ("", "/", "/v2/team/", "/v2/team/app/manifests/2"):  # .* may hold the last as well
        assert pattern.may_begin(text)
    for text in ("/v3", "/v2/other/"):
        assert not pattern.may_begin(text)
    assert not Pattern("/v2/app/manifests/1").may_begin("/v2/app/manifests/2")


@pytest.mark.parametrize(
    ("expression", "at", "text"),
    [
        ("a(b", 1, r"a '\(' without"),
        ("ab)", 2, r"a '\)' without"),
        ("a[b", 1, r"a '\[' without"),
        ("a[]", 1, "missing ]"),
        ("[b-a]", 1, "invalid character class range"),
        (r"x[a-\d]", 4, "invalid escape sequence"),
        ("*a", 0, r"'\*' has nothing to repeat"),
        ("a**", 2, "a repetition directly after another"),
        ("a*+", 2, "a repetition directly after another"),
        ("a{2", 1, "write a repetition as"),
        ("a{3,2}", 1, "invalid repetition size"),
        (r"(a)\1", 3, r"'\\1' is not supported"),
        (r"\bword", 0, r"'\\b' is not supported"),
        (r"\pN\Qa", 0, r"'\\p' is not supported"),
        ("a\\", 1, "is not supported"),
        ("(?=a)", 0, "only '\\(\\?:' is supported"),
        ("(?P<x>a)", 0, "only"),
        ("a^b", 1, r"is allowed only at the beginning or the end"),
        ("a$b", 1, r"is allowed only at the beginning or the end"),
        ("a{1001}", 1, "invalid repetition size"),
        ("((a{40}){40}){40}", 3, "invalid repetition size"),
        ("((((){9999}){9999}){9999}){9999}", 5, "invalid repetition size"),
        (r"(?:[^/]{1000}|x)" * 9, 0, "too large"),
        ("(?i)a", 0, "only"),
        ("a\ud800", 1, "not Unicode"),
        ("(" * 60 + ")" * 60, 50, "more than 50 nested parentheses"),
    ],
)
def test_what_is_none_is_refused_with_its_place(expression, at, text):
    with pytest.raises(PatternError, match=text) as caught:
        Pattern(expression)
    assert caught.value.at == at


@pytest.mark.parametrize("expression", ["(a+)+b", "(a|a)*b", "(a*)*b", "(.*)(.*)(.*)(.*)b"])
def test_no_text_takes_long(expression):
    """Each of these takes Python's own more time than there is."""
    pattern = Pattern(expression)
    with cpu_limit(10):
        assert not pattern.matches("a" * TEXT_MAX_CHARS)


def test_many_states_take_bounded_memory():
    """An automaton made deterministic would have two to the hundredth states."""
    pattern = Pattern("(a|b)*a(a|b){100}")
    with cpu_limit(10):
        assert not pattern.matches("ab" * (TEXT_MAX_CHARS // 2 - 60) + "b" * 101)


def test_many_states_in_which_each_may_follow_each_take_little_time():
    """Five hundred positions, most of them possible at once, and hardly a state twice."""
    pattern = Pattern("[ab]*a[ab]{20}(?:[ab]?){470}")
    text = "".join(Random(1).choices("ab", k=TEXT_MAX_CHARS))
    with cpu_limit(2):
        pattern.matches(text)


def test_a_text_without_end_matches_nothing():
    assert Pattern("a*").matches("a" * TEXT_MAX_CHARS)
    assert not Pattern("a*").matches("a" * (TEXT_MAX_CHARS + 1))
