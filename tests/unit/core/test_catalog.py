"""Lists of content across repositories: filters, orders, pages, rights, trees and sums."""

import json
import random
from dataclasses import replace

import pytest

from repoman.blobs.upload import store_bytes
from repoman.catalog.catalog import Catalog
from repoman.catalog.model import (
    AssetQuery,
    ComponentQuery,
    Order,
    PackageQuery,
    PageRequest,
    Scope,
    Usage,
)
from repoman.config import CatalogSettings
from repoman.content import ContentStore, Coordinate, NewAsset, Reference
from repoman.content_rules import ContentRules, beginning_with
from repoman.db.models import database_proxy
from repoman.errors import Invalid, NotFound
from repoman.events.origin import Origin, acting_as
from repoman.search import TrigramIndex
from tests.statements import executed_statements

RULES = ContentRules(
    stored_below=lambda beginning: beginning_with(beginning.removeprefix("/")),
    names_below=lambda beginning: beginning_with(beginning.removeprefix("/")),
)


class PlainSealer:
    """Keys that a test can read."""

    def seal(self, position):
        return f"sealed {position}"

    def open(self, cursor):
        return cursor.removeprefix("sealed ") if cursor.startswith("sealed ") else None


class SomeViewer:
    """Who sees these scopes."""

    def __init__(self, *scopes):
        self._scopes = list(scopes)

    def scopes(self):
        return self._scopes


class Site:
    """Two repositories, and a catalog over both."""

    def __init__(self, make_content, blobs, database, make_repository):
        self._blobs = blobs
        self.contents = {}
        for name in ("one", "two"):
            id_ = make_repository(name)
            self.contents[name] = ContentStore(database, id_, "default", blobs, RULES)
        self.everybody = SomeViewer(Scope(1, "one", "raw", RULES), Scope(2, "two", "raw", RULES))
        self.catalog = Catalog(CatalogSettings(), PlainSealer(), TrigramIndex())

    def push(self, repository, name, version="", data=b"data", at=None, **more):
        """Store a version with one asset; return the digest of its bytes."""
        path = f"{name}/{version or '-'}"
        blob = store_bytes(self._blobs, data)
        kind = "tag" if version else "image"
        component = Coordinate(kind, name, version, more.pop("namespace", ""))
        self.contents[repository].save_asset(
            NewAsset(path, kind, blob, "x/y", component=component, **more)
        )
        if at is not None:
            database_proxy.execute_sql(
                "UPDATE component SET updated_at = ? WHERE name = ? AND version = ?",
                (at, name, version),
            )
        return blob.digest

    def list(self, query, viewer=None, size=50, scan_limit=5000):
        """All components of all pages, as name and version, and how many pages there were."""
        self.catalog = Catalog(
            CatalogSettings(scan_limit=scan_limit), PlainSealer(), TrigramIndex()
        )
        found, after, pages = [], "", 0
        while True:
            page = self.catalog.components(
                query, PageRequest(size, after), viewer or self.everybody
            )
            assert len(page.items) <= size
            found += [(each.name, each.version) for each in page.items]
            pages += 1
            if page.next is None:
                return found, pages
            after = page.next

    def names(self, query, viewer=None):
        """The same, names and versions as one text."""
        return [f"{name}:{version}" for name, version in self.list(query, viewer)[0]]


@pytest.fixture
def site(make_content, blobs, database, make_repository):
    """Two empty repositories."""
    return Site(make_content, blobs, database, make_repository)


@pytest.fixture
def filled(site):
    """Two repositories with versions."""
    for number, version in enumerate(("1.9", "1.10", "1.10-rc1", "latest")):
        site.push("one", "team/app", version, b"x" * (number + 1), at=100.0 - number)
    site.push("one", "team/tool", "2.0", b"tool", at=5.0)
    site.push("two", "other/app", "1.10", b"other", at=50.0)
    site.push("two", "app", data=b"alone", at=60.0)
    return site


