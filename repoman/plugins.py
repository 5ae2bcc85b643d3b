"""The plugin manager: finds plugins by the entry-point group ``repoman.plugins``.

An installed plugin that cannot be loaded, that was written for another version of the API, or that
fails in a hook of the start is left out and told of, so that one of them does not keep the server
from its work; unless the settings name it as required. One that fails later is told of, and goes on
working: also in a hook of the start that it has answered, which some pages call again.
"""

import logging
import os
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

import pluggy

from repoman import hookspecs
from repoman.errors import Conflict, RepomanError, Unavailable
from repoman.hookspecs import API_VERSION

ENTRY_POINTS = "repoman.plugins"
TRACE = "REPOMAN_TRACE_PLUGINS"  # environment: log every hook call
PROBLEM_MAX_CHARS = 500  # Of the reason why a plugin was left out.
ANSWER_MAX_CHARS = 200  # Of the answer to a hook call in the log.
DECLARED = "REPOMAN_API"  # The attribute of a plugin that says for which version it was written.
RECIPES = "repoman_register_recipes"
# Hooks of the start: a plugin that fails in its first call of one of them cannot work.
_START = ("repoman_register_", "repoman_add_hookspecs", "repoman_doctor_checks")
_PAGES = ("repoman_web_", "repoman_render_failure")  # Without an answer something is not shown.
_REALMS = ("repoman_authenticate", "repoman_find_user")  # No answer would mean a refusal.

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin that an installed distribution brings.

    Attributes:
        hooks: what it implements.
        problem: why it was left out; empty: it works.
        api: the version of the API that it was written for; empty: it does not say.
        formats: that it brings recipes of.
        failure: the last call of a hook that failed since the start; empty: none did.
    """

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = ()
    problem: str = ""
    api: str = ""
    formats: tuple[str, ...] = ()
    failure: str = ""


class Plugins(pluggy.PluginManager):
    """The plugins of a process.

    Args:
        required: names of plugins without which there is no start.
    """

    def __init__(self, required: Iterable[str] = ()) -> None:
        super().__init__(hookspecs.PROJECT)
        self.add_hookspecs(hookspecs)
        self._required = frozenset(required)
        self._installed: dict[str, InstalledPlugin] = {}
        self._answered: set[tuple[str, str]] = set()  # (plugin, hook)
        self._logged: set[tuple[str, str, str]] = set()  # (plugin, hook, kind of error)
        self._is_traced = bool(os.environ.get(TRACE))

    def load_installed(self) -> None:
        """Register the plugins of all distributions.

        Raises:
            Unavailable: one that is required is missing, or cannot be loaded.
        """
        for distribution in distributions():
            for entry in distribution.entry_points:
                if entry.group == ENTRY_POINTS and entry.name not in self._installed:
                    self._load(entry, distribution)
        for name in sorted(self._required - self._installed.keys()):
            raise Unavailable(
                f"The plugin {name} is not installed, but plugins.required names it. Install it, "
                "or take it out of the settings."
            )

    def check(self) -> None:
        """Leave out plugins whose hooks do not exist.

        Raises:
            Unavailable: a plugin that is required is one of them.
            pluggy.PluginValidationError: a plugin that is not an installed one is.
        """
        while True:
            try:
                self.check_pending()
            except pluggy.PluginValidationError as error:
                name = self.get_name(error.plugin) or ""
                if name not in self._installed:
                    raise
                self._leave_out(name, error)
            else:
                return

    def try_start(self) -> None:
        """Call all that a server calls at its start, so that who fails in it is left out here too.

        A hook with arguments needs more than the plugins; one without only says what there is.
        """
        for name, hook in vars(self.hook).items():
            if name.startswith(_START) and hook.spec is not None and not hook.spec.argnames:
                hook()

    def _load(self, entry: EntryPoint, distribution: Distribution) -> None:
        name = entry.name
        found = self._installed[name] = InstalledPlugin(
            name, distribution.name, distribution.version
        )
        try:
            plugin = entry.load()
            api = str(getattr(plugin, DECLARED, ""))
            self._installed[name] = replace(found, api=api)
            _check_api(api)
            self.register(plugin, name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            self._leave_out(name, error)

    def _hookexec(
        self,
        hook_name: str,
        methods: Sequence[pluggy.HookImpl],
        kwargs: Mapping[str, object],
        firstresult: bool,
    ) -> object | list[object]:
        """Call a hook of each plugin by itself, the last one that was registered first."""
        if any(each.wrapper or each.hookwrapper for each in methods):
            return super()._hookexec(hook_name, methods, kwargs, firstresult)
        answers = []
        for each in reversed(methods):
            answer = self._call(hook_name, each, [kwargs[name] for name in each.argnames])
            if answer is not None and firstresult:
                return answer
            if answer is not None:
                answers.append(answer)
        return None if firstresult else answers

    def _call(self, hook: str, plugin: pluggy.HookImpl, arguments: Sequence[object]) -> object:
        """Return the answer of one plugin; None if it is an installed one and failed."""
        began, answer, has_failed = time.perf_counter(), None, False
        try:
            answer = plugin.function(*arguments)
            self._answered.add((plugin.plugin_name, hook))
        except Exception as error:
            if plugin.plugin_name not in self._installed:
                raise
            self._forgive(plugin.plugin_name, hook, error)
            has_failed = True
        finally:
            if self._is_traced:
                took_ms = (time.perf_counter() - began) * 1000
                told = repr(answer)[:ANSWER_MAX_CHARS]
                _log.info("hook %s of %s took %.2f ms: %s", hook, plugin.plugin_name, took_ms, told)
        if has_failed and hook in _REALMS:  # Out here the error has no context with a password.
            raise unable(plugin.plugin_name)
        return answer

    def _forgive(self, name: str, hook: str, error: Exception) -> None:
        """Go on without the answer of an installed plugin, where that is safe."""
        if hook.startswith(_START) and (name, hook) not in self._answered:
            self._leave_out(name, error, f"{hook} failed: ")
            return
        is_answer = isinstance(error, RepomanError)  # an error that is meant for the client
        if is_answer and hook.startswith(_PAGES):
            _log.info("The plugin %s: %s: %s", name, hook, error)
            return
        if not hook.startswith((*_START, *_PAGES, *_REALMS)) or (is_answer and hook in _REALMS):
            raise error
        self._note_failure(name, hook, error)

    def _note_failure(self, name: str, hook: str, error: Exception) -> None:
        """Tell of a failure; the log has each kind once, since the text may vary by the call."""
        kind = type(error).__name__
        is_secret = hook in _REALMS  # The text of the error may hold a password.
        failure = f"{hook} failed: {kind if is_secret else _describe(error)}"
        self._installed[name] = replace(self._installed[name], failure=failure)
        if (name, hook, kind) not in self._logged:
            self._logged.add((name, hook, kind))
            where = "".join(traceback.format_tb(error.__traceback__)) if is_secret else ""
            cause = None if is_secret else error
            _log.error("The plugin %s: %s\n%s", name, failure, where, exc_info=cause)

    def _leave_out(self, name: str, error: BaseException, where: str = "") -> None:
        if self.has_plugin(name):
            self.unregister(name=name)
        reason = f"{where}{_describe(error)}"
        found = self._installed[name] = replace(self._installed[name], problem=reason)
        told = f"The plugin {name} of {found.distribution} {found.version} cannot be loaded"
        if name in self._required:
            raise Unavailable(
                f"{told}: {reason}. Mend it, or take it out of plugins.required."
            ) from error
        _log.error("%s and is left out: %s", told, reason)

    def installed(self) -> list[InstalledPlugin]:
        """Return the plugins of distributions by name, those that were left out too."""
        return [self._describe(self._installed[name]) for name in sorted(self._installed)]

    def _describe(self, installed: InstalledPlugin) -> InstalledPlugin:
        """Return a plugin with what it brings, if it works."""
        plugin = self.get_plugin(installed.name)
        if installed.problem or plugin is None:
            return installed
        hooks = tuple(sorted(each.name for each in self.get_hookcallers(plugin) or ()))
        formats: set[str] = set()
        if RECIPES in hooks:
            ask = self.subset_hook_caller(RECIPES, self.get_plugins() - {plugin})
            formats = {each.format for recipes in ask() for each in recipes}
        present = self._installed[installed.name]  # It may have failed just now.
        return replace(present, hooks=hooks, formats=tuple(sorted(formats)))


def create_plugin_manager(
    builtin: Iterable[object],
    plugins: Mapping[str, object] | None = None,
    required: Iterable[str] = (),
) -> Plugins:
    """Return a manager with the plugins of the core and all that are installed.

    ``plugins``, by name, take the place of the installed ones; tests use it. Installed ones that
    cannot be loaded are left out, but those that are ``required``.

    Raises:
        Unavailable: a plugin that is required is missing, or cannot be loaded.
        pluggy.PluginValidationError: one of ``plugins`` implements a hook that does not exist.
    """
    manager = Plugins(required)
    for plugin in builtin:
        manager.register(plugin)
    if plugins is None:
        manager.load_installed()
    else:
        for name, plugin in plugins.items():
            manager.register(plugin, name)
    manager.hook.repoman_add_hookspecs(pluginmanager=manager)
    manager.check()
    return manager


def unique(what: str, items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the (name, thing) pairs as a dict.

    Raises:
        Conflict: two things have one name.
    """
    found: dict[str, Any] = {}
    for name, thing in items:
        if name in found:
            raise Conflict(f"Two plugins provide the {what} {name!r}; uninstall one of them.")
        found[name] = thing
    return found


def unable(realm: str) -> Unavailable:
    """Return the error that says that a realm cannot tell who somebody is."""
    return Unavailable(f"The realm {realm} has failed; see the log of the server.")


def _check_api(declared: str) -> None:
    """Return if this version of the API fits a plugin that was written for another one.

    Raises:
        Unavailable: it does not.
    """
    if not declared:
        return
    try:
        wanted = tuple(int(each) for each in declared.split("."))
    except ValueError:
        raise Unavailable(f"{DECLARED} is {declared!r}, which is not a version.") from None
    ours = tuple(int(each) for each in API_VERSION.split("."))
    if wanted[0] != ours[0] or wanted > ours:
        raise Unavailable(f"It needs version {declared} of the plugin API; this is {API_VERSION}.")


def _describe(error: BaseException) -> str:
    """Return the kind of an error and its text, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:PROBLEM_MAX_CHARS]
