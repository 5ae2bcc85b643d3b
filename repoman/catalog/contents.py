"""Components and assets as users see them: lists, searches, single ones, and deletions.

REST and the command line show the same through it. Every method takes the actor on whose behalf it
works; None is the program itself, which may do everything.
"""

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from repoman.catalog.catalog import Catalog
from repoman.catalog.components import is_shown
from repoman.catalog.distinct_versions import DistinctVersion
from repoman.catalog.listing import Wildcards
from repoman.catalog.model import (
    AssetQuery,
    AssetView,
    BrowseNode,
    ComponentQuery,
    ComponentView,
    Order,
    PackageView,
    Page,
    PageRequest,
    Scope,
)
from repoman.catalog.records import DIGEST
from repoman.catalog.search_terms import REPOSITORY, Terms, compile_terms, usual_order
from repoman.catalog.visibility import BROWSE, ActorViewer, EveryViewer, ScopeViewer
from repoman.errors import (
    Denied,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    Unsupported,
)
from repoman.events.event import Coordinate
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository, RepositoryType
from repoman.repositories.sections import HostedStorageSection, WritePolicy
from repoman.security.actors import READING, Access, Action, Actor, RepositoryRef
from repoman.security.authorization import Authorizer
from repoman.security.expressions import Expression, Subject

DELETE = frozenset({Action.DELETE})
SHOWN = ComponentQuery(only_shown=True)
PAGES_MAX = 10
"""So many pages are read to find the one asset that a search means."""

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class ShownComponent:
    """A component as users see it.

    Attributes:
        shown: its coordinate as users see it.
    """

    view: ComponentView
    shown: Coordinate


@dataclass(frozen=True, slots=True)
class Entry(ShownComponent):
    """A component with all of its assets."""

    assets: tuple[AssetView, ...]


class Identified(Protocol):
    """What has an id in a repository: a component or an asset."""

    @property
    def id(self) -> int:
        """Return its number."""

    @property
    def repository(self) -> str:
        """Return the name of the repository."""


def render_id(view: Identified) -> str:
    """Return by which text clients refer to a component or an asset."""
    pair = f"{view.repository}:{view.id}"
    return urlsafe_b64encode(pair.encode()).decode().rstrip("=")


def parse_id(text: str) -> tuple[str, int]:
    """Return the name of the repository, and the number, in such a text.

    Raises:
        NotFound: it is not base64.
        Unprocessable: it is not the text of anything.
    """
    text = text.rstrip("=")
    try:
        data = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise NotFound("There is nothing with this id.") from error
    repository, _, number = data.decode(errors="replace").rpartition(":")
    if not repository or not _NUMBER.fullmatch(number):
        raise Unprocessable("The id is not valid. Use an id from a list or a search.")
    return repository, int(number)