def test_everything_is_listed_once_whatever_the_pages(filled):
    everything, _ = filled.list(ComponentQuery())
    assert len(everything) == len(set(everything)) == 7
    for order in Order:
        if order in (Order.PATH, Order.OWN_SIZE):
            continue
        for down in (False, True):
            query = ComponentQuery(order=order, is_descending=down)
            whole, pages = filled.list(query)
            assert pages == 1
            assert sorted(whole) == sorted(everything)
            for size in (1, 2, 3):
                assert filled.list(query, size=size)[0] == whole, (order, down)
            for limit in (1, 2, 5):
                assert filled.list(query, size=2, scan_limit=limit)[0] == whole, (order, down)


def test_orders_are_what_they_say(filled):
    names = filled.names
    assert names(ComponentQuery(name="team/app", order=Order.VERSION)) == [
        "team/app:1.9",
        "team/app:1.10-rc1",
        "team/app:1.10",
        "team/app:latest",
    ]
    assert names(ComponentQuery(kind="tag", order=Order.UPDATED)) == [
        "team/tool:2.0",
        "other/app:1.10",
        "team/app:latest",
        "team/app:1.10-rc1",
        "team/app:1.10",
        "team/app:1.9",
    ]
    largest = names(ComponentQuery(order=Order.SIZE, is_descending=True))
    assert largest[:2] in (["other/app:1.10", "app:"], ["app:", "other/app:1.10"])
    assert names(ComponentQuery(order=Order.NAME))[:2] == ["app:", "other/app:1.10"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"repositories": ("two",)}, ["app:", "other/app:1.10"]),
        ({"repositories": ("TWO",), "kind": "image"}, ["app:"]),
        ({"format": "absent"}, []),
        ({"name": "team/tool"}, ["team/tool:2.0"]),
        ({"name": "team/t*"}, ["team/tool:2.0"]),
        ({"name": "*/app", "version": "1.1?"}, ["other/app:1.10", "team/app:1.10"]),
        ({"name": "team/app", "version": "1.10"}, ["team/app:1.10"]),
        ({"version": "1.10"}, ["other/app:1.10", "team/app:1.10"]),
        ({"version": "*rc*"}, ["team/app:1.10-rc1"]),
        ({"is_prerelease": True}, ["team/app:1.10-rc1"]),
        ({"updated": (50.0, 61.0)}, ["app:", "other/app:1.10"]),
        ({"updated": (None, 6.0)}, ["team/tool:2.0"]),
        ({"namespace": "none"}, []),
        ({"text": "team 1.10"}, ["team/app:1.10", "team/app:1.10-rc1"]),
        ({"text": "oo"}, ["team/tool:2.0"]),
        ({"text": "absent"}, []),
        ({"text": "\0"}, []),
        ({"name": "[*"}, []),
    ],
)
@pytest.mark.parametrize("order", [Order.NAME, Order.ID, Order.UPDATED])
def test_filters(filled, fields, expected, order):
    assert sorted(filled.names(ComponentQuery(order=order, **fields))) == expected


def test_content_is_found_by_digest_part_label_checksum_and_uploader(site):
    with acting_as(Origin("ann", address="10.0.0.7")):
        layer = site.push("one", "layers/a", data=b"a layer", checksums={"sha1": "abcd"})
        site.push(
            "one",
            "app",
            "1",
            b"manifest",
            labels={"vendor": "acme", "stage": "test"},
            references=(Reference("layer", "layers/a/-"),),
        )
    digest = site.push("two", "app", "2", b"another", labels={"vendor": "acme"})
    site.push("two", "alias", "3", b"alias", references=(Reference("tag", "app/2"),))
    names = site.names
    assert names(ComponentQuery(checksums=(("sha256", digest),))) == ["app:2"]
    assert names(ComponentQuery(checksums=(("sha256", "0" * 64),))) == []
    assert names(ComponentQuery(parts=(layer,))) == ["app:1"]
    assert names(ComponentQuery(parts=(digest,))) == ["alias:3"]
    assert names(ComponentQuery(checksums=(("sha1", "abcd"),))) == ["layers/a:"]
    assert names(ComponentQuery(labels={"vendor": "acme"})) == ["app:1", "app:2"]
    assert names(ComponentQuery(labels={"vendor": "acme", "stage": "test"})) == ["app:1"]
    assert names(ComponentQuery(uploader="ann")) == ["layers/a:", "app:1"]
    assert names(ComponentQuery(uploader="ann", labels={"vendor": "acme"})) == ["app:1"]
    [asset] = site.catalog.assets(
        AssetQuery(uploader="ann", path="/app/*"), PageRequest(), site.everybody
    ).items
    assert (asset.uploader, asset.uploader_address, asset.path) == ("ann", "10.0.0.7", "/app/1")


