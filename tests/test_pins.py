"""What an installation brings is known to the last version: every package it needs is pinned."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.+]+)")


def pins() -> dict[str, str]:
    """The pinned versions by name; a line that is no pin ends the test."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [PIN.fullmatch(line) for line in lines if line and not line.startswith("#")]
    assert all(found)
    return {canonicalize_name(each["name"]): each["version"] for each in found if each}


def needed() -> set[str]:
    """All that the product and its tests need, with what that needs in turn."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement("repoman-server[dev]")]
    while waiting:
        requirement = waiting.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in found or not is_installed(requirement.name):
            continue  # what is not there is for another system
        found.add(key)
        extras = [{"extra": extra} for extra in ("", *requirement.extras)]
        for each in map(Requirement, distribution(requirement.name).requires or ()):
            if each.marker is None or any(map(each.marker.evaluate, extras)):
                waiting.append(each)
    return {name for name, _ in found} - {"repoman-server"}


def is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def test_every_package_is_pinned():
    assert {"flask", "waitress", "pyjwt", "ldap3"} <= needed()
    assert needed() <= set(pins())


def test_the_pinned_versions_are_those_that_are_tested():
    assert {name: Version(distribution(name).version) for name in needed()} == {
        name: Version(pins()[name]) for name in needed()
    }
