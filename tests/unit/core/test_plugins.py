"""Plugins: found, checked against each other, and watched."""

import logging

import pluggy
import pytest

from repoman.errors import Conflict
from repoman.plugin import hookimpl
from repoman.plugins import TRACE, create_plugin_manager, installed_plugins, unique
from repoman.testing import HttpClient
from tests.toy import ToyPlugin


class Misspelt:
    @hookimpl
    def repoman_register_fromats(self):
        return []


class WrongArguments:
    @hookimpl
    def repoman_authenticate(self, user):
        return None


class TapeStore:
    """Brings a blob store type, to be found twice."""

    @hookimpl
    def repoman_register_blob_stores(self):
        return {"tape": object}


@pytest.mark.parametrize("plugin", [Misspelt(), WrongArguments()])
def test_a_hook_that_does_not_exist_ends_the_start(plugin):
    with pytest.raises(pluggy.PluginValidationError):
        create_plugin_manager([], {"wrong": plugin})


def test_two_plugins_with_one_recipe_end_the_start(repoman_factory):
    with pytest.raises(Conflict, match="recipe 'toy-hosted'"):
        repoman_factory({"one": ToyPlugin(), "two": ToyPlugin()})


def test_two_plugins_with_one_blob_store_type_end_the_start(repoman_factory):
    with pytest.raises(Conflict, match="blob store type 'tape'"):
        repoman_factory({"one": TapeStore(), "two": TapeStore()})


def test_two_plugins_with_one_format_end_the_start(repoman_factory):
    class FormatAgain:
        @hookimpl
        def repoman_register_formats(self):
            return ToyPlugin().repoman_register_formats()

    with pytest.raises(Conflict, match="format 'toy'"):
        HttpClient(repoman_factory({"one": ToyPlugin(), "two": FormatAgain()}))


def test_different_names_are_kept_in_order():
    assert unique("thing", [("b", 1), ("a", 2)]) == {"b": 1, "a": 2}


def test_plugins_that_were_given_by_name_are_not_installed_ones():
    manager = create_plugin_manager([], {"toy": ToyPlugin()})
    assert manager.has_plugin("toy")
    assert installed_plugins(manager) == []


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution with a plugin, as pip leaves it."""
    info = tmp_path / "repoman_probe-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: repoman-probe\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[repoman.plugins]\nprobe = repoman_probe\n")
    (tmp_path / "repoman_probe.py").write_text(
        "from repoman.plugin import hookimpl\n"
        "@hookimpl\n"
        "def repoman_authenticate(credentials):\n"
        "    return credentials.name\n"
    )
    monkeypatch.setattr("sys.path", [str(tmp_path)])


def test_installed_plugins_are_found_by_their_entry_point(installed):
    manager = create_plugin_manager([])
    assert installed_plugins(manager) == [("probe", "repoman-probe", "1.2")]
    assert manager.get_plugin("probe").__name__ == "repoman_probe"


def test_hook_calls_are_logged_where_the_environment_asks_for_it(monkeypatch, caplog):
    manager = create_plugin_manager([], {"toy": ToyPlugin()})
    with caplog.at_level(logging.INFO, logger="repoman.plugins"):
        manager.hook.repoman_register_recipes()
        assert caplog.messages == []
        monkeypatch.setenv(TRACE, "1")
        create_plugin_manager([], {"toy": ToyPlugin()}).hook.repoman_register_recipes()
    assert caplog.messages[0].startswith("hook repoman_register_recipes")
    assert "toy-hosted" in caplog.messages[1] or "Recipe(" in caplog.messages[1]
