"""What goes on in a repository: its unfinished uploads, and who stored and deleted what."""

from dataclasses import dataclass

from flask import render_template, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    ContentEvent,
    Repository,
    content_repository,
    current_actor,
    current_repoman,
    done,
    may_administer,
    read_list,
    row_key,
)
from repoman_web.views.browse import browse
from repoman_web.views.browse_paths import open_repository, path_url

PAGE_ROWS = 100
VERBS = {"created": "stored", "updated": "replaced", "deleted": "deleted"}


# Uploads ------------------------------------------------------------------------------------------


@browse.get("/<repository>/uploads")
def uploads(repository: str) -> str:
    """Return the unfinished uploads that the visitor sees."""
    found, actor = content_repository(repository), current_actor()
    query = read_list(rows=PAGE_ROWS)
    open_uploads = current_repoman().open_uploads
    after = query.key(str) or ("",)
    page = open_uploads.list(found, actor, after=after[0], limit=query.rows)
    return render_template(
        "repoman/uploads.html",
        repository=found,
        tab="uploads",
        query=query,
        uploads=page.uploads,
        older=query.older(row_key(page.next) if page.next else ""),
        may_cancel=lambda each: open_uploads.may_cancel(found, each.upload, actor),
    )


@browse.get("/<repository>/uploads/<upload>/cancel")
def show_cancel(repository: str, upload: str) -> str:
    """Return what cancelling an upload would do."""
    found = content_repository(repository)
    progress = current_repoman().open_uploads.find(found, upload, current_actor())
    return render_template("repoman/cancel_upload.html", repository=found, progress=progress)


@browse.post("/<repository>/uploads/<upload>/cancel")
def cancel(repository: str, upload: str) -> Response:
    """Cancel an upload and drop its bytes."""
    found = content_repository(repository)
    gone = current_repoman().open_uploads.cancel(found, upload, current_actor()).upload
    text = f"The upload of {gone.actor} to {gone.scope} was cancelled."
    return done(text, url_for("browse.uploads", repository=found.name))


# Activity -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """An event as its page shows it; ``url`` leads to what was stored, if it was not deleted."""

    event: ContentEvent
    verb: str
    target: str
    url: str


@browse.get("/<repository>/activity")
def activity(repository: str) -> str:
    """Return who stored and deleted what in a repository, newest first."""
    found = open_repository(repository)
    query = read_list(rows=PAGE_ROWS)
    after = query.key(int)
    page = current_repoman().activity.list(
        found,
        current_actor(),
        by="" if current_actor().is_anonymous else query.filter,
        after=after[0] if after else None,
        limit=query.rows,
    )
    return render_template(
        "repoman/activity.html",
        repository=found,
        tab="activity",
        query=query,
        events=[_shown(found, each) for each in page.events],
        older=query.older("" if page.next is None else row_key(page.next)),
        may_audit=may_administer("audit", "read"),
    )


def _shown(repository: Repository, event: ContentEvent) -> ShownEvent:
    target = event.audit.target if event.audit else event.path
    return ShownEvent(event, VERBS[event.change], target, _url(repository, event))


def _url(repository: Repository, event: ContentEvent) -> str:
    if event.is_deleted:
        return ""
    if event.component is not None:
        link = current_repoman().plugins.hook.repoman_web_component(
            repository=repository, coordinate=event.component
        )
        if link is not None:
            return str(link.url)
    return path_url(repository, event.path)
