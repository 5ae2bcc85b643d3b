"""Every question of a client is answered from an index, however much there is: no scan, no sort.

What is looked at is how SQLite means to find the answer and not how long it takes, with tables that
are full and with or without statistics about them.
"""

import re
import sqlite3
import time
from contextlib import closing
from itertools import islice

import pytest

from repoman.caching import BUDGET
from repoman.collection import CollectionOptions
from repoman.events.event import Coordinate
from tests.functional.docker.images import (
    OCI_EMPTY,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    index_of,
    make_image,
    to_json,
)
from tests.statements import executed_statements

TAGS = 100_000  # of one image
NAMES = 10_000
REFERRERS = 20_000  # of one manifest, and users of one blob
BIG = "big/image"
SUBJECT = f"sha256:{'5' * 64}"
SHARED = digest_of(b"a layer that many share")
NOW = 1.7e9


def hexadecimal(kind, number):
    return f"{kind}{number:063x}"


def fill(connection):
    """Write rows as the product would, but a hundred thousand at a time."""
    [(repository,)] = connection.execute("select id from repository where name = 'docker-hosted'")
    [(blob,)] = connection.execute(
        "insert into blob (store, digest, size, created_at) "
        "values ('default', ?, 2, 0) returning id",
        [digest_of(b"filling").partition(":")[2]],
    )
    components = (
        *((repository, "tag", "", BIG, f"v{number:06}") for number in range(TAGS)),
        *((repository, "image", "", f"name-{number:05}", "") for number in range(NAMES)),
    )
    connection.executemany(
        "insert into component (repository_id, kind, namespace, name, version, "
        f"created_at, updated_at) values (?, ?, ?, ?, ?, {NOW}, {NOW})",
        components,
    )
    assets = (
        *((f"tags/{BIG}/v{number:06}", "tag") for number in range(TAGS)),
        *((f"manifests/{BIG}/sha256:{hexadecimal('a', n)}", "manifest") for n in range(REFERRERS)),
        *((f"blobs/sha256:{hexadecimal('b', n)}/{BIG}", "blob") for n in range(REFERRERS)),
        *((f"blobs/{SHARED}/name-{n:05}", "blob") for n in range(NAMES)),
    )
    connection.executemany(
        "insert into asset (repository_id, path, kind, blob_id, media_type, attributes, "
        "created_at, updated_at) "
        f"values ({repository}, ?, ?, {blob}, 'x/y', "
        f'\'{{"digest":"sha256:{"c" * 64}","annotations":{{}},"artifact_type":""}}\', '
        f"{NOW}, {NOW})",
        assets,
    )
    connection.execute(
        "update asset set component_id = (select component.id from component "
        "where component.kind = 'tag' and component.version = substr(asset.path, -7) "
        f"and component.repository_id = {repository} and component.name = '{BIG}' "
        "and component.namespace = '') where kind = 'tag'"
    )
    for kind, path in (
        ("subject", f"manifests/{BIG}/{SUBJECT}"),
        ("blob", f"blobs/{SHARED}/{BIG}"),
    ):
        connection.execute(
            "insert into reference (repository_id, asset_id, kind, path, source) "
            "select repository_id, id, ?, ?, path from asset where path like ?",
            [kind, path, f"manifests/{BIG}/sha256:a00%"],
        )


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def full(request, in_process):
    """A repository that has a lot of everything."""
    with closing(sqlite3.connect(in_process.data / "repoman.db")) as connection, connection:
        if not connection.execute("select 1 from reference where kind = 'subject'").fetchone():
            in_process.registry.push(BIG, "pushed", make_image())
            fill(connection)
        if request.param == "with statistics":
            connection.execute("analyze")
    in_process.repoman.database.close()  # so that the next connection reads the statistics
    in_process.repoman.refresh()
    return in_process


@pytest.fixture(autouse=True)
def nothing_cached():
    """Each test asks the database, whatever was asked before it."""
    size = BUDGET.size
    BUDGET.resize(0)
    BUDGET.resize(size)


def steps_of(site, *statements):
    """How SQLite means to answer each statement, step by step."""
    with closing(sqlite3.connect(site.data / "repoman.db")) as connection:
        plans = [connection.execute(f"explain query plan {each}").fetchall() for each in statements]
    return [[detail for *_, detail in plan] for plan in plans]


# What SQLite's full-text indexes ask of their own tables.
OF_THE_INDEX = ("'component_index_", "'version_index_")
SELECTORS = 'FROM "content_selector"'  # there are few, and all of them matter
VALUES = re.compile(r"'(?:[^']|'')*'|\b[\d.]+\b")  # Statements that differ in these are alike.
SMALL = ("repository", "user", "revision", "upload", "connector", "secret")
SMALL_STEP = "SCAN owner"  # Of the repositories, for each of the few rows that were found.


