"""Where a new file blob store may lie: in an empty directory, apart from all other data.

Its own directories may be there already, without blobs: an attempt that was killed leaves them.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from repoman.blobs.file import IDENTITY_FILE, QUARANTINE
from repoman.blobs.store import CANONICAL
from repoman.durable import FULL, is_unfinished, make_directory, sync_directory
from repoman.errors import Invalid, StorageFull

BLOBS = "blobs"  # Below the data directory: where relative paths begin.
PATH_MAX_CHARS = 1000
OWN = frozenset({CANONICAL, "uploads", QUARANTINE, IDENTITY_FILE, f"{IDENTITY_FILE}.new"})
FOREIGN = frozenset({"lost+found"})  # What an empty file system has.


def find_directory(path: str, data: Path) -> Path:
    """Return the directory that a path means, without links in it.

    Raises:
        Invalid: there is no such path, or it leads into the other data of the server.
    """
    if not path.strip() or not path.isprintable() or len(path) > PATH_MAX_CHARS:
        raise _invalid(f"must be a path of 1 to {PATH_MAX_CHARS} printable characters.")
    if ".." in Path(path).parts:
        raise _invalid(f"{path!r} must not contain '..'.")
    try:
        root = data.resolve()
        found = (data / BLOBS / path).resolve()
    except (OSError, RuntimeError) as error:  # the second one: links in a circle
        raise _invalid(f"{path!r} cannot be used: {error}.") from error
    blobs = (root / BLOBS).resolve()
    is_relative = not Path(path).is_absolute()
    if _is_below(blobs, found) and found != blobs:
        return found
    if is_relative or _overlap(found, root) or _overlap(found, blobs):
        raise _invalid(
            f"{path!r} must lie below {blobs}, or outside of the data directory as an absolute "
            "path."
        )
    return found


def check_apart(directory: Path, others: Iterable[tuple[str, Path]]) -> None:
    """Return if a directory neither contains nor lies in those of other stores (Invalid)."""
    for name, other in others:
        if _overlap(directory, other.resolve()):
            raise _invalid(f"{str(directory)!r} overlaps with the blob store {name!r} ({other}).")


def prepare_directory(directory: Path) -> bool:
    """Make a directory durably and return whether it was missing.

    Raises:
        Invalid: it cannot be made, or contains something else.
        StorageFull: there is no space for it.
    """
    try:
        missing = [each for each in (directory, *directory.parents) if not each.exists()]
        make_directory(directory)
        for each in missing:
            sync_directory(each.parent)
        inside = [each for each in directory.iterdir() if not is_unfinished(each, "uploads")]
        found = {each.name for each in inside} - OWN - FOREIGN
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        if error.errno in FULL:
            raise StorageFull(f"The directory {directory} cannot be created: {reason}.") from error
        raise _invalid(f"{str(directory)!r} cannot be used: {reason}.") from error
    if found:
        raise _invalid(f"{str(directory)!r} contains other files, such as {min(found)!r}.")
    return bool(missing)


def _overlap(one: Path, other: Path) -> bool:
    return _is_below(one, other) or _is_below(other, one)


def _is_below(directory: Path, path: Path) -> bool:
    return path.is_relative_to(directory)


def _invalid(problem: str) -> Invalid:
    return Invalid(f"path: {problem}", field="path")