def test_common_filters_are_judged_row_by_row(site, monkeypatch):
    monkeypatch.setattr("repoman.catalog.components.CANDIDATES_MAX", 2)
    monkeypatch.setattr("repoman.catalog.listing.CANDIDATES_MAX", 2)
    with acting_as(Origin("ann")):
        for number in range(7):
            label = {"number": str(number % 2)}
            site.push("one", "app", f"{number}.0", b"same", labels=label, checksums={"md5": "x"})
    digest = site.push("one", "other", "1.0", b"same")
    expected = [f"app:{number}.0" for number in range(7)]
    names = site.names
    for order in (Order.ID, Order.VERSION, Order.NAME):
        query = ComponentQuery(order=order, name="app")
        assert names(query) == expected
        same = (("sha256", digest),)
        assert names(replace(query, uploader="ann", checksums=same)) == expected
        assert names(replace(query, checksums=(("md5", "x"), *same))) == expected
        assert names(replace(query, checksums=(("md5", "y"), *same))) == []
        assert names(replace(query, labels={"number": "1"})) == expected[1::2]
        assert names(replace(query, text="app .0")) == expected


def test_a_key_of_another_list_is_refused(filled):
    page = PageRequest(2)
    first = filled.catalog.components(ComponentQuery(), page, filled.everybody)
    assert first.next is not None
    for query, key in (
        (ComponentQuery(name="team/app"), first.next),
        (ComponentQuery(), "nonsense"),
        (ComponentQuery(), PlainSealer().seal("team/app")),  # as others seal the last name
        (ComponentQuery(), first.next.replace("sealed", "seal")),
    ):
        with pytest.raises(Invalid, match="Start the list again"):
            filled.catalog.components(query, PageRequest(2, key), filled.everybody)


def test_an_order_that_a_list_does_not_have_is_refused(filled):
    page, everybody = PageRequest(), filled.everybody
    with pytest.raises(Invalid, match="cannot be sorted by path; choose one of: id, name"):
        filled.catalog.components(ComponentQuery(order=Order.PATH), page, everybody)
    with pytest.raises(Invalid, match="cannot be sorted by size; choose one of: path, downloaded"):
        filled.catalog.assets(AssetQuery(order=Order.SIZE), page, everybody)
    with pytest.raises(Invalid, match="cannot be sorted by version"):
        filled.catalog.packages(PackageQuery(order=Order.VERSION), page, everybody)


def limited(*prefixes, is_known=True):
    """Somebody who sees what begins so, in the first repository."""
    seen = [f"/{each}" for each in prefixes]

    def sees(path, _name):
        return any(path.startswith(each) for each in seen)

    return SomeViewer(Scope(1, "one", "raw", RULES, sees, tuple(seen) if is_known else ("",)))


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("order", [Order.NAME, Order.ID, Order.SIZE])
def test_who_may_see_a_part_sees_that_part(filled, is_known, order):
    viewer = limited("team/t", "app", is_known=is_known)
    query = ComponentQuery(order=order)
    assert filled.names(query, viewer) == ["team/tool:2.0"]
    assert filled.names(query, SomeViewer()) == []
    [component] = filled.catalog.components(query, PageRequest(), viewer).items
    assert filled.catalog.component(component.id, viewer) == component
    with pytest.raises(NotFound):
        filled.catalog.component(component.id, SomeViewer())
    [asset] = filled.catalog.assets_of([component], viewer)[component.id]
    assert filled.catalog.asset(asset.id, viewer) == asset
    with pytest.raises(NotFound):
        filled.catalog.asset(asset.id, limited("absent"))


