"""What holds a manifest besides its own tags: the indexes that list it, at any depth."""

from collections.abc import Iterable

from repoman.plugin import Conflict, ContentGraph, ContentStore
from repoman_docker.layout import CHILD, TAG, name_in, title_of
from repoman_docker.protocol.reference import Tag
from repoman_docker.service import CheckDelete

HOLDERS_MAX = 20_000  # References that are looked at together.


def find_held(content: ContentStore, paths: Iterable[str], since: float) -> set[str]:
    """Return those of the manifests that have a tag or were pushed since a time.

    Also those that such an index lists. In seconds since the epoch.

    Raises:
        Conflict: too many indexes list them.
    """
    asked, graph = set(paths), content.graph
    pairs = _ascend(graph, asked)
    every = asked | {index for index, _ in pairs}
    new = {path for path, each in graph.nodes(every).items() if each.updated_at >= since}
    held = new | graph.first_names(every, TAG).keys()
    while more := {image for index, image in pairs if index in held} - held:
        held |= more
    return held & asked


def check_holders(content: ContentStore, path: str, check_tag: CheckDelete) -> None:
    """Check, for all tags of the indexes that list a manifest, whether they may be deleted.

    Raises:
        Conflict: too many indexes list it.
    """
    indexes = {index for index, _ in _ascend(content.graph, {path})}
    for _, source in _named(content.graph, indexes, TAG) if indexes else ():
        check_tag(Tag(source.rpartition("/")[2]))


def _ascend(graph: ContentGraph, paths: set[str]) -> list[tuple[str, str]]:
    """Return all indexes above manifests, each with something that it lists."""
    pairs: list[tuple[str, str]] = []
    seen, new = set(paths), set(paths)
    while new:
        found = [(source, path) for path, source in _named(graph, new, CHILD)]
        pairs += found
        new = {index for index, _ in found} - seen
        seen |= new
    return pairs


def _named(graph: ContentGraph, paths: set[str], kind: str) -> list[tuple[str, str]]:
    """Return what leads to these paths by a kind of reference, after the path."""
    found = graph.named_by(paths, (kind,), HOLDERS_MAX)
    if len(found) < HOLDERS_MAX:
        return [(path, source) for path, _, source in found]
    path = found[0][0]
    raise Conflict(
        f"More than {HOLDERS_MAX:,} tags or indexes of {name_in(path)} lead to manifests such as "
        f"{title_of(path)}. Delete some of these first."
    )
