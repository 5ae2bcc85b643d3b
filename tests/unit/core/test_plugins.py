"""Plugins: found, checked against each other, and watched."""

import logging
import re
from types import ModuleType

import pluggy
import pytest
from click.testing import CliRunner

from repoman import hookspecs
from repoman.cli import cli
from repoman.config import Settings
from repoman.core import Repoman
from repoman.doctor.machine_checks import plugin_check
from repoman.doctor.model import FindingState
from repoman.errors import Conflict, Unauthenticated, Unavailable
from repoman.plugin import hookimpl
from repoman.plugins import TRACE, InstalledPlugin, create_plugin_manager, unique
from repoman.security.actors import Credentials
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
FAILING = """
from repoman.plugin import hookimpl
@hookimpl
def {hook}({arguments}):
    raise {error}
"""
BROKEN = {
    "of_later": WORKING + "REPOMAN_API = '1.9'",
    "of_other": WORKING + "REPOMAN_API = '2.0'",
    "of_none": WORKING + "REPOMAN_API = 'x'",
    "leaves": "import sys; sys.exit(3)",
    "no_import": "import nothing_of_this_name",
    "no_python": "def ",
    "exits_not": "raise ValueError('needs repoman >= 3')",
    "misspelt": WORKING.replace("repoman_authenticate", "repoman_authenticat"),
    "arguments": WORKING.replace("credentials", "user"),
}


TOY = "from repoman.plugin import hookimpl\nfrom tests.toy import ToyPlugin\nt = ToyPlugin()\n"
TOY_HOOKS = """
@hookimpl
def repoman_register_recipes():
    return t.repoman_register_recipes()
"""


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
    install("probe", WORKING + "REPOMAN_API = '1.0'")
    manager = create_plugin_manager([])
    hooks = ("repoman_authenticate",)
    found = InstalledPlugin("probe", "repoman-probe", "1.2", hooks, api="1.0")
    assert manager.installed() == [found]
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


def failing(hook, arguments="", error="ValueError('no')"):
    return FAILING.format(hook=hook, arguments=arguments, error=error)


START = [
    each
    for each in vars(hookspecs)
    if each.startswith(("repoman_register_", "repoman_doctor_", "repoman_add_"))
]


@pytest.fixture
def start(install, repoman_factory):
    """Start a Repoman with the plugins that are installed, as a server does."""

    def start_it(**settings):
        repoman_factory({}).stop()
        settings = Settings(data=repoman_factory.data, security={"password_cost": 8192}, **settings)
        repoman = Repoman(settings)
        repoman_factory._running = repoman
        repoman.start()
        return repoman

    return start_it


@pytest.mark.parametrize("hook", START)
def test_a_plugin_that_fails_at_the_start_is_left_out(install, start, hook):
    arguments = "pluginmanager" if hook == "repoman_add_hookspecs" else ""
    install("bad", failing(hook, arguments))
    install("probe", WORKING)
    repoman = start()
    client = HttpClient(repoman)
    assert client.get("/api/v1/health/ready", login=False).status_code < 500
    create_plugin_manager([]).hook.repoman_register_commands()
    if hook != "repoman_register_commands":  # only the command line calls it
        bad, probe = repoman.plugins.installed()
        assert f"{hook} failed: ValueError: no" in bad.problem
        assert probe.problem == ""
        assert not repoman.plugins.has_plugin("bad")


@pytest.mark.parametrize("hook", START)
def test_commands_name_a_plugin_that_fails_at_the_start(install, start, hook):
    arguments = "pluginmanager" if hook == "repoman_add_hookspecs" else ""
    install("bad", failing(hook, arguments))
    install("probe", WORKING)
    data = start().data
    for words in (["plugins"], ["doctor", "plugins"]):
        told = CliRunner().invoke(cli, [*words, "--data", str(data)]).output
        assert f"{hook} failed: ValueError: no" in told
        assert ("1 plugin loaded" in told) is (words[0] == "doctor")


def test_a_required_plugin_that_fails_at_the_start_ends_it(install, start):
    install("bad", failing("repoman_register_recipes"))
    with pytest.raises(Unavailable, match=r"repoman_register_recipes failed.* plugins\.required"):
        start(plugins={"required": ["bad"]})


PAGES = {
    "repoman_web_tabs": "repository",
    "repoman_web_use": "request",
    "repoman_web_upload": "repository",
    "repoman_web_component": "repository, coordinate",
    "repoman_web_home": "requests",
    "repoman_render_failure": "failure",
}


@pytest.mark.parametrize("hook", PAGES)
def test_a_plugin_that_fails_on_a_page_is_told_of(install, caplog, hook):
    install("bad", failing(hook, PAGES[hook]))
    good = ModuleType("good")
    exec(failing(hook, PAGES[hook]).replace("raise ValueError('no')", "return 'fine'"), vars(good))
    manager = create_plugin_manager([good])
    given = dict.fromkeys(PAGES[hook].split(", "))
    for _ in range(3):
        answer = getattr(manager.hook, hook)(**given)
        assert answer in ("fine", ["fine"])
    [bad] = manager.installed()
    assert (bad.problem, bad.failure) == ("", f"{hook} failed: ValueError: no")
    assert caplog.text.count(f"The plugin bad: {hook} failed") == 1
    told = [each for each in plugin_check(manager.installed).run([]) if each.state == "warn"]
    assert [each.title for each in told] == ["The plugin bad has failed"]