def test_a_page_examines_so_many_rows(filled, monkeypatch):
    filled.catalog = Catalog(CatalogSettings(scan_limit=1), PlainSealer(), TrigramIndex())
    monkeypatch.setattr("repoman.catalog.listing.CHUNK_ROWS", 2)
    viewer = limited("team/tool", is_known=False)
    page = filled.catalog.components(ComponentQuery(), PageRequest(1), viewer)
    assert page.items == []
    assert page.next is not None, "short, and there is more"
    assert filled.list(ComponentQuery(), viewer, size=1, scan_limit=1)[0] == [("team/tool", "2.0")]
    # Where rights are a range, nothing else is examined.
    known = limited("team/tool")
    page = filled.catalog.components(ComponentQuery(order=Order.NAME), PageRequest(1), known)
    assert [each.name for each in page.items] == ["team/tool"]


def test_assets_by_path_component_and_package(filled):
    def paths(query, viewer=None):
        page = filled.catalog.assets(query, PageRequest(3), viewer or filled.everybody)
        found = [each.path for each in page.items]
        while page.next:
            page = filled.catalog.assets(
                query, PageRequest(3, page.next), viewer or filled.everybody
            )
            found += [each.path for each in page.items]
        return found

    everything = paths(AssetQuery())
    assert everything == sorted(everything)
    assert len(everything) == 7
    assert paths(AssetQuery(is_descending=True)) == everything[::-1]
    assert paths(AssetQuery(path="/team/app/*")) == [p for p in everything if "team/app" in p]
    assert paths(AssetQuery(), limited("team/tool")) == ["/team/tool/2.0"]
    assert paths(AssetQuery(kind="image")) == ["/app/-"]
    [package] = filled.catalog.packages(
        PackageQuery(name="team/app"), PageRequest(), filled.everybody
    ).items
    assert (package.versions, package.assets, package.size) == (4, 4, 1 + 2 + 3 + 4)
    assert len(paths(AssetQuery(package=package.id))) == 4
    [component] = filled.catalog.components(
        ComponentQuery(name="team/tool"), PageRequest(), filled.everybody
    ).items
    assert paths(AssetQuery(component=component.id)) == ["/team/tool/2.0"]
    database_proxy.execute_sql("UPDATE asset SET downloaded_at = 9.0 WHERE path = 'team/tool/2.0'")
    assert paths(AssetQuery(order=Order.DOWNLOADED)) == ["/team/tool/2.0"]
    assert paths(AssetQuery(downloaded=(8.0, None))) == ["/team/tool/2.0"]


def test_packages_are_listed_in_their_orders(filled):
    def names(query, viewer=None):
        page = filled.catalog.packages(query, PageRequest(), viewer or filled.everybody)
        return [each.name for each in page.items]

    assert names(PackageQuery()) == ["other/app", "team/app", "team/tool"]
    assert names(PackageQuery(order=Order.SIZE)) == ["team/tool", "other/app", "team/app"]
    assert names(PackageQuery(name="team/*")) == ["team/app", "team/tool"]
    assert names(PackageQuery(text="APP team")) == ["team/app"]
    assert names(PackageQuery(), limited("team/t")) == ["team/tool"]
    [package] = filled.catalog.packages(
        PackageQuery(name="team/tool"), PageRequest(), filled.everybody
    ).items
    assert filled.catalog.package(package.id, filled.everybody) == package
    with pytest.raises(NotFound):
        filled.catalog.package(package.id, limited("app"))


