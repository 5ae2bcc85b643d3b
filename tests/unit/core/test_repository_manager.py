"""Repositories made, changed, deleted, and seen by another process that shares the data."""

import socket
from contextlib import closing
from dataclasses import replace

import pytest
from pydantic import Field

from repoman.blobs.manager import BlobStoreManager
from repoman.compaction import Unwatched
from repoman.config import BlobStoreSettings, ServerSettings
from repoman.content import NewAsset
from repoman.db.models import AssetRecord, ConnectorRecord, RepositoryRecord, UploadRecord
from repoman.errors import Conflict, Invalid, NotFound
from repoman.plugin import Built, HostedStorageSection, Recipe, RepositoryType, Section, store_bytes
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.purge import Purge
from repoman.repositories.repository_records import delete_row
from tests.disk import make_created_store
from tests.live import free_port


class ToySection(Section):
    http_port: int | None = Field(None, ge=1, le=65535)
    https_port: int | None = Field(None, ge=1, le=65535)
    limit: int = Field(10, ge=1)

    def ports(self):
        found = (("http_port", "http", self.http_port), ("https_port", "https", self.https_port))
        return [(key, scheme, port) for key, scheme, port in found if port is not None]


def toy(name="toy"):
    """A recipe whose service is what it was given."""
    sections = {"storage": HostedStorageSection, "toy": ToySection}
    return Recipe(name, RepositoryType.HOSTED, sections, build=Built)


@pytest.fixture
def open_manager(database, tmp_path):
    """A manager, as each process has one of its own on the shared database."""

    def open_manager(
        *recipes, main_port=1, https_port=0, host="127.0.0.1", stores=("default", "other")
    ):
        settings = {
            name: BlobStoreSettings.model_validate({"type": "file", "path": name})
            for name in stores
        }
        manager = RepositoryManager(
            database,
            {each.name: each for each in recipes or [toy()]},
            BlobStoreManager(settings, {"file": make_created_store}, tmp_path / "blobs"),
            ServerSettings(port=main_port, https_port=https_port, host=host),
        )
        manager.refresh()
        return manager

    return open_manager


@pytest.fixture
def manager(open_manager):
    return open_manager()


