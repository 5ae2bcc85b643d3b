"""The realms: plugins that know users, in the order in which they are tried."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pluggy

from repoman.errors import Unavailable
from repoman.options import Options
from repoman.security.accounts import Accounts
from repoman.security.actors import LOCAL, Actor
from repoman.security.options import REALM_OPTIONS, RealmOptions
from repoman.security.user_tokens import TOKEN

Realm = Callable[..., Actor | None]

_log = logging.getLogger(__name__)


class Realms:
    """All realms that plugins bring, and which of them count; thread safe.

    Args:
        plugins: the realms are those that implement ``repoman_authenticate``.
        options: has the section ``realms``.
        accounts: is told which roles users have.
    """

    def __init__(self, plugins: pluggy.PluginManager, options: Options, accounts: Accounts) -> None:
        self._realms = _by_plugin(plugins, "repoman_authenticate")
        self._finders = _by_plugin(plugins, "repoman_find_user")
        self._options = options
        self._accounts = accounts
        self._active: tuple[str, ...] = ()

    def in_order(self) -> list[tuple[str, Realm]]:
        """Return the active realms, by name: what asks each who presents credentials.

        User tokens come first, so that no other realm gets to see one; local users are always among
        them, or nobody could fix it.
        """
        return [(name, self._realms[name]) for name in self._names() if name in self._realms]

    def goes_on(self, realm: str, name: str) -> bool:
        """Return whether a user may use what an earlier login gave: a session, or a token.

        Users of another realm may not once it is not asked any more, or knows them no more. While
        it cannot tell, they may.
        """
        if realm == LOCAL:
            return True
        if realm not in self._names():
            return False
        find = self._finders.get(realm)
        if find is None:
            return True
        try:
            found = find(name=name)
        except Unavailable:
            return True
        if found is not None:  # of no other realm, and no other user, whatever the plugin says
            self._accounts.keep(replace(found, name=name, realm=realm))
        return found is not None

    def _names(self) -> dict[str, Any]:
        active = self._options.get(REALM_OPTIONS, RealmOptions).active
        if active != self._active:
            self._active = active
            if unknown := set(active) - set(self._realms):
                _log.warning(
                    "realms.active names realms that no plugin provides: %s", ", ".join(unknown)
                )
        return dict.fromkeys((TOKEN, *(active or self._realms), LOCAL))


def _by_plugin(plugins: pluggy.PluginManager, hook: str) -> dict[str, Realm]:
    """Return what calls a hook of each plugin by itself, in the order of the manager."""
    everybody = plugins.get_plugins()
    return {
        each.plugin_name: plugins.subset_hook_caller(hook, everybody - {each.plugin})
        for each in reversed(getattr(plugins.hook, hook).get_hookimpls())
    }
