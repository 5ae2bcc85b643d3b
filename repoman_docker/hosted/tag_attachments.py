"""Tags that belong to a manifest of the same image: what cosign and older clients attach by a name.

Such a tag is made of the digest of its manifest. It holds nothing by itself: that manifest does.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from repoman.plugin import ContentGraph
from repoman_docker.layout import TAG, attaching_tags, name_in, owner_path, reference_in
from repoman_docker.protocol.patterns import TagChoice

NAMES_MAX = 20_000  # Tags that are looked at together; beyond that, all hold what they lead to.


class TagAttachments:
    """Finds in one repository what is attached by such tags, and to what; reads only.

    Args:
        immutable: the tags that must not be deleted; these hold what they lead to as others do.
    """

    def __init__(self, graph: ContentGraph, immutable: TagChoice) -> None:
        self._graph = graph
        self._immutable = immutable

    def owners(self, first_tags: Mapping[str, str]) -> dict[str, list[str]]:
        """Return those of the manifests to which only such tags lead, with what they belong to.

        ``first_tags`` has the first tag of each manifest.
        """
        asked = [path for path, tag in first_tags.items() if self._owner(tag)]
        named = self._graph.named_by(asked, (TAG,), NAMES_MAX) if asked else []
        if len(named) == NAMES_MAX:
            return {}
        found: dict[str, list[str]] = defaultdict(list)
        for path, _, tag in named:
            found[path].append(self._owner(tag))
        there = self._graph.nodes({each for owners in found.values() for each in owners})
        return {
            path: owners
            for path, owners in found.items()
            if all(each in there and each != path for each in owners)
        }

    def attached(self, manifests: Iterable[str]) -> list[tuple[str, str]]:
        """Return what is attached to manifests by such tags, each with its manifest."""
        owners = {tag: path for path in manifests for tag in attaching_tags(path)}
        found = self._graph.names(owners, (TAG,)) if owners else []
        return [(path, owners[tag]) for tag, _, path in found if self._owner(tag)]

    def _owner(self, tag: str) -> str:
        """Return to which manifest the tag at a path belongs; empty: to none."""
        name, text = name_in(tag), reference_in(tag)
        owner = owner_path(name, text)
        return "" if owner and self._immutable.rule_for(name, text) else owner
