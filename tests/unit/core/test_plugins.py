"""Plugins: found, checked against each other, and watched."""

import logging

import pluggy
import pytest

from repoman.doctor.machine_checks import plugin_check
from repoman.doctor.model import FindingState
from repoman.errors import Conflict, Unavailable
from repoman.plugin import hookimpl
from repoman.plugins import TRACE, InstalledPlugin, create_plugin_manager, unique
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
    assert manager.installed() == []


WORKING = """
from repoman.plugin import hookimpl
@hookimpl
def repoman_authenticate(credentials):
    return credentials.name
"""
BROKEN = {
    "no_import": "import nothing_of_this_name",
    "no_python": "def ",
    "exits_not": "raise ValueError('needs repoman >= 3')",
    "misspelt": WORKING.replace("repoman_authenticate", "repoman_authenticat"),
    "arguments": WORKING.replace("credentials", "user"),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with a plugin, as pip leaves it; nothing else is."""

    def install_one(name, source, version="1.2"):
        module = f"repoman_{name}_{tmp_path.name.replace('-', '_')}"
        info = tmp_path / f"repoman_{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: repoman-{name}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[repoman.plugins]\n{name} = {module}\n")
        (tmp_path / f"{module}.py").write_text(source)

    monkeypatch.setattr("sys.path", [str(tmp_path)])
    return install_one


def test_installed_plugins_are_found_by_their_entry_point(install):
    install("probe", WORKING)
    manager = create_plugin_manager([])
    hooks = ("repoman_authenticate",)
    assert manager.installed() == [InstalledPlugin("probe", "repoman-probe", "1.2", hooks)]
    assert manager.get_plugin("probe").__name__.startswith("repoman_probe")


@pytest.mark.parametrize("name", BROKEN)
def test_a_plugin_that_cannot_be_loaded_is_left_out_and_named(install, caplog, name):
    install("probe", WORKING)
    install(name, BROKEN[name], "0.3")
    manager = create_plugin_manager([])
    left_out, probe = sorted(manager.installed(), key=lambda each: each.name == "probe")
    assert (left_out.name, left_out.version, left_out.hooks) == (name, "0.3", ())
    assert left_out.problem
    assert not probe.problem
    assert not manager.has_plugin(name)
    assert manager.has_plugin("probe")
    assert f"The plugin {name} of repoman-{name} 0.3 cannot be loaded" in caplog.text


@pytest.mark.parametrize("name", BROKEN)
def test_without_a_required_plugin_there_is_no_start(install, name):
    install(name, BROKEN[name])
    with pytest.raises(Unavailable, match=f"The plugin {name} of .* plugins.required"):
        create_plugin_manager([], required=[name])


def test_a_required_plugin_that_is_not_installed_is_named(install):
    install("probe", WORKING)
    create_plugin_manager([], required=["probe"])
    with pytest.raises(Unavailable, match="The plugin tape is not installed"):
        create_plugin_manager([], required=["probe", "tape"])


def test_the_doctor_tells_of_plugins_that_were_left_out():
    installed = [InstalledPlugin("a", "a", "1"), InstalledPlugin("b", "repoman-b", "2", (), "No.")]
    found = list(plugin_check(lambda: installed).run([]))
    assert [(each.state, each.title) for each in found] == [
        (FindingState.BAD, "The plugin b was left out"),
        (FindingState.GOOD, ""),
    ]
    assert "repoman-b" in found[0].fixes[0].code


def test_hook_calls_are_logged_where_the_environment_asks_for_it(monkeypatch, caplog):
    manager = create_plugin_manager([], {"toy": ToyPlugin()})
    with caplog.at_level(logging.INFO, logger="repoman.plugins"):
        manager.hook.repoman_register_recipes()
        assert caplog.messages == []
        monkeypatch.setenv(TRACE, "1")
        create_plugin_manager([], {"toy": ToyPlugin()}).hook.repoman_register_recipes()
    assert caplog.messages[0].startswith("hook repoman_register_recipes")
    assert "toy-hosted" in caplog.messages[1] or "Recipe(" in caplog.messages[1]
