"""Expressions of content selectors: a small language on the format and the path of content.

::

    expression = and { ("or" | "||") and }
    and        = test { ("and" | "&&") test }
    test       = "(" expression ")" | ("format" | "path") operator text
    operator   = "==" | "!=" | "=^" | "=~"
    text       = '"' characters '"' | "'" characters "'"

``=^`` is "begins with", ``=~`` "is, as a whole, as the regular expression says". A backslash stands
before a quotation mark or a backslash; before anything else it is itself.

Source: the content selectors of the reference product, of which this is all.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from repoman.errors import ExpressionInvalid, Invalid
from repoman.patterns import DEPTH_MAX, Pattern, PatternError

ANYHOW = ("",)  # The prefixes of paths of which nothing is known.
EXPRESSION_MAX_CHARS = 2000  # The longest expression that is accepted.

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<operator>==|!=|=~|=\^)
    |(?P<sign>\(|\)|&&|\|\|)|(?P<word>\w+))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\(["'\\])""")
# Characters that mean themselves, or are made to by a backslash, and that need not be repeated.
_LITERAL = re.compile(r"(?:(?:[^\\.\[\](){}*+?|^$]|\\[^\w\s])(?![*?{]))*")
_AND = ("and", "&&")
_OR = ("or", "||")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: the format of a repository, and a path; it begins with a slash.

    Attributes:
        is_beginning: not this path is meant, but any that begins so.
    """

    format: str
    path: str
    is_beginning: bool = False


class Expression(Protocol):
    """A compiled expression; thread safe."""

    def holds(self, subject: Subject) -> bool:
        """Return whether it holds; for a beginning, whether it may for something below."""

    def prefixes(self, format_: str) -> tuple[str, ...]:
        """Return how all paths begin for which it holds in a format; the empty text: anyhow."""


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple[Expression, ...]

    def holds(self, subject: Subject) -> bool:
        return all(part.holds(subject) for part in self.parts)

    def prefixes(self, format_: str) -> tuple[str, ...]:
        found = [part.prefixes(format_) for part in self.parts]
        # Any part tells enough; the one with the longest beginnings leaves the least.
        return max(found, key=lambda each: min(map(len, each), default=sys.maxsize))


@dataclass(frozen=True, slots=True)
class _AnyOf:
    parts: tuple[Expression, ...]

    def holds(self, subject: Subject) -> bool:
        return any(part.holds(subject) for part in self.parts)

    def prefixes(self, format_: str) -> tuple[str, ...]:
        return tuple(each for part in self.parts for each in part.prefixes(format_))


@dataclass(frozen=True, slots=True)
class _OfFormat:
    """A test of the format, which is known whole even where the path is not."""

    test: Expression

    def holds(self, subject: Subject) -> bool:
        return self.test.holds(Subject("", subject.format))

    def prefixes(self, format_: str) -> tuple[str, ...]:
        return ANYHOW if self.test.holds(Subject("", format_)) else ()


@dataclass(frozen=True, slots=True)
class _Equal:
    text: str

    def holds(self, subject: Subject) -> bool:
        if subject.is_beginning:
            return self.text.startswith(subject.path)
        return subject.path == self.text

    def prefixes(self, format_: str) -> tuple[str, ...]:
        return (self.text,)


@dataclass(frozen=True, slots=True)
class _Unequal:
    text: str

    def holds(self, subject: Subject) -> bool:
        return subject.is_beginning or subject.path != self.text

    def prefixes(self, format_: str) -> tuple[str, ...]:
        return ANYHOW


@dataclass(frozen=True, slots=True)
class _Begins:
    text: str

    def holds(self, subject: Subject) -> bool:
        if subject.is_beginning and self.text.startswith(subject.path):
            return True
        return subject.path.startswith(self.text)

    def prefixes(self, format_: str) -> tuple[str, ...]:
        return (self.text,)


@dataclass(frozen=True, slots=True)
class _Matches:
    pattern: Pattern
    beginning: str

    def holds(self, subject: Subject) -> bool:
        if subject.is_beginning:
            return self.pattern.may_begin(subject.path)
        return self.pattern.matches(subject.path)

    def prefixes(self, format_: str) -> tuple[str, ...]:
        return (self.beginning,)


_TESTS: dict[str, Callable[[str], Expression]] = {"==": _Equal, "!=": _Unequal, "=^": _Begins}


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of the source; ``kind`` is a group of the pattern, or "end"."""

    kind: str
    text: str
    at: int


