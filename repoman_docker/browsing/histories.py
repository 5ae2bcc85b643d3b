"""What happened to tags: who moved or deleted them, when, and by what; newest first."""

from dataclasses import dataclass
from enum import StrEnum

from repoman.plugin import ContentEvent, ListPage, ListRequest, RepositoryView
from repoman_docker.hosted.undo import RESTORE
from repoman_docker.layout import TAG, tag_path, tagged
from repoman_docker.protocol.reference import Tag

PAGE_EVENTS = 100


class Happened(StrEnum):
    """What happened to a tag."""

    PUSHED = "pushed"
    PUSHED_AGAIN = "pushed again"
    MOVED = "moved"
    DELETED = "deleted"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class TagEvent:
    """A change of a tag.

    Attributes:
        member: the repository that has it, if a group shows it; else that repository itself.
        at: in seconds since the epoch.
        actor: the name of the user; empty: not told.
        source: what made the change: ``request`` (a registry client), ``page``, ``api``,
            ``command``, ``cleanup``, ``restore``, ``fetch``, or a task.
        old: the SHA-256 digest to which it led before; empty: it was not there.
        new: the one to which it led then; empty: it was deleted.
    """

    name: str
    tag: str
    member: str
    at: float
    what: Happened
    actor: str
    source: str
    old: str
    new: str

    @property
    def can_return(self) -> bool:
        """Return whether the tag no longer leads to where it led before."""
        return bool(self.old) and self.old != self.new


def tag_history(
    view: RepositoryView, name: str, tag: str, after: str = "", size: int = PAGE_EVENTS
) -> ListPage[TagEvent]:
    """Return a page of what happened to a tag, which may be deleted.

    Nothing of a tag that the viewer may not see.

    Raises:
        PageKeyInvalid: ``after`` is not the ``next`` of a page.
    """
    checked = Tag(tag)
    if not any(view.sees(each, tagged(name, checked)) for each in view.scopes):
        return ListPage([])
    return _page(view.history(TAG, tag_path(name, checked), ListRequest(size, after)))


def left_tags(
    view: RepositoryView, name: str | None, after: str = "", size: int = PAGE_EVENTS
) -> ListPage[TagEvent]:
    """Return a page of the moves and deletions of the tags of an image, or of all (None).

    A page may be short although there are more.

    Raises:
        PageKeyInvalid: ``after`` is not the ``next`` of a page.
    """
    return _page(view.departures(TAG, ListRequest(size, after), name))


def _page(found: ListPage[ContentEvent]) -> ListPage[TagEvent]:
    return ListPage([_tag_event(each) for each in found.items], found.next)


def _tag_event(event: ContentEvent) -> TagEvent:
    name, _, tag = event.path.removeprefix("tags/").rpartition("/")
    return TagEvent(
        name=name,
        tag=tag,
        member=event.repository,
        at=event.at,
        what=_what(event),
        actor=event.actor,
        source=event.source,
        old=_told(event.old_digest),
        new=_told(event.new_digest),
    )


def _what(event: ContentEvent) -> Happened:
    if event.is_deleted:
        return Happened.DELETED
    if event.source == RESTORE:
        return Happened.RESTORED
    if event.is_created:
        return Happened.PUSHED
    return Happened.PUSHED_AGAIN if event.old_digest == event.new_digest else Happened.MOVED


def _told(digest: str | None) -> str:
    return f"sha256:{digest}" if digest else ""
