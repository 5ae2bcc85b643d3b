"""Versions sort as people expect, by a text that any database compares."""

import random

import pytest

from repoman.versions import KEY_MAX_CHARS, is_prerelease, semver_key, version_key

IN_ORDER = (
    "1",
    "1.2.dev3",
    "1.2-alpha",
    "1.2-alpha.1",
    "1.2b1",
    "1.2b2",
    "1.2-rc1",
    "1.2-rc.2",
    "1.2-rc10",
    "1.2-SNAPSHOT",
    "v1.2",
    "1.2-alpine",
    "1.2.1",
    "1.2.3-beta.2",
    "1.2.3-beta.11",
    "1.2.3",
    "1.9",
    "1.10",
    "2024",
    "20240101",
    "4b825dc",
    "latest",
    "main",
    "release-2",
    "release-10",
)


def test_versions_sort_by_their_numbers_and_names_come_last():
    mixed = list(IN_ORDER)
    random.Random(1).shuffle(mixed)
    assert sorted(mixed, key=version_key) == list(IN_ORDER)
    assert len(set(map(version_key, IN_ORDER))) == len(IN_ORDER)


@pytest.mark.parametrize("same", [("1.2", "v1.2", "1.2.0", "V1.2.0", "01.2"), ("0", "0.0", "v0")])
def test_what_means_the_same_version_has_one_key(same):
    assert len(set(map(version_key, same))) == 1


def test_pre_releases_say_so():
    pre = {each for each in IN_ORDER if is_prerelease(each)}
    assert pre == set(IN_ORDER[1:10]) | {"1.2.3-beta.2", "1.2.3-beta.11"}
    assert not any(map(is_prerelease, ("2024b", "1.2-alpine", "beta", "rc", "dev-branch")))


@pytest.mark.parametrize(
    "odd", ["", "v", "9" * 5000, "1." * 3000, "\U0010ffff", "é1.2", "²", "1.٣"]
)
def test_any_text_has_a_short_key(odd):
    assert len(version_key(odd)) <= KEY_MAX_CHARS
    assert len(semver_key(odd)) <= KEY_MAX_CHARS
    assert is_prerelease(odd) is False


def test_semver_knows_pre_releases_by_their_hyphen():
    order = [
        "1.0.0-1",
        "1.0.0-Z",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha-1",
        "1.0",
        "1.0.1-0",
    ]
    assert sorted(reversed(order), key=semver_key) == order
    assert len(set(map(semver_key, ("v1", "1.0", "1.0.0", "1.0.0+build.7")))) == 1
    assert semver_key("latest") == version_key("latest")
