"""Versions that were stored when their format had another order are sorted by the present one."""

from dataclasses import replace

import pytest

from repoman.catalog import version_order
from repoman.compaction import Unwatched
from repoman.errors import Unavailable
from repoman.plugin import (
    FILES_BY_PACKAGE,
    File,
    FileFormat,
    FormatUi,
    files_format,
    files_recipes,
    hookimpl,
    is_semver_prerelease,
    semver_key,
)
from repoman.testing import HttpClient
from tests.statements import executed_statements

SEMVER = replace(FILES_BY_PACKAGE, version_key=semver_key, is_prerelease=is_semver_prerelease)
BEFORE = ["1.0.0", "1.0.0-1", "1.0.0-x", "1.0.0-y"]  # The order of formats without rules.
AFTER = ["1.0.0-1", "1.0.0-x", "1.0.0-y", "1.0.0"]


class Books(FileFormat):
    """Files of packages, whose versions have the order that a test says."""

    name, title, takes_puts = "books", "Books", True

    def __init__(self, rules):
        self.rules = rules

    def target(self, path):
        package, version, _ = path.split("/")
        return File(path, package, version)

    @hookimpl
    def repoman_register_formats(self):
        return [files_format(self, FormatUi("file", lambda url: url, about="Books"))]

    @hookimpl
    def repoman_register_recipes(self):
        return files_recipes(self, {})


class Ended(Unwatched):
    """Progress of a run that is ended after its first batch."""

    def progress(self, done, total=None, message=""):
        raise InterruptedError


@pytest.fixture
def start(repoman_factory):
    """Starts a Repoman on the same data, with the format in an order; None: without it."""

    def start(rules):
        return repoman_factory({} if rules is None else {"books": Books(rules)})

    return start


@pytest.fixture
def stored(start):
    """Four versions, stored by a plugin that had no order of its own."""
    repoman = start(FILES_BY_PACKAGE)
    repoman.repositories.create("shelf", "books-hosted", {})
    client = HttpClient(repoman)
    for version in AFTER:
        answer = client.put(f"/repository/shelf/demo/{version}/a", version.encode())
        assert answer.status_code == 201, answer.text
    assert run(repoman) == "ok"
    assert versions(repoman) == BEFORE


def task_of(repoman):
    return next(each for each in repoman.tasks.all() if each.type == "repository.version-order")


def run(repoman):
    return repoman.make_runner().execute(repoman.tasks.run(task_of(repoman)))


def orders_of(repoman):
    return version_order.VersionOrders(repoman.database, repoman.repositories.all)


def versions(repoman):
    client = HttpClient(repoman)
    path = "/service/rest/v1/search?repository=shelf&sort=version&direction=asc"
    found = client.get(path).json["items"]
    return [each["version"] for each in found]


def test_versions_are_sorted_again_after_an_upgrade(stored, start):
    repoman = start(SEMVER)
    assert (orders_of(repoman).is_needed(), versions(repoman)) == (True, BEFORE)
    last = repoman.tasks.run(task_of(repoman))
    assert repoman.make_runner().execute(last) == "ok"
    assert repoman.tasks.get_run(last.id).result == "3 versions sorted again."
    assert (orders_of(repoman).is_needed(), versions(repoman)) == (False, AFTER)
    found = HttpClient(repoman).get("/service/rest/v1/search?repository=shelf&prerelease=true")
    assert len(found.json["items"]) == 3


def test_a_run_that_was_ended_goes_on(stored, start, monkeypatch):
    monkeypatch.setattr(version_order, "COMPONENTS_READ", 2)
    repoman = start(SEMVER)
    with pytest.raises(InterruptedError):
        orders_of(repoman).run(Ended())
    repoman = start(SEMVER)
    assert orders_of(repoman).is_needed()
    with executed_statements() as statements:
        assert orders_of(repoman).run(Unwatched()) == "1 version sorted again."
    assert [each for each in statements if "id > 2 " in each]
    assert not [each for each in statements if "id > 0 " in each]
    assert versions(repoman) == AFTER


def test_what_is_not_installed_is_left_alone_until_it_is(stored, start):
    repoman = start(None)
    assert not orders_of(repoman).is_needed()
    assert run(repoman) == "ok"
    repoman = start(SEMVER)
    assert versions(repoman) == BEFORE
    assert run(repoman) == "ok"
    assert versions(repoman) == AFTER


def test_a_format_that_is_removed_in_the_middle_goes_on_later(stored, start, monkeypatch):
    monkeypatch.setattr(version_order, "COMPONENTS_READ", 2)
    with pytest.raises(InterruptedError):
        orders_of(start(SEMVER)).run(Ended())
    assert run(start(None)) == "ok"
    repoman = start(SEMVER)
    assert run(repoman) == "ok"
    assert versions(repoman) == AFTER


def test_a_new_repository_has_nothing_to_be_read(stored, start):
    repoman = start(FILES_BY_PACKAGE)
    repoman.repositories.create("new", "books-hosted", {})
    assert orders_of(repoman).is_needed()
    with executed_statements() as statements:
        assert orders_of(repoman).run(Unwatched()) == ""
    assert not [each for each in statements if "version_key" in each]
    assert not orders_of(repoman).is_needed()


@pytest.mark.parametrize("bad", ["latest", "1.0.0-x"])
def test_a_format_that_cannot_sort_is_told_once_and_keeps_no_other_waiting(
    stored, repoman_factory, bad
):
    def key(version):
        if version == bad:
            raise ZeroDivisionError
        return semver_key(version)

    def start(key):
        formats = {name: Books(replace(SEMVER, version_key=key[name])) for name in key}
        for name, each in formats.items():
            each.name = name
        return repoman_factory(formats)

    repoman = start({"books": key, "papers": semver_key})
    repoman.repositories.create("new", "papers-hosted", {})
    orders = orders_of(repoman)
    assert orders.is_needed()
    failure = "The format books cannot sort versions: ZeroDivisionError."
    for _ in range(2):  # Who starts it again learns the same.
        with pytest.raises(Unavailable, match=f"{failure}$"):
            orders.run(Unwatched())
        assert not orders.is_needed(), "it is not tried again and again"
    assert repoman.repositories.get("new").config.id in version_order.records.known()
    repoman = start({"books": semver_key, "papers": semver_key})
    assert run(repoman) == "ok"
    assert versions(repoman) == AFTER
