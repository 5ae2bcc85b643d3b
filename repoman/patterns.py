"""Regular expressions that take time in proportion to the text, whatever they are.

Python's own try one way after the other, which some expressions and texts make endless. Here an
expression becomes the automaton of its positions (Glushkov, 1961), and all ways are gone at once;
steps once taken are remembered. There is no way back, so there are no backreferences, no looks
ahead or behind and no greed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

POSITIONS = 500  # characters and classes of an expression, each counted as often as it may repeat
PARTS = 10 * POSITIONS  # of any kind, counted likewise: also what is empty takes time to build
DEPTH = 50  # parentheses in parentheses
REMEMBERED = 10_000  # steps
TEXT_MAX = 2000  # characters of a text; a longer one does not match

ENDLESS = -1  # in place of a highest number of repetitions

_DIGITS = (("0", "9"),)
_SPACES = ((" ", " "), ("\t", "\r"))
_WORDS = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_CLASSES = {"d": _DIGITS, "s": _SPACES, "w": _WORDS}
_SPECIAL = frozenset(r"\.[](){}*+?|^$")


class PatternError(Exception):
    """An expression that is none. ``at`` is the index of the character at fault."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of the given ranges, or of none of them."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool = False

    def __contains__(self, character: str) -> bool:
        """Return whether it is one of these."""
        found = any(low <= character <= high for low, high in self.ranges)
        return found is not self.is_negated


@dataclass(frozen=True, slots=True)
class Chain:
    """One part after the other."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the parts."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part several times; ``most`` may be ENDLESS."""

    part: "Node"
    least: int
    most: int


Node = Characters | Chain | Choice | Repeat
ANY_CHARACTER = Characters((("\n", "\n"),), is_negated=True)


