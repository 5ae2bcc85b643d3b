"""Builds repositories by their recipes: those that are stored, and trials of settings that are not.

A **trial** is a repository with settings that somebody wants to try before they are stored. It
keeps nothing, and nothing of it goes on by itself; see
``docs/adr/0048-settings-are-tried-before-they-are-stored.md``.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from repoman.blobs.manager import BlobStoreManager
from repoman.content import ContentStore
from repoman.db.database import Database
from repoman.errors import RepomanError
from repoman.proxy.services import ProxyServices
from repoman.quotas import GuardedTarget, SpaceLimits
from repoman.repositories.model import Capabilities, Repository, RepositoryConfig, RepositoryType
from repoman.repositories.recipes import Recipe, RepositoryContext
from repoman.repositories.repository_records import Row
from repoman.repositories.routing_records import RoutingRule
from repoman.repositories.sections import StorageSection, external_url_of, quota_of, with_rules
from repoman.sections import Section
from repoman.uploads import UploadSessions

TRIAL_ID = 0  # The id of repositories that are not stored; no stored one has it.

_log = logging.getLogger(__name__)


class RepositoryBuilder:
    """Makes a repository of its row; one for a manager.

    Args:
        find: finds other repositories by name, as they are when it is called.
        list_all: returns all of them.
    """

    def __init__(
        self,
        database: Database,
        recipes: Mapping[str, Recipe],
        blob_stores: BlobStoreManager,
        proxies: ProxyServices,
        hook: Any,
        find: Callable[[str], Repository | None],
        list_all: Callable[[], list[Repository]],
    ) -> None:
        self._database = database
        self._recipes = recipes
        self._blob_stores = blob_stores
        self._proxies = proxies
        self._hook = hook
        self._find = find
        self._list_all = list_all
        self._uploads: dict[int, UploadSessions] = {}
        self._limits: dict[int, SpaceLimits] = {}

    def build(self, row: Row, rules: Mapping[str, RoutingRule]) -> Repository:
        """Return the repository of a row; what is wrong with it is its ``problem``."""
        self._proxies.leave(row.id)
        config = RepositoryConfig(
            row.id, row.name, row.format, RepositoryType(row.type), row.is_online, {}
        )
        recipe = self._recipes.get(config.recipe)
        if recipe is None:
            problem = f"The format {row.format!r} is not installed."
            return Repository(config, None, problem=problem)
        try:
            sections = recipe.parse(self._database.keyring.unseal(row.settings))
            config = replace(config, sections=with_rules(sections, rules))
            built = recipe.build(self._context(config, recipe, self._proxies))
            url = external_url_of(config.sections)
            return Repository(
                config, built.service, built.capabilities, external_url=url, rules=recipe.rules
            )
        except RepomanError as error:
            return Repository(config, None, problem=f"Its settings are not valid: {error}")
        except Exception:  # noqa: BLE001 - of a plugin; the other repositories do without it
            _log.exception("The repository %s could not be built", config.name)
            return Repository(config, None, problem="Its plugin failed; see the server log.")

    @contextmanager
    def trial(
        self,
        name: str,
        recipe: Recipe,
        sections: Mapping[str, Section],
        rules: Mapping[str, RoutingRule],
    ) -> Iterator[Capabilities]:
        """Have a repository with these settings for the block: what the core may ask of it.

        Raises:
            Invalid: the settings name a rule or a blob store that is not there.
        """
        config = RepositoryConfig(
            TRIAL_ID, name, recipe.format, recipe.type, True, with_rules(sections, rules)
        )
        proxies = ProxyServices(
            self._database, self._proxies.clock, self._proxies.ticks, network=self._proxies.network
        )
        try:
            capabilities = recipe.build(self._context(config, recipe, proxies)).capabilities
            proxies.leave(TRIAL_ID)  # Its cache is nobody's: nothing is saved, nothing asked later.
            yield capabilities
        finally:
            proxies.close()

    def forget(self, repository_id: int) -> None:
        """Drop what a repository that is gone had in memory."""
        self._uploads.pop(repository_id, None)
        self._limits.pop(repository_id, None)
        self._proxies.retire(repository_id)

    def _context(
        self, config: RepositoryConfig, recipe: Recipe, proxies: ProxyServices
    ) -> RepositoryContext:
        store = storage_of(config.sections).blob_store
        blobs = self._blob_stores.get(store)
        limits = self._limits_of(config, store)
        return RepositoryContext(
            config=config,
            content=ContentStore(
                self._database, config.id, store, blobs, recipe.rules, self._blob_stores, limits
            ),
            blobs=GuardedTarget(blobs, limits),
            uploads=self._sessions(config.id, store, limits),
            find_repository=self._find,
            list_repositories=self._list_all,
            proxies=proxies,
            hook=self._hook,
        )

    def _limits_of(self, config: RepositoryConfig, store: str) -> SpaceLimits:
        """Return the quotas of a repository; uploads go on under those that it has now."""
        limits = self._limits.get(config.id)
        if limits is None:
            limits = SpaceLimits(config.name, config.id, self._blob_stores.find_quota)
            if config.id != TRIAL_ID:
                self._limits[config.id] = limits
        limits.store, limits.quota = store, quota_of(config.sections).limit
        return limits

    def _sessions(self, repository_id: int, store: str, limits: SpaceLimits) -> UploadSessions:
        known, blobs = self._uploads.get(repository_id), self._blob_stores.get(store)
        if known is not None:
            known.begin_in(store, blobs)
        else:
            known = UploadSessions(
                self._database, repository_id, store, blobs, self._blob_stores.get, limits
            )
            if repository_id != TRIAL_ID:
                self._uploads[repository_id] = known
        return known


def storage_of(sections: Mapping[str, Section]) -> StorageSection:
    """Return the section about storage, which all repositories have."""
    section = sections["storage"]
    if not isinstance(section, StorageSection):
        raise TypeError("The section storage is not a StorageSection.")
    return section
