"""Cleanup of what a proxy has cached, and pulls that keep tags from it."""

import pytest

from repoman.cleanup.preview import PreviewQuery
from repoman.clocks import DAY_S
from repoman.db.models import ComponentRecord
from repoman.repositories.cleanup_records import CleanupPolicy
from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import name_of

NAME = "team/app"


class Run:
    """A run whose log is kept."""

    def __init__(self):
        self.lines = []

    def progress(self, *_, **__):
        """Do nothing."""

    pause = freed = progress

    def log(self, text):
        self.lines.append(text)


@pytest.fixture
def clean(make_proxy, monkeypatch):
    """Clean up by a policy as some days later; return what was removed, in words."""
    repoman = make_proxy.repoman

    def clean(registry, days, **criteria):
        repoman.cleanup_policies.create(CleanupPolicy("old", **criteria))
        settings = {"cleanup": {"policy_names": ["old"]}}
        repoman.repositories.update(name_of(registry), settings)
        now = repoman.cleaner.now()
        monkeypatch.setattr(repoman.cleaner, "now", lambda: now + days * DAY_S)
        return str(repoman.cleaner.run(Run()))

    return clean


def test_a_tag_that_nobody_pulls_goes_from_the_cache_and_comes_back(
    make_proxy, proxy, upstream, clean
):
    for tag in ("1", "2"):
        upstream.put(NAME, tag, make_image())
        assert proxy.pull(NAME, tag)
    told = clean(proxy, 9, last_updated_days=3, retain=1)
    assert told.startswith("Removed 1 component from 1 repository; freed ")
    id_ = make_proxy.repoman.repositories.get(name_of(proxy)).config.id
    mine = ComponentRecord.repository == id_
    left = [each.version for each in ComponentRecord.select().where(mine) if each.version]
    assert left == ["2"]
    assert proxy.pull(NAME, "1")


def test_policies_of_a_proxy_are_tried_by_its_group(make_proxy, proxy, upstream):
    upstream.put(NAME, "1", make_image())
    assert proxy.pull(NAME, "1")
    repoman = make_proxy.repoman
    group = repoman.repositories.get(name_of(make_proxy.group(make_proxy.hosted(), proxy)))
    policy = CleanupPolicy("all", name_patterns=("*",))
    found = repoman.cleanup_preview.preview(group, [policy], None, PreviewQuery())
    assert [each.shown.version for each in found.items] == ["1"]