class _Parser:
    """Reads an expression, from the left to the right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._choice()
        if self._at < len(self._text):
            raise PatternError("a ')' without a '('", self._at)
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> bool:
        if self._text.startswith(wanted, self._at):
            self._at += len(wanted)
            return True
        return False

    def _choice(self) -> Node:
        parts = [self._chain()]
        while self._take("|"):
            parts.append(self._chain())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _chain(self) -> Node:
        parts: list[Node] = []
        if not self._depth:
            self._take("^")  # the whole text is meant in any case
        while self._peek() not in ("", "|", ")") and not self._is_end():
            parts.append(self._repeated(self._atom()))
        return Chain(tuple(parts))

    def _is_end(self) -> bool:
        return (
            not self._depth
            and self._text[self._at + 1 : self._at + 2] in ("", "|")
            and self._take("$")
        )

    def _atom(self) -> Node:
        start = self._at
        character = self._peek()
        self._at += 1
        if character == "(":
            return self._group(start)
        if character == "[":
            return self._class(start)
        if character == ".":
            return ANY_CHARACTER
        if character == "\\":
            return self._escape(start)
        if character in "^$":
            raise PatternError(f"'{character}' is allowed only at the beginning or the end", start)
        if character in _SPECIAL:
            raise PatternError(
                f"'{character}' has nothing to repeat; to match the character itself, "
                "write '\\' before it",
                start,
            )
        return Characters(((character, character),))

    def _group(self, start: int) -> Node:
        self._depth += 1
        if self._depth > DEPTH:
            raise PatternError(f"more than {DEPTH} nested parentheses", start)
        if self._peek() == "?" and not self._take("?:"):
            raise PatternError("of the groups '(?…', only '(?:' is supported", start)
        node = self._choice()
        if not self._take(")"):
            raise PatternError("a '(' without a ')'", start)
        self._depth -= 1
        return node

    def _escape(self, start: int) -> Characters:
        character = self._peek()
        self._at += 1
        if character.lower() in _CLASSES:
            return Characters(_CLASSES[character.lower()], is_negated=character.isupper())
        if not character or character.isalnum():
            raise PatternError(f"'\\{character}' is not supported here", start)
        return Characters(((character, character),))

    def _class(self, start: int) -> Characters:
        is_negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        while not self._take("]"):
            if self._at >= len(self._text):
                raise PatternError("a '[' without a ']'", start)
            ranges += self._range()
        if not ranges:
            raise PatternError("'[]' is empty; to match ']', write '\\]'", start)
        return Characters(tuple(ranges), is_negated)

    def _range(self) -> Sequence[tuple[str, str]]:
        start = self._at
        low = self._class_member()
        if len(low) > 1 or low[0][0] != low[0][1] or not self._text.startswith("-", self._at):
            return low
        if self._text.startswith("-]", self._at):
            return low
        self._at += 1
        high = self._class_member()
        if len(high) > 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
            raise PatternError("an invalid range", start)
        return ((low[0][0], high[0][0]),)

    def _class_member(self) -> Sequence[tuple[str, str]]:
        start = self._at
        character = self._peek()
        self._at += 1
        if character != "\\":
            return ((character, character),)
        escaped = self._escape(start)
        if escaped.is_negated:
            raise PatternError("a negated class cannot be part of another class", start)
        return escaped.ranges

    def _repeated(self, node: Node) -> Node:
        start = self._at
        least, most = self._times()
        if (least, most) == (1, 1):
            return node
        self._take("?")  # what is taken first makes no difference to whether the whole matches
        if self._peek() in ("*", "+", "?", "{") and self._peek():
            raise PatternError("a repetition directly after another repetition", self._at)
        if most != ENDLESS and most < least:
            raise PatternError("a repetition whose maximum is below its minimum", start)
        return Repeat(node, least, most)

    def _times(self) -> tuple[int, int]:
        for mark, times in (("*", (0, ENDLESS)), ("+", (1, ENDLESS)), ("?", (0, 1))):
            if self._take(mark):
                return times
        start = self._at
        if not self._take("{"):
            return 1, 1
        end = self._text.find("}", start)
        low, comma, high = self._text[start + 1 : max(end, start)].partition(",")
        if end < 0 or not _is_number(low) or (high and not _is_number(high)):
            raise PatternError("write a repetition as {2}, {2,} or {2,5}", start)
        self._at = end + 1
        least = int(low)
        return least, int(high) if high else ENDLESS if comma else least


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


@dataclass(frozen=True, slots=True)
class _Piece:
    """Where a part may begin and end, as sets of positions, and whether it may be empty."""

    first: int = 0
    last: int = 0
    may_be_empty: bool = True


def _too_large() -> PatternError:
    return PatternError(f"the repetitions expand to more than {POSITIONS} characters", 0)


class Pattern:
    """A compiled expression; thread safe.

    Sets of positions are numbers, with a bit for each: a step takes as many operations as there are
    positions, also where each may follow each.

    Raises:
        PatternError: it is none, or too large.
    """

    def __init__(self, text: str) -> None:
        self._parts = 0
        self._characters: list[Characters] = []
        self._follow: list[int] = []
        whole = self._build(_Parser(text).parse())
        self._first = whole.first
        self._last = whole.last
        self._may_be_empty = whole.may_be_empty
        self._steps: dict[tuple[int, str], int] = {}
        self._places: dict[str, int] = {}

    def matches(self, text: str) -> bool:
        """Return whether the whole text is as the expression says."""
        if not text:
            return self._may_be_empty
        return bool(self._walk(text) & self._last)

    def may_begin(self, text: str) -> bool:
        """Return whether a text that matches may begin so."""
        return not text or bool(self._walk(text))

    def _walk(self, text: str) -> int:
        """Return the positions that the last character may be at."""
        if len(text) > TEXT_MAX:
            return 0
        state = self._first & self._places_of(text[0])
        for character in text[1:]:
            if not state:
                break
            known = self._steps.get((state, character))
            state = self._step(state, character) if known is None else known
        return state

    def _step(self, state: int, character: str) -> int:
        reachable = 0
        for each in _members(state):
            reachable |= self._follow[each]
        found = reachable & self._places_of(character)
        if len(self._steps) >= REMEMBERED:
            self._steps = {}
        self._steps[state, character] = found
        return found

    def _places_of(self, character: str) -> int:
        """Return the positions that a character may be at."""
        places = self._places.get(character)
        if places is None:
            places = sum(1 << at for at, each in enumerate(self._characters) if character in each)
            if len(self._places) >= REMEMBERED:
                self._places = {}
            self._places[character] = places
        return places

    def _build(self, node: Node) -> _Piece:
        self._parts += 1
        if self._parts > PARTS:
            raise _too_large()
        if isinstance(node, Characters):
            return self._place(node)
        if isinstance(node, Repeat):
            return self._build_repeat(node)
        if isinstance(node, Choice):
            piece = _Piece(may_be_empty=False)
            for part in node.parts:
                piece = _either(piece, self._build(part))
            return piece
        piece = _Piece()
        for part in node.parts:
            piece = self._join(piece, self._build(part))
        return piece

    def _build_repeat(self, node: Repeat) -> _Piece:
        piece = _Piece()
        for _ in range(node.least):
            piece = self._join(piece, self._build(node.part))
        for _ in range(max(1, node.most - node.least) if node.most != node.least else 0):
            more = self._build(node.part)
            if node.most == ENDLESS:
                self._connect(more.last, more.first)
            piece = self._join(piece, _Piece(more.first, more.last, may_be_empty=True))
        return piece

    def _place(self, node: Characters) -> _Piece:
        position = len(self._characters)
        if position >= POSITIONS:
            raise _too_large()
        self._characters.append(node)
        self._follow.append(0)
        return _Piece(1 << position, 1 << position, may_be_empty=False)

    def _join(self, one: _Piece, two: _Piece) -> _Piece:
        self._connect(one.last, two.first)
        return _Piece(
            one.first | two.first if one.may_be_empty else one.first,
            one.last | two.last if two.may_be_empty else two.last,
            one.may_be_empty and two.may_be_empty,
        )

    def _connect(self, ends: int, beginnings: int) -> None:
        for each in _members(ends):
            self._follow[each] |= beginnings


def _either(one: _Piece, two: _Piece) -> _Piece:
    return _Piece(one.first | two.first, one.last | two.last, one.may_be_empty or two.may_be_empty)


def _members(positions: int) -> Iterator[int]:
    while positions:
        lowest = positions & -positions
        yield lowest.bit_length() - 1
        positions ^= lowest


@lru_cache(maxsize=1000)
def find_pattern(text: str) -> Pattern:
    """Return the compiled expression, the same one for the same text (PatternError)."""
    return Pattern(text)
