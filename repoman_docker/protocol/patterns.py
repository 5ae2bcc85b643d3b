"""Patterns of tags, with exceptions: ``v*`` and ``!v*-rc*``, or ``team/*:v*`` for some images.

As in the restrictions of tokens, ``*`` stands for any characters, ``?`` for one, and ``[0-9]`` for
one of some. A tag is chosen if a pattern fits it and no exception does; their order has no meaning.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

PATTERNS_MAX = 100  # Patterns in a list.
PATTERN_MAX_CHARS = 400
EXCEPTION = "!"

_PATTERN = re.compile(r"(?:[a-zA-Z0-9_.*?/:-]|\[!?[a-zA-Z0-9_.-]+\])+")
_IMAGE_AND_TAG = re.compile(r"(?:[^:]+:)?[^:/]+")


def parse_pattern(text: str) -> str:
    """Return a pattern without spaces around it (ValueError, for people)."""
    text = text.strip()
    pattern = text.removeprefix(EXCEPTION)
    if len(text) > PATTERN_MAX_CHARS:
        raise ValueError(f"a pattern has at most {PATTERN_MAX_CHARS} characters")
    if not (_PATTERN.fullmatch(pattern) and _IMAGE_AND_TAG.fullmatch(pattern)):
        raise ValueError(
            f"{text!r} is not a pattern of tags: write TAG or IMAGE:TAG with *, ? or [0-9], such "
            "as v* or team/*:v*, and ! before an exception"
        )
    return text


def check_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return patterns of which not all are exceptions (ValueError, for people)."""
    if patterns and all(each.startswith(EXCEPTION) for each in patterns):
        raise ValueError("there are only exceptions: write a pattern such as * before them")
    return patterns


@dataclass(frozen=True, slots=True)
class TagChoice:
    """The tags that some patterns choose."""

    patterns: tuple[str, ...] = ()

    def rule_for(self, name: str, tag: str) -> str:
        """Return the pattern that chooses a tag of an image; empty: none does."""
        found = ""
        for each in self.patterns:
            pattern = each.removeprefix(EXCEPTION)
            if fnmatchcase(f"{name}:{tag}" if ":" in pattern else tag, pattern):
                if each.startswith(EXCEPTION):
                    return ""
                found = found or each
        return found
