"""Cleanup policies against a model that sorts and counts in memory."""

import time
from fnmatch import fnmatchcase
from itertools import groupby

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoman.cleanup.selection import Selection
from repoman.clocks import DAY_S
from repoman.db.models import database_proxy
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import RepomanFactory
from repoman_docker import plugin as docker

NOW = time.time()
NAMES, TAGS = ("app", "team/app"), ("1.0", "1.1-rc1", "1.2", "2.0", "latest", "build-7")
PATTERNS = st.sampled_from(["*", "app", "team/*", "1.*", "latest", "?.0", "build-*", "*-rc?"])
few = st.lists(PATTERNS, max_size=2).map(tuple)
days = st.none() | st.integers(1, 6)

policies = st.builds(
    CleanupPolicy,
    st.just("p"),
    last_updated_days=days,
    last_downloaded_days=days,
    release_type=st.sampled_from([None, None, "RELEASES", "PRERELEASES"]),
    asset_regex=st.sampled_from([None, None, ".*/1[.].*", "/v2/app/.*"]),
    retain=st.none() | st.integers(1, 4),
    sort_by=st.sampled_from([None, "version", "date"]),
    name_patterns=few,
    version_patterns=few,
    keep_names=few,
    keep_versions=few,
)
# Days since the push, and since the pull, of some tags of each name; other days than in policies.
ages = st.tuples(st.integers(0, 7), st.none() | st.integers(0, 7))
contents = st.dictionaries(st.tuples(st.sampled_from(NAMES), st.sampled_from(TAGS)), ages)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("model"))
    repoman = factory({"docker": docker})
    repoman.repositories.create("images", "docker-hosted", {})
    yield repoman.repositories.get("images")
    factory.stop()


def at(days):
    """Half a day earlier, so that nothing is at a boundary."""
    return NOW - (days + 0.5) * DAY_S


def fill(repository, content):
    """Store tags, with an asset each; return what is known of them, by id."""
    execute, rules, id_ = database_proxy.execute_sql, repository.rules, repository.config.id
    for table in ("asset", "component", "package"):
        execute(f"DELETE FROM {table}")
    execute(
        "INSERT OR IGNORE INTO blob (id, store, digest, size, created_at) "
        "VALUES (1, 'd', 'x', 1, 1)"
    )
    found = {}
    for (name, tag), (pushed, pulled) in content.items():
        execute(
            "INSERT OR IGNORE INTO package (repository_id, kind, namespace, name) "
            "VALUES (?, 'image', '', ?)",
            (id_, name),
        )
        package = execute("SELECT id FROM package WHERE name = ?", (name,)).fetchone()[0]
        key, is_prerelease = rules.version_key(tag), rules.is_prerelease(tag)
        pulled_at = 0 if pulled is None else at(pulled)
        row = (id_, name, tag, package, key, is_prerelease, at(pushed), pulled_at)
        execute(
            "INSERT INTO component (repository_id, kind, namespace, name, version, description, "
            "package_id, version_key, is_prerelease, size, created_at, updated_at, downloaded_at) "
            "VALUES (?, 'tag', '', ?, ?, '', ?, ?, ?, 1, 1, ?, ?)",
            row,
        )
        component = execute("SELECT max(id) FROM component").fetchone()[0]
        execute(
            "INSERT INTO asset (repository_id, component_id, package_id, path, kind, blob_id, "
            "media_type, attributes, created_at, updated_at, uploader, uploader_address) "
            "VALUES (?, ?, ?, ?, 'tag', 1, 't', '{}', 1, 1, '', '')",
            (id_, component, package, f"tags/{name}/{tag}"),
        )
        execute(
            "UPDATE component SET updated_at = ?, downloaded_at = ? WHERE id = ?",
            (*row[-2:], component),
        )
        found[component] = (name, tag, key, bool(is_prerelease), at(pushed), pulled_at)
    return found


def matches(text, patterns):
    return any(fnmatchcase(text, each) for each in patterns)


def model(policy, found):
    """Return the ids that a policy chooses."""
    if not (
        policy.last_updated_days
        or policy.last_downloaded_days
        or policy.release_type
        or policy.asset_regex
        or policy.retain
        or policy.name_patterns
        or policy.version_patterns
    ):
        return set()
    chosen = set()
    for _, group in groupby(
        sorted(found, key=lambda id_: found[id_][0]), lambda id_: found[id_][0]
    ):
        about = [id_ for id_ in group if is_about(policy, *found[id_][:4])]
        column = 4 if policy.sort_by == "date" else 2
        about.sort(key=lambda id_: (found[id_][column], id_), reverse=True)
        for id_ in about[policy.retain or 0 :]:
            pushed_at, pulled_at = found[id_][4:]
            limits = [(pushed_at, policy.last_updated_days)]
            limits.append((pulled_at or pushed_at, policy.last_downloaded_days))
            if all(days is None or then < NOW - days * DAY_S for then, days in limits):
                chosen.add(id_)
    return chosen


def is_about(policy, name, tag, _key, is_prerelease):
    if policy.release_type and is_prerelease != (policy.release_type == "PRERELEASES"):
        return False
    if policy.asset_regex == ".*/1[.].*" and not tag.startswith("1."):
        return False
    if policy.asset_regex == "/v2/app/.*" and name != "app":
        return False
    if policy.name_patterns and not matches(name, policy.name_patterns):
        return False
    if policy.version_patterns and not matches(tag, policy.version_patterns):
        return False
    return not (matches(name, policy.keep_names) or matches(tag, policy.keep_versions))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=contents, tried=st.lists(policies, min_size=1, max_size=3))
def test_policies_choose_what_the_model_chooses(images, content, tried):
    found = fill(images, content)
    selection = Selection(images, tried, NOW)
    judged = list(selection.judge_all())
    assert {each.candidate.id for each in judged} == found.keys()
    chosen = {each.candidate.id for each in judged if each.chosen_by is not None}
    assert chosen == set().union(*(model(each, found) for each in tried))
    assert chosen == set(selection.choose(lambda _: None))
    again = selection.still_chosen(list(found))
    assert chosen == {each.candidate.id for each in again}
    for each in judged:
        assert each.explain().startswith("goes: " if each.candidate.id in chosen else "kept: ")
        assert len(each.explain()) > len("kept: ")
