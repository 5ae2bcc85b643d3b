"""Restores tags that were moved or deleted: first what would change, then the same.

The plan is worked out anew when it is carried out. A tag is restored by the rights that pushing it
needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from repoman.plugin import Action, Denied, Invalid, NotFound, RepositoryView, Unsupported
from repoman_docker.layout import tagged
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.reference import Digest, Tag, parse_name, parse_tag
from repoman_docker.service import DockerRepository, RegistryFailure, TagChange, TagUndo

RESTORED_MAX = 1_000
"""The tags of one restoration."""


@dataclass(frozen=True, slots=True)
class Past:
    """What tags should be again.

    Attributes:
        name: of the image; empty: all images.
        tag: empty: all tags that have changed since ``at``.
        at: as they were at this time, in seconds since the epoch; None: see ``digest``.
        digest: the manifest to which a tag should lead; empty: where it led before its last change.
    """

    name: str = ""
    tag: str = ""
    at: float | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Restoration:
    """What restoring does to tags, or did.

    Attributes:
        changes: at most ``RESTORED_MAX``, without those of tags that the viewer may not see.
        is_complete: whether these are all.
    """

    changes: tuple[TagChange, ...]
    is_complete: bool = True

    @property
    def going(self) -> tuple[TagChange, ...]:
        """Return what can be restored."""
        return tuple(each for each in self.changes if not each.refusal)


def plan_restoration(view: RepositoryView, past: Past) -> Restoration:
    """Return what restoring tags would do; changes nothing.

    Raises:
        Invalid: the past is not one to which tags can go back.
        NotFound: the tag has no such past, or the viewer may not see it.
        Unsupported: the repository is not hosted.
    """
    undo = undo_of(view)
    if past.tag:
        return Restoration((_may(view, _find(view, undo, past)),))
    if past.at is None:
        raise Invalid("Without a tag, say as of which time the tags should be restored.", "at")
    found = _seen(view, undo.list(past.name or None, past.at))
    changes = tuple(_may(view, each) for each in islice(found, RESTORED_MAX))
    return Restoration(changes, is_complete=next(found, None) is None)


def restore_tags(view: RepositoryView, past: Past) -> Restoration:
    """Restore tags, and return what was done; errors as of planning.

    A tag that cannot be restored does not keep the others from it.
    """
    undo, plan = undo_of(view), plan_restoration(view, past)

    def restore(change: TagChange) -> TagChange:
        def check_move(tag: Tag) -> None:
            if not view.may(Action.EDIT, tagged(change.name, tag)):
                raise Denied(f"You may not move {change.name}:{tag}.")

        try:
            undo.restore(change, check_move)
        except (RegistryFailure, Denied, NotFound) as error:
            return replace(change, refusal=str(error))
        return change

    done = tuple(each if each.refusal else restore(each) for each in plan.changes)
    return replace(plan, changes=done)


def undo_of(view: RepositoryView) -> TagUndo:
    """Return what restores the tags of a repository (Unsupported: it is not hosted)."""
    service = view.repository.service
    if not isinstance(service, DockerRepository) or service.undo is None:
        raise Unsupported(
            f"Tags of {view.repository.name} cannot be restored: only hosted repositories keep "
            "what tags were."
        )
    return service.undo


def _find(view: RepositoryView, undo: TagUndo, past: Past) -> TagChange:
    try:
        name, tag = parse_name(past.name), parse_tag(past.tag)
        digest = Digest.parse_supported(past.digest) if past.digest else None
    except RegistryError as error:
        raise Invalid(error.message) from error
    coordinate = tagged(name, tag)
    if not any(view.sees(each, coordinate) for each in view.scopes):
        raise NotFound(f"There is no {name}:{tag} in {view.repository.name}.")
    return undo.find(name, tag, past.at, digest)


def _seen(view: RepositoryView, changes: Iterator[TagChange]) -> Iterator[TagChange]:
    for each in changes:
        coordinate = tagged(each.name, Tag(each.tag))
        if any(view.sees(scope, coordinate) for scope in view.scopes):
            yield each


def _may(view: RepositoryView, change: TagChange) -> TagChange:
    """Return a change, refused if the viewer may not push it."""
    action = Action.EDIT if change.old else Action.ADD
    if change.refusal or view.may(action, tagged(change.name, Tag(change.tag))):
        return change
    return replace(change, refusal="You may not push this tag.")
