"""The catalog asks indexes alone, whatever it is asked: no statement scans a table or sorts."""

import sqlite3
from contextlib import closing

import pytest

from repoman.catalog.catalog import Catalog
from repoman.catalog.model import PageRequest, Scope
from repoman.config import CatalogSettings, DatabaseSettings
from repoman.db.database import FILE, Database
from repoman.db.models import database_proxy
from repoman.repositories.repository_records import Row, insert_row
from repoman.search import TrigramIndex
from tests.catalog_questions import ASSETS, COMPONENTS, PACKAGES
from tests.fill import fill

REPOSITORIES = 10
PAGES = 3
INTERNAL = ("'component_index_", "'version_index_")
# There are few of them; or they are the rows of an index that was asked.
SMALL = ("SCAN blob_store_usage", "SCAN CONSTANT", "SCAN component_index", "SCAN version_index")
SMALL = (*SMALL, "SCAN user", "SCAN child")


class PlainSealer:
    """Keys that are not sealed."""

    def seal(self, position):
        return position

    def open(self, cursor):
        return cursor


class Viewer:
    """Who sees everything."""

    def scopes(self):
        return [Scope(number + 1, f"r{number}", "some") for number in range(REPOSITORIES)]


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def path(request, tmp_path_factory):
    """A database with content in several repositories."""
    directory = tmp_path_factory.mktemp("plans")
    database = Database(directory, DatabaseSettings())
    database.open()
    ids = [
        insert_row(Row(0, f"r{number}", "some", "hosted", True, {}))
        for number in range(REPOSITORIES)
    ]
    database.close()
    with closing(sqlite3.connect(directory / FILE)) as connection:
        fill(connection, ids, 4000)
        if request.param == "with statistics":
            connection.execute("analyze")
            connection.commit()
    return directory


@pytest.fixture
def opened(path):
    """The database, open."""
    database = Database(path, DatabaseSettings())
    database.open()
    yield database
    database.close()


def statements_of(ask):
    """The statements of three pages of an answer, with their values in them."""
    asked = []
    connection = database_proxy.connection()
    connection.set_trace_callback(asked.append)
    after = ""
    try:
        for _ in range(PAGES):
            page = ask(PageRequest(50, after))
            if page.next is None:
                break
            after = page.next
    finally:
        connection.set_trace_callback(None)
    questions = [each for each in dict.fromkeys(asked) if each.startswith(("SELECT", "WITH"))]
    return [each for each in questions if not any(name in each for name in INTERNAL)]


def bad_steps(statement):
    """What of a plan takes time in proportion to all there is."""
    rows = database_proxy.connection().execute(f"explain query plan {statement}").fetchall()
    steps = [detail for *_, detail in rows]
    return [
        each
        for each in steps
        if (each.startswith("SCAN") and not each.startswith(SMALL))
        or "TEMP B-TREE FOR ORDER" in each
        or "AUTOMATIC" in each
    ]


@pytest.mark.parametrize("name", [*COMPONENTS, *ASSETS, *PACKAGES])
def test_an_index_answers(opened, name):
    catalog = Catalog(CatalogSettings(), PlainSealer(), TrigramIndex())
    if name in COMPONENTS:
        method, query = catalog.components, COMPONENTS[name]
    elif name in ASSETS:
        method, query = catalog.assets, ASSETS[name]
    else:
        method, query = catalog.packages, PACKAGES[name]
    statements = statements_of(lambda page: method(query, page, Viewer()))
    assert statements
    bad = {each: bad_steps(each) for each in statements if bad_steps(each)}
    assert bad == {}


def test_a_bad_plan_is_noticed(opened):
    assert bad_steps("SELECT * FROM component WHERE description = 'x'")
    assert bad_steps("SELECT * FROM component WHERE repository_id = 1 ORDER BY created_at")
