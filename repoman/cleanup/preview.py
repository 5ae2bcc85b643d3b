"""What cleanup policies would remove, with the reason for each component."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from repoman.catalog.listing import Words
from repoman.catalog.model import Scope
from repoman.catalog.visibility import ActorViewer, EveryViewer
from repoman.cleanup.cleaner import Cleaner
from repoman.cleanup.freed import COMPONENTS_MAX, freed_by
from repoman.cleanup.selection import Judgement, Selection, coordinate_of
from repoman.errors import Invalid
from repoman.events.event import Coordinate
from repoman.repositories.cleanup import CleanupPolicies
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository
from repoman.security.actors import Actor
from repoman.security.authorization import Authorizer

PAGE_ITEMS = 100  # The usual number of components on a page of a preview.


class Decision(StrEnum):
    """Whether a component goes."""

    GOES = "goes"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class PreviewQuery:
    """Which of the judged components are listed; all are counted.

    Attributes:
        decision: only these; None: all.
        text: words, each in the name, namespace or version.
        start: how many of those that match are left out at the beginning.
        size: how many are listed at most.
    """

    decision: Decision | None = None
    text: str = ""
    start: int = 0
    size: int = PAGE_ITEMS


@dataclass(frozen=True, slots=True)
class Explained:
    """A component, and what becomes of it.

    Attributes:
        shown: its coordinate as users see it.
        reason: a sentence that begins with the decision.
        policy: the name of the policy that chooses it; empty if it stays.
    """

    id: int
    repository: str
    format: str
    shown: Coordinate
    size: int
    updated_at: float
    downloaded_at: float
    decision: Decision
    reason: str
    policy: str


@dataclass(frozen=True, slots=True)
class Preview:
    """A page of what policies decide.

    Attributes:
        goes: how many components go, of those that match the text.
        kept: how many stay.
        size: the bytes of the components that go, of what they share with others too.
        freed: those of them that are really freed, once what only they needed is removed too.
        is_more_freed: whether there are too many to work that out, so that it is more.
        next: the ``start`` of the next page; None on the last one.
        is_complete: whether everything was judged; otherwise the repository has more components
            than a preview examines.
    """

    items: list[Explained]
    goes: int
    kept: int
    size: int
    freed: int
    is_more_freed: bool
    next: int | None
    is_complete: bool


class CleanupPreview:
    """Finds out what policies would remove, by the rules of the cleanup itself; thread safe.

    Args:
        cleaner: knows the time, and the policies of a repository.
        limit: components that one preview examines at most.
    """

    def __init__(
        self,
        policies: CleanupPolicies,
        repositories: RepositoryManager,
        authorizer: Authorizer,
        cleaner: Cleaner,
        limit: int,
    ) -> None:
        self._policies = policies
        self._repositories = repositories
        self._authorizer = authorizer
        self._cleaner = cleaner
        self._limit = limit

    def preview(
        self,
        repository: Repository,
        policies: Sequence[CleanupPolicy] | None,
        actor: Actor | None,
        query: PreviewQuery = PreviewQuery(),
    ) -> Preview:
        """Return what policies decide about the components of a repository that the actor sees.

        Without ``policies``, those that the repository uses. The components of a group are those of
        its members.

        Raises:
            Invalid: as of :meth:`check`.
        """
        if policies is None:
            policies = self._cleaner.policies_of(repository)
        self.check(repository, policies)
        page = _Page(query)
        left = self._limit
        is_complete = True
        for scope in self._scopes(repository, actor):
            member = self._repositories.by_id(scope.id)
            selection = Selection(member, policies, self._cleaner.now())
            with closing(selection.judge_all()) as judgements:
                for judgement in judgements:
                    if not left:
                        is_complete = False
                        break
                    left -= 1
                    page.take(judgement, scope)
            page.free(member)
        return page.result(is_complete=is_complete)

    def check(self, repository: Repository, policies: Sequence[CleanupPolicy]) -> None:
        """Return if policies can be tried on a repository.

        Raises:
            Invalid: a criterion is not valid, or a policy is for another format; ``field`` is the
                attribute, and ``policy`` for a stored policy of another format.
        """
        format_ = repository.config.format
        for each in policies:
            self._policies.check(each)
            if not each.fits(format_):
                field = "policy" if each.name else "format"
                raise Invalid(
                    f"{field}: {each.name or 'it'} is for repositories of the format "
                    f"{each.format}, and {repository.name} has the format {format_}.",
                    field=field,
                )

    def explain_all(
        self, repository: Repository, policies: Sequence[CleanupPolicy] | None, actor: Actor | None
    ) -> Iterator[Explained]:
        """Yield what goes and what stays, with reasons, one by one; for exports."""
        if policies is None:
            policies = self._cleaner.policies_of(repository)
        for scope in self._scopes(repository, actor):
            member = self._repositories.by_id(scope.id)
            selection = Selection(member, policies, self._cleaner.now())
            with closing(selection.judge_all()) as judgements:
                yield from (_explained(each, scope) for each in judgements if _sees(scope, each))

    def _scopes(self, repository: Repository, actor: Actor | None) -> list[Scope]:
        if actor is None:
            return EveryViewer(self._repositories).scopes_of(repository)
        return ActorViewer(self._authorizer, self._repositories, actor).scopes_of(repository)


class _Page:
    """Collects a page, and counts what is not on it."""

    def __init__(self, query: PreviewQuery) -> None:
        self._query = query
        self._fits: Callable[[str], bool] | None = None
        if query.text.strip():
            self._fits = Words.parse(query.text).fit
        self._items: list[Explained] = []
        self._goes = self._kept = self._size = self._freed = 0
        self._chosen = array("q")  # those of one repository
        self._is_more_freed = False

    def take(self, judgement: Judgement, scope: Scope) -> None:
        """Take the next component, if the viewer sees it and it has the words."""
        if not _sees(scope, judgement):
            return
        if self._fits is not None and not self._fits(_text_of(judgement, scope)):
            return
        goes = judgement.chosen_by is not None
        if goes:
            number, self._goes = self._goes, self._goes + 1
            self._size += judgement.candidate.size
            self._chosen.append(judgement.candidate.id)
        else:
            number, self._kept = self._kept, self._kept + 1
        wanted = self._query.decision
        if wanted is None:
            number = self._goes + self._kept - 1
        elif (wanted is Decision.GOES) is not goes:
            return
        if self._query.start <= number < self._query.start + self._query.size:
            self._items.append(_explained(judgement, scope))

    def free(self, repository: Repository) -> None:
        """Add what is freed by the components that were taken last, which are of a repository."""
        self._is_more_freed |= len(self._chosen) > COMPONENTS_MAX
        self._freed += freed_by(repository, self._chosen)
        self._chosen = array("q")

    def result(self, *, is_complete: bool) -> Preview:
        """Return the page."""
        counts = {Decision.GOES: self._goes, Decision.KEPT: self._kept}
        wanted = self._query.decision
        total = sum(counts.values()) if wanted is None else counts[wanted]
        end = self._query.start + self._query.size
        return Preview(
            self._items,
            self._goes,
            self._kept,
            self._size,
            self._freed,
            self._is_more_freed,
            end if end < total else None,
            is_complete,
        )


def _sees(scope: Scope, judgement: Judgement) -> bool:
    return scope.sees is None or scope.sees_component(coordinate_of(judgement.candidate))


def _text_of(judgement: Judgement, scope: Scope) -> str:
    shown = scope.rules.shown(coordinate_of(judgement.candidate))
    return f"{shown.namespace} {shown.name} {shown.version}".lower()


def _explained(judgement: Judgement, scope: Scope) -> Explained:
    candidate, chosen = judgement.candidate, judgement.chosen_by
    return Explained(
        id=candidate.id,
        repository=scope.name,
        format=scope.format,
        shown=scope.rules.shown(coordinate_of(candidate)),
        size=candidate.size,
        updated_at=candidate.updated_at,
        downloaded_at=candidate.downloaded_at,
        decision=Decision.KEPT if chosen is None else Decision.GOES,
        reason=judgement.explain(),
        policy="" if chosen is None else chosen.rule.policy.name,
    )
