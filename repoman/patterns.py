"""Regular expressions in time that is in proportion to the text: RE2, and what it must be asked.

An expression must match a whole text. Lists of names need to know as well whether any text that
begins in a certain way may match. RE2 has no such question, so a second expression is made, which
matches all beginnings of what the first one matches.

The supported syntax is the part of RE2's that means the same to everybody: no flags, no names of
groups, no escapes but those of classes and of signs.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import re2

DEPTH_MAX = 50  # Parentheses in parentheses.
TEXT_MAX_CHARS = 2000  # A longer text does not match.
PATTERN_MAX_CHARS = 4000  # The longest expression.
EXPRESSIONS_MAX = 200  # Expressions in a list, each of which takes time and memory.
PATTERN_MAX_BYTES = 1 << 20  # Memory that RE2 may take for one expression.
PATTERNS_MAX = 500  # Compiled expressions that are kept.
TOLD_MAX_CHARS = 200  # What an error tells of an expression.

_TOKEN = re.compile(
    r"""(?P<atom>\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^]\\])*\]|\\[dswDSW_\W]|[^][\\(){}*+?|^$])
    |(?P<times>(?:[*+?]|\{\d{1,4}(?:,\d{0,4})?\}))\??
    |(?P<open>\((?:\?:)?)(?!\?)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_PROBLEMS = {
    "[": "a '[' without a ']'",
    "]": "a ']' without a '['; to match the character itself, write '\\' before it",
    "(": "of the groups '(?…', only '(?:' is supported",
    "{": "write a repetition as {2}, {2,} or {2,5}",
    "}": "a '}' without a '{'; to match the character itself, write '\\' before it",
    "^": "'^' is allowed only at the beginning or the end",
    "$": "'$' is allowed only at the beginning or the end",
}


class PatternError(Exception):
    """An invalid expression. ``at`` is the index of the character at fault."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class Pattern:
    """A compiled expression; thread safe.

    Raises:
        PatternError: it is invalid, or too large.
    """

    def __init__(self, text: str) -> None:
        if len(text) > PATTERN_MAX_CHARS:
            raise PatternError(f"more than {PATTERN_MAX_CHARS} characters", PATTERN_MAX_CHARS)
        beginnings = _Parser(text).beginnings()
        self._whole = _compile(text)
        self._beginnings = _compile(beginnings)

    def matches(self, text: str) -> bool:
        """Return whether the whole text is as the expression says."""
        return _is_match(self._whole, text)

    def may_begin(self, text: str) -> bool:
        """Return whether a text that matches may begin so."""
        return _is_match(self._beginnings, text)


@lru_cache(maxsize=PATTERNS_MAX)
def find_pattern(text: str) -> Pattern:
    """Return the compiled expression, the same one for the same text (PatternError)."""
    return Pattern(text)


def check_pattern(text: str) -> str:
    """Return an expression that is valid (ValueError, for people)."""
    try:
        find_pattern(text)
    except PatternError as error:
        raise ValueError(
            f"{text[:TOLD_MAX_CHARS]!r} is not a valid regular expression: {error} "
            f"(at character {error.at + 1})"
        ) from error
    return text


def wildcards_expression(text: str) -> str:
    """Return the expression of a pattern with ``*`` for any characters and ``?`` for one."""
    wild = {"*": ".*", "?": "."}
    parts = re.split(r"([*?])", re.sub(r"\*+", "*", text))
    return "".join(wild.get(each) or re.escape(each) for each in parts)


def find_wildcards(text: str) -> Callable[[str], bool]:
    """Return what says whether a whole text is as a pattern with ``*`` and ``?`` (PatternError).

    It is meant for thousands of texts, most of which lack a piece of the pattern.
    """
    is_match = find_pattern(wildcards_expression(text)).matches
    if "*" not in text:
        return is_match
    if "?" not in text:
        return partial(_has_in_order, text.split("*"))
    pieces = [each for each in re.split(r"[*?]+", text) if each]

    def fits(found: str) -> bool:
        for piece in pieces:
            if piece not in found:
                return False
        return is_match(found)

    return fits


def _has_in_order(pieces: Sequence[str], text: str) -> bool:
    """Return whether a text begins and ends with the outer pieces, with the others between."""
    first, last = pieces[0], pieces[-1]
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in pieces[1:-1]:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _is_match(compiled: Any, text: str) -> bool:
    # As bytes, or RE2 would count the characters up to each end of the match.
    data = text.encode("utf-8", "surrogatepass")
    return len(text) <= TEXT_MAX_CHARS and compiled.fullmatch(data) is not None


def _compile(text: str) -> Any:
    options = re2.Options()
    options.max_mem = PATTERN_MAX_BYTES
    options.never_capture = True
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except UnicodeEncodeError as error:
        raise PatternError("a character that is not Unicode", error.start) from error
    except re2.error as error:
        problem = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise PatternError(problem, _index_of(problem, text)) from error


def _index_of(problem: str, text: str) -> int:
    """Return where in an expression the piece is that RE2 names at the end of its message."""
    return max(0, text.find(problem.partition(": ")[2]))


@dataclass(frozen=True, slots=True)
class _Item:
    """A piece of an expression as it is written, and what matches the beginnings of it."""

    text: str
    beginnings: str


class _Parser:
    """Checks the structure of an expression, and derives the expression of its beginnings.

    The beginnings of ``AB`` are those of ``A``, and ``A`` with those of ``B``; the beginnings of
    ``A*`` are those of ``A`` after any number of ``A``.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.finditer(text)
        self._depth = 0
        self._advance()

    def beginnings(self) -> str:
        """Return the expression of the beginnings (PatternError)."""
        found = self._choice()
        if self._token is not None:
            raise PatternError("a ')' without a '('", self._at)
        return found

    def _advance(self) -> None:
        self._token = next(self._tokens, None)
        self._at = self._token.start() if self._token else len(self._text)

    def _is(self, *signs: str) -> bool:
        return self._token is not None and self._token["sign"] in signs

    def _choice(self) -> str:
        parts = [self._chain()]
        while self._is("|"):
            self._advance()
            parts.append(self._chain())
        return "|".join(parts)

    def _chain(self) -> str:
        if not self._depth and self._is("^"):  # the whole text is meant in any case
            self._advance()
        items: list[_Item] = []
        while self._token is not None and not self._token["sign"]:
            items.append(self._item())
        start = self._at
        if not self._depth and self._is("$"):
            self._advance()
        if not (self._token is None or self._is("|", ")")):
            sign = self._text[start]
            raise PatternError(
                _PROBLEMS.get(sign, f"'{self._text[start : start + 2]}' is not supported"), start
            )
        return _beginnings_of(items)

    def _item(self) -> _Item:
        start = self._at
        one = self._atom()
        token = self._token
        if token is None or not token["times"]:
            return one
        self._advance()
        if self._token is not None and self._token["times"]:
            raise PatternError("a repetition directly after another repetition", self._at)
        return _Item(self._text[start : self._at], _repeated(one, token["times"]))

    def _atom(self) -> _Item:
        token, start = self._token, self._at
        assert token is not None  # noqa: S101 - the caller has looked
        if token["times"]:
            raise PatternError(
                f"'{token[0]}' has nothing to repeat; to match the character itself, "
                "write '\\' before it",
                start,
            )
        self._advance()
        if token["atom"]:
            return _Item(token[0], f"(?:{token[0]})?")
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise PatternError(f"more than {DEPTH_MAX} nested parentheses", start)
        inner = self._choice()
        if not self._is(")"):
            raise PatternError("a '(' without a ')'", start)
        self._depth -= 1
        self._advance()
        return _Item(self._text[start : self._at], f"(?:{inner})")


def _repeated(item: _Item, times: str) -> str:
    """Return what matches the beginnings of an item that is repeated."""
    most = {"*": "", "+": "", "?": "1"}.get(times, times[1:-1].rpartition(",")[2])
    if not most:
        return f"(?:{item.text})*{item.beginnings}"
    return f"(?:{item.text}){{0,{int(most) - 1}}}{item.beginnings}" if int(most) else ""


def _beginnings_of(items: list[_Item]) -> str:
    """Return what matches the beginnings of a chain; in halves, or it would grow too deep."""
    if len(items) < 2:
        return items[0].beginnings if items else ""
    half = len(items) // 2
    left = "".join(each.text for each in items[:half])
    return f"(?:{_beginnings_of(items[:half])}|{left}{_beginnings_of(items[half:])})"
