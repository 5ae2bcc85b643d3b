"""The collection of a hosted repository: the plan of what goes, and its removal.

The plan goes through the trash and through the manifests without a tag, with the layers that only
those need, then through V1 images, and last through the layers that no manifest needs. A position
is the name of such a phase and a path.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import TypeVar

from repoman.plugin import (
    CollectionOptions,
    CollectionStep,
    ContentGraph,
    ContentStore,
    FreedBytes,
    GraphNode,
    Hold,
    Unneeded,
    acting_by,
    released_bytes,
    trash_path,
)
from repoman_docker.hosted.explaining import explain
from repoman_docker.hosted.reachability import Fate, Reachability, Verdict
from repoman_docker.hosted.trash import TRASHED_BLOB, TRASHED_MANIFEST
from repoman_docker.layout import (
    BLOB,
    CHILD,
    COLLECTION,
    MANIFEST,
    SUBJECT,
    TAG,
    V1_CHAIN,
    V1_IMAGE,
    V1_PUSH,
    deletion_entries,
    manifest_of_chain,
    title_of,
    v1_chain_of,
)
from repoman_docker.sections import DockerHostedSection

Item = TypeVar("Item")

WINDOW_ASSETS = 1_000  # Assets that are examined together.
STEP_ASSETS = 400  # Assets that one transaction removes.
# Attached manifests that are planned together with their subjects; others go some steps later.
REFERRERS_MAX = 2_000
RELEASED_MAX = 500  # Attached manifests of which one transaction notes that their subject went.
TALLY_MAX = 100_000  # Blobs of which it is remembered that some of their manifests could go.
NOUNS = {
    MANIFEST: "manifest",
    TRASHED_MANIFEST: "manifest",
    BLOB: "blob",
    TAG: "tag",
    V1_CHAIN: "V1 chain",
    V1_IMAGE: "V1 image",
}
UNUSED = "No manifest needs it."
FINAL = "It was deleted, and can no longer be restored."


class HostedCollector:
    """Implements :class:`repoman.plugin.Collector`."""

    def __init__(
        self, repository_id: int, content: ContentStore, docker: DockerHostedSection
    ) -> None:
        self.repository_id = repository_id
        self._content = content
        self._docker = docker

    def transaction(self) -> AbstractContextManager[None]:
        """See :class:`repoman.plugin.Collector`."""
        return self._content.transaction()

    def steps(self, options: CollectionOptions, after: str = "") -> Iterator[CollectionStep]:
        """See :class:`repoman.plugin.Collector`."""
        return _Plan(self._content, self._reachability(options), options).steps(after)

    def carry_out(self, step: CollectionStep, options: CollectionOptions) -> tuple[list[str], int]:
        """See :class:`repoman.plugin.Collector`."""
        self._release_many(step, options)
        with acting_by(COLLECTION), self._content.transaction():
            gone = self._still_going(step, self._reachability(options))
            self._content.delete_assets(gone, deletion_entries(gone))
            paths = set(gone)
            self._content.graph.release_referring(_subjects(gone), SUBJECT, COLLECTION)
            return gone, released_bytes(each for each in step.nodes if each.path in paths)

    def _release_many(self, step: CollectionStep, options: CollectionOptions) -> None:
        """Have what is attached to much of a step lose its subject before that goes, in batches.

        As long as its subject is there it is held by that, so an end in between changes nothing.
        """
        graph, most = self._content.graph, RELEASED_MAX
        paths = [each.path for each in step.nodes if each.kind in (MANIFEST, TRASHED_MANIFEST)]
        count = len(graph.named_by(_subjects(paths), (SUBJECT,), most)) if paths else 0
        while count == most:
            with self._content.transaction():
                going = self._still_going(step, self._reachability(options))
                count = graph.release_referring(
                    _subjects(going), SUBJECT, COLLECTION, is_ahead=True, limit=most
                )

    def explain(self, name: str, options: CollectionOptions) -> list[Hold]:
        """See :class:`repoman.plugin.Collector`."""
        return explain(self.repository_id, self._content, self._reachability(options), name)

    def _reachability(self, options: CollectionOptions) -> Reachability:
        return Reachability(self._content.graph, self._docker, options)

    def _still_going(self, step: CollectionStep, reachability: Reachability) -> list[str]:
        """Return what of a step goes, as things are in this transaction."""
        graph = self._content.graph
        nodes = graph.nodes(each.path for each in step.nodes)
        verdicts = reachability.judge(p for p, each in nodes.items() if each.kind == MANIFEST)
        going = {path for path, each in verdicts.items() if each.fate is Fate.GOES}
        led_to = {tag: path for path, _, tag in graph.named_by(going, (TAG,))}
        going -= {path for tag, path in led_to.items() if tag not in nodes}  # Tagged since.
        chains = {manifest_of_chain(p) for p, each in nodes.items() if each.kind == V1_CHAIN}
        staying = graph.nodes(chains - going).keys() if chains else set()
        named = self._needed(nodes.values())
        return [
            path
            for path, node in nodes.items()
            if (node.kind == MANIFEST and path in going)
            or (node.kind == TAG and led_to.get(path) in going)
            or (node.kind == TRASHED_MANIFEST and reachability.is_final(node))
            or (node.kind == V1_CHAIN and manifest_of_chain(path) not in staying)
            or (
                node.kind in (BLOB, V1_IMAGE)
                and path not in named
                and not reachability.is_young(node)
            )
        ]

    def _needed(self, nodes: Iterable[GraphNode]) -> set[str]:
        """Return the paths of the blobs and V1 images that something names."""
        nodes = list(nodes)
        blobs = [each.path for each in nodes if each.kind == BLOB]
        images = [each.path for each in nodes if each.kind == V1_IMAGE]
        used = self._content.graph.named_by(images, (V1_CHAIN, V1_PUSH)) if images else []
        return self._content.referenced(blobs) | {path for path, _, _ in used}


class _Plan:
    """The steps in one repository, once.

    In a dry run nothing goes, so the plan remembers what would have gone.
    """

    def __init__(
        self, content: ContentStore, reachability: Reachability, options: CollectionOptions
    ) -> None:
        self._graph = content.graph
        self._reachability = reachability
        self._is_dry = options.is_dry
        self._planned: set[str] = set()  # manifests
        self._chains_named: Counter[str] = Counter()  # V1 images, by planned chains that name them
        self._freed = _Tally(self._graph)
        self._kept = _Tally(self._graph)

    def steps(self, after: str) -> Iterator[CollectionStep]:
        """Yield the steps after a position."""
        phases = {
            "trash": self._trash,
            "manifests": self._manifests,
            "chains": self._chains,
            "images": self._images,
            "blobs": self._blobs,
        }
        first, _, path = after.partition(":")
        names = list(phases)
        start = names.index(first) if first in phases else 0
        for name in names[start:]:
            for step, last in phases[name](path):
                position = None if last is None else f"{name}:{last}"
                yield CollectionStep(step.items, step.nodes, position, *self._kept.take())
            path = ""

    def _trash(self, after: str) -> Iterator[tuple[CollectionStep, str | None]]:
        for nodes, last in self._windows(TRASHED_MANIFEST, after):
            final = [each for each in nodes if self._reachability.is_final(each)]
            for batch in _cut(final, STEP_ASSETS // 2):
                paths = [each.path for each in batch]
                parts = {path for _, _, path in self._graph.names(paths, (TRASHED_BLOB,))}
                if self._is_dry:
                    self._freed.add_references(paths, TRASHED_BLOB)
                yield self._step(batch, dict.fromkeys(paths, FINAL)), None
                for step in self._remove_blobs(parts):
                    yield step, None
            yield CollectionStep(), last

    def _manifests(self, after: str) -> Iterator[tuple[CollectionStep, str | None]]:
        for nodes, last in self._windows(MANIFEST, after, (TAG,)):
            verdicts = self._reachability.judge(each.path for each in nodes) if nodes else {}
            fates = {path: each.fate for path, each in verdicts.items()}
            for step in self._remove_manifests(
                {
                    each.path: verdicts[each.path]
                    for each in nodes
                    if fates.get(each.path) is Fate.GOES and each.path not in self._planned
                }
            ):
                yield step, None
            kept = [each for each in nodes if fates.get(each.path) is Fate.BY_RULE]
            self._kept.add_manifests(kept)
            yield CollectionStep(), last

    def _remove_manifests(self, going: dict[str, Verdict]) -> Iterator[CollectionStep]:
        """Yield the steps that remove manifests, with all that goes with them."""
        order = self._with_dependants(going)
        self._planned |= order.keys()
        for batch in _cut(order, STEP_ASSETS // 2):
            nodes = self._graph.nodes(batch)
            chains = self._graph.nodes(map(v1_chain_of, nodes))
            parts = {path for _, _, path in self._graph.names(nodes, (BLOB,))}
            manifests = [nodes[each] for each in batch if each in nodes]
            # Tags that belong to another manifest: others would hold these.
            tags = self._graph.nodes(tag for _, _, tag in self._graph.named_by(nodes, (TAG,)))
            if self._is_dry:
                self._freed.add_references(nodes)
                self._forget_chains(chains)
            going_now = [*manifests, *chains.values(), *tags.values()]
            yield self._step(going_now, {p: order[p].reason for p in nodes})
            yield from self._remove_blobs(parts)

    def _with_dependants(self, going: dict[str, Verdict]) -> dict[str, Verdict]:
        """Return manifests with those that go with them, in the order in which they go.

        What is attached goes before its subject, and an index before its images: so an end in
        between leaves nothing that can be reached but lacks something.
        """
        found, new = dict(going), list(going)
        before: dict[str, set[str]] = {path: set() for path in going}  # what has to go first
        while new:
            pairs = [(index, path) for index, _, path in self._graph.names(new, (CHILD,))]
            attached = self._graph.named_by(new, (SUBJECT,), REFERRERS_MAX)
            near = {path for _, path in pairs} | {source for _, _, source in attached}
            pairs += [(source, subject) for subject, _, source in attached]
            by_tag = self._reachability.attachments.attached(new)
            pairs += by_tag
            near |= {path for path, _ in by_tag}
            for first, then in pairs:
                before.setdefault(then, set()).add(first)
            wanted = near - found.keys() - self._planned
            verdicts = self._reachability.judge(wanted) if wanted else {}
            new = [p for p in sorted(wanted) if p in verdicts and verdicts[p].fate is Fate.GOES]
            found.update((path, verdicts[path]) for path in new)
        return {path: found[path] for path in _in_order(before) if path in found}

    def _remove_blobs(self, paths: Iterable[str]) -> Iterator[CollectionStep]:
        """Yield the steps that remove those of the blobs that nothing needs any more."""
        for batch in _cut(sorted(paths), STEP_ASSETS):
            named = self._graph.count_names(batch)
            planned = self._freed.references
            unused = [each for each in batch if named.get(each, 0) <= planned[each]]
            nodes = self._graph.nodes(unused).values()
            old = [each for each in nodes if not self._reachability.is_young(each)]
            if old:
                yield self._step(old, dict.fromkeys(unused, UNUSED))

    def _chains(self, after: str) -> Iterator[tuple[CollectionStep, str | None]]:
        for nodes, last in self._windows(V1_CHAIN, after):
            manifests = self._graph.nodes(manifest_of_chain(each.path) for each in nodes)
            lost = [
                each
                for each in nodes
                if manifest_of_chain(each.path) not in manifests
                and not self._reachability.is_young(each)
            ]
            for batch in _cut(lost, STEP_ASSETS):
                reasons = {each.path: "Its manifest was deleted." for each in batch}
                if self._is_dry:
                    self._forget_chains(reasons)
                yield self._step(batch, reasons), None
            yield CollectionStep(), last

    def _forget_chains(self, chains: Iterable[str]) -> None:
        """Remember which V1 images these chains, which would have gone, name."""
        named = self._graph.names(chains, (V1_CHAIN,))
        self._chains_named.update(path for _, _, path in named)

    def _images(self, after: str) -> Iterator[tuple[CollectionStep, str | None]]:
        for batch in _cut(sorted(self._chains_named), STEP_ASSETS):  # empty, unless it is dry
            named = Counter(p for p, _, _ in self._graph.named_by(batch, (V1_CHAIN, V1_PUSH)))
            lost = [each for each in batch if named[each] <= self._chains_named[each]]
            for step in self._remove_images(self._graph.nodes(lost).values()):
                yield step, None
        for nodes, last in self._windows(V1_IMAGE, after, (V1_CHAIN, V1_PUSH)):
            for step in self._remove_images(nodes):
                yield step, None
            yield CollectionStep(), last

    def _remove_images(self, nodes: Iterable[GraphNode]) -> Iterator[CollectionStep]:
        """Yield the steps that remove V1 images, and their layers if nothing else needs those."""
        old = [each for each in nodes if not self._reachability.is_young(each)]
        for batch in _cut(old, STEP_ASSETS):
            paths = [each.path for each in batch]
            layers = {path for _, _, path in self._graph.names(paths, (BLOB,))}
            if self._is_dry:
                self._freed.add_references(paths)
            yield self._step(batch, dict.fromkeys(paths, "No tag needs it."))
            yield from self._remove_blobs(layers)

    def _blobs(self, after: str) -> Iterator[tuple[CollectionStep, str | None]]:
        for nodes, last in self._windows(BLOB, after):
            old = [each for each in nodes if not self._reachability.is_young(each)]
            for batch in _cut(old, STEP_ASSETS):
                yield self._step(batch, {each.path: UNUSED for each in batch}), None
            yield CollectionStep(), last

    def _windows(
        self, kind: str, after: str, kinds: tuple[str, ...] = ()
    ) -> Iterator[tuple[list[GraphNode], str | None]]:
        """Yield what no reference names, a window at a time, and the last path of the window."""
        last: str | None = after
        while last is not None:
            nodes, last = self._graph.scan(kind, last, WINDOW_ASSETS, kinds)
            yield nodes, last

    def _step(self, nodes: list[GraphNode], reasons: dict[str, str]) -> CollectionStep:
        tally = self._freed if self._is_dry else _Tally(self._graph)
        freed = tally.bytes.add(nodes)
        items = tuple(
            Unneeded(
                path=each.path,
                kind=NOUNS[each.kind],
                title=title_of(each.path),
                reason=reasons.get(each.path, "Its manifest goes."),
                size=each.size,
                freed=freed[each.path],
            )
            for each in nodes
        )
        return CollectionStep(items, tuple(nodes))


class _Tally:
    """Counts the bytes that are freed if manifests go, with the blobs that only those need."""

    def __init__(self, graph: ContentGraph) -> None:
        self._graph = graph
        self.bytes = FreedBytes()
        self.references: Counter[str] = Counter()  # by the path of a blob, of manifests that go
        self._count = self._size = 0

    def add_references(self, manifests: Iterable[str], kind: str = BLOB) -> list[str]:
        """Count what manifests name by a kind of reference; return the paths of these blobs."""
        paths = [path for _, _, path in self._graph.names(manifests, (kind,))]
        self.references.update(paths)
        return list(dict.fromkeys(paths))

    def add_manifests(self, nodes: list[GraphNode]) -> None:
        """Count manifests, and the blobs that no other one names."""
        if not nodes:
            return
        if len(self.references) > TALLY_MAX:
            self.references, self.bytes = Counter(), FreedBytes()  # It then counts too little.
        parts = self.add_references(each.path for each in nodes)
        named = self._graph.count_names(parts)
        free = [path for path in parts if named.get(path, 0) <= self.references[path]]
        blobs = self._graph.nodes(free)
        for path in free:
            del self.references[path]
        freed = self.bytes.add([*nodes, *blobs.values()])
        self._count += len(nodes)
        self._size += sum(freed.values())

    def take(self) -> tuple[int, int]:
        """Return how many manifests, and bytes, were added since the last call."""
        taken = self._count, self._size
        self._count = self._size = 0
        return taken


def _subjects(paths: Iterable[str]) -> list[str]:
    """Return where manifests are, or were before they came to the trash."""
    return [each.removeprefix(trash_path("")) for each in paths]


def _in_order(before: Mapping[str, set[str]]) -> list[str]:
    """Return what has to go first before what goes then, where they are in no circle."""
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError:
        return list(before)


def _cut(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
