"""A catalog of very much content, and questions to it: each filter and order at least once."""

import sqlite3
from contextlib import closing
from pathlib import Path

from repoman.catalog.catalog import Catalog
from repoman.catalog.model import AssetQuery, ComponentQuery, Order, PackageQuery, Scope
from repoman.catalog.search_terms import Terms
from repoman.config import CatalogSettings, DatabaseSettings
from repoman.db.database import FILE, Database
from repoman.repositories.repository_records import Row, insert_row
from repoman.search import TrigramIndex
from tests.fill import NOW, fill

REPOSITORIES = 10


class PlainSealer:
    """Keys that are not sealed: that costs the same for every page."""

    def seal(self, position: str) -> str:
        return position

    def open(self, cursor: str) -> str:
        return cursor


class Viewer:
    """Who sees everything."""

    def scopes(self) -> list[Scope]:
        return [Scope(number + 1, f"r{number}", "some") for number in range(REPOSITORIES)]


def make_catalog() -> Catalog:
    """Return the catalog over the open database."""
    return Catalog(CatalogSettings(), PlainSealer(), TrigramIndex())


def fill_database(directory: Path, components: int) -> None:
    """Create a database with so many components in its repositories."""
    database = Database(directory, DatabaseSettings())
    database.open()
    ids = [insert_row(Row(0, f"r{n}", "some", "hosted", True, {})) for n in range(REPOSITORIES)]
    database.close()
    with closing(sqlite3.connect(directory / FILE)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        fill(connection, ids, components)


ORDERS = [each for each in Order if each not in (Order.PATH, Order.OWN_SIZE)]  # of components
COMPONENTS = {
    **{f"by {each}": ComponentQuery(order=each) for each in ORDERS},
    **{
        f"by {each}, from the end": ComponentQuery(order=each, is_descending=True)
        for each in ORDERS
    },
    "of a kind": ComponentQuery(kind="tag", order=Order.UPDATED),
    "of no kind": ComponentQuery(kind="absent"),
    "of a repository": ComponentQuery(repositories=("r3",), order=Order.SIZE),
    "name": ComponentQuery(name="team-5/app-102", order=Order.UPDATED),
    "name, by version": ComponentQuery(name="team-5/app-102", order=Order.VERSION),
    "beginning of names": ComponentQuery(name="team-5/*", order=Order.NAME),
    "beginning of names, by size": ComponentQuery(name="team-5/*", order=Order.SIZE),
    "end of names": ComponentQuery(name="*-10*", order=Order.NAME),
    "version": ComponentQuery(version="1.7"),
    "beginning of versions": ComponentQuery(version="1.1*", order=Order.VERSION),
    "no such version": ComponentQuery(version="9.9.9"),
    "pre-releases": ComponentQuery(is_prerelease=True),
    "common label": ComponentQuery(labels={"build": "7"}),
    "no such label": ComponentQuery(labels={"build": "x"}),
    "common uploader": ComponentQuery(uploader="ci"),
    "rare uploader": ComponentQuery(uploader="rare"),
    "digest of all": ComponentQuery(checksums=(("sha256", "f" * 64),)),
    "digest of none": ComponentQuery(checksums=(("sha256", "0" * 64),)),
    "part of none": ComponentQuery(parts=("0" * 64,)),
    "part of many": ComponentQuery(parts=("e" * 64,)),
    "checksum of none": ComponentQuery(checksums=(("md5", "0" * 32),)),
    "namespace": ComponentQuery(namespace="", order=Order.NAMESPACE),
    "beginning of namespaces": ComponentQuery(namespace="te*", order=Order.NAMESPACE),
    "shown": ComponentQuery(only_shown=True),
    "by repository, of names": ComponentQuery(name="team-5/*", order=Order.REPOSITORY),
    "several patterns": ComponentQuery(
        name="team-5/*", also=(("name", "*-10*"), ("version", "1.?")), order=Order.NAME
    ),
    "text with wildcards": ComponentQuery(text="team-5/a?p-1*2"),
    "lately": ComponentQuery(updated=(NOW + 99_990, None), order=Order.NAME),
    "long ago": ComponentQuery(updated=(None, NOW + 50), order=Order.UPDATED),
    "downloaded": ComponentQuery(downloaded=(998.0, None), order=Order.DOWNLOADED),
    "text": ComponentQuery(text="team-5/app-102"),
    "common text": ComponentQuery(text="team"),
    "text in versions": ComponentQuery(text="app-102 1.7", order=Order.NAME),
    "short text": ComponentQuery(text="te"),
    "no such text": ComponentQuery(text="absent"),
    "several": ComponentQuery(
        uploader="ci", labels={"build": "7"}, name="*5*", is_prerelease=False
    ),
}
SEARCHES = {
    "all": Terms(),
    "name": Terms((("name", "/team-5/app-102"),)),
    "name by version": Terms((("name", "team-5/app-102"),), sort="version"),
    "names": Terms((("name", "team-*"), ("name", "*5*"), ("version", "1.?"))),
    "group": Terms((("group", ""),), sort="repository", is_descending=True),
    "words": Terms((("q", "team-5 1.1?"), ("prerelease", "true"))),
    "checksums": Terms((("sha256", "f" * 64), ("md5", "0" * 32))),
    "format": Terms((("format", "so*"), ("version", "1.7")), sort="group"),
}
ASSETS = {
    "assets": AssetQuery(),
    "assets of a kind": AssetQuery(kind="tag"),
    "assets by download": AssetQuery(order=Order.DOWNLOADED, is_descending=True),
    "assets below a path": AssetQuery(path="/tags/team-5/*"),
    "assets by any path": AssetQuery(path="*/1.7"),
    "assets of a component": AssetQuery(component=77),
    "assets of a package": AssetQuery(package=7),
    "assets with a digest": AssetQuery(digest="f" * 64),
    "assets of an uploader": AssetQuery(uploader="rare"),
    "assets, lately": AssetQuery(updated=(NOW + 99_990, None)),
}
PACKAGES = {
    f"packages by {each}": PackageQuery(order=each)
    for each in (Order.NAME, Order.UPDATED, Order.DOWNLOADED, Order.SIZE, Order.OWN_SIZE)
}
PACKAGES["packages by name"] = PackageQuery(name="team-5/*")
