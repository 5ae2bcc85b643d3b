"""Verification: reads all blobs that assets name, and finds those that are damaged or gone.

That takes as long as reading everything does, so it is for a process of its own (the command
``repoman blob verify``, or the task), beside which a server may run.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from repoman import blob_records as records
from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.store import CANONICAL, BlobStore
from repoman.errors import NotFound, RepomanError
from repoman.printable import pluralize

BATCH_BLOBS = 500  # Rows of blobs that are read together.
READ_BYTES = 1 << 20  # The size of one read of a file.
PLACES_MAX = 5  # Assets that are listed of a damaged or missing blob.


@dataclass(frozen=True, slots=True)
class Verified:
    """A blob that was read.

    Attributes:
        problem: what is wrong with it; empty if nothing is.
        places: repository and path of some assets that name it, if there is a problem.
    """

    digest: str
    problem: str = ""
    places: tuple[tuple[str, str], ...] = ()


def verify(stores: BlobStoreManager, store: str) -> Iterator[Verified]:
    """Read the blobs of a store one after the other, in the order of their digests.

    Raises:
        Invalid: there is no such store.
    """
    blobs, last = stores.get(store), ""
    while digests := records.list_blobs(store, last, BATCH_BLOBS):
        for digest in digests:
            problem = _find_problem(blobs, digest)
            # One that no asset names was removed by now, or is about to be.
            places = tuple(records.list_places(store, digest, PLACES_MAX)) if problem else ()
            yield Verified(digest, problem, places) if places else Verified(digest)
        last = digests[-1]


def verify_all(
    stores: BlobStoreManager,
    names: Iterable[str],
    tell: Callable[[str], object],
    progress: Callable[[int, str], object] = lambda _count, _store: None,
) -> tuple[int, str]:
    """Read all blobs of some stores; return how many are bad, and the result in a sentence.

    ``tell`` is called with each line about a bad blob, ``progress`` with the number of blobs that
    were read and their store. Errors as of :func:`verify`.
    """
    count = bad = 0
    for name in names:
        for found in verify(stores, name):
            count += 1
            progress(count, name)
            if found.problem:
                bad += 1
                tell(f"{CANONICAL}:{found.digest} in {name} {found.problem}")
                for repository, path in found.places:
                    tell(f"    {repository}: {path}")
    return bad, f"Read {pluralize(count, 'blob')}; damaged or missing: {bad}."


def _find_problem(blobs: BlobStore, digest: str) -> str:
    try:
        with blobs.open(digest) as file:
            found = _hash(file)
    except NotFound:
        return "is missing"
    except (RepomanError, OSError) as error:
        return f"cannot be read: {error}"
    return "" if found == digest else f"is damaged: its content has the digest {CANONICAL}:{found}"


def _hash(file: BinaryIO) -> str:
    state = hashlib.new(CANONICAL)
    while data := file.read(READ_BYTES):
        state.update(data)
    return state.hexdigest()
