"""The realms: plugins that know users, in the order in which they are tried."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import pluggy

from repoman.errors import Invalid, Unavailable
from repoman.options import Options
from repoman.plugins import unable
from repoman.security.accounts import Accounts
from repoman.security.actors import LOCAL, Actor, RealmType
from repoman.security.options import AUTHORIZING_REALM, REALM_OPTIONS, RealmOptions
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
        declared = chain(*plugins.hook.repoman_register_realms())
        undeclared = {name: RealmType(name, name, name) for name in self._realms}
        self._types = undeclared | {each.name: each for each in declared}
        self._options = options
        self._accounts = accounts
        self._active: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the names of the realms that check names and passwords."""
        return sorted(self._realms)

    def available(self) -> list[RealmType]:
        """Return the realms that may be active, by title."""
        return sorted(self._types.values(), key=lambda each: each.title.casefold())

    def active(self) -> list[str]:
        """Return the ids of the active realms, as somebody has set them.

        Where nobody has: those that check passwords and can let somebody in.
        """
        names = self._options.get(REALM_OPTIONS, RealmOptions).active
        if not names:
            asked = [name for name, _ in self.in_order() if name != TOKEN]
            names = tuple(name for name in asked if self._types[name].is_used())
        return [self._types[name].id if name in self._types else name for name in names]

    def activate(self, ids: Sequence[str]) -> None:
        """Make these realms the active ones, in this order; local users always remain.

        The realm that stands for the rights of this server is left out.

        Raises:
            Invalid: an id is not that of a realm; none of them is changed.
        """
        names = {each.id: each.name for each in self._types.values()}
        wanted = [each for each in dict.fromkeys(ids) if each != AUTHORIZING_REALM]
        if unknown := [each for each in wanted if each not in names]:
            raise Invalid(f"Unknown realmIds: [{', '.join(unknown)}]")
        active = [names[each] for each in wanted] or [LOCAL]
        self._options.update(REALM_OPTIONS, {"active": active})

    def is_id(self, text: str) -> bool:
        """Return whether a text is the id of a realm."""
        return text == AUTHORIZING_REALM or text in {each.id for each in self._types.values()}

    def unknown(self) -> list[str]:
        """Return the active realms that no plugin provides."""
        active = self._options.get(REALM_OPTIONS, RealmOptions).active
        return [name for name in active if name not in self._types]

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

    def knows(self, realm: str, name: str) -> bool | None:
        """Return whether a realm still has a user; None: it is not active, or cannot tell."""
        find = self._finders.get(realm)
        if find is None or realm not in self._names():
            return None
        try:
            return find(name=name) is not None
        except Unavailable:
            return None

    def _names(self) -> dict[str, Any]:
        active = self._options.get(REALM_OPTIONS, RealmOptions).active
        if active != self._active:
            self._active = active
            if unknown := self.unknown():
                _log.warning(
                    "realms.active names realms that no plugin provides: %s", ", ".join(unknown)
                )
        return dict.fromkeys((TOKEN, *(active or self._realms), LOCAL))


def _by_plugin(plugins: pluggy.PluginManager, hook: str) -> dict[str, Realm]:
    """Return what calls a hook of each plugin by itself, in the order of the manager."""
    return {
        each.plugin_name: _realm(plugins, hook, each)
        for each in reversed(getattr(plugins.hook, hook).get_hookimpls())
    }


def _realm(plugins: pluggy.PluginManager, hook: str, plugin: pluggy.HookImpl) -> Realm:
    """Return what calls a hook of a plugin; once the plugin was left out, it cannot tell."""
    ask = plugins.subset_hook_caller(hook, plugins.get_plugins() - {plugin.plugin})

    def realm(**given: object) -> Actor | None:
        if not plugins.has_plugin(plugin.plugin_name):  # None would end sessions of its users.
            raise unable(plugin.plugin_name)
        found: Actor | None = ask(**given)
        return found

    return realm
