"""Why something in a hosted repository is kept: the chain from its bytes to a tag, or to a date."""

from collections.abc import Iterator
from dataclasses import replace

from repoman.plugin import ContentGraph, ContentStore, GraphNode, Hold, Invalid, NotFound
from repoman_docker.hosted.reachability import Fate, Reachability, Verdict
from repoman_docker.hosted.trash import TRASHED_BLOB
from repoman_docker.layout import (
    BLOB,
    MANIFEST,
    blob_path,
    blob_prefix,
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
            continue
        users = [source for _, _, source in graph.named_by([path], (BLOB,), CHAINS_MAX)]
        verdicts = reachability.judge(users)
        for user in users:
            reason = f"It is a part of {title_of(user)}."
            holds += [_hold(path, reason, holder=user), *_chain(user, verdicts)]
        for _, _, source in graph.named_by([path], (TRASHED_BLOB,), CHAINS_MAX):
            reason = f"It is a part of {title_of(source)}, which was deleted and can be restored."
            holds.append(_hold(path, reason))
            users.append(source)
        if not users:
            holds.append(_unneeded(node, reachability))
    holds = [replace(each, repository_id=repository_id) for each in holds]
    return [*holds, *_elsewhere(graph, digest, next(iter(nodes.values())).digest)]


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
        return digest, [manifest_path(image, digest), blob_path(image, digest)]
    found = content.list_assets(BLOB, "", CHAINS_MAX, blob_prefix(digest))
    paths = [each.path for each in found]
    if digest.algorithm == "sha256":
        same = content.graph.paths_of(digest.encoded, MANIFEST, CHAINS_MAX)
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
