"""The content of a repository: assets, components, references, and the borders between them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoman.blobs.upload import store_bytes
from repoman.content import NewAsset, Reference
from repoman.db.models import AssetRecord, BlobRecord, ComponentRecord, ReferenceRecord
from repoman.errors import Conflict, NotFound
from repoman.events.event import Coordinate
from repoman.repositories.repository_records import delete_row
from tests.examples import count
from tests.statements import changed_rows

# The order of bytes, which is not that of letters: upper case, lower case, umlauts, fish.
IN_BYTE_ORDER = ["A", "Z", "_", "a", "a!", "a/b", "ab", "z", "ä", "é", "日本", "\ufeff", "🐟"]


@pytest.fixture
def save(content, blob):
    """Store an asset with the given blob or another."""

    def save(path, store=content, **values):
        store.save_asset(
            NewAsset(**{"path": path, "kind": "file", "blob": blob, **ASSET, **values})
        )

    return save


ASSET = {"media_type": "text/plain"}


def paths(assets):
    return [asset.path for asset in assets]


# --- Assets --------------------------------------------------------------------------------------


def test_an_asset_is_found_with_all_it_was_given(content, save, blob):
    save("a", kind="tag", media_type="text/html", attributes={"digest": "sha512:ab", "n": [1]})
    asset = content.get_asset("a")
    assert (asset.path, asset.kind, asset.media_type) == ("a", "tag", "text/html")
    assert (asset.digest, asset.size) == (blob.digest, blob.size)
    assert asset.attributes == {"digest": "sha512:ab", "n": [1]}
    assert content.find_asset("a") == asset


def test_what_is_not_there_is_not_found(content, save):
    save("a")
    assert content.find_asset("A") is None
    with pytest.raises(NotFound, match="There is nothing at b"):
        content.get_asset("b")


def test_the_bytes_of_an_asset_are_those_of_its_blob(content, save):
    save("a")
    with content.open_asset(content.get_asset("a")) as file:
        assert file.read() == b"some bytes"


def test_bytes_that_the_blob_store_lost_are_not_found(content, save, blobs, tmp_path, blob):
    save("a")
    (tmp_path / "blobs/sha256" / blob.digest[:2] / blob.digest).unlink()
    with pytest.raises(NotFound, match=blob.digest):
        content.open_asset(content.get_asset("a"))


def test_a_second_asset_takes_the_place_of_the_first(content, save, blobs):
    save("a", attributes={"old": 1}, references=(Reference("needs", "b"),))
    first = content.get_asset("a")
    other = store_bytes(blobs, b"other bytes")
    save("a", blob=other, kind="other", media_type="text/html")
    second = content.get_asset("a")
    assert (second.id, second.digest, second.kind) == (first.id, other.digest, "other")
    assert (second.media_type, second.attributes) == ("text/html", {})
    assert content.referring("b", "needs") == []
    assert second.updated_at >= first.updated_at
    assert AssetRecord.select().count() == 1


def test_equal_bytes_of_several_assets_are_one_blob(content, save, make_content):
    save("a")
    save("b")
    save("a", store=make_content("other"))
    assert BlobRecord.select().count() == 1


def test_existing_tells_which_of_many_paths_are_there(content, save):
    save("p7")
    save("p1800")
    found = content.existing(f"p{number}" for number in range(2000))
    assert set(found) == {"p7", "p1800"}
    assert found["p7"] == content.get_asset("p7")
    assert content.existing([]) == {}


# --- Lists ---------------------------------------------------------------------------------------


def read_in_pages(page, size):
    """All entries of a paged list, read ``size`` at a time."""
    found, after = [], ""
    while entries := page(after, size):
        assert len(entries) <= size
        found += entries
        after = entries[-1]
    return found


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_assets_are_listed_in_byte_order_page_by_page(content, save, size):
    for path in reversed(IN_BYTE_ORDER):
        save(path)
    save("other", kind="other")

    def page(after, limit):
        return paths(content.list_assets("file", after, limit))

    assert read_in_pages(page, size) == IN_BYTE_ORDER


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_names_are_listed_in_byte_order_page_by_page_and_once(content, size):
    for name in reversed(IN_BYTE_ORDER):
        for version in ("1", "2"):
            content.save_component(Coordinate("tag", name, version))
    content.save_component(Coordinate("other", "other"))
    content.save_component(Coordinate("tag", "elsewhere", namespace="elsewhere"))

    def page(after, limit):
        return content.list_names("tag", after, limit)

    assert read_in_pages(page, size) == IN_BYTE_ORDER


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_versions_are_listed_in_byte_order_page_by_page(content, size):
    for version in reversed(IN_BYTE_ORDER):
        content.save_component(Coordinate("tag", "app", version))
    content.save_component(Coordinate("tag", "app2", "other"))
    content.save_component(Coordinate("tag", "app", "other", namespace="elsewhere"))

    def page(after, limit):
        return content.list_versions("tag", "app", after, limit)

    assert read_in_pages(page, size) == IN_BYTE_ORDER


@given(
    st.sets(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
)
@settings(max_examples=count(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_names_are_listed_in_the_order_of_their_bytes(database, make_content, names):
    with database.transaction() as _:
        content = make_content(f"r{len(ComponentRecord.select())}-{id(names)}")
        for name in names:
            content.save_component(Coordinate("tag", name))
    assert content.list_names("tag", "", -1) == sorted(names, key=str.encode)


def test_assets_below_a_prefix_are_listed_without_their_neighbours(content, save):
    for path in ("a", "a/", "a/1", "a/2", "a/\U0010fffe", "a0", "b/1"):
        save(path)

    def page(after, limit=9):
        return paths(content.list_assets("file", after, limit, prefix="a/"))

    assert page("") == page("a") == ["a/", "a/1", "a/2", "a/\U0010fffe"]
    assert page("a/1") == ["a/2", "a/\U0010fffe"]
    assert page("", 1) == ["a/"]
    assert page("b") == []


# --- References ----------------------------------------------------------------------------------


def test_a_reference_counts_once(content, save):
    save("a", references=(Reference("needs", "b"), Reference("needs", "b")))
    assert paths(content.referring("b", "needs")) == ["a"]


def test_who_refers_to_a_path_is_known_in_byte_order_page_by_page(content, save):
    for path in reversed(IN_BYTE_ORDER):
        save(path, references=(Reference("needs", "target"), Reference("needs", "other")))
    save("elsewhere", references=(Reference("names", "target"),))

    def page(after, limit):
        return paths(content.referring("target", "needs", after, limit))

    assert read_in_pages(page, 4) == IN_BYTE_ORDER
    assert paths(content.referring("target", "needs")) == IN_BYTE_ORDER
    assert paths(content.referring("target", "names")) == ["elsewhere"]


def test_a_reference_may_come_before_its_target(content, save):
    save("a", references=(Reference("needs", "later"),))
    save("later")
    assert paths(content.referring("later", "needs")) == ["a"]


def test_a_reference_goes_with_its_asset_and_not_with_its_target(content, save):
    save("a", references=(Reference("needs", "b"),))
    save("b")
    content.delete_assets(["b"])
    assert paths(content.referring("b", "needs")) == ["a"]
    content.delete_assets(["a"])
    assert content.referring("b", "needs") == []
    assert ReferenceRecord.select().count() == 0


def test_an_asset_may_refer_to_very_many(content, save):
    save("a", references=tuple(Reference("needs", f"layer{number}") for number in range(1201)))
    assert paths(content.referring("layer1200", "needs")) == ["a"]


# --- Components ----------------------------------------------------------------------------------

APP = Coordinate("tag", "app", "1", namespace="team")


def test_a_component_is_there_with_exactly_its_coordinate(content, save):
    save("a", component=APP)
    assert content.has_component(APP)
    assert not content.has_component(Coordinate("tag", "app", "1"))
    assert not content.has_component(Coordinate("tag", "app", "2", namespace="team"))
    assert not content.has_component(Coordinate("other", "app", "1", namespace="team"))


def test_a_component_goes_with_its_last_asset(content, save):
    save("a", component=APP)
    save("b", component=APP)
    assert content.delete_assets(["a"]) == 1
    assert content.has_component(APP)
    assert content.delete_assets(["b"]) == 1
    assert not content.has_component(APP)


def test_a_component_goes_when_its_last_asset_moves_to_another(content, save):
    other = Coordinate("tag", "app", "2")
    save("a", component=APP)
    save("a", component=other)
    assert content.has_component(other)
    assert not content.has_component(APP)
    save("a")
    assert not content.has_component(other)


def test_a_component_without_assets_stays_until_it_is_deleted(content, save):
    content.save_component(APP)
    save("a")
    content.delete_assets(["a"])
    assert content.has_component(APP)
    assert content.delete_component(APP)
    assert not content.has_component(APP)
    assert not content.delete_component(APP)


def test_a_deleted_component_takes_its_assets_along(content, save):
    save("a", component=APP)
    save("b")
    assert content.delete_component(APP)
    assert paths(content.list_assets("file", "", -1)) == ["b"]


@pytest.mark.slow
def test_deletions_are_counted_and_their_transactions_short(content, save, database):
    for number in range(1203):
        save(f"p{number}", component=Coordinate("file", f"p{number}"))
    with changed_rows(database) as changes:
        assert content.delete_assets(f"p{number}" for number in range(5000)) == 1203
    assert max(changes) <= 1_500, "with the rows of triggers"
    assert ComponentRecord.select().count() == 0
    assert content.delete_assets(["p1"]) == 0


# --- Transactions and borders --------------------------------------------------------------------


def test_several_changes_are_one(content, save):
    save("before", component=APP)

    def change_and_fail():
        with content.transaction():
            save("after", component=Coordinate("tag", "new"))
            content.delete_assets(["before"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert paths(content.list_assets("file", "", -1)) == ["before"]
    assert content.has_component(APP)
    assert not content.has_component(Coordinate("tag", "new"))


def test_repositories_do_not_see_each_other(content, save, make_content):
    other = make_content("other")
    save("a", component=APP, references=(Reference("needs", "b"),))
    assert other.find_asset("a") is None
    assert other.list_assets("file", "", -1) == []
    assert other.existing(["a"]) == {}
    assert other.referring("b", "needs") == []
    assert not other.has_component(APP)
    assert other.list_names("tag", "", -1, namespace="team") == []
    assert other.list_versions("tag", "app", "", -1, namespace="team") == []


def test_repositories_do_not_touch_each_other(content, save, make_content):
    other = make_content("other")
    save("a", component=APP)
    assert other.delete_assets(["a"]) == 0
    assert not other.delete_component(APP)
    save("a", store=other, component=APP, media_type="text/html")
    assert content.get_asset("a").media_type == "text/plain"
    other.delete_assets(["a"])
    assert content.has_component(APP)


def test_storing_into_a_repository_that_is_gone_is_no_surprise(content, save):
    save("a")
    delete_row(AssetRecord.get().repository_id)
    with pytest.raises(Conflict, match="deleted"):
        save("b")
