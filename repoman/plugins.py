"""The plugin manager: finds plugins by the entry-point group ``repoman.plugins``.

An installed plugin that cannot be loaded is left out and told of, so that one of them does not keep
the server from its work; unless the settings name it as required.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

import pluggy

from repoman import hookspecs
from repoman.errors import Conflict, Unavailable

ENTRY_POINTS = "repoman.plugins"
TRACE = "REPOMAN_TRACE_PLUGINS"  # environment: log every hook call
PROBLEM_MAX_CHARS = 500  # Of the reason why a plugin was left out.

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin that an installed distribution brings.

    Attributes:
        hooks: what it implements.
        problem: why it was left out; empty: it works.
    """

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = ()
    problem: str = ""


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

    def _load(self, entry: EntryPoint, distribution: Distribution) -> None:
        name = entry.name
        self._installed[name] = InstalledPlugin(name, distribution.name, distribution.version)
        try:
            self.register(entry.load(), name)
        except Exception as error:  # noqa: BLE001 - the code of a plugin may raise anything
            self._leave_out(name, error)

    def _leave_out(self, name: str, error: Exception) -> None:
        if self.has_plugin(name):
            self.unregister(name=name)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:PROBLEM_MAX_CHARS]
        found = self._installed[name] = replace(self._installed[name], problem=reason)
        told = f"The plugin {name} of {found.distribution} {found.version} cannot be loaded"
        if name in self._required:
            raise Unavailable(
                f"{told}: {reason}. Mend it, or take it out of plugins.required."
            ) from error
        _log.error("%s and is left out: %s", told, reason)

    def installed(self) -> list[InstalledPlugin]:
        """Return the plugins of distributions by name, those that were left out too."""
        found = sorted(self._installed.values(), key=lambda each: each.name)
        return [each if each.problem else replace(each, hooks=self._hooks(each)) for each in found]

    def _hooks(self, installed: InstalledPlugin) -> tuple[str, ...]:
        callers = self.get_hookcallers(self.get_plugin(installed.name)) or ()
        return tuple(sorted(each.name for each in callers))


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
    if os.environ.get(TRACE):
        manager.add_hookcall_monitoring(_log_call, _log_result)
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


def _log_call(hook_name: str, _hooks: object, arguments: object) -> None:
    _log.info("hook %s %s", hook_name, arguments)


def _log_result(
    outcome: pluggy.Result[Any], hook_name: str, _hooks: object, _arguments: object
) -> None:
    _log.info("hook %s -> %r", hook_name, outcome.exception or outcome.get_result())
