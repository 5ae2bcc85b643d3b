"""Unfinished uploads over REST: which there are, and their end."""

from pydantic import Field

from repoman.rest.endpoints import API_ROOT, Area, Call, RepositoryContent
from repoman.rest.resources import Page, PageQuery, Resource, Timestamp
from repoman.rest.wording import wrong_token
from repoman.uploads import UploadProgress

PAGE_UPLOADS = 100  # Uploads of a page, unless the request says otherwise.
PAGE_UPLOADS_MAX = 1000

uploads = Area(
    "Uploads", "Uploads that come in several requests, and have not ended.", root=API_ROOT
)


class UploadsQuery(PageQuery):
    """Selects unfinished uploads."""

    limit: int = Field(
        PAGE_UPLOADS, ge=1, le=PAGE_UPLOADS_MAX, description="Maximum number of uploads of a page."
    )


class UploadView(Resource):
    """An unfinished upload."""

    id: str
    name: str = Field(description="What it is for, such as the name of an image.")
    actor: str = Field(description="The user who began it.")
    size: int | None = Field(
        description="Bytes so far; null: it has not gone on since the server started."
    )
    started_at: Timestamp
    written_at: Timestamp | None = Field(description="When its last byte came; null: none has.")
    is_active: bool = Field(description="Whether a request is writing to it.")


@uploads.get("/repositories/{name}/uploads", RepositoryContent())
def list_open_uploads(call: Call, query: UploadsQuery) -> Page[UploadView]:
    """List the unfinished uploads to a repository.

    These are your own ones; all with the right to read the settings of the repository. A page may
    be short even if there are more.
    """
    after = _open(call, query.continuation_token or "")
    page = call.repoman.open_uploads.list(
        call.repository, call.actor, after=after, limit=query.limit
    )
    token = call.repoman.security.cursors.seal(f"uploads:{page.next}") if page.next else None
    return Page[UploadView](items=[_view(each) for each in page.uploads], continuation_token=token)


@uploads.delete("/repositories/{name}/uploads/{upload}", RepositoryContent())
def cancel_open_upload(call: Call, upload: str) -> None:
    """Cancel an unfinished upload: your own, or any with the right to edit the settings."""
    call.repoman.open_uploads.cancel(call.repository, upload, call.actor)


def _open(call: Call, token: str) -> str:
    """Return the id in a token; empty if there is none (Invalid)."""
    if not token:
        return ""
    kind, _, position = (call.repoman.security.cursors.open(token) or "").partition(":")
    if kind != "uploads":
        raise wrong_token()
    return position


def _view(progress: UploadProgress) -> UploadView:
    upload = progress.upload
    return UploadView(
        id=upload.id,
        name=upload.scope,
        actor=upload.actor,
        size=progress.size,
        started_at=upload.started_at,
        written_at=progress.written_at,
        is_active=progress.is_active,
    )
