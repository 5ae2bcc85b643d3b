"""Folders in the trees of repositories: what is in one, and its deletion."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from repoman.catalog.contents import Contents, render_id
from repoman.catalog.model import AssetView, PageRequest
from repoman.errors import Conflict, Denied, NotFound, Unauthenticated, Unsupported
from repoman.repositories.model import Repository, RepositoryType
from repoman.security.actors import Actor

FILES_MAX = 10_000  # The most files of a folder that is deleted by one request.
SHOWN_MAX = 50  # So many files that stay are named.
PAGE_NODES = 500  # Children of a folder that are read together.
PAGES_MAX = 200  # The most pages that one request reads, besides the last one of each folder.


@dataclass(frozen=True, slots=True)
class FolderContent:
    """What is in a folder and the folders in it, as far as the actor sees it.

    Attributes:
        count: the number of files; one more than :data:`FILES_MAX` if there are too many.
        size: of these, in bytes; what several paths have is counted for each.
        staying: files that the actor cannot delete, and why; at most :data:`SHOWN_MAX`.
        staying_count: how many of them there are.
    """

    count: int
    size: int
    staying: tuple[tuple[str, str], ...]
    staying_count: int

    @property
    def is_too_large(self) -> bool:
        """Whether it has too many files for one request."""
        return self.count > FILES_MAX


@dataclass(slots=True)
class FolderDeletion:
    """What became of a folder.

    Attributes:
        deleted: the number of files that were deleted.
        staying: files that were not, and why; at most :data:`SHOWN_MAX`.
        staying_count: how many of them there are.
        refusal: the last error about a file that the actor may not delete; None: there was none.
    """

    deleted: int = 0
    staying: list[tuple[str, str]] = field(default_factory=list)
    staying_count: int = 0
    refusal: Denied | Unauthenticated | None = None

    def note_staying(self, path: str, error: Denied | Unauthenticated | Conflict) -> None:
        """Note a file that was not deleted, and why."""
        if not isinstance(error, Conflict):
            self.refusal = error
        self.staying_count += 1
        if len(self.staying) < SHOWN_MAX:
            self.staying.append((path, str(error)))


def examine_folder(
    contents: Contents, repository: Repository, folder: str, actor: Actor | None
) -> FolderContent:
    """Return what is in a folder; slashes around its path do not matter.

    Raises:
        NotFound: there is no such folder, or the actor sees nothing in it.
        Invalid: the path is empty.
        Unsupported: nothing can be deleted there.
    """
    _check_folder(repository, folder)
    count = size = staying_count = 0
    staying: list[tuple[str, str]] = []
    try:
        for asset in _files(contents, repository, folder, actor):
            count += 1
            size += asset.size
            if reason := contents.why_undeletable(asset, actor):
                staying_count += 1
                if len(staying) < SHOWN_MAX:
                    staying.append((asset.stored_path, reason))
    except _TooLarge:
        count = FILES_MAX + 1
    if not count:
        raise _absent(repository, folder)
    return FolderContent(count, size, tuple(staying), staying_count)


def delete_folder(
    contents: Contents,
    repository: Repository,
    folder: str,
    actor: Actor | None,
    *,
    has_limit: bool = True,
) -> FolderDeletion:
    """Delete the files in a folder and in the folders in it, one after the other.

    Files that the actor may not delete stay, and those that something else needs. Errors as of
    :func:`examine_folder`.

    Raises:
        Denied, Unauthenticated: the actor may delete none of them.
        ReadOnly: the write policy refuses it.
        Conflict: the folder has more than :data:`FILES_MAX` files, or so many that the actor does
            not see that it takes too long to find them, if there is a limit; nothing was deleted.
    """
    _check_folder(repository, folder)
    if has_limit:
        for _ in _files(contents, repository, folder, actor):
            pass  # It fails before anything is deleted if there is too much.
    result = FolderDeletion()
    for asset in _files(contents, repository, folder, actor, has_limit=False):
        try:
            contents.delete_asset(render_id(asset), actor)
            result.deleted += 1
        except NotFound:  # It went with one before it, or somebody else deleted it.
            pass
        except (Denied, Unauthenticated, Conflict) as error:
            result.note_staying(asset.stored_path, error)
    if not (result.deleted or result.staying_count):
        raise _absent(repository, folder)
    if not result.deleted and result.refusal is not None:
        raise result.refusal
    return result


def _check_folder(repository: Repository, folder: str) -> None:
    if repository.config.type is RepositoryType.GROUP:
        raise Unsupported(f"{repository.name} is a group. Delete the folder in its members.")
    if not folder.strip("/"):
        raise NotFound("There is no folder without a name.")


def _files(
    contents: Contents,
    repository: Repository,
    folder: str,
    actor: Actor | None,
    *,
    has_limit: bool = True,
) -> Iterator[AssetView]:
    """Yield the files in a folder and in the folders in it, which are read page by page.

    Raises:
        NotFound: the actor sees none on as many pages as a request may read.
        _TooLarge: there are too many of them.
    """
    waiting: list[tuple[str, str]] = [(folder, "")]
    count = pages = 0
    while waiting:
        directory, after = waiting.pop()
        page = contents.browse(repository, directory, PageRequest(PAGE_NODES, after), actor)
        if page.next is not None:
            waiting.append((directory, page.next))
            pages += 1
        waiting += [(each.path, "") for each in page.items if each.asset is None]
        files = [each.asset for each in page.items if each.asset is not None]
        count += len(files)
        if has_limit and count > FILES_MAX:
            raise _TooLarge(f"{folder}: has more than {FILES_MAX:,} files.")
        if has_limit and pages > PAGES_MAX:
            reason = f"{folder}: finding the files in it that you may see takes too long."
            raise _TooLarge(reason) if count else _absent(repository, folder)
        yield from files


class _TooLarge(Conflict):
    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why} Delete the folders in it one by one, or use the command "
            "`repoman asset delete-folder`."
        )


def _absent(repository: Repository, folder: str) -> NotFound:
    return NotFound(f"There is no folder {folder} in {repository.name}.")