class Contents:
    """Lists, finds and deletes components and assets; thread safe."""

    def __init__(
        self, catalog: Catalog, repositories: RepositoryManager, authorizer: Authorizer
    ) -> None:
        self._catalog = catalog
        self._repositories = repositories
        self._authorizer = authorizer

    def repository(
        self, name: str, actor: Actor | None, actions: frozenset[Action] = READING
    ) -> Repository:
        """Return a repository in which the actor may see something, by one of these actions.

        Raises:
            NotFound: there is none, and the actor could see it if there were.
            Unauthenticated, Denied: the actor may not see anything in it.
        """
        repository = self._repositories.find(name)
        if actor is not None:
            absent = RepositoryRef("", name, anonymous=False)
            ref = absent if repository is None else repository.ref
            may = self._authorizer.may_do_somewhere
            if not any(may(actor, ref, frozenset({each})) for each in actions):
                if actor.is_anonymous:
                    raise Unauthenticated("Authentication is required.")
                allowed = " or ".join(sorted(actions))
                raise Denied(f"{actor.name} is not allowed to {allowed} {name}.")
        if repository is None:
            raise NotFound(f"There is no repository {name!r}.")
        return repository

    # Lists --------------------------------------------------------------------------------------

    def components(
        self,
        repository: Repository,
        page: PageRequest,
        actor: Actor | None,
        query: ComponentQuery = SHOWN,
    ) -> Page[Entry]:
        """Return a page of the components of a repository, or of the members of a group.

        Raises:
            PageKeyInvalid: the key of the page does not belong to this list.
        """
        scopes = self._scopes_of(repository, actor)
        return self._entries(replace(query, order=usual_order(query, scopes)), page, scopes)

    def assets(
        self, repository: Repository, page: PageRequest, actor: Actor | None, path: str = ""
    ) -> Page[AssetView]:
        """Return a page of the assets of a repository; as :meth:`components`.

        ``path`` is a pattern of their paths, as users see them; empty: all.
        """
        viewer = ScopeViewer(self._scopes_of(repository, actor))
        return self._catalog.assets(AssetQuery(path=path), page, viewer)

    def selected(
        self, repository: Repository, expression: Expression, page: PageRequest, actor: Actor | None
    ) -> Page[AssetView]:
        """Return a page of the assets that an expression picks; as :meth:`assets`."""
        scopes = [_narrowed(each, expression) for each in self._scopes_of(repository, actor)]
        return self._catalog.assets(AssetQuery(), page, ScopeViewer(scopes))

    def search(self, terms: Terms, page: PageRequest, actor: Actor | None) -> Page[Entry]:
        """Return a page of the components that match, each with all of its assets.

        Raises:
            Invalid: a value is not valid.
            PageKeyInvalid: the key of the page does not belong to this search.
        """
        found = compile_terms(terms, self._searched(terms, actor))
        return Page([]) if found is None else self._entries(found[0], page, found[1])

    def suggest(self, terms: Terms, limit: int, actor: Actor | None) -> list[ShownComponent]:
        """Return the first components that match; Invalid as of :meth:`search`."""
        found = compile_terms(terms, self._searched(terms, actor))
        if found is None:
            return []
        query, scopes = found
        known = {each.id: each for each in scopes}
        views = self._catalog.components(query, PageRequest(limit), ScopeViewer(scopes)).items
        return [ShownComponent(each, _shown(each, known[each.repository_id])) for each in views]

    def versions(self, terms: Terms, actor: Actor | None, part: str = "") -> list[DistinctVersion]:
        """Return the distinct versions of the components that match, in no order.

        See :meth:`repoman.catalog.catalog.Catalog.versions`; of too many of one name, the newest
        versions count.

        Raises:
            Invalid: a value is not valid.
        """
        found = compile_terms(terms, self._searched(terms, actor))
        if found is None:
            return []
        query, scopes = found
        if Wildcards.parse(query.name).is_exact:
            query = replace(query, order=Order.VERSION, is_descending=True)
        return self._catalog.versions(query, ScopeViewer(scopes), part)

    def search_assets(
        self, terms: Terms, page: PageRequest, actor: Actor | None
    ) -> Page[AssetView]:
        """Return the assets of a page of components; of checksums, only those that have them."""
        found = self.search(terms, page, actor)
        assets = (asset for each in found.items for asset in each.assets)
        return Page([each for each in assets if terms.has_checksums(each)], found.next)

    def searchable(self, actor: Actor | None) -> list[Repository]:
        """Return the repositories that the actor may search, by name; groups are among them."""
        seen = {each.id for each in self._viewer(actor, BROWSE).scopes()}
        return [each for each in self._repositories.all() if each.config.id in seen]

    def stored_as(
        self, algorithm: str, checksum: str, actor: Actor | None, limit: int
    ) -> list[AssetView]:
        """Return at most ``limit`` of the assets with a checksum, given in hex, by age."""
        if algorithm == DIGEST:
            query = AssetQuery(digest=checksum)
        else:
            query = AssetQuery(checksum=(algorithm, checksum))
        viewer = ScopeViewer(self._beside_groups(actor))
        return self._catalog.assets(query, PageRequest(limit), viewer).items

    def packages_of(self, entries: Iterable[Entry], actor: Actor | None) -> dict[int, PackageView]:
        """Return the packages of components of a search, by package id."""
        views = [each.view for each in entries]
        return self._catalog.packages_of(views, self._viewer(actor, BROWSE)) if views else {}

    def find_one(self, terms: Terms, actor: Actor | None) -> AssetView:
        """Return the only asset that matches; of several, the first one if an order is given.

        Raises:
            NotFound: there is none.
            Invalid: there are several; or as :meth:`search`.
        """
        found: list[AssetView] = []
        for each in self._matching(terms, actor):
            found.append(each)
            if terms.sort or len(found) > 1:
                break
        if not found:
            raise NotFound("No asset matches the search.")
        if len(found) > 1:
            raise Invalid(
                "Several assets match the search. Narrow it down, or add a sort parameter to get "
                "the first one."
            )
        return found[0]

    def _matching(self, terms: Terms, actor: Actor | None) -> Iterator[AssetView]:
        after = ""
        for _ in range(PAGES_MAX):
            page = self.search_assets(terms, PageRequest(after=after), actor)
            yield from page.items
            if page.next is None:
                return
            after = page.next

    # Trees --------------------------------------------------------------------------------------

    def browse(
        self, repository: Repository, directory: str, page: PageRequest, actor: Actor | None
    ) -> Page[BrowseNode]:
        """Return the children of a directory of a repository, or of the members of a group.

        Slashes around the path of the directory do not matter; the top is empty. Of what several
        members have, the one of the first member is shown. The key of the next page is a path
        only if that is shown here; else the actor may not know of it, and it is sealed. See
        :meth:`repoman.catalog.catalog.Catalog.browse`.
        """
        directory = "".join(f"{each}/" for each in [directory.strip("/")] if each)
        page = replace(page, after=self._catalog.open_path(page.after))
        pages = [
            self._catalog.browse(each.name, directory, page, ScopeViewer([each]))
            for each in self._scopes_of(repository, actor)
        ]
        found: dict[str, BrowseNode] = {}
        for node in (node for each in pages for node in each.items):
            found.setdefault(node.path, node)
        last = min((each.next for each in pages if each.next is not None), default=None)
        paths = [each for each in sorted(found) if last is None or each <= last]
        if len(paths) > page.size:
            paths = paths[: page.size]
            last = paths[-1]
        if last is not None and last not in paths:
            last = self._catalog.seal_path(last)
        return Page([found[each] for each in paths], last)

    def components_of(
        self, repository: Repository, assets: Iterable[AssetView], actor: Actor | None
    ) -> dict[int, ComponentView]:
        """Return the components of assets of a repository that users see, by component id."""
        return self._catalog.components_of(assets, ScopeViewer(self._scopes_of(repository, actor)))

    # Single ones --------------------------------------------------------------------------------

    def component(self, id_: str, actor: Actor | None) -> Entry:
        """Return a component.

        Raises:
            NotFound: there is none with this id, or the actor may not see it.
            Unprocessable: the id is malformed.
            Unauthenticated, Denied: the actor may not see anything in its repository.
        """
        number, scopes = self._resolve(id_, actor)
        view = self._catalog.component(number, ScopeViewer(scopes))
        [scope] = [each for each in scopes if each.id == view.repository_id]
        if not is_shown(scope, view.kind):
            raise NotFound(f"There is no component {number}.")
        assets = self._catalog.assets_of([view], ScopeViewer(scopes))[view.id]
        return Entry(view, _shown(view, scope), tuple(assets))

    def asset(self, id_: str, actor: Actor | None) -> AssetView:
        """Return an asset; errors as of :meth:`component`."""
        number, scopes = self._resolve(id_, actor)
        return self._catalog.asset(number, ScopeViewer(scopes))

    def asset_at(self, repository: Repository, path: str, actor: Actor | None) -> AssetView:
        """Return the asset at a stored path of a repository, or of the first member that has it.

        Raises:
            NotFound: there is none, or the actor may not see it.
        """
        scopes = self._scopes_of(repository, actor, READING)
        return self._catalog.asset_at(path, ScopeViewer(scopes))

    def why_undeletable(self, asset: AssetView, actor: Actor | None) -> str:
        """Return why the actor cannot delete an asset, as a sentence; empty: nothing is known."""
        repository = self._repositories.by_id(asset.repository_id)
        storage = repository.config.sections.get("storage")
        if isinstance(storage, HostedStorageSection) and storage.write_policy is WritePolicy.DENY:
            return f"{asset.repository} is read-only."
        if repository.capabilities.delete_asset is None:
            return str(_undeletable(repository))
        try:
            self._check_delete(repository, asset.path, actor)
        except (Denied, Unauthenticated):
            return "You may not delete it."
        return ""

    def delete_component(self, id_: str, actor: Actor | None) -> Entry:
        """Delete a component with its assets, and return what it was.

        Raises:
            NotFound, Unprocessable, Unauthenticated, Denied: as :meth:`component`.
            ReadOnly: the write policy refuses it.
            Unsupported: nothing can be deleted from this type of repository.
        """
        entry = self.component(id_, actor)
        view = entry.view
        repository = self._repositories.by_id(view.repository_id)
        coordinate = Coordinate(view.kind, view.name, view.version, view.namespace)
        rules = repository.rules
        path, name = rules.component_path(coordinate), rules.name_of_component(coordinate)
        self._check_delete(repository, path, actor, name)
        for each in entry.assets:
            self._check_delete(repository, each.path, actor)
        if actor is not None:
            self._check_delete_hidden(repository, entry, actor)
        delete = repository.capabilities.delete_component
        if delete is None:
            raise _undeletable(repository)
        delete(coordinate)
        return entry

    def _check_delete_hidden(self, repository: Repository, entry: Entry, actor: Actor) -> None:
        """Return if the actor may delete also what they do not see of a component (Denied)."""
        seen = {each.id for each in entry.assets}
        for each in self.component(render_id(entry.view), None).assets:
            if each.id not in seen:
                try:
                    self._check_delete(repository, each.path, actor)
                except Denied:
                    raise Denied(
                        f"{actor.name} is not allowed to delete all of {entry.view.name} in "
                        f"{repository.name}."
                    ) from None

    def delete_asset(self, id_: str, actor: Actor | None) -> AssetView:
        """Delete an asset and return what it was; errors as of :meth:`delete_component`.

        Raises:
            Conflict: another asset needs it.
        """
        asset = self.asset(id_, actor)
        repository = self._repositories.by_id(asset.repository_id)
        self._check_delete(repository, asset.path, actor)
        delete = repository.capabilities.delete_asset
        if delete is None:
            raise _undeletable(repository)
        delete(asset.stored_path, lambda path: self._check_delete(repository, path, actor))
        return asset

    def _check_delete(
        self, repository: Repository, path: str, actor: Actor | None, name: str | None = None
    ) -> None:
        if actor is not None:
            access = Access(DELETE, path, repository.rules.name_of(path) if name is None else name)
            self._authorizer.check(actor, repository.ref, access)

    # Inside -------------------------------------------------------------------------------------

    def _viewer(self, actor: Actor | None, actions: frozenset[Action]) -> ActorViewer | EveryViewer:
        if actor is None:
            return EveryViewer(self._repositories)
        return ActorViewer(self._authorizer, self._repositories, actor, actions)

    def _scopes_of(
        self,
        repository: Repository,
        actor: Actor | None,
        actions: frozenset[Action] = BROWSE,
    ) -> list[Scope]:
        return self._viewer(actor, actions).scopes_of(repository)

    def _resolve(self, id_: str, actor: Actor | None) -> tuple[int, list[Scope]]:
        name, number = parse_id(id_)
        return number, self._scopes_of(self.repository(name, actor), actor, READING)

    def _searched(self, terms: Terms, actor: Actor | None) -> list[Scope]:
        """Return where to search: in all repositories, or in those that are asked for."""
        names = terms.values(REPOSITORY)
        if not names:
            return self._beside_groups(actor)
        found = [self._named(each, actor) for each in names]
        ids = set.intersection(*({each.id for each in scopes} for scopes in found))
        return [each for each in found[0] if each.id in ids]

    def _named(self, pattern: str, actor: Actor | None) -> list[Scope]:
        wanted = Wildcards.parse(pattern.lower())
        if wanted.is_exact:
            repository = self._repositories.find(pattern)
            return [] if repository is None else self._scopes_of(repository, actor)
        return [each for each in self._beside_groups(actor) if wanted.fits(each.name.lower())]

    def _beside_groups(self, actor: Actor | None) -> list[Scope]:
        """Return all repositories but groups, whose content is that of their members."""
        everything = self._repositories.all()
        groups = {each.config.id for each in everything if each.config.type is RepositoryType.GROUP}
        return [each for each in self._viewer(actor, BROWSE).scopes() if each.id not in groups]

    def _entries(
        self, query: ComponentQuery, page: PageRequest, scopes: list[Scope]
    ) -> Page[Entry]:
        found = self._catalog.components_with_assets(query, page, ScopeViewer(scopes))
        known = {each.id: each for each in scopes}
        entries = [
            Entry(view, _shown(view, known[view.repository_id]), tuple(assets))
            for view, assets in found.items
        ]
        return Page(entries, found.next)


def _shown(view: ComponentView, scope: Scope) -> Coordinate:
    return scope.rules.shown(Coordinate(view.kind, view.name, view.version, view.namespace))


def _undeletable(repository: Repository) -> Unavailable | Unsupported:
    if repository.problem is not None:
        return Unavailable(repository.problem)
    return Unsupported(f"Nothing can be deleted from the repository {repository.name!r}.")


def _narrowed(scope: Scope, expression: Expression) -> Scope:
    """Return what an expression picks of a scope."""

    def sees(path: str, name: str) -> bool:
        is_seen = scope.sees is None or scope.sees(path, name)
        return is_seen and expression.holds(Subject(scope.format, path))

    return replace(scope, sees=sees, prefixes=expression.prefixes(scope.format))