def test_a_tree_is_read_by_its_children(site):
    for path in ("a", "a/b", "a/b/c", "a/b-c", "docs/x/1", "docs/x/2", "docs/y", "z"):
        site.contents["one"].save_asset(NewAsset(path, "file", store_bytes(site._blobs, b"x"), ""))

    def children(directory, viewer=None, size=50):
        found, after = [], ""
        while True:
            page = site.catalog.browse(
                "One", directory, PageRequest(size, after), viewer or site.everybody
            )
            found += [(each.name, each.asset is None) for each in page.items]
            if page.next is None:
                return found
            after = page.next

    top = [("a", False), ("a", True), ("docs", True), ("z", False)]
    assert children("") == top
    for size in (1, 2, 3):
        assert children("", size=size) == top
    assert children("a/") == [("b", False), ("b-c", False), ("b", True)]
    assert children("docs/x/") == [("1", False), ("2", False)]
    assert children("absent/") == []
    assert children("", limited("docs/y", is_known=False)) == [("docs", True)]
    assert children("docs/", limited("docs/y")) == [("y", False)]
    with pytest.raises(NotFound):
        site.catalog.browse("three", "", PageRequest(), site.everybody)


def test_children_are_skipped_in_one_statement(site):
    rows = [(f"{letter}/{number:05}", 1) for letter in "abc" for number in range(2000)]
    site.push("one", "x")
    connection = database_proxy.connection()
    connection.executemany(
        "INSERT INTO asset (repository_id, path, kind, blob_id, media_type, attributes, "
        "created_at, updated_at, uploader, uploader_address) "
        "VALUES (1, ?, 'file', ?, '', '{}', 0, 0, '', '')",
        rows,
    )
    connection.commit()
    with executed_statements() as asked:
        page = site.catalog.browse("one", "", PageRequest(), site.everybody)
    assert [each.path for each in page.items] == ["a/", "b/", "c/", "x/"]
    assert len(asked) == 1, asked


def test_usage_is_kept(filled):
    usage = filled.catalog.usage("one", filled.everybody)
    size = 1 + 2 + 3 + 4 + 4
    assert usage == Usage(5, 5, 5, 2, size, size)
    assert filled.catalog.store_usages()["default"].blobs == 7


def test_a_part_of_many_is_found_in_all_of_them(site, monkeypatch):
    part = site.push("one", "parts/a", data=b"a part")
    for number in range(5):
        to = (Reference("part", "parts/a/-"),)
        site.push("one", "whole", f"{number}.0", b"whole", references=to)
        alias = (Reference("whole", f"whole/{number}.0"),)
        site.push("one", "alias", f"{number}.0", b"alias", references=alias)
        site.push("one", "other", f"{number}.0", b"other")
    query = ComponentQuery(parts=(part,), order=Order.NAME)
    expected = [f"{name}:{number}.0" for name in ("alias", "whole") for number in range(5)]
    assert site.names(query) == expected
    monkeypatch.setattr("repoman.catalog.components.CANDIDATES_MAX", 2)
    assert site.names(query) == expected
    assert site.names(replace(query, name="whole")) == expected[5:]
    assert site.names(replace(query, parts=("0" * 64,))) == []
    page = site.catalog.components(query, PageRequest(3), site.everybody)
    assert [each.version for each in page.items] == ["0.0", "1.0", "2.0"]


def test_patterns_of_namespaces_and_several_of_one_column(site):
    for namespace in ("", "a", "a/b", "c"):
        for name in ("app", "tool"):
            site.push("one", name, f"1.0-{namespace or 'none'}", namespace=namespace)
    names = site.names
    for order in (Order.ID, Order.NAMESPACE, Order.NAME, Order.REPOSITORY):
        query = ComponentQuery(order=order)
        assert len(names(replace(query, namespace="a*"))) == 4
        assert len(names(replace(query, namespace="a"))) == 2
        assert len(names(replace(query, namespace="?/b"))) == 2
        assert len(names(replace(query, namespace=""))) == 2
        assert names(replace(query, namespace="a/b", name="to*")) == ["tool:1.0-a/b"]
        both = replace(query, name="*p", also=(("version", "*b"), ("name", "a*")))
        assert names(both) == ["app:1.0-a/b"]
        assert names(replace(query, version="")) == []


