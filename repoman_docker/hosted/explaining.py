"""Why something in a hosted repository is kept: the chain from its bytes to a tag, or to a date."""

from collections.abc import Iterator
from dataclasses import replace

from repoman.plugin import (
    ContentGraph,
    ContentStore,
    GraphNode,
    Hold,
    Invalid,
    NotFound,
    trash_path,
)
from repoman_docker.hosted.reachability import Fate, Reachability, Verdict
from repoman_docker.hosted.trash import TRASHED_BLOB, TRASHED_MANIFEST
from repoman_docker.layout import (
    BLOB,
    MANIFEST,
    V1_CHAIN,
    V1_IMAGE,
    V1_PUSH,
    blob_path,
    blob_prefix,
    manifest_of_chain,
    manifest_path,
    title_of,
)
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.reference import Digest

CHAINS_MAX = 20  # Images, or manifests with a blob, whose chains are told.


def explain(
    repository_id: int, content: ContentStore, reachability: Reachability, name: str
) -> list[Hold]:
    """Return why a manifest or a blob is kept, given as ``IMAGE@DIGEST`` or ``DIGEST``.

    Raises:
        NotFound: it is not in this repository.
        Invalid: it is no digest.
    """
    graph = content.graph
    digest, paths = _find(content, name)
    nodes = graph.nodes(paths)
    if not nodes:
        raise NotFound(f"There is no {name} in this repository.")
    holds: list[Hold] = []
    for path, node in nodes.items():
        if node.kind == MANIFEST:
            holds += _chain(path, reachability.judge([path]))
        elif node.kind == TRASHED_MANIFEST:
            holds.append(_deleted(node, reachability))
        else:
            holds += _users(graph, node, reachability) or [_unneeded(node, reachability)]
    holds = [replace(each, repository_id=repository_id) for each in holds]
    return [*holds, *_elsewhere(graph, digest, next(iter(nodes.values())).digest)]


def _users(graph: ContentGraph, node: GraphNode, reachability: Reachability) -> list[Hold]:
    """Return what a blob is a part of, and why that is kept."""
    kinds = (BLOB, TRASHED_BLOB)
    found = [(kind, source) for kind in kinds for source in _sources(graph, node.path, kind)]
    users = graph.nodes(source for _, source in found)
    verdicts = reachability.judge(path for path, each in users.items() if each.kind == MANIFEST)
    holds: list[Hold] = []
    for path, user in users.items():
        reason = f"It is a part of {title_of(path)}."
        if user.kind == TRASHED_MANIFEST:
            holds.append(_deleted(user, reachability, node.path))
        elif user.kind == V1_IMAGE:
            reason = f"It is the layer of the V1 image {title_of(path)}."
            holds.append(_hold(node.path, reason, holder=path))
            holds += _image_users(graph, user, reachability)
        else:
            holds += [_hold(node.path, reason, holder=path), *_chain(path, verdicts)]
    return holds


def _image_users(graph: ContentGraph, image: GraphNode, reachability: Reachability) -> list[Hold]:
    """Return why a V1 image is kept."""
    chains = _sources(graph, image.path, V1_CHAIN)
    manifests = [manifest_of_chain(each) for each in chains]
    verdicts = reachability.judge(manifests)
    holds: list[Hold] = []
    for path in manifests:
        reason = f"It is a part of {title_of(path)}."
        holds += [_hold(image.path, reason, holder=path), *_chain(path, verdicts)]
    if _sources(graph, image.path, V1_PUSH):
        holds.append(_hold(image.path, "A push that has not ended needs it."))
    return holds or [_unneeded(image, reachability)]


def _sources(graph: ContentGraph, path: str, kind: str) -> list[str]:
    return [source for _, _, source in graph.named_by([path], (kind,), CHAINS_MAX)]


def _deleted(node: GraphNode, reachability: Reachability, part: str = "") -> Hold:
    """Return why a deleted manifest, or a part of it, is kept."""
    subject = f"It is a part of {title_of(node.path)}, which was" if part else "It was"
    path, holder = (part, node.path) if part else (node.path, "")
    if reachability.is_final(node):
        return _hold(path, f"{subject} deleted and goes with the next collection.", holder=holder)
    reason = f"{subject} deleted and can be restored."
    return _hold(path, reason, reachability.final_at(node), holder)


def _hold(path: str, reason: str, until: float | None = None, holder: str = "") -> Hold:
    return Hold(title_of(path), reason, until, path=path, holder=holder)


def _unneeded(node: GraphNode, reachability: Reachability) -> Hold:
    reason = "Nothing needs it; it goes with the next collection"
    if not reachability.is_young(node):
        return _hold(node.path, f"{reason}.")
    return _hold(node.path, f"{reason} after its grace.", reachability.young_until(node))


def _find(content: ContentStore, name: str) -> tuple[Digest, list[str]]:
    image, _, text = name.rpartition("@")
    try:
        digest = Digest.parse(text)
    except RegistryError as error:
        raise Invalid(f"{name}: write it as DIGEST or IMAGE@DIGEST.") from error
    if image:
        path = manifest_path(image, digest)
        return digest, [path, trash_path(path), blob_path(image, digest)]
    found = content.list_assets(BLOB, "", CHAINS_MAX, blob_prefix(digest))
    paths = [each.path for each in found]
    if digest.algorithm == "sha256":
        for kind in (MANIFEST, TRASHED_MANIFEST):
            same = content.graph.paths_of(digest.encoded, kind, CHAINS_MAX)
            paths += [each for each in same if each.endswith(f"/{digest}")]
    return digest, paths


def _chain(path: str, verdicts: dict[str, Verdict]) -> Iterator[Hold]:
    """Yield the links from a manifest to what holds it."""
    seen: set[str] = set()
    while path in verdicts and path not in seen:
        seen.add(path)
        verdict = verdicts[path]
        reason = verdict.reason
        if verdict.fate is Fate.GOES:
            reason = f"It goes with the next collection: {reason}"
        yield _hold(path, reason, verdict.until, verdict.holder)
        path = verdict.holder


def _elsewhere(graph: ContentGraph, digest: Digest, encoded: str) -> Iterator[Hold]:
    for repository_id, repository, path in graph.elsewhere(encoded, CHAINS_MAX):
        reason = f"The repository {repository} has the same bytes ({title_of(path)})."
        yield Hold(str(digest), reason, repository_id=repository_id, path=path)
