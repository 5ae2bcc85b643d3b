"""How many bytes are freed in the end if components go, with all that is only there for them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice

from repoman.cleanup import candidate_records as records
from repoman.graph_records import freed_bytes
from repoman.repositories.model import Repository

COMPONENTS_MAX = 10_000  # Components for which the bytes are worked out.
DEPTH_MAX = 4  # Steps from a component to what is only there for it.
BATCH_PATHS = 1000  # Paths that one statement is about.
FIRST_SOURCES = 20  # What refers to a path at first: what all share has a hundred thousand.


def freed_by(repository: Repository, components: Sequence[int]) -> int:
    """Return the bytes that are freed if components of a repository go, at once or later.

    What only they refer to goes with them, and what is attached to that. Of more than
    ``COMPONENTS_MAX``, it is what the first ones free: all of them free at least as much.
    """
    if not components:
        return 0
    id_ = repository.config.id
    attached = repository.rules.attached_kinds
    gone = set(records.list_paths(components[:COMPONENTS_MAX]))
    found = set(gone)
    for _ in range(DEPTH_MAX):
        candidates: set[str] = set()
        for batch in _batches(found):
            candidates.update(records.list_targets(id_, batch, attached))
        found = _only_from(id_, candidates - gone, gone, attached)
        if not found:
            break
        gone |= found
    return freed_bytes(id_, gone)


def _only_from(
    repository: int, candidates: set[str], gone: set[str], attached: tuple[str, ...]
) -> set[str]:
    """Return those of the candidates that nothing but what goes refers to."""
    found: set[str] = set()
    for batch in _batches(candidates):
        sources: defaultdict[str, list[str]] = defaultdict(list)
        for path, source in records.read_sources(repository, batch, attached, FIRST_SOURCES):
            sources[path].append(source)
        found.update(path for path in batch if gone.issuperset(sources[path]))
        for path in found.intersection(sources):
            if len(sources[path]) == FIRST_SOURCES:  # There may be more.
                with closing(records.read_sources(repository, [path], attached)) as all_:
                    if any(source not in gone for _, source in all_):
                        found.remove(path)
    return found


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    left = iter(paths)
    while batch := list(islice(left, BATCH_PATHS)):
        yield batch
