"""The plugin manager: finds plugins by the entry-point group ``repoman.plugins``."""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

import pluggy

from repoman import hookspecs
from repoman.errors import Conflict

ENTRY_POINTS = "repoman.plugins"
TRACE = "REPOMAN_TRACE_PLUGINS"  # environment: log every hook call

_log = logging.getLogger(__name__)


def create_plugin_manager(
    builtin: Iterable[object], plugins: Mapping[str, object] | None = None
) -> pluggy.PluginManager:
    """Return a manager with the plugins of the core and all that are installed.

    ``plugins``, by name, take the place of the installed ones; tests use it.

    Raises:
        pluggy.PluginValidationError: a plugin implements a hook that does not exist.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for plugin in builtin:
        manager.register(plugin)
    if plugins is None:
        manager.load_setuptools_entrypoints(ENTRY_POINTS)
    else:
        for name, plugin in plugins.items():
            manager.register(plugin, name)
    manager.hook.repoman_add_hookspecs(pluginmanager=manager)
    manager.check_pending()
    if os.environ.get(TRACE):
        manager.add_hookcall_monitoring(_log_call, _log_result)
    return manager


def installed_plugins(manager: pluggy.PluginManager) -> list[tuple[str, str, str]]:
    """Return (plugin, distribution, version) of every installed plugin."""
    return sorted(
        (manager.get_name(plugin) or "", distribution.project_name, distribution.version)
        for plugin, distribution in manager.list_plugin_distinfo()
    )


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
