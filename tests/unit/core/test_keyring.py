"""What is secret is sealed in the database, and its keys survive whatever happens to a rotation."""

import errno
import json
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import traceback
from contextlib import closing

import pytest
from cryptography.fernet import Fernet
from pydantic import Field, SecretStr

from repoman.config import DatabaseSettings
from repoman.db.database import FILE, KEY_FILE, Database
from repoman.errors import Invalid, Unavailable
from repoman.keyring import MARK, Keyring
from repoman.option_records import find_secret, insert_secret
from repoman.options import Options
from repoman.plugin import Built, HttpClientSection, Recipe, RepositoryType, Section, StorageSection
from repoman.repositories.manager import RepositoryManager
from tests.architecture import ROOT
from tests.clock import LONG_S

PASSWORD = "a-password-in-clear-text"
KILLER = ROOT / "tests" / "unit" / "core" / "rotation_killer.py"


class Toy(Section):
    address: str = ""
    password: SecretStr = SecretStr("")
    amount: int = Field(1, ge=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / KEY_FILE


@pytest.fixture
def keyring(path):
    keyring = Keyring(path)
    keyring.open(may_make=True)
    return keyring


@pytest.fixture
def options(database):
    return Options(database, {"toy": Toy()})


@pytest.fixture
def manager(database, tmp_path):
    from repoman.blobs.manager import BlobStoreManager, make_file_store
    from repoman.config import BlobStoreSettings, ServerSettings

    stores = {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs"})}
    sections = {"storage": StorageSection, "http_client": HttpClientSection}
    recipe = Recipe("toy", RepositoryType.PROXY, sections, build=Built)
    manager = RepositoryManager(
        database,
        {recipe.name: recipe},
        BlobStoreManager(stores, {"file": make_file_store}, tmp_path),
        ServerSettings(port=1),
    )
    manager.refresh()
    return manager


def stored(tmp_path):
    """All bytes of the database, its log among them."""
    return b"".join(path.read_bytes() for path in tmp_path.glob(f"{FILE}*"))


# --- The file ------------------------------------------------------------------------------------


def test_the_first_start_makes_a_key_for_the_owner_alone(keyring, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    Fernet(path.read_text().strip())


def test_what_is_sealed_is_opened_again(keyring, path):
    value = {"a": [keyring.seal("ä secret"), 1], "b": "clear"}
    assert "ä secret" not in json.dumps(value, ensure_ascii=False)
    again = Keyring(path)
    again.open(may_make=False)
    assert again.unseal(value) == {"a": ["ä secret", 1], "b": "clear"}


def test_another_key_does_not_open_it(keyring, path):
    sealed = keyring.seal("text")
    path.write_text(Fernet.generate_key().decode())
    other = Keyring(path)
    with pytest.raises(Unavailable, match=r"cannot decrypt.*backup.*secret forget"):
        other.unseal(sealed)


@pytest.mark.parametrize("text", ["", "\n\n", "not-a-key-but-private\n", "ä\n"])
def test_a_file_without_good_keys_is_refused_without_being_quoted(path, text):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(Invalid) as caught:
        Keyring(path).open(may_make=True)
    assert str(path) in str(caught.value)
    assert "private" not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_others_can_read_is_complained_of(keyring, path, caplog):
    path.chmod(0o644)
    Keyring(path).open(may_make=False)
    assert "can be read by other users" in caplog.text


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be"):
        Keyring(tmp_path / "file" / "key").open(may_make=True)


def test_nothing_is_sealed_once_the_file_is_gone_but_what_is_sealed_still_opens(keyring, path):
    sealed = keyring.seal("text")
    path.unlink()
    assert keyring.unseal(sealed) == "text"
    with pytest.raises(Unavailable, match="is missing"):
        keyring.seal("text")


def test_a_running_process_follows_a_rotation(keyring, path):
    running = Keyring(path)
    old = running.seal("old")
    key = keyring.add_key()
    assert running.unseal(keyring.seal("new")) == "new"
    between = running.seal("between")
    keyring.drop_others(key)
    assert path.read_text() == f"{key}\n"
    assert [running.unseal(each) for each in (old, between)] == ["old", "between"]
    assert keyring.unseal(running.seal("later")) == "later"
    assert Keyring(path).unseal(between) == "between"


def test_a_key_that_has_become_an_old_one_stays(keyring, path):
    first = keyring.add_key()
    second = Keyring(path).add_key()
    keyring.drop_others(first)
    assert path.read_text().split()[:2] == [second, first]


# --- The database --------------------------------------------------------------------------------


def test_secrets_of_options_are_sealed_and_the_rest_is_readable(database, options, tmp_path):
    options.update("toy", {"address": "readable", "password": PASSWORD})
    assert options.get("toy", Toy).password.get_secret_value() == PASSWORD
    assert PASSWORD.encode() not in stored(tmp_path)
    assert b"readable" in stored(tmp_path)
    again = Options(database, {"toy": Toy()})
    assert again.get("toy", Toy).password.get_secret_value() == PASSWORD


def test_secrets_of_repositories_are_sealed(manager, tmp_path):
    made = manager.create("hub", "toy-proxy", {"http_client": {"password": PASSWORD}})
    assert made.config.section("http_client", HttpClientSection).password == SecretStr(PASSWORD)
    changed = manager.update("hub", {"http_client": {"username": "puller"}})
    section = changed.config.section("http_client", HttpClientSection)
    assert (section.username, section.password) == ("puller", SecretStr(PASSWORD))
    assert PASSWORD.encode() not in stored(tmp_path)


def test_the_servers_own_keys_are_sealed(database, tmp_path):
    insert_secret("signing", PASSWORD)
    assert find_secret("signing") == PASSWORD
    assert PASSWORD.encode() not in stored(tmp_path)


def test_stars_leave_a_secret_as_it_is(options, manager):
    options.update("toy", {"password": PASSWORD})
    options.update("toy", {**options.describe("toy"), "amount": 2})
    assert options.get("toy", Toy).password.get_secret_value() == PASSWORD
    made = manager.create("hub", "toy-proxy", {"http_client": {"password": PASSWORD}})
    changed = manager.update("hub", made.config.settings())
    assert changed.config.section("http_client", HttpClientSection).password == SecretStr(PASSWORD)
    options.update("toy", {"password": ""})
    assert options.get("toy", Toy).password.get_secret_value() == ""


def test_a_secret_is_in_no_text(options, manager, caplog):
    caplog.set_level(logging.DEBUG)
    options.update("toy", {"password": PASSWORD})
    made = manager.create("hub", "toy-proxy", {"http_client": {"password": PASSWORD}})
    section = options.get("toy", Toy)
    texts = [repr(section), str(section), section.model_dump_json(), repr(made)]
    texts += [repr(made.config), json.dumps(made.config.settings()), repr(options.describe("toy"))]
    for wrong in ({"password": [PASSWORD]}, {"password": PASSWORD, "amount": PASSWORD}):
        with pytest.raises(Invalid) as caught:
            options.update("toy", wrong)
        texts += traceback.format_exception(caught.value)
    with pytest.raises(Invalid) as caught:
        manager.update("hub", {"http_client": {"password": {"x": PASSWORD}, "timeout": PASSWORD}})
    texts += [*traceback.format_exception(caught.value), caplog.text]
    assert PASSWORD not in "".join(texts)


def test_what_a_database_has_in_clear_text_is_sealed_when_it_is_opened(tmp_path):
    database = Database(tmp_path, DatabaseSettings())
    database.open()
    database.close()
    (tmp_path / KEY_FILE).unlink()
    settings = json.dumps({"http_client": {"password": PASSWORD, "bearer_token": "", "retries": 1}})
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("delete from schema_migration where name = '0006_sealed_secrets'")
        connection.execute("insert into secret values ('signing', ?)", (PASSWORD,))
        connection.execute(
            "insert into repository (name, key, format, type, is_online, settings, created_at,"
            " updated_at) values ('hub', 'hub', 'toy', 'proxy', 1, ?, 0, 0)",
            (settings,),
        )
    assert PASSWORD.encode() in stored(tmp_path)
    database = Database(tmp_path, DatabaseSettings())
    database.open()
    assert find_secret("signing") == PASSWORD
    assert PASSWORD.encode() not in stored(tmp_path)
    database.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        [(text,)] = connection.execute("select settings from repository").fetchall()
    section = json.loads(text)["http_client"]
    assert database.keyring.unseal(section) == json.loads(settings)["http_client"]
    assert (section["password"].keys(), section["bearer_token"]) == ({MARK}, "")


@pytest.fixture
def closed(database, options):
    """A database with secrets that nobody has open."""
    options.update("toy", {"address": "kept", "password": PASSWORD})
    insert_secret("signing", PASSWORD)
    database.close()
    return database


def test_without_its_key_file_a_database_stays_closed_and_no_key_is_made(closed, tmp_path, path):
    path.unlink()
    with pytest.raises(Unavailable, match=r"is missing.*backup"):
        Database(tmp_path, DatabaseSettings()).open()
    assert not path.exists()


def test_with_a_wrong_key_file_a_database_stays_closed(closed, tmp_path, path):
    path.write_text(Fernet.generate_key().decode())
    with pytest.raises(Unavailable, match="cannot decrypt 2 of the 2 secrets"):
        Database(tmp_path, DatabaseSettings()).open()


def test_secrets_whose_key_is_lost_can_be_given_up(closed, tmp_path, path):
    path.unlink()
    again = Database(tmp_path, DatabaseSettings())
    assert again.open(forget=True) == 2
    assert find_secret("signing") is None
    section = Options(again, {"toy": Toy()}).get("toy", Toy)
    assert (section.address, section.password.get_secret_value()) == ("kept", "")
    assert again.open(forget=True) == 0
    again.close()


@pytest.mark.parametrize("text", ["", "no-key\n"])
def test_what_is_said_of_a_damaged_key_file_helps(closed, tmp_path, path, text):
    path.write_text(text)
    for forget in (False, True):
        with pytest.raises(Invalid, match=r"from a backup.*remove this file.*secret forget"):
            Database(tmp_path, DatabaseSettings()).open(forget=forget)
    path.unlink()
    again = Database(tmp_path, DatabaseSettings())
    assert again.open(forget=True) == 2
    again.close()


def test_a_rotation_leaves_one_key_that_opens_everything(database, options, tmp_path, path):
    options.update("toy", {"password": PASSWORD})
    insert_secret("signing", PASSWORD)
    before, old = stored(tmp_path), path.read_text()
    assert database.rotate_keys() == 2
    [key] = path.read_text().split()
    assert key not in old
    assert stored(tmp_path) != before
    database.close()
    again = Database(tmp_path, DatabaseSettings())
    again.open()
    assert find_secret("signing") == PASSWORD
    again.close()


@pytest.mark.slow
def test_a_rotation_that_is_killed_at_any_line_loses_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, str(KILLER), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    killed = int(done.stdout.split()[-1])
    assert killed > 50


def test_a_disk_that_does_not_tell_whether_there_are_keys_gets_no_new_ones(path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        with pytest.raises(Unavailable, match="Input/output error"):
            Keyring(path).open(may_make=True)
    assert not path.exists()
