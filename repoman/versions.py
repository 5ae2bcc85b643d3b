"""The order of versions, as one text that a database can sort by.

Numbers count as numbers, a leading ``v`` and trailing zeros do not count, a pre-release comes
before its release, and a name that is no version (``latest``) comes after all versions. It is the
order for formats that have no rules of their own; those whose versions are SemVer have that one.
"""

import re

KEY_MAX_CHARS = 255
"""A longer key is cut: what differs only beyond counts as the same version."""

_NUMBERS = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)(?![0-9])")
_SEMVER = re.compile(
    r"v?([0-9]+(?:\.[0-9]+){0,2})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)
_TOKEN = re.compile(r"[0-9]+|[a-z]+")
_COMMIT = re.compile(r"(?=.*[a-f])[0-9a-f]{7,64}")
# The usual names of pre-releases, in their order.
_PRE_RELEASES = {
    name: str(rank)
    for rank, names in enumerate(
        (
            ("dev", "nightly", "canary"),
            ("alpha", "a"),
            ("beta", "b"),
            ("milestone", "m"),
            ("preview", "pre"),
            ("rc", "cr", "c"),
            ("snapshot",),
        )
    )
    for name in names
}
_VERSION_BEGINNING, _NAME_BEGINNING = "0", "1"
VERSION_KEYS = (_VERSION_BEGINNING, _NAME_BEGINNING)
"""The half-open range of the keys of what is a version."""
NAME_KEYS = (_NAME_BEGINNING, "2")
"""That of the keys of names that are none."""

# These are such names only before a number: 1.0b2, but not 2024b.
_SHORT = frozenset({"a", "b", "c", "m"})
# What stands before and after the numbers of a version; the order of the characters counts.
_PRE, _END, _SUFFIX, _MORE = "!", "+", ",", "."


def version_key(version: str) -> str:
    """Return a text by which versions sort, the lowest first, compared by code points."""
    parsed = _parse(version)
    if parsed is None:
        key = _NAME_BEGINNING + re.sub("[0-9]+", lambda found: _padded(found[0]), version.lower())
    else:
        numbers, tokens, is_pre = parsed
        mark = _PRE if is_pre else _SUFFIX if tokens else _END
        key = _beginning(numbers) + mark + ".".join(map(_ranked, tokens))
    return key[:KEY_MAX_CHARS]


def is_prerelease(version: str) -> bool:
    """Return whether a version says of itself that it is a pre-release."""
    parsed = _parse(version)
    return parsed is not None and parsed[2]


def semver_key(version: str) -> str:
    """Return the same by the rules of SemVer: a hyphen begins a pre-release, whatever it says."""
    found = _SEMVER.fullmatch(version)
    if found is None:
        return version_key(version)
    key = _beginning(found[1].split("."))
    if found[2] is None:
        return f"{key}{_END}"[:KEY_MAX_CHARS]
    parts = [
        f"0{_padded(each)}" if each.isdecimal() else f"1{each}" for each in found[2].split(".")
    ]
    return f"{key}{_PRE}{_SUFFIX.join(parts)}"[:KEY_MAX_CHARS]


def is_semver_prerelease(version: str) -> bool:
    """Return whether SemVer takes a version for a pre-release."""
    return "-" in version.partition("+")[0]


def _beginning(numbers: list[str]) -> str:
    """Return what the key of a version with these numbers begins with."""
    while len(numbers) > 1 and not numbers[-1].strip("0"):
        numbers = numbers[:-1]
    return _VERSION_BEGINNING + _MORE.join(map(_padded, numbers))


def _parse(version: str) -> tuple[list[str], list[str], bool] | None:
    """Return the numbers of a version, what follows, and whether that is a pre-release."""
    text = version.lower()
    found = _NUMBERS.match(text)
    if found is None or _COMMIT.fullmatch(text) or len(text) > KEY_MAX_CHARS:
        return None
    tokens = _TOKEN.findall(text, found.end())
    following = [*tokens[1:], ""]
    is_pre = any(
        each in _PRE_RELEASES and (each not in _SHORT or after.isdecimal())
        for each, after in zip(tokens, following, strict=False)
    )
    return found[1].split("."), tokens, is_pre


def _ranked(token: str) -> str:
    if token[0].isdecimal():
        return _padded(token)
    return f"{_PRE_RELEASES[token]}{token}" if token in _PRE_RELEASES else f"a{token}"


def _padded(digits: str) -> str:
    """Return a number as text that sorts by its value: its length comes first."""
    digits = digits.lstrip("0") or "0"
    return f"{len(digits):03}{digits}"
