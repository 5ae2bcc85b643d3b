"""The pages about what tags were: histories, and restoring, with a plan before the button."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from flask import render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import Action, Invalid, RepositoryView, done, read_list
from repoman_docker.browsing.histories import PAGE_EVENTS, TagEvent, left_tags, tag_history
from repoman_docker.browsing.opening import LISTING
from repoman_docker.browsing.restoring import (
    RESTORED_MAX,
    Past,
    Restoration,
    plan_restoration,
    restore_tags,
)
from repoman_docker.layout import tagged
from repoman_docker.protocol.reference import Tag
from repoman_docker.routes.deletion_pages import pages
from repoman_docker.routes.pages import open_view

__all__ = ["pages"]  # with the views of this module


@pages.get("/tag-history")
@pages.get("/image/<image:name>/-/history")
def history(repository: str, name: str = "") -> str:
    """Return the moves and deletions of the tags of an image, or of a repository."""
    view = open_view(repository, LISTING)
    query = read_list(rows=PAGE_EVENTS)
    page = left_tags(view, name or None, query.after, query.rows)
    return render_template(
        "docker/image_history.html" if name else "docker/repository_history.html",
        repository=view.repository,
        tab="tag-history",
        name=name,
        events=page.items,
        query=query,
        older=query.older(page.next or ""),
        can_restore=_can_restore(view),
    )


@pages.get("/image/<image:name>/-/history/<reference>")
def history_of_tag(repository: str, name: str, reference: str) -> str:
    """Return what happened to a tag, which may be deleted."""
    view = open_view(repository, LISTING)
    query = read_list(rows=PAGE_EVENTS)
    page = tag_history(view, name, reference, query.after, query.rows)
    return render_template(
        "docker/tag_history.html",
        repository=view.repository,
        name=name,
        reference=reference,
        events=page.items,
        query=query,
        older=query.older(page.next or ""),
        can_restore=_can_restore(view),
    )


def _can_restore(view: RepositoryView) -> Callable[[TagEvent], bool]:
    """Return whether the visitor may set a tag to where it led before a change."""
    days = view.repository.capabilities.undo_days

    def can(event: TagEvent) -> bool:
        coordinate = tagged(event.name, Tag(event.tag))
        return bool(days and event.can_return) and view.may(Action.ADD, coordinate)

    return can


@pages.get("/restore")
@pages.get("/image/<image:name>/-/restore")
def show_restoration(repository: str, name: str = "") -> str:
    """Return what restoring tags would do."""
    view, past = open_view(repository), _past(name, request.args)
    return render_template(
        "docker/restore.html",
        repository=view.repository,
        name=name,
        past=past,
        at=request.args.get("at", ""),
        plan=plan_restoration(view, past),
        most=RESTORED_MAX,
        back=_back(repository, past),
    )


@pages.post("/restore")
@pages.post("/image/<image:name>/-/restore")
def restore(repository: str, name: str = "") -> Response:
    """Restore tags, and go back to where they were chosen."""
    past = _past(name, request.form)
    found = restore_tags(open_view(repository), past)
    return done(_told(found), _back(repository, past), tone="good" if found.going else "warn")


def _past(name: str, values: Mapping[str, str]) -> Past:
    at = values.get("at", "").strip()
    return Past(name, values.get("tag", ""), _time(at) if at else None, values.get("digest", ""))


def _time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"{text[:50]!r} is not a valid time: write it as in ISO 8601, such as 2026-01-31T12:00."
        ) from error


def _back(repository: str, past: Past) -> str:
    if past.tag:
        return url_for(
            "docker_pages.history_of_tag",
            repository=repository,
            name=past.name,
            reference=past.tag,
        )
    if past.name:
        return url_for("docker_pages.history", repository=repository, name=past.name)
    return url_for("docker_pages.history", repository=repository)


def _told(found: Restoration) -> str:
    count, kept = len(found.going), len(found.changes) - len(found.going)
    if count == 0 and kept == 1:
        return f"The tag was not restored. {found.changes[0].refusal}"
    text = f"{count:,} {'tag was' if count == 1 else 'tags were'} restored"
    if kept:
        text = f"{text}, {kept:,} {'was' if kept == 1 else 'were'} not"
    return f"{text}." if found.is_complete else f"{text}. There are more: restore again."