@pytest.fixture
def taken_port():
    """A port on which another program listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


# --- Create --------------------------------------------------------------------------------------


def test_a_repository_is_there_once_it_is_made(manager):
    made = manager.create("team", "toy-hosted", {"toy": {"limit": 5}}, is_online=False)
    assert manager.get("team") is made
    assert manager.all() == [made]
    assert (made.name, made.problem) == ("team", None)
    assert (made.config.format, made.config.type, made.config.recipe) == (
        "toy",
        RepositoryType.HOSTED,
        "toy-hosted",
    )
    assert not made.config.is_online
    assert made.service.config == made.config


def test_what_is_not_given_has_its_default(manager):
    config = manager.create("team", "toy-hosted", {}).config
    assert config.is_online
    assert config.section("toy", ToySection).limit == 10
    assert config.settings() == {
        "storage": {
            "blob_store": "default",
            "strict_content_type_validation": True,
            "write_policy": "allow",
        },
        "toy": {"http_port": None, "https_port": None, "limit": 10},
    }


def test_repositories_are_listed_by_name_whatever_the_case(manager):
    for name in ("b", "C", "a"):
        manager.create(name, "toy-hosted", {})
    assert [each.name for each in manager.all()] == ["a", "b", "C"]


def test_names_keep_their_case_and_are_found_in_any(manager):
    manager.create("Team", "toy-hosted", {})
    assert manager.get("tEAM").name == "Team"
    assert manager.find("teams") is None
    with pytest.raises(NotFound, match="'teams'"):
        manager.get("teams")


def test_a_name_is_taken_in_any_case(manager):
    manager.create("Team", "toy-hosted", {})
    with pytest.raises(Conflict, match=r"^name: .*'tEAM'"):
        manager.create("tEAM", "toy-hosted", {})


@pytest.mark.parametrize("name", ["a", "-", "0", "Team.app_1-x", "a" * 200])
def test_a_repository_may_be_named(manager, name):
    assert manager.create(name, "toy-hosted", {}).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "_a", "a b", "a/b", "a:b", "a\n", "ä", "a%41", "a" * 201]
)
def test_a_repository_may_not_be_named(manager, name):
    with pytest.raises(Invalid, match=r"^name: ") as caught:
        manager.create(name, "toy-hosted", {})
    assert caught.value.field == "name"
    assert manager.all() == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"toy": {"limit": 0}}, "toy.limit"),
        ({"toy": {"limit": "many"}}, "toy.limit"),
        ({"toy": {"limits": 1}}, "toy.limits"),
        ({"toy": {"http_port": 65536}}, "toy.http_port"),
        ({"toys": {}}, "toys"),
        ({"storage": {"blob_store": "gone"}}, "storage.blob_store"),
        ({"storage": {"write_policy": "never"}}, "storage.write_policy"),
    ],
)
def test_a_wrong_setting_is_named_by_its_path(manager, settings, field):
    with pytest.raises(Invalid) as caught:
        manager.create("team", "toy-hosted", settings)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert manager.all() == []
    manager.create("team", "toy-hosted", {})
    with pytest.raises(Invalid) as caught:
        manager.update("team", settings)
    assert caught.value.field == field


def test_an_unknown_recipe_is_answered_with_those_there_are(manager):
    with pytest.raises(
        Invalid, match=r"^recipe: .*'toy-proxy'; choose one of: toy-hosted\."
    ) as caught:
        manager.create("team", "toy-proxy", {})
    assert caught.value.field == "recipe"
    assert manager.recipes() == ["toy-hosted"]


# --- Ports ---------------------------------------------------------------------------------------


def test_a_repository_has_the_connectors_it_asks_for(manager):
    http, https = free_port(), free_port()
    manager.create("team", "toy-hosted", {"toy": {"http_port": http, "https_port": https}})
    manager.create("none", "toy-hosted", {})
    assert [each.url for each in manager.connectors()] == [
        f"http://127.0.0.1:{http}/",
        f"https://127.0.0.1:{https}/",
    ]
    assert {each.repository for each in manager.connectors()} == {"team"}
    assert manager.connectors_of(manager.get("none")) == []


def test_a_port_of_another_repository_is_refused(manager):
    port = free_port()
    manager.create("first", "toy-hosted", {"toy": {"http_port": port}})
    with pytest.raises(Conflict, match=rf"^toy\.https_port: port {port} .* 'first'"):
        manager.create("second", "toy-hosted", {"toy": {"https_port": port}})
    manager.create("second", "toy-hosted", {})
    with pytest.raises(Conflict, match=rf"^toy\.http_port: port {port} .* 'first'"):
        manager.update("second", {"toy": {"http_port": port}})


@pytest.mark.parametrize("which", ["main_port", "https_port"])
def test_the_main_port_is_refused(open_manager, which):
    port = free_port()
    with pytest.raises(Conflict, match=rf"^toy\.http_port: port {port} is the main port"):
        open_manager(**{which: port}).create("team", "toy-hosted", {"toy": {"http_port": port}})


def test_a_port_of_another_program_is_refused(manager, taken_port):
    settings = {"toy": {"http_port": taken_port}}
    with pytest.raises(Conflict, match=rf"^toy\.http_port: another program .* {taken_port}"):
        manager.create("team", "toy-hosted", settings)
    manager.create("team", "toy-hosted", {})
    with pytest.raises(Conflict, match=rf"^toy\.http_port: another program .* {taken_port}"):
        manager.update("team", settings)


def test_an_address_that_is_not_of_this_machine_is_refused(open_manager):
    settings = {"toy": {"http_port": free_port()}}
    with pytest.raises(Invalid, match=r"^toy\.http_port: cannot listen on 192\.0\.2\.1:") as caught:
        open_manager(host="192.0.2.1").create("team", "toy-hosted", settings)
    assert caught.value.field == "toy.http_port"


def test_one_port_for_two_purposes_is_refused(manager):
    port = free_port()
    with pytest.raises(Conflict, match=r"^toy\.https_port: .* twice"):
        manager.create("team", "toy-hosted", {"toy": {"http_port": port, "https_port": port}})


def test_a_refused_change_leaves_the_ports_as_they_were(manager, taken_port):
    port = free_port()
    manager.create("team", "toy-hosted", {"toy": {"http_port": port}})
    with pytest.raises(Conflict):
        manager.update("team", {"toy": {"http_port": taken_port}})
    assert [each.port for each in manager.connectors()] == [port]
    assert [record.port for record in ConnectorRecord.select()] == [port]


def test_its_own_port_is_no_obstacle_while_it_listens_there(manager):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        listener.close()
        manager.create("team", "toy-hosted", {"toy": {"http_port": port}})
        with closing(socket.create_server(("127.0.0.1", port))):  # the connector is open
            manager.update("team", {"toy": {"limit": 3}})
            manager.update("team", {"toy": {"http_port": None, "https_port": port}})
    assert [each.scheme for each in manager.connectors()] == ["https"]


def test_a_port_given_up_may_be_had_by_another(manager):
    port = free_port()
    manager.create("first", "toy-hosted", {"toy": {"http_port": port}})
    manager.update("first", {"toy": {"http_port": None}})
    manager.create("second", "toy-hosted", {"toy": {"http_port": port}})
    manager.delete("second")
    manager.create("third", "toy-hosted", {"toy": {"http_port": port}})
    assert [each.repository for each in manager.connectors()] == ["third"]


# --- Update --------------------------------------------------------------------------------------


def test_a_change_keeps_what_it_does_not_name(manager):
    manager.create("team", "toy-hosted", {"storage": {"write_policy": "deny"}, "toy": {"limit": 5}})
    changed = manager.update("TEAM", {"toy": {"limit": 6}}, is_online=False)
    assert changed.config.settings()["storage"]["write_policy"] == "deny"
    assert changed.config.section("toy", ToySection).limit == 6
    assert not changed.config.is_online
    assert not manager.update("team", {}).config.is_online
    assert manager.update("team", {}, is_online=True).config.is_online


def test_what_is_not_there_cannot_be_changed_or_deleted(manager):
    for change in (lambda: manager.update("team", {}), lambda: manager.delete("team")):
        with pytest.raises(NotFound, match="'team'"):
            change()


def test_the_blob_store_stays_what_it_was_at_the_beginning(manager):
    manager.create("team", "toy-hosted", {"storage": {"blob_store": "other"}})
    with pytest.raises(Invalid, match="cannot be changed") as caught:
        manager.update("team", {"storage": {"blob_store": "default"}})
    assert caught.value.field == "storage.blob_store"
    manager.update("team", {"storage": {"blob_store": "other"}})


def test_a_section_of_another_kind_than_asked_for_is_a_fault_of_the_program(manager):
    config = manager.create("team", "toy-hosted", {}).config
    with pytest.raises(TypeError, match="toy of team"):
        config.section("toy", HostedStorageSection)


# --- Delete --------------------------------------------------------------------------------------


def test_a_deleted_repository_takes_everything_along(manager, tmp_path, database):
    context = manager.create("team", "toy-hosted", {"toy": {"http_port": free_port()}}).service
    kept = manager.create("kept", "toy-hosted", {}).service
    for each in (context, kept):
        blob = store_bytes(each.blobs, b"some bytes")
        each.content.save_asset(NewAsset("a", "file", blob, "text/plain"))
        with each.uploads.open_sink(each.uploads.create("app", "ann")) as sink:
            sink.write(b"half")
    manager.delete("Team")
    assert manager.find("team") is None
    assert manager.connectors() == []
    assert ConnectorRecord.select().count() == 0
    [tombstone] = RepositoryRecord.select().where(RepositoryRecord.deleted_at.is_null(False))
    assert tombstone.settings == {}
    Purge(database, manager._blob_stores).run(Unwatched())
    assert AssetRecord.select().count() == UploadRecord.select().count() == 1
    assert RepositoryRecord.select().count() == 1
    assert len(list((tmp_path / "blobs/default/uploads").iterdir())) == 1
    assert kept.content.find_asset("a") is not None


def test_a_repository_of_an_old_name_begins_empty(manager):
    content = manager.create("team", "toy-hosted", {}).service.content
    blob = store_bytes(manager.get("team").service.blobs, b"some bytes")
    content.save_asset(NewAsset("a", "file", blob, "text/plain"))
    manager.delete("team")
    assert manager.create("team", "toy-hosted", {}).service.content.find_asset("a") is None


def test_a_new_repository_does_not_inherit_the_uploads_of_one_before(manager, tmp_path):
    manager.create("team", "toy-hosted", {})
    manager.delete("team")
    uploads = manager.create(
        "more", "toy-hosted", {"storage": {"blob_store": "other"}}
    ).service.uploads
    with uploads.open_sink(uploads.create("app", "ann")) as sink:
        sink.write(b"some bytes")
    assert len(list((tmp_path / "blobs/other/uploads").iterdir())) == 1


# --- Other processes -----------------------------------------------------------------------------


def test_what_another_process_does_is_seen_at_the_next_refresh(manager, open_manager):
    other = open_manager()
    other.create("team", "toy-hosted", {})
    assert manager.find("team") is None
    manager.refresh()
    assert manager.get("team").config.section("toy", ToySection).limit == 10
    other.update("team", {"toy": {"limit": 5}})
    manager.refresh()
    assert manager.get("team").config.section("toy", ToySection).limit == 5
    other.delete("team")
    manager.refresh()
    assert manager.find("team") is None


def test_what_did_not_change_is_taken_over_with_its_uploads(manager, open_manager):
    same = manager.create("same", "toy-hosted", {})
    changed = manager.create("changed", "toy-hosted", {})
    open_manager().update("changed", {"toy": {"limit": 5}})
    manager.refresh()
    assert manager.get("same") is same
    assert manager.get("changed") is not changed
    assert manager.get("changed").service.uploads is changed.service.uploads


def test_a_refresh_without_a_change_does_nothing(manager, open_manager):
    calls = []
    manager.subscribe(lambda: calls.append(manager.all()))
    manager.refresh()
    assert calls == []
    open_manager().create("team", "toy-hosted", {})
    manager.refresh()
    manager.refresh()
    assert [[each.name for each in call] for call in calls] == [["team"]]


def test_observers_are_told_of_changes_of_this_process(manager):
    calls = []
    manager.subscribe(lambda: calls.append([each.name for each in manager.all()]))
    manager.create("team", "toy-hosted", {})
    manager.update("team", {}, is_online=False)
    manager.delete("team")
    assert calls == [["team"], ["team"], []]


# --- Repositories that cannot work ---------------------------------------------------------------


def test_without_its_format_a_repository_stays_and_says_why(open_manager):
    open_manager().create("team", "toy-hosted", {"toy": {"limit": 5, "http_port": free_port()}})
    without = open_manager(toy("other"))
    found = without.get("team")
    assert found.service is None
    assert found.problem == "The format 'toy' is not installed."
    assert without.connectors() == []
    again = open_manager().get("team")
    assert again.problem is None
    assert again.config.section("toy", ToySection).limit == 5


def test_without_its_format_a_repository_can_be_deleted(open_manager):
    open_manager().create("team", "toy-hosted", {})
    without = open_manager(toy("other"))
    without.delete("team")
    assert without.all() == []


def test_its_port_is_kept_for_it_while_its_format_is_away(open_manager):
    port = free_port()
    open_manager().create("team", "toy-hosted", {"toy": {"http_port": port}})
    with pytest.raises(Conflict, match="'team'"):
        open_manager(toy("other")).create("more", "other-hosted", {"toy": {"http_port": port}})


def test_settings_that_do_not_work_any_more_are_said(open_manager):
    open_manager().create("team", "toy-hosted", {})
    RepositoryRecord.update(settings={"toy": {"limit": -1}}).execute()
    found = open_manager().get("team")
    assert found.service is None
    assert "toy.limit" in found.problem


def test_a_plugin_that_fails_takes_no_other_repository_along(open_manager, caplog):
    def build(context):
        if context.config.name == "bad":
            raise ZeroDivisionError
        return Built(context)

    manager = open_manager(toy())
    manager.create("bad", "toy-hosted", {})
    manager.create("good", "toy-hosted", {})
    manager = open_manager(replace(toy(), build=build))
    assert manager.get("bad").problem == "Its plugin failed; see the server log."
    assert manager.get("good").service is not None
    assert "ZeroDivisionError" in caplog.text


def test_settings_that_do_not_work_any_more_can_be_mended(open_manager):
    open_manager().create("team", "toy-hosted", {})
    RepositoryRecord.update(settings={"toy": {"limit": -1}}).execute()
    mended = open_manager().update("team", {"toy": {"limit": 5}})
    assert mended.problem is None


def test_without_its_blob_store_a_repository_says_so_and_can_be_deleted(open_manager):
    open_manager().create("team", "toy-hosted", {"storage": {"blob_store": "other"}})
    without = open_manager(stores=("default",))
    assert "'other'" in without.get("team").problem
    without.delete("team")
    assert without.all() == []


def test_no_id_is_given_twice(database, make_repository):
    first = make_repository("one")
    last = make_repository("two")
    with database.transaction():
        delete_row(last)
        delete_row(first)
    assert make_repository("three") > last > first
