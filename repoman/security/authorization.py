"""Authorization: whether an actor may do what a request needs.

Rights come from the roles of a user, and are checked at each request: a token narrows them and
never carries them. Who has logged in may always do what anybody may.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import reduce
from operator import or_

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.errors import Denied, Unauthenticated
from repoman.options import Options
from repoman.security.actors import (
    ANONYMOUS,
    LOCAL,
    READING,
    Access,
    Action,
    Actor,
    RepositoryRef,
)
from repoman.security.explanation import Decision, Reason, RightsOverview, Source, reasons_for
from repoman.security.expressions import Subject
from repoman.security.options import ANONYMOUS_OPTIONS, AnonymousOptions
from repoman.security.rights import Allowed, Rights, RightsBook
from repoman.security.user_records import user_finder

Filter = Callable[[str], bool]


class Authorizer:
    """Decides who is allowed to do what; thread safe, reads the database only after a change."""

    def __init__(self, database: Database, options: Options) -> None:
        self._options = options
        self._book = RightsBook(database)
        self._find_user = user_finder(database)
        self._rights: ReadCache[Rights] = ReadCache(database)
        self._by_repository: ReadCache[Allowed] = ReadCache(database)

    def is_allowed(self, actor: Actor, ref: RepositoryRef, access: Access) -> bool:
        """Return whether the actor may do this there."""
        if actor.limit is not None and not is_within_limit(actor, ref, access):
            return False
        allowed = self._allowed(actor, ref)
        if not access.actions:
            return bool(allowed) or not actor.is_anonymous
        if access.actions <= allowed.everything:
            return True
        return allowed.covers(access.actions, _subject(ref, access))

    def check(self, actor: Actor, ref: RepositoryRef, access: Access) -> None:
        """Return if the actor may do this there.

        Raises:
            Unauthenticated: nobody has logged in, and this needs it.
            Denied: somebody has, and may not.
        """
        if self.is_allowed(actor, ref, access):
            return
        if actor.is_anonymous:
            raise Unauthenticated("Authentication is required.")
        what = " and ".join(sorted(access.actions))
        where = f"{access.name} in {ref.name}" if access.name else ref.name
        raise Denied(f"{actor.name} is not allowed to {what} {where}.")

    def explain(self, actor: Actor, ref: RepositoryRef, access: Access) -> list[Decision]:
        """Return for each action of ``access`` whether the actor may do it there, and why.

        It takes the rights apart that :meth:`is_allowed` puts together, and reads the database.
        """
        subject = _subject(ref, access)
        reasons = [Reason(each, Source.REPOSITORY) for each in _open_to_all(ref).everything]
        for holder in self._holders(actor, ref):
            source = Source.ANONYMOUS if holder.is_anonymous else Source.USER
            reasons += reasons_for(self._roles_of(holder), source, ref, subject)
        single = {each: replace(access, actions=frozenset({each})) for each in access.actions}
        return [
            Decision(
                action,
                is_allowed=self.is_allowed(actor, ref, one),
                is_within_limit=is_within_limit(actor, ref, one),
                reasons=tuple(each for each in reasons if each.action == action),
            )
            for action, one in sorted(single.items())
        ]

    def overview(self, actor: Actor) -> RightsOverview:
        """Return what the actor may do where, and by which roles, as it is stored now."""
        anonymous = self._anonymous
        own = () if actor.is_anonymous else self._roles_of(actor)
        return RightsOverview(own, anonymous.roles if anonymous.enabled else ())

    def knows(self, actor: Actor, ref: RepositoryRef) -> bool:
        """Return whether the actor may know that the repository exists: may do anything there."""
        if not is_within_limit(actor, ref, Access()):
            return False
        return bool(self._allowed(actor, ref))

    def name_filter(
        self,
        actor: Actor,
        ref: RepositoryRef,
        actions: frozenset[Action],
        path_of: Callable[[str], str],
    ) -> Filter | None:
        """Return which names in a repository the actor may see in lists; None means all of them.

        Those are names on whose path, as ``path_of`` returns it, the actor may do this as of now.
        """
        if self.may_do_everywhere(actor, ref, actions):
            return None
        may = self.path_filter(actor, ref, actions)
        return lambda name: may(path_of(name), name)

    def path_filter(
        self, actor: Actor, ref: RepositoryRef, actions: frozenset[Action]
    ) -> Callable[[str, str], bool]:
        """Return whether the actor may do this in a repository, by path and name, as of now.

        It is for many paths at a time: rights that change meanwhile do not count.
        """
        allowed = self._allowed(actor, ref)
        is_free, format_ = actions <= allowed.everything, ref.format

        def may(path: str, name: str) -> bool:
            if not is_within_limit(actor, ref, Access(actions, path, name)):
                return False
            return is_free or allowed.covers(actions, Subject(format_, path))

        return may

    def prefixes(
        self, actor: Actor, ref: RepositoryRef, actions: frozenset[Action]
    ) -> tuple[str, ...]:
        """Return how all paths begin on which the actor may do this in a repository.

        The empty text means anyhow. Not everything that begins so has to be allowed.
        """
        return self._allowed(actor, ref).prefixes(actions, ref.format)

    def may_do_everywhere(
        self, actor: Actor, ref: RepositoryRef, actions: frozenset[Action]
    ) -> bool:
        """Return whether the actor may do this with everything in a repository."""
        if not is_within_limit(actor, ref, Access(actions)) or (actor.limit and actor.limit.names):
            return False
        return actions <= self._allowed(actor, ref).everything

    def may_do_somewhere(
        self, actor: Actor, ref: RepositoryRef, actions: frozenset[Action]
    ) -> bool:
        """Return whether there may be anything in a repository that the actor may do this with."""
        if not is_within_limit(actor, ref, Access(actions)):
            return False
        return actions <= self._allowed(actor, ref).anything

    def may_administer(self, actor: Actor, domain: str, action: str) -> bool:
        """Return whether the actor may do something with the server itself."""
        return actor.limit is None and self._rights_of(actor).permits(domain, action)

    def may_configure(self, actor: Actor, ref: RepositoryRef, action: Action) -> bool:
        """Return whether the actor may do something with the settings of a repository."""
        return actor.limit is None and self._rights_of(actor).may_configure(ref, action)

    def may_configure_some(self, actor: Actor, action: Action, format_: str | None = None) -> bool:
        """Return whether the actor may do something with the settings of some repository.

        There need not be one; ``format_`` is its format, None any.
        """
        rights = self._rights_of(actor)
        return actor.limit is None and rights.may_configure_some(action, format_)

    def _allowed(self, actor: Actor, ref: RepositoryRef) -> Allowed:
        """Return what the actor may do in a repository."""
        key = (actor.name, actor.realm, actor.roles, actor.is_anonymous, ref)
        return self._by_repository.get(key, lambda: self._work_out(actor, ref))

    def _work_out(self, actor: Actor, ref: RepositoryRef) -> Allowed:
        own = (self._rights_of(each).allowed(ref) for each in self._holders(actor, ref))
        return reduce(or_, own, _open_to_all(ref))

    def _holders(self, actor: Actor, ref: RepositoryRef) -> Iterator[Actor]:
        """Yield those whose rights count in a repository: the actor's, and those of anybody."""
        if not actor.is_anonymous:
            yield actor
        if ref.anonymous is None and self._anonymous.enabled:
            yield ANONYMOUS

    @property
    def _anonymous(self) -> AnonymousOptions:
        return self._options.get(ANONYMOUS_OPTIONS, AnonymousOptions)

    def _rights_of(self, actor: Actor) -> Rights:
        return self._rights.get(
            (actor.name, actor.realm, actor.roles, actor.is_anonymous),
            lambda: self._book.of(self._roles_of(actor)),
        )

    def _roles_of(self, actor: Actor) -> tuple[str, ...]:
        if actor.is_anonymous:
            return self._anonymous.roles
        user = self._find_user(actor.name)
        if user is None:
            return () if actor.realm == LOCAL else actor.roles
        if not user.is_active or user.realm != actor.realm:
            return ()
        return (*user.roles, *user.external_roles)


def is_within_limit(actor: Actor, ref: RepositoryRef, access: Access) -> bool:
    """Return whether the user token of the actor, if there is one, may be used for this."""
    limit = actor.limit
    if limit is None:
        return True
    if limit.actions and not access.actions <= limit.actions:
        return False
    if limit.repositories and not _matches(ref.name.lower(), limit.repositories):
        return False
    return not (limit.names and access.name) or _matches(access.name, limit.names)


def _open_to_all(ref: RepositoryRef) -> Allowed:
    """Return what the settings of a repository allow to anybody."""
    return Allowed(READING) if ref.anonymous else Allowed()


def _subject(ref: RepositoryRef, access: Access) -> Subject:
    return Subject(ref.format, access.path, access.is_beginning)


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
