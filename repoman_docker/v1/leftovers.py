"""The leftovers of abandoned V1 pushes, and their removal.

An engine that dies reports nothing, so a push counts as abandoned when nothing of it has arrived
for a while. Images of a tag are never leftovers; they are deleted with their manifest.
"""

from collections.abc import Callable, Iterable

from repoman.plugin import Asset, ContentStore
from repoman_docker.hosted.reachability import relied_on_at
from repoman_docker.layout import V1_CHAIN, V1_PUSH
from repoman_docker.v1.records import BATCH_ASSETS, ImageRecord

# A layer on its way is not seen, but no push takes longer than the token of its client is valid.
IDLE_MIN_S = 7200.0


class Leftovers:
    """Tells which pushes have ended, and removes the leftovers of abandoned ones."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content

    def drop_old(self, now: float, idle_s: float, check_stop: Callable[[], None]) -> int:
        """Remove the leftovers of pushes without activity for ``idle_s`` seconds; return how many.

        Each transaction removes the leftovers of few images.
        """
        count, after, before = 0, "", now - max(idle_s, IDLE_MIN_S)
        while pushes := self._content.list_assets(V1_PUSH, after, BATCH_ASSETS):
            for push in pushes:
                check_stop()
                if push.updated_at < before and self._last_activity(push) < before:
                    count += self._drop_push(push)
            after = pushes[-1].path
        return count

    def drop(self, images: Iterable[Asset]) -> None:
        """Remove images, and their layers unless something else in the image name needs them."""
        doomed = list(images)
        self._content.delete_assets(each.path for each in doomed)
        self.drop_layers(doomed)

    def drop_layers(self, images: Iterable[Asset]) -> None:
        """Remove the layers of former images unless something else in the image name needs them.

        What a client has pushed since, or was told that it need not push, is left to the collection
        and its grace.
        """
        since: dict[str, float] = {}
        for image in images:
            for path in ImageRecord.of(image).layer_paths(image):
                since[path] = max(since.get(path, 0.0), image.updated_at)
        with self._content.transaction():
            layers = self._content.graph.nodes(since.keys() - self._content.referenced(since))
            self._content.delete_assets(
                path for path, layer in layers.items() if relied_on_at(layer) <= since[path]
            )

    def has_ended(self, push: Asset) -> bool:
        """Return whether each image of a push belongs to a tag."""
        paths = _announced(self._content, push)
        found = self._content.existing(paths)
        return len(found) == len(paths) and all(map(self._is_used, found))

    def _last_activity(self, push: Asset) -> float:
        images = self._content.existing(_announced(self._content, push)).values()
        return max([push.updated_at, *(each.updated_at for each in images)])

    def _drop_push(self, push: Asset) -> bool:
        """Remove a push after its images, so that a crash in between leaves it to the next run."""
        paths = _announced(self._content, push)
        for start in range(0, len(paths), BATCH_ASSETS):
            with self._content.transaction():
                if not self._is_as_it_was(push):
                    return False
                images = self._content.existing(paths[start : start + BATCH_ASSETS]).items()
                self.drop(each for path, each in images if not self._is_needed(path, push))
        with self._content.transaction():
            if not self._is_as_it_was(push):
                return False
            self._content.delete_assets([push.path])
        return True

    def _is_as_it_was(self, push: Asset) -> bool:
        """Return whether a push has neither ended nor started again."""
        now = self._content.find_asset(push.path)
        return now is not None and now.updated_at == push.updated_at

    def _is_needed(self, image: str, push: Asset) -> bool:
        """Return whether a tag or another push uses an image."""
        pushes = self._content.referring(image, V1_PUSH, "", 2)
        return self._is_used(image) or any(each.path != push.path for each in pushes)

    def _is_used(self, image: str) -> bool:
        return bool(self._content.referring(image, V1_CHAIN, "", 1))


def _announced(content: ContentStore, push: Asset) -> list[str]:
    """Return the paths of the images that a push announced, even if the list of them is lost."""
    named = content.graph.names([push.path], (V1_PUSH,))
    end = f"/{push.attributes['name']}"  # The other paths name the actor.
    return sorted(path for _, _, path in named if path.endswith(end))
