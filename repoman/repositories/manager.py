"""The repository manager: creates, changes and finds repositories.

It answers from a snapshot in memory. A change, in this process or (seen by the revision in the
database) in another one, makes a new snapshot; what did not change is taken over, so that a
repository keeps its upload sessions.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from repoman.blobs.manager import BlobStoreManager
from repoman.config import ServerSettings
from repoman.db.database import Database
from repoman.db.topics import REPOSITORIES, SERVED
from repoman.errors import Conflict, Invalid, NotFound, Unsupported
from repoman.events.event_records import insert_buried
from repoman.proxy.remote_health import Remote, RemoteState
from repoman.proxy.services import ProxyServices
from repoman.repositories import repository_records as records
from repoman.repositories.builder import RepositoryBuilder
from repoman.repositories.changes import changed_keys, merge_settings, remote_in, without_member
from repoman.repositories.checks import (
    check_blob_store,
    check_group,
    check_name,
    check_names,
    check_not_member,
    names_below,
)
from repoman.repositories.model import Capabilities, Connector, Repository, RepositoryType, Step
from repoman.repositories.move_records import begin_move
from repoman.repositories.ports import (
    PortReport,
    check_ports,
    ports_of,
    probe_ports,
    report_port,
)
from repoman.repositories.recipes import Check, Patch, Recipe, Settings, allow_all
from repoman.repositories.repository_records import Row
from repoman.repositories.routing_records import RoutingRule, list_rules
from repoman.repositories.sections import GroupSection
from repoman.sections import Section


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """All repositories as of one revision; keys are names in lower case."""

    revision: int = -1
    rows: Mapping[str, Row] = field(default_factory=dict)
    rules: Mapping[str, RoutingRule] = field(default_factory=dict)
    repositories: Mapping[str, Repository] = field(default_factory=dict)


class RepositoryManager:
    """All repositories of the server; thread safe."""

    def __init__(
        self,
        database: Database,
        recipes: Mapping[str, Recipe],
        blob_stores: BlobStoreManager,
        server: ServerSettings,
        proxies: ProxyServices | None = None,
        hook: Any = None,
    ) -> None:
        self._database = database
        self._recipes = recipes
        self._blob_stores = blob_stores
        self._server = server
        self._builder = RepositoryBuilder(
            database,
            recipes,
            blob_stores,
            proxies or ProxyServices(database),
            hook,
            self.find,
            self.all,
        )
        self._snapshot = _Snapshot()
        self._refresh_lock = threading.RLock()
        self._observers: list[Callable[[], None]] = []
        self._forgetters: list[Callable[[str], None]] = []
        self._bury_observers: list[Callable[[], None]] = []

    def subscribe(self, observer: Callable[[], None]) -> None:
        """Have ``observer`` called after every change of any repository."""
        self._observers.append(observer)

    def on_delete(self, forget: Callable[[str], None]) -> None:
        """Have ``forget`` called with the name of a deleted repository, in its transaction."""
        self._forgetters.append(forget)

    def on_bury(self, observer: Callable[[], None]) -> None:
        """Have ``observer`` called when there is content to remove, in the same transaction."""
        self._bury_observers.append(observer)

    def refresh(self) -> None:
        """Take over what other processes changed; cheap when nothing did."""
        with self._refresh_lock:
            revision = self._database.revision(REPOSITORIES)
            if revision == self._snapshot.revision:
                return
            self._snapshot = self._take_snapshot(revision)
            self._database.topics.publish({SERVED: revision})
        for observer in self._observers:
            observer()

    # Reading ----------------------------------------------------------------------------------

    def revision(self) -> int:
        """Return how often the repositories had changed when this process last looked."""
        return self._snapshot.revision

    def recipes(self) -> list[str]:
        """Return the names of the known recipes, sorted."""
        return sorted(self._recipes)

    def get_recipe(self, name: str) -> Recipe:
        """Return the recipe with this name.

        Raises:
            Invalid: there is none.
        """
        recipe = self._recipes.get(name)
        if recipe is None:
            known = ", ".join(self.recipes())
            raise Invalid(
                f"recipe: there is no recipe {name!r}; choose one of: {known}.", field="recipe"
            )
        return recipe

    def list_recipes(self) -> list[Recipe]:
        """Return the known recipes, by name."""
        return [self._recipes[name] for name in self.recipes()]

    def find(self, name: str) -> Repository | None:
        """Return the repository with this name, in any case of letters, or None."""
        return self._snapshot.repositories.get(name.lower())

    def get(self, name: str) -> Repository:
        """Return the repository with this name.

        Raises:
            NotFound: there is none.
        """
        repository = self.find(name)
        if repository is None:
            raise NotFound(f"There is no repository {name!r}.")
        return repository

    def by_id(self, id_: int) -> Repository:
        """Return the repository with this id (NotFound)."""
        for each in self._snapshot.repositories.values():
            if each.config.id == id_:
                return each
        raise NotFound("The repository was deleted.")

    def all(self) -> list[Repository]:
        """Return all repositories, by name."""
        return list(self._snapshot.repositories.values())

    def undo_days(self) -> int:
        """Return the longest time for which a repository can restore what it had, in days."""
        return max((each.capabilities.undo_days for each in self.all()), default=0)

    def groups_with(self, name: str) -> list[Repository]:
        """Return the groups that contain a repository, also by way of other groups."""
        rows = self._snapshot.rows
        return [each for each in self.all() if name.lower() in self._below(each, rows)]

    @staticmethod
    def _below(repository: Repository, rows: Mapping[str, Row]) -> set[str]:
        return names_below(rows[repository.name.lower()], rows)

    def connectors(self) -> list[Connector]:
        """Return the connectors of all repositories that can work."""
        return [each for repository in self.all() for each in self.connectors_of(repository)]

    def connectors_of(self, repository: Repository) -> list[Connector]:
        """Return the connectors of one repository."""
        name = repository.name
        return [
            Connector(name, scheme, self._server.host, port)
            for _, scheme, port in ports_of(repository.config.sections)
        ]

    def report_port(self, port: int, scheme: str, name: str = "") -> PortReport:
        """Return how a port is for a connector of a repository, which may be new."""
        return report_port(port, scheme, name, self._server)

    # Changing ---------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        recipe_name: str,
        settings: Settings,
        *,
        is_online: bool = True,
        check: Check = allow_all,
    ) -> Repository:
        """Create a repository and return it; ``check`` as for :meth:`update`.

        Raises:
            Invalid: the name, the recipe or a setting is wrong.
            Conflict: the name or a port is taken.
        """
        check_name("repository", name)
        recipe = self.get_recipe(recipe_name)
        sections = recipe.parse(settings)
        check(sections)
        probe_ports(sections, self._server)
        with self._database.transaction():
            check_blob_store(self._blob_stores, sections)
            row = Row(0, name, recipe.format, recipe.type, is_online, self._seal(sections))
            if records.find_row(name) is not None:
                raise Conflict(f"name: a repository named {name!r} already exists.", field="name")
            check_ports(name, sections, self._server)
            check_names(row, sections, sections, self._list_rows)
            row_id = records.insert_row(row)
            self._take_ports(row_id, sections)
            self._database.note_change("repository.create", name, recipe=recipe_name)
        self.refresh()
        return self.get(name)

    def update(
        self,
        name: str,
        settings: Patch,
        *,
        is_online: bool | None = None,
        is_patch: bool = False,
        check: Check = allow_all,
    ) -> Repository:
        """Change the given settings of a repository, keep the others, and return it.

        In a patch None is the default of a setting, and tables are merged. A proxy with another
        remote loses what it had from the former one and, where that is on another server, passwords
        that are not given: nobody can have them sent to a server of their choice. ``check`` raises
        if whoever asks may not have such settings.

        Raises:
            NotFound: there is no such repository.
            Invalid: a setting is wrong, or cannot change after creation.
            Conflict: a port is taken.
        """
        with self._database.transaction():
            row = self._get_row(name)
            recipe = self.get_recipe(f"{row.format}-{row.type}")
            old = self._unseal(row)
            sections = recipe.parse(merge_settings(recipe, old, settings, is_patch=is_patch))
            check(sections)
            check_blob_store(self._blob_stores, sections, row)
            check_ports(row.name, sections, self._server)
            check_names(row, sections, settings, self._list_rows)
            probe_ports(sections, self._server)
            online = row.is_online if is_online is None else is_online
            keys = changed_keys(recipe, old, sections)
            if keys or online != row.is_online:
                changed = replace(row, is_online=online, settings=self._seal(sections))
                is_same = remote_in(recipe, old) == remote_in(recipe, changed.settings)
                self._take_ports(self._store(row, changed, is_same_remote=is_same), sections)
                self._note_change(row, keys, is_online=online)
        self.refresh()
        return self.get(name)

    def change_store(self, name: str, store: str, now: float) -> Repository:
        """Have a repository keep its bytes in another blob store, and return it.

        What it has is to be moved by :mod:`repoman.stores.moves`.

        Raises:
            NotFound: there is no such repository.
            Invalid: there is no such store.
            Unsupported: it is a group.
            Conflict: it is the one that the repository has.
        """
        with self._database.transaction():
            row = self._get_row(name)
            if row.type == RepositoryType.GROUP:
                raise Unsupported(f"{row.name} is a group and stores nothing: move its members.")
            recipe = self.get_recipe(f"{row.format}-{row.type}")
            settings = merge_settings(
                recipe, self._unseal(row), {"storage": {"blob_store": store}}, is_patch=True
            )
            sections = recipe.parse(settings)
            check_blob_store(self._blob_stores, sections)
            if store == row.blob_store:
                raise Conflict(f"The blob store of {row.name} is {store} already.")
            records.update_row(replace(row, settings=self._seal(sections)))
            begin_move(row.id, store, now)
            self._database.bump(REPOSITORIES)
            self._database.note_change("repository.move", row.name, blob_store=store)
        self.refresh()
        return self.get(name)

    def _note_change(self, row: Row, keys: Iterable[str], *, is_online: bool) -> None:
        told = {} if is_online == row.is_online else {"is_online": str(is_online)}
        self._database.note_change("repository.change", row.name, keys=" ".join(keys), **told)

    def remote_of(self, name: str) -> Remote:
        """Return the remote of a proxy.

        Raises:
            NotFound: there is no such repository.
            Unsupported: it is not a proxy, or does not work.
        """
        repository = self.get(name)
        remote = repository.capabilities.remote
        if remote is None:
            raise Unsupported(
                f"{repository.name} has no remote: it is not a proxy, or it does not work."
            )
        return remote

    def trace(self, name: str, path: str) -> list[Step]:
        """Return what becomes of each member of a group when it is asked for a path.

        Raises:
            NotFound: there is no such repository.
            Unsupported: it is not a group, or does not work.
            Invalid: there is no such path.
        """
        repository = self.get(name)
        trace = repository.capabilities.trace
        if trace is None:
            raise Unsupported(f"{repository.name} is not a group, or it does not work.")
        return trace(path)

    @contextmanager
    def trial(
        self, recipe_name: str, settings: Settings, *, name: str = "", check: Check = allow_all
    ) -> Iterator[Capabilities]:
        """Have a repository with settings that are not stored: what the core may ask of it.

        ``name`` is that of the stored repository whose settings they would change; ``check`` as
        for :meth:`update`.

        Raises:
            NotFound: there is no such repository.
            Invalid: a setting is wrong.
        """
        recipe, old = self.get_recipe(recipe_name), {}
        if name:
            old = self._unseal(self._get_row(name))
        sections = recipe.parse(merge_settings(recipe, old, settings))
        check(sections)
        check_blob_store(self._blob_stores, sections)
        group = sections.get("group")
        if isinstance(group, GroupSection):
            check_group(name, recipe.format, group, self._snapshot.rows.values(), is_new=True)
        with self._builder.trial(name, recipe, sections, self._snapshot.rules) as capabilities:
            yield capabilities

    def check(self, name: str) -> RemoteState:
        """Check the remote of a proxy now; errors as of :meth:`remote_of`."""
        remote = self.remote_of(name)
        with self._database.transaction():
            self._database.note_change("repository.check", self.get(name).name)
        return remote.check()

    def invalidate(self, name: str, only: str | None = None) -> None:
        """Invalidate the cache of a proxy, or those of all proxies in a group.

        All of it, or one name of the format.

        Raises:
            NotFound, Unsupported: see :meth:`remote_of`.
        """
        remotes = self._remotes_of(name)
        if only is not None:
            for remote in remotes:
                remote.refresh(only)  # in transactions of its own: there may be many files
        with self._database.transaction():
            if only is None:
                for remote in remotes:
                    remote.invalidate()
            about = {} if only is None else {"name": only}
            self._database.note_change("repository.invalidate", self.get(name).name, **about)

    def _remotes_of(self, name: str) -> list[Remote]:
        repository = self.get(name)
        if repository.config.type is not RepositoryType.GROUP:
            return [self.remote_of(name)]
        members = map(self.find, sorted(self._below(repository, self._snapshot.rows)))
        found = (each.capabilities.remote for each in members if each is not None)
        return [remote for remote in found if remote is not None]

    def delete(self, name: str, *, leaves_groups: bool = False) -> None:
        """Remove a repository with all it holds.

        Its name and ports are free at once; a task removes its content. With ``leaves_groups``
        the groups that have it as a member lose it; pins to it go on keeping others from answering.

        Raises:
            NotFound: there is no such repository.
            Conflict: it is a member of a group.
        """
        with self._database.transaction():
            row = self._get_row(name)
            if leaves_groups:
                self._leave_groups(row.name)
            check_not_member(row.name, self._list_rows())
            self._bury(row)
            for forget in self._forgetters:
                forget(row.name)
            self._database.bump(REPOSITORIES)
            self._database.note_change("repository.delete", row.name)
        self.refresh()

    # Inside -----------------------------------------------------------------------------------

    def _leave_groups(self, name: str) -> None:
        for row in self._list_rows():
            changed = without_member(row, name)
            if changed is not row:
                records.update_row(changed)
                self._database.note_change("repository.change", row.name, keys="group.members")

    def _store(self, row: Row, changed: Row, *, is_same_remote: bool) -> int:
        """Store a changed repository and return its id: a new one where its content has to go.

        So downloads from the former remote that have not ended cannot be stored any more.
        """
        if is_same_remote:
            records.update_row(changed)
            return row.id
        self._bury(row)
        return records.insert_row(changed)

    def _take_ports(self, row_id: int, sections: Mapping[str, Section]) -> None:
        """Give a repository the ports of its settings, and have all processes see the change."""
        records.replace_ports(row_id, [each[1:] for each in ports_of(sections)])
        self._database.bump(REPOSITORIES)

    def _bury(self, row: Row) -> None:
        insert_buried(row.id, time.time())
        records.bury_row(row.id)
        for observer in self._bury_observers:
            observer()

    @staticmethod
    def _get_row(name: str) -> Row:
        row = records.find_row(name)
        if row is None:
            raise NotFound(f"There is no repository {name!r}.")
        return row

    def _seal(self, sections: Mapping[str, Section]) -> dict[str, dict[str, Any]]:
        """Return settings as they are stored; only within a transaction, see Keyring.seal."""
        seal = self._database.keyring.seal
        return {name: section.sealed(seal) for name, section in sections.items()}

    def _unseal(self, row: Row) -> dict[str, dict[str, Any]]:
        opened: dict[str, dict[str, Any]] = self._database.keyring.unseal(row.settings)
        return opened

    def _list_rows(self) -> list[Row]:
        """Return what is stored now, which is mostly what was stored at the last look."""
        return records.list_rows(self._snapshot.rows.values())

    def _take_snapshot(self, revision: int) -> _Snapshot:
        old = self._snapshot
        rows = {row.name.lower(): row for row in self._list_rows()}
        rules = {rule.name.lower(): rule for rule in list_rules()}
        repositories = {}
        for key, row in rows.items():
            name = row.routing_rule.lower()
            is_same = old.rows.get(key) == row and old.rules.get(name) == rules.get(name)
            repositories[key] = (
                old.repositories[key] if is_same else self._builder.build(row, rules)
            )
        ids = {row.id for row in rows.values()}
        for gone in {row.id for row in old.rows.values()} - ids:
            self._builder.forget(gone)
        return _Snapshot(revision, rows, rules, repositories)
