"""The catalog asks indexes alone, whatever it is asked: no statement scans a table or sorts."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest

from repoman.catalog import records
from repoman.catalog.model import ComponentQuery, Order, PageRequest, Scope
from repoman.catalog.search_terms import Terms, compile_terms
from repoman.catalog.visibility import ScopeViewer
from repoman.config import DatabaseSettings
from repoman.content_rules import ContentRules, beginning_with
from repoman.db.database import FILE, Database
from repoman.db.models import database_proxy
from tests.catalog_questions import (
    ASSETS,
    COMPONENTS,
    PACKAGES,
    SEARCHES,
    Viewer,
    fill_database,
    make_catalog,
)
from tests.fill import VERSIONS
from tests.statements import executed_statements

PAGES = 3
RULES = ContentRules(names_below=lambda path: beginning_with(path.removeprefix("/")))
SEARCHED = ComponentQuery(repositories=("r3",), kind="tag")
INTERNAL = ("'component_index_", "'version_index_")
# There are few of them; or they are the rows of an index that was asked.
SMALL = ("SCAN blob_store_usage", "SCAN CONSTANT", "SCAN component_index", "SCAN version_index")
SMALL = (*SMALL, "SCAN user", "SCAN child", "SCAN part", "SCAN wanted")


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def path(request, tmp_path_factory):
    """A database with content in several repositories."""
    directory = tmp_path_factory.mktemp("plans")
    fill_database(directory, 4000)
    with closing(sqlite3.connect(directory / FILE)) as connection:
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
    after = ""
    with executed_statements() as asked:
        for _ in range(PAGES):
            page = ask(PageRequest(50, after))
            if page.next is None:
                break
            after = page.next
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
    catalog = make_catalog()
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


@pytest.mark.parametrize("name", SEARCHES)
def test_an_index_answers_a_search(opened, name):
    catalog = make_catalog()
    query, scopes = compile_terms(SEARCHES[name], Viewer().scopes())

    def ask(page):
        found = catalog.components_with_assets(query, page, ScopeViewer(scopes))
        for each, _ in found.items[:1]:
            assert catalog.component(each.id, ScopeViewer(scopes)) == each
        return found

    statements = statements_of(ask)
    bad = {each: bad_steps(each) for each in statements if bad_steps(each)}
    assert statements
    assert bad == {}


@pytest.mark.parametrize("name", ["team-5/app-102", "team-5/*", "none"])
def test_an_index_lists_the_versions_of_a_component(opened, name):
    query, scopes = compile_terms(Terms((("name", name),)), Viewer().scopes())
    for order in (Order.VERSION, query.order):
        with executed_statements() as asked:
            make_catalog().versions(replace(query, order=order), ScopeViewer(scopes))
        assert asked
        assert [step for each in asked for step in bad_steps(each)] == []


@pytest.mark.parametrize("column", ["version_key", "updated_at"])
def test_an_index_says_what_is_beyond_the_newest(opened, column):
    ids = [row[0] for row in records.list_rows("component", range(1, 200))]
    with executed_statements() as asked:
        records.list_beyond_newest(ids, 2, column)
    assert len(asked) == 2
    assert [step for each in asked for step in bad_steps(each)] == []


def work_of(ask):
    """How much the database does for an answer, in hundreds of its instructions."""
    connection, count = database_proxy.connection(), 0

    def note():
        nonlocal count
        count += 1

    connection.set_progress_handler(note, 100)
    try:
        ask()
    finally:
        connection.set_progress_handler(None, 0)
    return count


def pages_of(is_descending, *beginnings):
    """Ask for the pages of what somebody sees who sees such names."""
    seen = tuple(f"/{each}" for each in beginnings)
    viewer = ScopeViewer([Scope(1, "r0", "some", RULES, lambda *_: True, seen)])
    query = ComponentQuery(order=Order.NAME, is_descending=is_descending)
    return lambda page: make_catalog().components(query, page, viewer)


@pytest.mark.parametrize("is_descending", [False, True])
def test_each_row_of_two_beginnings_is_on_one_page(opened, is_descending):
    ask, found, after = pages_of(is_descending, "team-0/", "team-9/"), [], ""
    while after is not None:
        page = ask(PageRequest(3, after))
        found += [(each.name, each.version) for each in page.items]
        after = page.next
    names = {"team-0/app-0", "team-9/app-9"}
    assert found == sorted(found, reverse=is_descending)
    assert {name for name, _ in found} == names
    assert len(found) == len(set(found)) == len(names) * VERSIONS


@pytest.mark.parametrize("is_descending", [False, True])
def test_what_lies_between_two_beginnings_is_not_read(opened, is_descending):
    neighbours = ("team-8/", "team-9/") if is_descending else ("team-0/", "team-1/")
    costs = []
    for beginnings in (neighbours, ("team-0/", "team-9/")):
        ask = pages_of(is_descending, *beginnings)
        after = ask(PageRequest(3)).next
        costs.append(work_of(partial(ask, PageRequest(3, after))))
    assert costs[1] <= costs[0] + 2


@pytest.mark.parametrize("is_descending", [False, True])
def test_what_lies_on_other_pages_is_not_read(opened, is_descending):
    ask, costs, after = pages_of(is_descending, "team-"), [], ""
    while after is not None:
        page = ask(PageRequest(3, after))
        costs.append(work_of(partial(ask, PageRequest(3, after))))
        after = page.next
    assert len(costs) > 100
    assert max(costs) <= min(costs) + 5


def test_a_page_costs_few_statements_however_many_items_it_has(opened):
    catalog, viewer = make_catalog(), Viewer()
    counts = []
    for size in (1, 100):
        with executed_statements() as asked:
            page = catalog.components_with_assets(SEARCHED, PageRequest(size), viewer)
            assert len(page.items) == size
            assert all(len(assets) == 1 for _, assets in page.items)
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 5


def test_a_bad_plan_is_noticed(opened):
    assert bad_steps("SELECT * FROM component WHERE description = 'x'")
    assert bad_steps("SELECT * FROM component WHERE repository_id = 1 ORDER BY created_at")
