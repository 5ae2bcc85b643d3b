"""An image with 100,000 tags: each page of them costs the same, in any order, wherever it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from repoman.db.models import database_proxy
from repoman.testing import RepomanFactory
from repoman.versions import version_key
from repoman_docker import plugin as docker
from repoman_docker.browsing.image_deletion import plan_image_deletion
from repoman_docker.browsing.tags import TagOrder, TagQuery, list_tags, newest_tag
from tests.functional.docker.images import make_image
from tests.functional.docker.test_browsing import see
from tests.functional.rights.stage import Stage
from tests.statements import executed_statements

TAGS = 100_000
IMAGES = 50
STEPS = 1_000  # Of SQLite's machine, which are counted together.
STATEMENTS_MAX = 10
STEPS_MAX = 150  # Thousands; reading all tags once takes some thousands.


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A repository with the image ``big``, as the program sees it."""
    factory = RepomanFactory(tmp_path_factory.mktemp("many"))
    stage = Stage(factory({"docker": docker}))
    name = stage.make_repository()
    registry = stage.mounted(name)
    for number in range(IMAGES):
        registry.push("big", f"0.{number}", make_image())
    fill(stage.repoman.repositories.get(name).config.id)
    yield see(stage, name)
    factory.stop()


def fill(repository: int) -> None:
    """Write tags of these images as the product would, but all at once."""
    writer = database_proxy.writer
    writer.create_function("version_key", 1, version_key, deterministic=True)
    numbers = (
        f"WITH RECURSIVE numbers(n) AS (SELECT {IMAGES} UNION ALL SELECT n + 1 FROM numbers "
        f"LIMIT {TAGS - IMAGES}) "
    )
    writer.execute("BEGIN IMMEDIATE")
    writer.execute(
        numbers + "INSERT INTO component (repository_id, kind, namespace, name, version, "
        "description, package_id, version_key, is_prerelease, size, created_at, updated_at, "
        "downloaded_at) SELECT c.repository_id, c.kind, '', c.name, '1.' || n, '', c.package_id, "
        "version_key('1.' || n), 0, 0, c.created_at, c.updated_at + n * 0.001, 0 "
        "FROM numbers JOIN component AS c ON c.repository_id = ? AND c.kind = 'tag' "
        f"AND c.name = 'big' AND c.version = '0.' || (n % {IMAGES})",
        (repository,),
    )
    writer.execute(
        "INSERT INTO asset (repository_id, component_id, path, kind, blob_id, media_type, "
        "attributes, created_at, updated_at, package_id, uploader, uploader_address, "
        "transfer_size) SELECT c.repository_id, c.id, 'tags/big/' || c.version, 'tag', a.blob_id, "
        "a.media_type, a.attributes, a.created_at, c.updated_at, a.package_id, a.uploader, '', "
        "a.transfer_size + c.id FROM component AS c JOIN asset AS a ON a.repository_id = "
        f"c.repository_id AND a.path = 'tags/big/0.' || (substr(c.version, 3) % {IMAGES}) "
        "WHERE c.repository_id = ? AND c.version LIKE '1.%'",
        (repository,),
    )
    writer.execute(
        "INSERT INTO reference (repository_id, asset_id, source, kind, path, size) SELECT "
        "a.repository_id, a.id, a.path, 'tag', r.path, r.size FROM asset AS a JOIN reference AS r "
        "ON r.repository_id = a.repository_id AND r.source = 'tags/big/0.' || "
        f"(substr(a.path, 12) % {IMAGES}) WHERE a.repository_id = ? AND a.path LIKE 'tags/big/1.%'",
        (repository,),
    )
    writer.execute("COMMIT")


@contextmanager
def counted_steps() -> Iterator[list[int]]:
    """Count what SQLite's machine does for this thread, in thousands of steps."""
    found = [0]

    def step() -> int:
        found[0] += 1
        return 0

    connection = database_proxy.connection()
    connection.set_progress_handler(step, STEPS)
    try:
        yield found
    finally:
        connection.set_progress_handler(None, 0)


@pytest.mark.parametrize("order", TagOrder)
def test_a_page_costs_the_same_wherever_it_is(everything, order):
    query, after, seen = TagQuery(order=order), "", []
    list_tags(everything, "big", query)  # The manifests are remembered from now on.
    for number in range(12):
        with executed_statements() as statements, counted_steps() as steps:
            page = list_tags(everything, "big", query, after)
        assert len(page.items) == 50
        assert len(statements) <= STATEMENTS_MAX, number
        assert steps[0] <= STEPS_MAX, number
        seen += [each.tag for each in page.items]
        after = page.next
    assert len(set(seen)) == 600
    assert seen[0] == {"newest": f"1.{TAGS - 1}", "version": f"1.{TAGS - 1}", "name": "0.0"}.get(
        order, seen[0]
    )


def test_sizes_fall(everything):
    sizes = [
        each.size for each in list_tags(everything, "big", TagQuery(order=TagOrder.SIZE)).items
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 50


def test_the_newest_version_is_found_at_once(everything):
    with executed_statements() as statements, counted_steps() as steps:
        assert newest_tag(everything, "big") == f"1.{TAGS - 1}"
    assert (len(statements) <= 4, steps[0] <= STEPS_MAX) == (True, True)


def test_a_filter_examines_a_bounded_part(everything):
    with counted_steps() as steps:
        page = list_tags(everything, "big", TagQuery("1.77777"))
    assert page.items or page.next is not None
    assert steps[0] <= 20 * STEPS_MAX
    after, found = "", []
    while after is not None:
        page = list_tags(everything, "big", TagQuery("*9999*", order=TagOrder.NAME), after)
        found += [each.tag for each in page.items]
        after = page.next
    assert len(found) == sum("9999" in str(n) for n in range(IMAGES, TAGS))


def test_a_deletion_of_all_is_planned_at_once(everything):
    with executed_statements() as statements, counted_steps() as steps:
        plan = plan_image_deletion(everything, "big")
    assert plan.tags == TAGS
    assert len(statements) <= 2 * STATEMENTS_MAX
    assert steps[0] <= 2 * STEPS_MAX
