"""What a tag takes: in all, and what would be free without it."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from repoman.plugin import ContentGraph, Coordinate, FreedBytes, GraphNode, VersionSpace
from repoman_docker.layout import BLOB, CHILD, MANIFEST, SUBJECT, TAG, manifest_path, tag_path
from repoman_docker.protocol.reference import Digest, Tag

NEEDS = (TAG, CHILD, BLOB)  # The references from something to what it needs.
DEPTH_MAX = 5  # Steps from a tag to the last thing that it needs: indexes may be nested.
REFERRERS_MAX = 5_000  # Attached things, and tags of a manifest, that are looked at.


def space_of(repository_id: int, name: str, reference: Digest | Tag) -> VersionSpace:
    """Return what a tag takes, with its image, the images of an index, and what is attached.

    What is unique would be free if the tag went, and all that nothing else needs with it. For a
    digest, that is the manifest with all its tags. Of some ten statements; zeros: it is not there.
    """
    graph = ContentGraph(repository_id)
    if isinstance(reference, Digest):
        path = manifest_path(name, reference)
        named = graph.named_by([path], (TAG,), REFERRERS_MAX)
        roots = {path, *(source for _, _, source in named)}
    else:
        roots = {tag_path(name, reference)}
    return _Closure(graph, roots).measure()


def version_space(repository_id: int, coordinate: Coordinate) -> VersionSpace:
    """Return what a component of a repository takes: a tag; zeros for others."""
    if coordinate.kind != TAG:
        return VersionSpace(0, 0)
    return space_of(repository_id, coordinate.name, Tag(coordinate.version))


@dataclass(frozen=True, slots=True)
class _Reference:
    """A reference within a closure, from one path to another one."""

    source: str
    kind: str
    path: str


class _Closure:
    """Everything that some assets need, directly or not, and what is attached to that."""

    def __init__(self, graph: ContentGraph, roots: Collection[str]) -> None:
        self._graph = graph
        self._roots = set(roots)
        self._nodes: dict[str, GraphNode] = {}
        self._references: set[_Reference] = set()
        self._subjects: Counter[str] = Counter()  # by how many things something is the subject
        self._collect()

    def _collect(self) -> None:
        wanted = set(self._roots)
        for _ in range(DEPTH_MAX):
            found = self._graph.nodes(wanted)
            self._nodes |= found
            wanted = self._follow(list(found.values())) - self._nodes.keys()
            if not wanted:
                return

    def _follow(self, nodes: Collection[GraphNode]) -> set[str]:
        """Note what nodes need and what is attached to them; return the paths of both."""
        paths = {
            kind: [each.path for each in nodes if each.kind == kind] for kind in (TAG, MANIFEST)
        }
        sources = [*paths[TAG], *paths[MANIFEST]]
        needed = self._graph.names(sources, NEEDS) if sources else []
        manifests = paths[MANIFEST]
        attached = self._graph.named_by(manifests, (SUBJECT,), REFERRERS_MAX) if manifests else []
        self._subjects.update(path for path, _, _ in attached)
        self._references.update(_Reference(*each) for each in needed)
        self._references.update(_Reference(each[2], SUBJECT, each[0]) for each in attached)
        return {path for _, _, path in needed} | {source for _, _, source in attached}

    def measure(self) -> VersionSpace:
        """Return the bytes of all of it, and of what goes with the roots."""
        blobs = {each.blob_id: each.size for each in self._nodes.values()}
        going = [self._nodes[path] for path in self._going()]
        freed = FreedBytes().add(going) if going else {}
        return VersionSpace(sum(blobs.values()), sum(freed.values()))

    def _going(self) -> set[str]:
        """Return the paths of what nothing else needs once the roots are gone."""
        going = set(self._nodes)
        counts = self._graph.count_names(going)
        while True:
            inside = Counter(
                each.path
                for each in self._references
                if each.kind != SUBJECT and each.source in going
            )
            kept = {
                path
                for path in going - self._roots
                if counts.get(path, 0) - self._subjects[path] > inside[path]
            }
            # What is attached goes with its subject, and stays with it.
            kept |= {
                each.source
                for each in self._references
                if each.kind == SUBJECT and each.path not in going and each.source in going
            }
            if not kept:
                return going
            going -= kept
