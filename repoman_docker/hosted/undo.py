"""Restores tags: what they were, from the content events, and their manifests, from the trash.

A manifest that comes back is pushed again from its own bytes, first the images of an index, then
the index with the tag, then what is attached to it, and leaves the trash when all of that is back.
Each of these is one transaction, so after a crash the tag is as it was before or as it should be,
and restoring it again completes the rest.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from repoman.plugin import Asset, ContentStore, Invalid, NotFound, acting_by, trash_path
from repoman_docker.hosted.manifests import HostedManifests
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.hosted.reachability import DAY_S
from repoman_docker.hosted.trash import TRASHED_MANIFEST, Trash
from repoman_docker.layout import MANIFEST, TAG, manifest_path, tag_path
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.manifest import Manifest, read_manifest
from repoman_docker.protocol.reference import ALGORITHMS, Digest, Tag
from repoman_docker.service import (
    CheckMove,
    RegistryFailure,
    TagChange,
    failure,
    registry_failures,
)
from repoman_docker.v1.reading import read_asset

RESTORE = "restore"  # The source of the events, and the word of the audit log.
BATCH_TAGS = 500  # Tags that are looked at together.
LEVELS_MAX = 4  # What belongs to what belongs to a manifest comes back, up to here.


class HostedUndo:
    """Implements :class:`repoman_docker.service.TagUndo`.

    Args:
        days: within which tags can be restored.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        content: ContentStore,
        manifests: HostedManifests,
        policy: DeploymentPolicy,
        trash: Trash,
        days: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._content = content
        self._manifests = manifests
        self._policy = policy
        self._trash = trash
        self._days = days
        self._clock = clock

    def find(self, name: str, tag: Tag, at: float | None, digest: Digest | None) -> TagChange:
        """See :class:`repoman_docker.service.TagUndo`."""
        path = tag_path(name, tag)
        if digest is None:
            digest = self._digest_of(name, self._state(path, at))
        elif digest.algorithm == ALGORITHMS[0]:  # Histories tell of all manifests by these.
            digest = self._digest_of(name, digest.encoded) or digest
        now = self._content.existing([path]).get(path)
        return self._judge(TagChange(name, tag, _told(now), "" if digest is None else str(digest)))

    def list(self, name: str | None, at: float) -> Iterator[TagChange]:
        """See :class:`repoman_docker.service.TagUndo`."""
        self._check_time(at)
        return self._list(name, at)

    def restore(self, change: TagChange, check_move: CheckMove) -> None:
        """See :class:`repoman_docker.service.TagUndo`."""
        with acting_by(RESTORE):
            digest = Digest.parse(change.new)
            self._bring_back(change.name, digest, Tag(change.tag), check_move)

    # What there was -------------------------------------------------------------------------------

    def _check_time(self, at: float) -> None:
        now = self._clock()
        if not now - self._days * DAY_S <= at <= now:
            raise Invalid(
                f"Tags can be restored as they were within the last {self._days} days "
                "(docker.undo_days), and not as of another time."
            )

    def _state(self, path: str, at: float | None) -> str:
        """Return the SHA-256 of what a tag led to: at a time, or before its last change."""
        name, _, tag = path.removeprefix("tags/").rpartition("/")
        if at is None:
            left = self._content.histories.last_left(path)
            if left is None:
                raise NotFound(
                    f"{name}:{tag} was neither moved nor deleted within the time for which changes "
                    "are kept."
                )
            return left
        self._check_time(at)
        states = self._content.histories.states_at([path], at)
        if path not in states:
            raise NotFound(f"{name}:{tag} has not changed since that time.")
        then = states[path]
        if then is None:
            raise NotFound(f"There was no {name}:{tag} at that time.")
        return then

    def _list(self, name: str | None, at: float) -> Iterator[TagChange]:
        histories, after = self._content.histories, ""
        while paths := histories.departed(TAG, at, after, BATCH_TAGS, name):
            after = paths[-1]
            now, states = self._content.existing(paths), histories.states_at(paths, at)
            for path in paths:
                then, present = states.get(path), now.get(path)
                if then is None or (present is not None and present.digest == then):
                    continue
                image, _, tag = path.removeprefix("tags/").rpartition("/")
                new = self._digest_of(image, then)
                yield self._judge(
                    TagChange(image, tag, _told(present), "" if new is None else str(new))
                )

    def _digest_of(self, name: str, sha256: str) -> Digest | None:
        """Return the digest of the manifest with certain bytes; None: it is gone."""
        usual = Digest("sha256", sha256)
        if self._stored(name, usual) is not None:
            return usual
        for algorithm in ALGORITHMS[1:]:
            prefix = manifest_path(name, Digest(algorithm, ""))
            for kind, start in ((MANIFEST, prefix), (TRASHED_MANIFEST, trash_path(prefix))):
                for each in self._content.list_assets(kind, "", -1, start):
                    if each.digest == sha256:
                        return Digest.parse(each.attributes["digest"])
        return None

    def _stored(self, name: str, digest: Digest) -> Asset | None:
        """Return a manifest, or else the one that is in the trash."""
        found = self._content.find_asset(manifest_path(name, digest))
        return found or self._trash.find(name, digest)

    # What can come back ---------------------------------------------------------------------------

    def _judge(self, change: TagChange) -> TagChange:
        """Return a change with the reason why it cannot be made, if there is one."""
        return replace(change, refusal=self._refusal(change))

    def _refusal(self, change: TagChange) -> str:
        digest = Digest.parse(change.new) if change.new else None
        asset = None if digest is None else self._stored(change.name, digest)
        if digest is None or asset is None or not self._content.has_bytes(asset):
            return "Its manifest is gone."
        if change.old == change.new and self._trash.find(change.name, digest) is None:
            return "It is so already."
        try:
            self._policy.check_write()
            self._policy.check_tag(change.name, change.tag, change.old or None, digest)
            manifest = self._read(asset)
        except (RegistryFailure, NotFound) as error:
            return str(error)
        missing = self._manifests.list_missing(change.name, manifest)
        if not missing:
            return ""
        return (
            f"{len(missing)} of its {len(manifest.required_blobs())} layers and configs are gone."
        )

    def _read(self, asset: Asset) -> Manifest:
        with registry_failures():
            return read_manifest(read_asset(self._content, asset), asset.media_type)

    # Bringing back --------------------------------------------------------------------------------

    def _bring_back(
        self,
        name: str,
        digest: Digest,
        tag: Tag | None = None,
        check_move: CheckMove | None = None,
        level: int = 0,
    ) -> None:
        """Push a manifest again, with a tag, and what belongs to it and is in the trash."""
        asset = self._stored(name, digest)
        if asset is None:
            raise failure(ErrorCode.MANIFEST_UNKNOWN, f"The manifest {name}@{digest} is gone.")
        children = [each.digest for each in self._read(asset).child_manifests()]
        self._bring_back_all(name, children, level)
        self._push(name, digest, tag, asset, check_move)
        self._bring_back_all(name, self._trash.attached(name, digest), level)
        self._trash.forget(name, digest)  # Last: until then, restoring again completes it.

    def _bring_back_all(self, name: str, digests: Iterable[Digest], level: int) -> None:
        """Bring back what is in the trash; what cannot come back stays away."""
        for each in digests if level < LEVELS_MAX else ():
            if self._trash.find(name, each) is not None:
                with suppress(RegistryFailure, NotFound):
                    self._bring_back(name, each, level=level + 1)

    def _push(
        self,
        name: str,
        digest: Digest,
        tag: Tag | None,
        asset: Asset,
        check_move: CheckMove | None,
    ) -> None:
        body = read_asset(self._content, asset)
        # By the tag where that leads to the same digest, so that it alone is what was restored.
        is_usual = tag is not None and digest.algorithm == ALGORITHMS[0]
        reference: Digest | Tag = tag if tag is not None and is_usual else digest
        tags = () if tag is None or is_usual else (tag,)
        self._manifests.put(name, reference, tags, body, asset.media_type, check_move, verb=RESTORE)


def _told(tag: Asset | None) -> str:
    return "" if tag is None else str(tag.attributes["digest"])
