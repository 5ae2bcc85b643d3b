"""Patterns of tags, with exceptions."""

import pytest

from repoman_docker.protocol.patterns import TagChoice, check_patterns, parse_pattern

RULES = TagChoice(("v*", "!v*-rc*", "team/*:stable", "!team/a:*", "[0-9].[0-9]"))


@pytest.mark.parametrize(
    ("name", "tag", "rule"),
    [
        ("app", "v1", "v*"),
        ("app", "v1-rc2", ""),
        ("app", "V1", ""),
        ("app", "1.0", "[0-9].[0-9]"),
        ("app", "1.10", ""),
        ("app", "stable", ""),
        ("team/b", "stable", "team/*:stable"),
        ("team/a", "stable", ""),
        ("team/a", "v1", ""),
        ("app", "latest", ""),
    ],
)
def test_a_pattern_chooses_unless_an_exception_fits(name, tag, rule):
    assert RULES.rule_for(name, tag) == rule


def test_the_order_of_patterns_has_no_meaning():
    for patterns in (("*", "!latest"), ("!latest", "*")):
        assert TagChoice(patterns).rule_for("app", "latest") == ""
        assert TagChoice(patterns).rule_for("app", "1") == "*"


def test_no_patterns_choose_nothing():
    assert TagChoice().rule_for("app", "v1") == ""


@pytest.mark.parametrize("text", ["v*", " v* ", "!v*-rc*", "team/*:v[0-9]?", "a:b"])
def test_patterns_are_accepted(text):
    assert parse_pattern(text) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "!", "a b", "a/b", "a:b:c", ":v1", "app:", "v(1)", "[a-", "v]", "[]", "x" * 401]
)
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(ValueError, match="pattern"):
        parse_pattern(text)


def test_exceptions_alone_are_refused():
    with pytest.raises(ValueError, match="only exceptions"):
        check_patterns(("!v*",))
    assert check_patterns(()) == ()
