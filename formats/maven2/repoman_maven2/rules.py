"""The order of versions, as Maven defines it (POM reference, version order specification)."""

import re

from repoman_maven2.layout import SNAPSHOT, STAMP

KEY_MAX_CHARS = 255
_TOKEN = re.compile(r"[-.]?(?:\d+|[^\d.-]+|(?=[-.]|$))")
_RELEASE = frozenset({"", "ga", "final", "release"})
_PRE_RELEASES = {"alpha": 0, "beta": 1, "milestone": 2, "rc": 3, "cr": 3, "snapshot": 4}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}  # before a number
# What begins a token, in the order of what it does to a version: it comes before its release, or
# after it; words come before numbers, and numbers after a dash before those after a dot.
_PRE, _END, _WORD, _DASH, _DOT = "!", "+", ",", "-", "."


def version_key(version: str) -> str:
    """Return a text by which versions sort, the lowest first, compared by code points."""
    key = "0"
    for mark, text in _significant(_tokens(STAMP.sub(SNAPSHOT + r"-\g<0>", version).lower())):
        if text.isdecimal():
            key += f"{mark}{len(text):03}{text}"
        elif text in _PRE_RELEASES:
            key += f"{_PRE}{_PRE_RELEASES[text]}"
        else:
            key += f"{_WORD}{'0' if text == 'sp' else '1' + text}"
    return f"{key}{_END}"[:KEY_MAX_CHARS]


def is_prerelease(version: str) -> bool:
    """Return whether a version comes before a release."""
    return _PRE in version_key(version)


def _tokens(version: str) -> list[tuple[str, str]]:
    """Return the parts of a version, each with what stands before it: a dash or a dot."""
    found: list[tuple[str, str]] = []
    for each in _TOKEN.findall(version):
        text = each.lstrip("-.")
        is_dot = not found or each[:1] == "."
        short = _SHORT.get(found[-1][1]) if found and each[:1].isdecimal() else None
        if short:
            found[-1] = (found[-1][0], short)
        number = text.lstrip("0") or "0" if text.isdecimal() or not text else text
        found.append((_DOT if is_dot else _DASH, number))
    return found


def _significant(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the parts without zeros, and words for releases, that mean nothing."""
    kept: list[tuple[str, str]] = []
    for mark, text in [*tokens, (_DASH, "")]:
        if mark == _DASH or not text.isdecimal():
            while kept and (kept[-1][1] == "0" or kept[-1][1] in _RELEASE):
                kept.pop()
        kept.append((mark, text))
    return kept[:-1]
