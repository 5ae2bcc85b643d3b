"""The leftovers of abandoned V1 pushes, and their removal.

An engine that dies reports nothing, so a push counts as abandoned a day after it began. Images of a
tag are never leftovers; they are deleted with their manifest.
"""

import json
import math
import time
from collections.abc import Iterable

from repoman.plugin import Asset, ConfirmedClock, ContentStore
from repoman_docker.layout import BLOB, V1_CHAIN, V1_PUSH, v1_image_path
from repoman_docker.v1.reading import read_asset
from repoman_docker.v1.records import BATCH, ImageRecord

AGE = 86_400.0  # seconds after which an unfinished push counts as abandoned
PAUSE = 600.0  # seconds between two searches for such pushes


class Leftovers:
    """Tells which pushes have ended, and removes the leftovers of abandoned ones."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._looked_at = -math.inf
        self._clock = ConfirmedClock()

    def drop_old(self) -> None:
        """Remove the leftovers of abandoned pushes; most calls do nothing."""
        if time.monotonic() - self._looked_at < PAUSE:
            return
        self._looked_at = time.monotonic()
        after = ""
        while pushes := self._content.list_assets(V1_PUSH, after, BATCH):
            for push in pushes:
                if self._clock() - push.updated_at > AGE:
                    self._drop_push(push)
            after = pushes[-1].path

    def drop(self, images: Iterable[Asset]) -> None:
        """Remove images, and their layers unless something else in the image name needs them."""
        doomed = list(images)
        self._content.delete_assets(each.path for each in doomed)
        self.drop_layers(path for each in doomed for path in ImageRecord.of(each).layer_paths(each))

    def drop_layers(self, paths: Iterable[str]) -> None:
        """Remove unreferenced blobs of an image name."""
        self._content.delete_assets(
            path for path in dict.fromkeys(paths) if not self._content.referring(path, BLOB, "", 1)
        )

    def has_ended(self, push: Asset) -> bool:
        """Return whether each image of a push belongs to a tag."""
        paths = _announced(self._content, push)
        found = self._content.existing(paths)
        return len(found) == len(paths) and all(map(self._is_used, found))

    def _drop_push(self, push: Asset) -> None:
        paths = _announced(self._content, push)
        with self._content.transaction():
            now = self._content.find_asset(push.path)
            if now is None or now.updated_at != push.updated_at:
                return  # it has ended, or started again
            self._content.delete_assets([push.path])
            images = self._content.existing(paths).items()
            self.drop(each for path, each in images if not self._is_needed(path))

    def _is_needed(self, image: str) -> bool:
        """Return whether a tag or another push uses an image."""
        return self._is_used(image) or bool(self._content.referring(image, V1_PUSH, "", 1))

    def _is_used(self, image: str) -> bool:
        return bool(self._content.referring(image, V1_CHAIN, "", 1))


def _announced(content: ContentStore, push: Asset) -> list[str]:
    """Return the paths of the images that a push announced."""
    ids: list[str] = json.loads(read_asset(content, push))
    return [v1_image_path(each, push.attributes["name"]) for each in ids]
