"""What a push to one repository leaves alone: the rights, and the caches of the others."""

import gc
from pathlib import Path

import pytest

from repoman.caching import BUDGET
from repoman.db.sqlite import Sqlite
from repoman.testing import RepomanFactory
from repoman_docker import plugin
from tests.functional.docker.images import make_image
from tests.functional.docker.sites import InProcessSite

RIGHTS = ("user", "role", "privilege", "content_selector", "option", "user_token")
REPOSITORIES = 100
IMAGES = 20  # in each repository
MEMORY_MAX_BYTES = 33_554_432  # What 100 repositories may take more than one.


@pytest.fixture
def site(tmp_path):
    """A Repoman of its own."""
    factory = RepomanFactory(tmp_path / "data")
    yield InProcessSite(factory({"docker": plugin}))
    factory.stop()


@pytest.fixture
def statements(monkeypatch):
    """The statements that were executed."""
    seen = []
    real = Sqlite.execute_plain

    def execute(self, sql, params=None):
        seen.append(sql)
        return real(self, sql, params)

    monkeypatch.setattr(Sqlite, "execute_plain", execute)
    return seen


def test_a_push_to_another_repository_costs_no_select(site, statements):
    one, other = site.create(), site.create()
    login = site.make_user()
    one.push("app", "1", make_image())
    theirs = one.as_user(login)
    for _ in range(2):
        assert theirs.get("app/manifests/1").status == 200
    other.push("app", "1", make_image())
    statements.clear()
    assert theirs.get("app/manifests/1").status == 200
    assert [each for each in statements if each.startswith("SELECT")] == []


def test_a_push_costs_the_next_request_no_select_for_rights(site, statements):
    one = site.create()
    theirs = one.as_user(site.make_user())
    for tag in ("1", "2"):
        one.push("app", tag, make_image())
        for _ in range(2):
            assert theirs.get("app/manifests/1").status == 200
    one.push("app", "3", make_image())
    statements.clear()
    assert theirs.get("app/manifests/1").status == 200
    reads = [each for each in statements if each.startswith("SELECT")]
    assert [each for each in reads if any(f'"{table}"' in each for table in RIGHTS)] == []
    assert len(reads) == 1  # the asset


def resident_bytes():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_many_repositories_cost_the_memory_of_one(site, monkeypatch):
    monkeypatch.setattr(BUDGET, "size", 8_388_608)
    image = make_image()
    sites = [site.create() for _ in range(REPOSITORIES)]
    for each in sites:
        each.push("app", "1", image)

    def warm(each):
        for number in range(IMAGES):
            each.get("app/manifests/1")
            each.get(f"app{number}/manifests/1")  # that there is none is remembered as well

    warm(sites[0])
    before = resident_bytes()
    for each in sites[1:]:
        warm(each)
    assert resident_bytes() - before <= MEMORY_MAX_BYTES
    assert BUDGET.used <= BUDGET.size