def test_repositories_are_an_order_by_name(site):
    for repository in ("two", "one", "two", "one"):
        site.push(repository, f"app-{len(site.list(ComponentQuery())[0])}", "1.0")
    expected = ["app-1:1.0", "app-3:1.0", "app-0:1.0", "app-2:1.0"]
    for size in (1, 2, 3, 50):
        for down in (False, True):
            query = ComponentQuery(order=Order.REPOSITORY, is_descending=down)
            found = [":".join(each) for each in site.list(query, size=size)[0]]
            assert found == (expected[::-1] if down else expected)
    found = site.names(ComponentQuery(order=Order.REPOSITORY, version="1.0"))
    assert found == expected


def test_words_have_wildcards_and_quotes(site):
    site.push("one", "team/app", "1.0")
    site.push("one", "team/apple", "2.0")
    names = site.names
    assert names(ComponentQuery(text="te?m app*")) == ["team/app:1.0", "team/apple:2.0"]
    assert names(ComponentQuery(text="a?ple")) == ["team/apple:2.0"]
    assert names(ComponentQuery(text='"app 1.0"')) == ["team/app:1.0"]
    assert names(ComponentQuery(text='"app 2.0"')) == []
    assert len(names(ComponentQuery(text="* ?"))) == 2
    assert names(ComponentQuery(text='"')) == names(ComponentQuery())


def test_an_asset_has_the_checksums_that_are_stored(site):
    site.push("one", "app", data=b"one", checksums={"sha1": "aa", "md5": "bb"})
    site.push("one", "tool", data=b"two")
    views = site.catalog.assets(AssetQuery(), PageRequest(), site.everybody).items
    assert [each.checksums for each in views] == [{"sha1": "aa", "md5": "bb"}, {}]


def test_a_pattern_that_is_too_long_is_refused(site):
    with pytest.raises(Invalid, match="at most 1000 characters"):
        site.names(ComponentQuery(name="a*" * 501))
    assert site.names(ComponentQuery(name="*a?" * 333)) == []


def test_random_queries_agree_with_a_plain_reading(site):
    dice = random.Random(7)
    for _ in range(150):
        site.push(
            dice.choice(["one", "two"]),
            f"{dice.choice('ab')}/{dice.choice('xyz')}",
            f"{dice.randrange(4)}.{dice.randrange(4)}",
            bytes(dice.randrange(1, 4)),
            at=float(dice.randrange(5)),
            labels={"parity": str(dice.randrange(2))},
        )
    columns = "repository_id, name, version, updated_at, size, id"
    rows = database_proxy.execute_sql(f"SELECT {columns} FROM component").fetchall()
    labels = dict(database_proxy.execute_sql("SELECT component_id, value FROM label").fetchall())
    for _ in range(60):
        low = dice.choice([None, 1.0, 2.0])
        name = dice.choice([None, "a/x", "a/*", "*/y"])
        label = dice.choice([None, "0", "1"])
        order = dice.choice([Order.ID, Order.NAME, Order.VERSION, Order.UPDATED, Order.SIZE])
        query = ComponentQuery(
            repositories=dice.choice([(), ("one",)]),
            name=name,
            updated=(low, None),
            labels={} if label is None else {"parity": label},
            order=order,
            is_descending=dice.random() < 0.5,
        )
        fits = {None: lambda _: True, "a/x": "a/x".__eq__}.get(name) or (
            (lambda n: n.startswith("a/")) if name == "a/*" else (lambda n: n.endswith("/y"))
        )
        expected = sorted(
            (row[1], row[2])
            for row in rows
            if (not query.repositories or row[0] == 1)
            and fits(row[1])
            and (low is None or row[3] >= low)
            and (label is None or labels[row[5]] == label)
        )
        found, _ = site.list(query, size=dice.randrange(1, 9), scan_limit=dice.randrange(1, 40))
        assert sorted(found) == expected, json.dumps(str(query))
