"""What tags were, over REST, and how they become so again."""

from pydantic import Field

from repoman.plugin import (
    Call,
    Page,
    PageQuery,
    Query,
    RepositoryContent,
    Resource,
    Time,
    Timestamp,
)
from repoman_docker.browsing.histories import Happened, TagEvent, left_tags, tag_history
from repoman_docker.browsing.opening import LISTING
from repoman_docker.browsing.restoring import Past, Restoration, plan_restoration, restore_tags
from repoman_docker.routes.rest import NAME, NAME_MAX_CHARS, PAGE_ITEMS, ROOT, docker, view_of
from repoman_docker.service import TagChange

__all__ = ["docker"]  # with the endpoints of this module

TAG_MAX_CHARS = 128


class HistoryQuery(PageQuery):
    """Selects a tag, which may be deleted."""

    image: str = NAME
    tag: str = Field(max_length=TAG_MAX_CHARS)


class LeftQuery(PageQuery):
    """Selects the tags of an image, or of all images."""

    image: str = Field("", max_length=NAME_MAX_CHARS, description="Default: all images.")


class PastQuery(Query):
    """Selects tags, and what they should be again."""

    image: str = Field("", max_length=NAME_MAX_CHARS, description="Default: all images.")
    tag: str = Field("", max_length=TAG_MAX_CHARS, description="Default: all tags; needs `at`.")
    at: Time | None = Field(
        None,
        description="As they were at this time (ISO 8601), at most `docker.undo_days` ago. Default:"
        " where the tag led before its last change.",
    )
    digest: str = Field(
        "", max_length=300, description="The manifest to which the tag should lead."
    )


class TagEventXO(Resource):
    """A change of a tag."""

    image: str = Field(alias="image", validation_alias="name")
    tag: str
    repository: str = Field(
        alias="repository", validation_alias="member", description="That has it, of a group."
    )
    at: Timestamp
    what: Happened
    actor: str = Field(description="Who did it; empty: not told.")
    source: str = Field(
        description="What did it: `request` (a registry client), `page`, `api`, `command`, "
        "`cleanup`, `restore`, `fetch`, or a task."
    )
    old: str | None = Field(description="Where the tag led before; null: it was not there.")
    new: str | None = Field(description="Where it led then; null: it was deleted.")


class TagChangeXO(Resource):
    """What restoring does to a tag, or did."""

    image: str = Field(alias="image", validation_alias="name")
    tag: str
    old: str | None = Field(description="Where the tag led before; null: it is deleted.")
    new: str | None = Field(description="Where it leads afterwards; null: that is gone.")
    refusal: str = Field(description="Why it stays as it is; empty: it is restored.")


class RestorationXO(Resource):
    """What restoring does to tags, or did."""

    changes: tuple[TagChangeXO, ...]
    is_complete: bool = Field(description="Whether these are all; if not, restore again.")


@docker.get(f"{ROOT}/tags/history", RepositoryContent())
def list_docker_tag_history(call: Call, query: HistoryQuery) -> Page[TagEventXO]:
    """List what happened to a tag, newest first, also if it is deleted.

    As far back as content events are kept.
    """
    after = query.continuation_token or ""
    found = tag_history(view_of(call, LISTING), query.image, query.tag, after, PAGE_ITEMS)
    return Page[TagEventXO](items=list(map(event_xo, found.items)), continuation_token=found.next)


@docker.get(f"{ROOT}/tags/left", RepositoryContent())
def list_docker_left_tags(call: Call, query: LeftQuery) -> Page[TagEventXO]:
    """List the moves and deletions of tags, newest first. A page may be short."""
    after = query.continuation_token or ""
    found = left_tags(view_of(call, LISTING), query.image or None, after, PAGE_ITEMS)
    return Page[TagEventXO](items=list(map(event_xo, found.items)), continuation_token=found.next)


@docker.get(f"{ROOT}/tags/restoration", RepositoryContent())
def plan_docker_tag_restoration(call: Call, query: PastQuery) -> RestorationXO:
    """Show what restoring tags would do; nothing is changed."""
    return _restoration_xo(plan_restoration(view_of(call), _past(query)))


@docker.post(f"{ROOT}/tags/restoration", RepositoryContent())
def restore_docker_tags(call: Call, query: PastQuery) -> RestorationXO:
    """Restore a tag, or all tags of an image or of the repository that have changed since a time.

    Needs the rights to push each of them. Deleted manifests come back with what belongs to them.
    Tags that are new since then stay. The answer says what was restored, and why something stays.
    """
    return _restoration_xo(restore_tags(view_of(call), _past(query)))


def _past(query: PastQuery) -> Past:
    return Past(query.image, query.tag, query.at, query.digest)


def event_xo(event: TagEvent) -> TagEventXO:
    """Return a change of a tag."""
    found = TagEventXO.model_validate(event, from_attributes=True)
    return found.model_copy(update={"old": event.old or None, "new": event.new or None})


def _change_xo(change: TagChange) -> TagChangeXO:
    found = TagChangeXO.model_validate(change, from_attributes=True)
    return found.model_copy(update={"old": change.old or None, "new": change.new or None})


def _restoration_xo(found: Restoration) -> RestorationXO:
    return RestorationXO(
        changes=tuple(map(_change_xo, found.changes)), is_complete=found.is_complete
    )
