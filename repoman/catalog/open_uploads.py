"""Upload sessions that are not finished: who sees them, and who may cancel them."""

from dataclasses import dataclass

from repoman.db.database import Database
from repoman.errors import Denied, NotFound
from repoman.repositories.model import Repository
from repoman.security.actors import Access, Action, Actor
from repoman.security.authorization import Authorizer, is_within_limit
from repoman.uploads import UNKNOWN, Upload, UploadProgress, UploadSessions

ADD = frozenset({Action.ADD})

SCANNED_PAGES = 20
"""Pages of sessions that are looked through for those of one user."""


@dataclass(frozen=True, slots=True)
class UploadPage:
    """Sessions by id, and the ``after`` of the next page; empty on the last one."""

    uploads: list[UploadProgress]
    next: str


class OpenUploads:
    """Lists and cancels upload sessions of repositories; thread safe.

    Users see their own ones, with a token those that it may be used for, and those who may read the
    settings of a repository all of it. Every method takes the actor on whose behalf it works; None
    is the program itself.
    """

    def __init__(self, database: Database, authorizer: Authorizer) -> None:
        self._database = database
        self._authorizer = authorizer

    def list(
        self, repository: Repository, actor: Actor | None, *, after: str = "", limit: int = 100
    ) -> UploadPage:
        """Return a page of the sessions that the actor sees; it may be short."""
        sessions = repository.capabilities.upload_sessions
        found: list[UploadProgress] = []
        if sessions is None:
            return UploadPage(found, "")
        sees_all = self._may(repository, actor, Action.READ)
        for _ in range(SCANNED_PAGES):
            page = sessions.list_after(after, limit)
            found += [each for each in page if sees_all or _is_own(repository, each.upload, actor)]
            after = page[-1].upload.id if len(page) == limit else ""
            if not after or len(found) >= limit:
                break
        if len(found) > limit:
            found = found[:limit]
            after = found[-1].upload.id
        return UploadPage(found, after)

    def find(self, repository: Repository, upload_id: str, actor: Actor | None) -> UploadProgress:
        """Return a session (NotFound: there is none, or the actor does not see it)."""
        found = _sessions(repository).find(upload_id)
        sees_all = self._may(repository, actor, Action.READ)
        if not (sees_all or _is_own(repository, found.upload, actor)):
            raise NotFound(UNKNOWN)
        return found

    def cancel(self, repository: Repository, upload_id: str, actor: Actor | None) -> UploadProgress:
        """End a session, drop its bytes, and return what it was.

        Raises:
            NotFound: there is none, or the actor does not see it.
            Denied: the actor did not begin it, and may not edit the settings.
            Conflict: a request is writing to it.
        """
        found = self.find(repository, upload_id, actor)
        if not self.may_cancel(repository, found.upload, actor):
            raise Denied(f"{actor and actor.name} may cancel only uploads of their own.")
        _sessions(repository).cancel(found.upload)
        with self._database.transaction():
            about = {"upload": upload_id, "of": found.upload.actor, "name": found.upload.scope}
            self._database.note_change("repository.cancel-upload", repository.name, **about)
        return found

    def may_cancel(self, repository: Repository, upload: Upload, actor: Actor | None) -> bool:
        """Return whether the actor may cancel a session that they see."""
        return _is_own(repository, upload, actor) or self._may(repository, actor, Action.EDIT)

    def _may(self, repository: Repository, actor: Actor | None, action: Action) -> bool:
        return actor is None or self._authorizer.may_configure(actor, repository.ref, action)


def _sessions(repository: Repository) -> UploadSessions:
    sessions = repository.capabilities.upload_sessions
    if sessions is None:
        raise NotFound(UNKNOWN)
    return sessions


def _is_own(repository: Repository, upload: Upload, actor: Actor | None) -> bool:
    if actor is None or actor.is_anonymous or upload.actor != actor.owner:
        return False
    return is_within_limit(actor, repository.ref, Access(ADD, name=upload.scope))