def test_a_realm_that_fails_cannot_tell(install, start):
    install("bad", failing("repoman_authenticate", "credentials"))
    repoman = start()
    client = HttpClient(repoman)
    assert client.get("/api/v1/audit").status_code == 200, "local users log in"
    assert client.get("/api/v1/audit", auth=("who", "a password")).status_code == 503
    [bad] = repoman.plugins.installed()
    assert bad.failure == "repoman_authenticate failed: ValueError"


def test_what_a_realm_fails_with_is_told_without_the_password(install, caplog):
    error = "ValueError(f'{credentials.name} {credentials.password}')"
    install("bad", failing("repoman_authenticate", "credentials", error))
    manager = create_plugin_manager([])
    for number in range(3):
        given = Credentials("ann", f"secret-{number}")
        with pytest.raises(Unavailable, match="The realm bad has failed") as failure:
            manager.hook.repoman_authenticate(credentials=given)
        assert failure.value.__cause__ is failure.value.__context__ is None
    [bad] = manager.installed()
    assert bad.failure == "repoman_authenticate failed: ValueError"
    assert caplog.text.count("The plugin bad: repoman_authenticate failed") == 1
    assert "in repoman_authenticate" in caplog.text
    assert "secret" not in caplog.text


def test_what_varies_in_a_failure_is_logged_once(install, caplog):
    install("bad", failing("repoman_web_tabs", "repository", "ValueError(repository)"))
    manager = create_plugin_manager([])
    for name in ("one", "two"):
        assert manager.hook.repoman_web_tabs(repository=name) == []
    assert manager.installed()[0].failure == "repoman_web_tabs failed: ValueError: two"
    assert caplog.text.count("The plugin bad: repoman_web_tabs failed") == 1


def test_an_answer_for_the_visitor_of_a_page_is_no_failure(install):
    error = "__import__('repoman.plugin').plugin.NotFound('gone')"
    install("bad", failing("repoman_web_tabs", "repository", error))
    manager = create_plugin_manager([])
    assert manager.hook.repoman_web_tabs(repository=None) == []
    assert manager.installed()[0].failure == ""


LATE = (
    TOY
    + """
calls = []
@hookimpl
def repoman_register_recipes():
    calls.append(1)
    if len(calls) > 1:
        raise ValueError("late")
    return t.repoman_register_recipes()
"""
)


def test_a_plugin_that_has_started_is_not_left_out_later(install, start):
    install("late", LATE)
    repoman = start(plugins={"required": ["late"]})
    [late] = repoman.plugins.installed()
    assert (late.problem, late.failure) == (
        "",
        "repoman_register_recipes failed: ValueError: late",
    )
    assert repoman.plugins.has_plugin("late")
    assert repoman.plugins.hook.repoman_register_recipes() == []


REALM = (
    WORKING
    + """
from repoman.plugin import Actor
@hookimpl
def repoman_find_user(name):
    return Actor(name, realm="bad")
@hookimpl
def repoman_register_web():
    raise ValueError("no")
"""
)


def test_a_realm_that_was_left_out_cannot_tell(install, start):
    install("bad", REALM)
    repoman = start()
    realms = repoman.security.realms
    assert realms.knows("bad", "ann") is True
    client = HttpClient(repoman)
    assert not repoman.plugins.has_plugin("bad")
    assert realms.knows("bad", "ann") is None
    assert realms.goes_on("bad", "ann")
    assert client.get("/api/v1/audit", auth=("who", "a password")).status_code == 503
    assert client.get("/api/v1/audit").status_code == 200, "local users log in"


def test_errors_for_clients_come_from_realms_as_they_are(install):
    error = "__import__('repoman.plugin').plugin.Unauthenticated('wrong')"
    install("bad", failing("repoman_authenticate", "credentials", error))
    manager = create_plugin_manager([])
    with pytest.raises(Unauthenticated, match="wrong"):
        manager.hook.repoman_authenticate(credentials=None)
    assert manager.installed()[0].failure == ""


def test_the_formats_of_a_plugin_are_named(install):
    install("toy", TOY + TOY_HOOKS)
    [toy] = create_plugin_manager([]).installed()
    assert toy.formats == ("toy",)


def test_hook_calls_are_logged_where_the_environment_asks_for_it(monkeypatch, caplog):
    manager = create_plugin_manager([], {"toy": ToyPlugin()})
    with caplog.at_level(logging.INFO, logger="repoman.plugins"):
        manager.hook.repoman_register_recipes()
        assert caplog.messages == []
        monkeypatch.setenv(TRACE, "1")
        create_plugin_manager([], {"toy": ToyPlugin()}).hook.repoman_register_recipes()
    [told] = caplog.messages
    assert re.match(r"hook repoman_register_recipes of toy took \d+\.\d\d ms: \[Recipe\(", told)