def is_internal(statement):
    """A statement that a full-text index makes itself."""
    return any(table in statement for table in OF_THE_INDEX)


def is_bad(step):
    """A scan of a table that can be large, a sort, or an index made for the occasion."""
    scans = step.startswith("SCAN") and not any(f'"{each}"' in step for each in SMALL)
    is_subquery = step.startswith(("SCAN CONSTANT", "SCAN SUBQUERY"))
    is_small = step == SMALL_STEP
    is_given = step.endswith("VIRTUAL TABLE INDEX 1:")  # the JSON list of a parameter
    return (
        (scans and not (is_subquery or is_given or is_small))
        or "TEMP B-TREE" in step
        or "AUTOMATIC" in step
    )


def check(site, statements):
    """No statement is answered the long way."""
    questions = [
        each
        for each in statements
        if each.startswith(("SELECT", "UPDATE", "DELETE"))
        and not is_internal(each)
        and SELECTORS not in each
    ]
    assert questions
    alike = {VALUES.sub("?", each): each for each in questions}
    plans = zip(alike.values(), steps_of(site, *alike.values()), strict=True)
    assert {each: steps for each, steps in plans if any(map(is_bad, steps))} == {}


QUESTIONS = {
    "tags": ("GET", f"{BIG}/tags/list"),
    "tags, a page": ("GET", f"{BIG}/tags/list?n=100&last=v050000"),
    "tags, the end": ("GET", f"{BIG}/tags/list?n=100&last=v099990"),
    "tags of no image": ("GET", "absent/tags/list"),
    "catalog": ("GET", "_catalog"),
    "catalog, a page": ("GET", "_catalog?n=100&last=name-05000"),
    "manifest by tag": ("GET", f"{BIG}/manifests/pushed"),
    "manifest by digest": ("GET", f"{BIG}/manifests/{SUBJECT}"),
    "blob": ("GET", f"{BIG}/blobs/{SHARED}"),
    "referrers": ("GET", f"{BIG}/referrers/{SUBJECT}"),
    "referrers, a page": (
        "GET",
        f"{BIG}/referrers/{SUBJECT}?last=sha256:{hexadecimal('a', REFERRERS - 100)}",
    ),
    "mount from an image": ("POST", f"new/blobs/uploads/?mount={SHARED}&from=name-00005"),
    "mount from anywhere": ("POST", f"new/blobs/uploads/?mount={SHARED}"),
    "mount of nothing, the last digest of all": (
        "POST",
        f"new/blobs/uploads/?mount=sha256:{'f' * 64}",
    ),
    "deletion of a blob in use": ("DELETE", f"{BIG}/blobs/{SHARED}"),
    "deletion of a tag": ("DELETE", f"{BIG}/manifests/v000077"),
    "deletion of a manifest": (
        "DELETE",
        f"{BIG}/manifests/sha256:{hexadecimal('a', REFERRERS - 1)}",
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_index_answers(full, question):
    with executed_statements() as statements:
        full.registry.send(*QUESTIONS[question])
    check(full, statements)


def test_an_index_answers_throughout_a_push(full, name):
    with executed_statements() as statements:
        full.registry.push(name, "1", make_image())
        full.registry.push(name, "1", make_image())
        full.registry.delete(f"{name}/manifests/1")
    check(full, statements)
    tables = " ".join(statements)
    assert all(f'"{each}"' in tables for each in ("blob", "asset", "component", "reference"))


@pytest.fixture
def guarded(full):
    """The full repository with immutable tags, where deletions are final."""
    manager = full.repoman.repositories
    manager.update("docker-hosted", {"docker": {"undo_days": 0, "immutable_tags": ["x*"]}})
    yield manager
    manager.update("docker-hosted", {"docker": {"undo_days": 14, "immutable_tags": []}})


def test_an_index_answers_throughout_deletions(full, guarded, name):
    image, other = make_image(), make_image()
    full.registry.push(name, "1", image)
    full.registry.push(name, "2", other)
    for tag in ("3", "x"):
        full.registry.push_manifest(name, tag, index_of(image.manifest, number=tag))
    with executed_statements() as statements:
        assert full.registry.delete(f"{name}/manifests/{image.digest}").status == 403
        assert full.registry.delete(f"{name}/manifests/{other.digest}").status == 202
    check(full, statements)
    guarded.update("docker-hosted", {"docker": {"immutable_tags": []}})
    capabilities = guarded.get("docker-hosted").capabilities
    with executed_statements() as statements:
        capabilities.delete_component(Coordinate("image", name))
    check(full, statements)


def test_a_push_with_a_thousand_layers_asks_for_many_at_once(full, name):
    layers = [f"layer {number}".encode() for number in range(1000)]
    entries = [descriptor(layer, "x/y") for layer in layers]
    config = descriptor(b"{}", OCI_EMPTY)
    fields = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": entries}
    with executed_statements() as statements:
        answer = full.registry.put_manifest(name, "1", to_json(fields))
    assert answer.code == "MANIFEST_BLOB_UNKNOWN"
    assert len(answer.errors) == 1001
    assert len(statements) < 20
    check(full, statements)


def test_a_page_reads_no_more_rows_than_it_has(full):
    for path, key in ((f"{BIG}/tags/list", "tags"), ("_catalog", "repositories")):
        with executed_statements() as statements:
            answer = full.registry.get(f"{path}?n=7")
        assert len(answer.json()[key]) == 7
        [statement] = [each for each in statements if "component" in each]
        assert "LIMIT 8) SELECT json_group_array" in statement


def test_a_mount_looks_at_no_other_digest(full):
    with executed_statements() as statements:
        full.registry.start("new", mount=f"sha256:{'f' * 64}")
    [statement] = [each for each in statements if "ORDER BY" in each]
    [steps] = steps_of(full, statement)
    [step] = [each for each in steps if "asset" in each or "t1" in each]
    assert "path>? AND path<?" in step


COLLECTED = ("trash", "manifests", "chains", "images", "blobs")  # The phases of a plan.
A_YEAR_S = 366 * 86_400.0
STEPS = 10  # Of each phase that are looked at: enough for some windows of a thousand assets.


@pytest.fixture
def collector(full):
    """The collection of the full repository, which may delete manifests without a tag."""
    manager = full.repoman.repositories
    manager.update("docker-hosted", {"docker": {"untagged_days": 1}})
    yield manager.get("docker-hosted").capabilities.collector
    manager.update("docker-hosted", {"docker": {"untagged_days": None}})


@pytest.mark.parametrize("is_dry", [True, False], ids=["dry run", "run"])
@pytest.mark.parametrize("phase", COLLECTED)
def test_an_index_answers_throughout_the_plan_of_a_collection(full, collector, phase, is_dry):
    options = CollectionOptions(time.time() + A_YEAR_S, 60.0, is_dry=is_dry)
    with executed_statements() as statements:
        list(islice(collector.steps(options, f"{phase}:"), STEPS))
    check(full, statements)


def test_an_index_answers_throughout_the_run_of_a_collection(full, collector, name):
    image = make_image()
    full.registry.push(name, "1", image)
    full.registry.delete(f"{name}/manifests/{image.digest}")
    options = CollectionOptions(time.time() + A_YEAR_S, 60.0)
    gone = []
    with executed_statements() as statements:
        for step in islice(collector.steps(options, "trash:"), STEPS):
            gone += collector.carry_out(step, options)[0] if step.items else []
        collector.explain(f"name-00005@{SHARED}", options)
    assert len([path for path in gone if path.startswith("trash/")]) >= 1
    assert len([path for path in gone if path.startswith("blobs/")]) == len(image.blobs)
    check(full, statements)


BY_NAME = (
    "SEARCH component USING INDEX component_repository_id_kind_namespace_name_version "
    "(repository_id=? AND kind=? AND namespace=? AND name>? AND name<?)"
)
# By a part of the names that come first in this index, which it knows all of.
FIRST_NAMES = (
    "SEARCH component USING COVERING INDEX component_repository_id_kind_namespace_name_version "
    "(repository_id=? AND kind=? AND namespace=?)"
)
BY_PART = ["CO-ROUTINE named", FIRST_NAMES, "SCAN named"]
# By a word (M), in the range of rows of one repository (><).
BY_WORD = "SCAN component_index VIRTUAL TABLE INDEX 0:M3><"
ROW = "SEARCH component USING INTEGER PRIMARY KEY (rowid=?)"


@pytest.mark.parametrize(
    ("text", "plans"),
    [
        ("", [[BY_NAME]]),
        ("na", [[BY_NAME]]),
        ("e-", [[BY_NAME], [*BY_PART, ROW]]),
        ("name-0512", [[BY_NAME], [BY_WORD, ROW]]),
        ("ame-0123", [[BY_NAME], [BY_WORD, ROW]]),
        ("a name that nobody has", [[BY_WORD, ROW]]),
    ],
)
def test_search_asks_indexes_alone(full, text, plans):
    service = full.repoman.repositories.get("docker-hosted").service
    with executed_statements() as statements:
        service.search.find(text, 25, None)
    asked = [each for each in statements if "component" in each and not is_internal(each)]
    assert steps_of(full, *asked) == plans


def test_a_bad_plan_is_noticed(full):
    with pytest.raises(AssertionError):
        check(full, ["SELECT * FROM component WHERE version = 'v1'"])
    with pytest.raises(AssertionError):
        check(full, ["SELECT * FROM component WHERE repository_id = 1 ORDER BY updated_at"])