@lru_cache(maxsize=1000)
def parse_expression(source: str) -> Expression:
    """Return an expression, compiled.

    Raises:
        Invalid: it is none; the text says what is wrong, and at which character.
    """
    if len(source) > EXPRESSION_MAX_CHARS:
        raise Invalid(
            f"expression: it has more than {EXPRESSION_MAX_CHARS} characters.", field="expression"
        )
    parser = _Parser(source)
    found = parser.alternatives()
    parser.expect("end", "'and', 'or' or the end")
    return found


class _Parser:
    def __init__(self, source: str) -> None:
        self._tokens = _tokens(source)
        self._next = next(self._tokens)
        self._depth = 0

    def alternatives(self) -> Expression:
        parts = [self._conjunction()]
        while self._next.text in _OR and self._next.kind != "text":
            self._take()
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else _AnyOf(tuple(parts))

    def expect(self, kind: str, wanted: str) -> _Token:
        if self._next.kind != kind:
            found = f"{self._next.text}" if self._next.kind != "end" else "the end"
            raise _invalid(f"expected {wanted}, found {found}", self._next.at)
        return self._take()

    def _take(self) -> _Token:
        taken = self._next
        if taken.kind != "end":
            self._next = next(self._tokens)
        return taken

    def _conjunction(self) -> Expression:
        parts = [self._test()]
        while self._next.text in _AND and self._next.kind != "text":
            self._take()
            parts.append(self._test())
        return parts[0] if len(parts) == 1 else _All(tuple(parts))

    def _test(self) -> Expression:
        if (self._next.kind, self._next.text) == ("sign", "("):
            return self._group()
        name = self.expect("word", "'format', 'path' or '('")
        if name.text not in ("format", "path"):
            raise _invalid(f"expected 'format', 'path' or '(', found {name.text}", name.at)
        operator = self.expect("operator", "'==', '!=', '=^' or '=~'")
        text = self.expect("text", "a string in quotation marks")
        test = _compile(operator.text, text)
        return _OfFormat(test) if name.text == "format" else test

    def _group(self) -> Expression:
        opening = self._take()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _invalid(f"more than {DEPTH_MAX} nested parentheses", opening.at)
        found = self.alternatives()
        if self._next.text != ")":
            raise _invalid("a '(' without a ')'", opening.at)
        self._take()
        self._depth -= 1
        return found


def _compile(operator: str, literal: _Token) -> Expression:
    text = _ESCAPE.sub(r"\1", literal.text[1:-1])
    if operator != "=~":
        return _TESTS[operator](text)
    try:
        return _Matches(Pattern(text), _literal_beginning(text))
    except PatternError as error:
        raise _invalid(f"in the regular expression, {error}", _place(literal, error.at)) from error


def _literal_beginning(pattern: str) -> str:
    """Return how all texts begin that match a regular expression, if that is easy to tell."""
    found = _LITERAL.match(pattern.removeprefix("^"))
    if found is None or "|" in pattern:
        return ""
    return re.sub(r"\\(.)", r"\1", found[0])


def _place(literal: _Token, index: int) -> int:
    """Return where the character with an index in the text of a literal is in the source."""
    before = 0
    for found in _ESCAPE.finditer(literal.text, 1, len(literal.text) - 1):
        if found.start() - 1 - before >= index:
            break
        before += 1
    return literal.at + 1 + index + before


def _tokens(source: str) -> Iterator[_Token]:
    position = 0
    end = len(source.rstrip())
    while position < end:
        found = _TOKEN.match(source, position)
        if found is None or found.lastgroup is None:
            at = position + len(source[position:]) - len(source[position:].lstrip())
            if source[at] in "\"'":
                raise _invalid("a string without its closing quotation mark", at)
            raise _invalid(f"'{source[at]}' is not allowed here", at)
        yield _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
        position = found.end()
    yield _Token("end", "", end)


def _invalid(problem: str, at: int) -> ExpressionInvalid:
    return ExpressionInvalid(f"expression: at character {at + 1}, {problem}.", at)
