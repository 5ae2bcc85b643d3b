"""Settings from file and environment, and what is said of wrong ones."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from repoman import config
from repoman.config import Settings, load_settings
from repoman.errors import Invalid


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """The developer's own REPOMAN_ variables are none of these tests' business."""
    for name in [name for name in os.environ if name.upper().startswith("REPOMAN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def load(tmp_path):
    """Load a configuration file of the given text."""

    def load(text, **options):
        path = tmp_path / "repoman.toml"
        path.write_text(text, encoding="utf-8")
        return load_settings(path, **options)

    return load


def test_what_the_file_does_not_say_has_its_default(load):
    assert load("[server]\nport = 9000\n").server.port == 9000
    assert load("[server]\nport = 9000\n").server.host == Settings().server.host
    assert load("") == Settings()


def test_the_environment_overrides_the_file(load, monkeypatch):
    monkeypatch.setenv("REPOMAN_SERVER__PORT", "9001")
    monkeypatch.setenv("REPOMAN_SECURITY__ANONYMOUS_READ", "true")
    settings = load("[server]\nport = 9000\nhost = '0.0.0.0'\n")
    assert (settings.server.port, settings.server.host) == (9001, "0.0.0.0")
    assert settings.security.anonymous_read


def test_lists_and_tables_in_the_environment_are_json(load, monkeypatch):
    monkeypatch.setenv("REPOMAN_BOOTSTRAP__REPOSITORIES", '[{"name": "a", "recipe": "toy-hosted"}]')
    [repository] = load("").bootstrap.repositories
    assert (repository.name, repository.settings) == ("a", {})


def test_the_data_directory_of_the_command_line_wins(load, monkeypatch, tmp_path):
    assert load("data = 'there'").data == Path("there")
    monkeypatch.setenv("REPOMAN_DATA", "elsewhere")
    assert load("data = 'there'").data == Path("elsewhere")
    assert load("data = 'there'", data=tmp_path).data == tmp_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("colour = 'blue'", "colour"),
        ("[server]\nprot = 9000", "server.prot"),
        ("[sever]\nport = 9000", "sever"),
        ("[[bootstrap.repositories]]\nname='a'\nrecipe='b'\nx=1", "bootstrap.repositories.0.x"),
    ],
)
def test_an_unknown_key_is_named_by_its_path_and_the_file(load, tmp_path, text, path):
    with pytest.raises(Invalid) as caught:
        load(text)
    assert str(caught.value) == (
        f"Setting {path} in {tmp_path / 'repoman.toml'} or in the environment: is not a known key"
    )


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[server]\nport = 0", "server.port"),
        ("[server]\nport = 65536", "server.port"),
        ("[server]\nport = 'http'", "server.port"),
        ("[server]\nidle_timeout = 0", "server.idle_timeout"),
        ("[security]\npassword_memory = -1", "security.password_memory"),
        ("[log]\nlevel = 'LOUD'", "log.level"),
        ("[[bootstrap.repositories]]\nname='a'", "bootstrap.repositories.0.recipe"),
        ("[blob_stores]\ndefault = 'here'", "blob_stores.default"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(load, text, path):
    with pytest.raises(Invalid, match=rf"^Setting {path} in "):
        load(text)


def test_all_wrong_settings_are_said_at_once(load):
    with pytest.raises(Invalid) as caught:
        load("colour = 1\n[server]\nport = 0\n")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("REPOMAN_SERVER__PORT", "http", "server.port"),
        ("REPOMAN_SERVER__PROT", "1", "server.prot"),
        ("REPOMAN_SERVER", "not json", "REPOMAN_SERVER must be JSON"),
        (
            "REPOMAN_BOOTSTRAP__REPOSITORIES",
            "not json",
            "REPOMAN_BOOTSTRAP__REPOSITORIES must be JSON",
        ),
    ],
)
def test_a_wrong_value_of_the_environment_is_said(load, monkeypatch, name, value, path):
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid, match=path):
        load("")


@pytest.mark.parametrize("content", [b"[server", b"port = ", b"a = 1\na = 2", b"name = '\xff'"])
def test_a_file_that_is_no_toml_is_said(tmp_path, content):
    path = tmp_path / "repoman.toml"
    path.write_bytes(content)
    with pytest.raises(Invalid, match=r"repoman\.toml cannot be read"):
        load_settings(path)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(Invalid, match=r"repoman\.toml cannot be read: .*No such file"):
        load_settings(tmp_path / "repoman.toml")


def test_settings_do_not_change_once_they_are_read():
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.server.port = 1
    with pytest.raises(ValidationError):
        settings.data = Path("there")


def test_blob_stores_keep_the_keys_of_their_type(load):
    stores = load("[blob_stores.fast]\ntype = 'file'\npath = '/fast'\n").blob_stores
    assert {name: store.model_extra for name, store in stores.items()} == {
        "fast": {"path": "/fast"}
    }


# --- Where the file is --------------------------------------------------------------------------


def test_the_file_is_named_by_the_environment_or_is_that_of_the_system(tmp_path, monkeypatch):
    system, own = tmp_path / "system.toml", tmp_path / "own.toml"
    monkeypatch.setattr(config, "SYSTEM_CONFIG", system)
    assert load_settings().server.port == 8081
    system.write_text("[server]\nport = 9001\n")
    assert load_settings().server.port == 9001
    own.write_text("[server]\nport = 9002\n")
    monkeypatch.setenv("REPOMAN_CONFIG", str(own))
    assert load_settings().server.port == 9002
    assert load_settings(system).server.port == 9001
    monkeypatch.setenv("REPOMAN_CONFIG", "")
    assert load_settings().server.port == 9001


def test_a_file_that_the_environment_names_in_vain_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("REPOMAN_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(Invalid, match=r"none\.toml cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("REPOMAN_SERVER_PORT", "REPOMAN_SERVER__PORT"),
        ("REPOMAN_DATEN", "REPOMAN_DATA"),
        ("REPOMAN_CONFG", "REPOMAN_CONFIG"),
        ("repoman_servr__port", "REPOMAN_SERVER__PORT"),
    ],
)
def test_a_misspelled_variable_is_named_with_what_was_meant(load, monkeypatch, caplog, name, guess):
    monkeypatch.setenv(name, "1")
    load("")
    assert f"{name} is not a setting and has no effect. Did you mean {guess}?" in caplog.text


def test_no_known_variable_is_taken_for_a_misspelled_one(load, monkeypatch, caplog):
    monkeypatch.setenv("REPOMAN_DATA", "there")
    monkeypatch.setenv("REPOMAN_TRACE_PLUGINS", "1")
    monkeypatch.setenv("repoman_server__port", "9000")
    monkeypatch.setenv("REPOMAN_BLOB_STORES__DEFAULT__TYPE", "file")
    assert load("").server.port == 9000
    assert "not a setting" not in caplog.text
