"""Deletions of components and assets that the core asks for: by administrators, and by tasks."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from repoman.plugin import (
    Conflict,
    ContentStore,
    Coordinate,
    Denied,
    NotFound,
    ReadOnly,
    RepomanError,
)
from repoman_docker.hosted.holders import check_holders, find_held
from repoman_docker.layout import (
    BLOB,
    CHILD,
    IMAGE,
    MANIFEST,
    TAG,
    deletion_entries,
    manifest_path,
    manifest_prefixes,
    tag_path,
    tagged,
    v1_chain_of,
)
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.rules import component_path
from repoman_docker.service import CheckDelete, Discard
from repoman_docker.v1.records import chain_paths

NOTE = "A manifest stays when its tag is deleted; the tags of a deleted manifest go with it."
# What one transaction deletes; of each, some ten rows go or change.
BATCH_TAGS = 100
BATCH_MANIFESTS = 20  # Each of them has many layers, and may be listed by many indexes.


def delete_manifest(
    content: ContentStore,
    name: str,
    digest: Digest,
    discard: Discard,
    *,
    check_tag: CheckDelete | None = None,
    check_holder: CheckDelete | None = None,
) -> bool:
    """Delete a manifest, by ``discard``, with its tags; return whether it was there.

    Of many tags some go in transactions of their own: a crash leaves the manifest with the others.
    The tags of the indexes that list it stay; ``check_holder`` is asked about these.
    """
    path = manifest_path(name, digest)
    with _telling(name) as note:
        while True:
            with content.transaction():
                if content.find_asset(path) is None:
                    return False
                if check_holder is not None:
                    check_holders(content, path, check_holder)
                tags = [each.path for each in content.referring(path, TAG, "", BATCH_TAGS + 1)]
                batch = tags[:BATCH_TAGS]
                if check_tag is not None:
                    for each in batch:
                        check_tag(Tag(each.rpartition("/")[2]))
                if len(tags) <= BATCH_TAGS:
                    gone = [*tags, *chain_paths(content, name, digest)]
                    discard([path], deletion_entries([path]))
                    content.delete_assets(gone, deletion_entries(tags))
                    return True
                content.delete_assets(batch, deletion_entries(batch))
            note(len(batch))


@contextmanager
def _telling(name: str) -> Iterator[Callable[[int], None]]:
    """Say in an error how much of an image is gone already, as far as it was noted."""
    gone = 0

    def note(count: int) -> None:
        nonlocal gone
        gone += count

    try:
        yield note
    except RepomanError as error:
        if gone:
            told = f"Tags and manifests of {name} that are deleted already: {gone:,}."
            error.args = (f"{error} {told}", *error.args[1:])
        raise


def check_tags(content: ContentStore, path: str, check_tag: CheckDelete) -> None:
    """Check that all tags of the manifest at a path may be deleted, before the first one is."""
    after = ""
    while tags := content.referring(path, TAG, after, BATCH_TAGS):
        for tag in tags:
            check_tag(Tag(tag.path.rpartition("/")[2]))
        after = tags[-1].path


class Deletion:
    """Deletes from one repository, hosted or proxy; thread safe.

    Args:
        content: of the repository.
        read_only: why nothing may be deleted; empty if it may.
        check_tag: is called with the image name and the tag before a tag is deleted, or an image
            of an index that it leads to, and may raise; None: all may be deleted.
        discard: deletes manifests; None: for good.
    """

    def __init__(
        self,
        content: ContentStore,
        read_only: str = "",
        check_tag: Callable[[str, str], None] | None = None,
        discard: Discard | None = None,
    ) -> None:
        self._content = content
        self._read_only = read_only
        self._protection = check_tag
        self._discard = discard or content.delete_assets

    def delete_component(self, coordinate: Coordinate) -> None:
        """Delete a tag, or an image name with all its tags and manifests.

        Its blobs remain, as after every deletion of a manifest: a push may be about to use them.

        Raises:
            NotFound, ReadOnly, Denied: see :class:`repoman.plugin.Capabilities`.
        """
        self._check_write()
        if not self._content.has_component(coordinate):
            name = f"{coordinate.name}:{coordinate.version}".rstrip(":")
            raise NotFound(f"There is no {name} in this repository.")
        if coordinate.kind == IMAGE:
            self._delete_image(coordinate.name)
        else:
            self._check_tag(coordinate.name, coordinate.version)
            self._delete([tag_path(coordinate.name, Tag(coordinate.version))])

    def delete_asset(self, path: str, check: Callable[[str], None]) -> None:
        """Delete an asset: a manifest with its tags, or a blob that no manifest needs.

        ``check`` is asked about the path of each of these tags.

        Raises:
            NotFound, ReadOnly, Denied, Conflict: see :class:`repoman.plugin.Capabilities`.
        """
        self._check_write()
        asset = self._content.get_asset(path)
        if asset.kind == MANIFEST:
            name, _, digest = path.removeprefix("manifests/").rpartition("/")

            def check_tag(tag: Tag) -> None:
                check(component_path(tagged(name, tag)))
                self._check_tag(name, tag)

            check_tags(self._content, path, check_tag)
            delete_manifest(
                self._content,
                name,
                Digest.parse(digest),
                self._discard,
                check_tag=check_tag,
                check_holder=None if self._protection is None else partial(self._check_tag, name),
            )
            return
        if asset.kind == TAG:
            name, _, tag_name = path.removeprefix("tags/").rpartition("/")
            self._check_tag(name, tag_name)
        with self._content.transaction():
            asset = self._content.get_asset(path)
            if asset.kind == BLOB and self._content.referring(path, BLOB, limit=1):
                raise Conflict(f"{path} is part of a manifest. Delete the manifest first.")
            self._delete([path])

    def delete_unneeded(self, name: str, digest: Digest) -> bool:
        """Delete a manifest if no tag and no index names it, and return whether it went (ReadOnly).

        It is looked at in the transaction that deletes it.
        """
        self._check_write()
        path = manifest_path(name, digest)
        with self._content.transaction():
            if any(self._content.referring(path, kind, limit=1) for kind in (TAG, CHILD)):
                return False
            return delete_manifest(self._content, name, digest, self._discard)

    def _delete(self, paths: Iterable[str]) -> int:
        paths = list(paths)
        return self._content.delete_assets(paths, deletion_entries(paths))

    def _check_write(self) -> None:
        if self._read_only:
            raise ReadOnly(self._read_only)

    def _check_tag(self, name: str, tag: str) -> None:
        if self._protection is not None:
            self._protection(name, tag)

    def _delete_image(self, name: str) -> None:
        """Delete tags first: a tag never points to a manifest that is gone.

        What is pushed meanwhile stays whole, and so does a tag that must not be deleted.
        """
        began_at = time.time()
        for tags in self._tags_of(name):
            for each in tags:
                self._check_tag(name, each)
        with _telling(name) as note:
            for tags in self._tags_of(name):
                with self._content.transaction():
                    count = self._delete(
                        tag_path(name, Tag(each)) for each in self._deletable(name, tags)
                    )
                note(count)
            for prefix in manifest_prefixes(name):
                for count in self._delete_manifests(prefix, began_at):
                    note(count)

    def _tags_of(self, name: str) -> Iterator[list[str]]:
        after = ""
        while tags := self._content.list_versions(TAG, name, after, BATCH_TAGS):
            yield tags
            after = tags[-1]

    def _deletable(self, name: str, tags: Iterable[str]) -> Iterator[str]:
        for each in tags:
            with suppress(Denied):
                self._check_tag(name, each)
                yield each

    def _delete_manifests(self, prefix: str, began_at: float) -> Iterator[int]:
        """Delete manifests, with their chains, but none that is needed by what was pushed since.

        Yields how many went, after each transaction.
        """
        after = ""
        while True:
            with self._content.transaction():
                found = self._content.list_assets(MANIFEST, after, BATCH_MANIFESTS, prefix)
                paths = [each.path for each in found]
                if not paths:
                    return
                held = find_held(self._content, paths, began_at)
                going = [each for each in paths if each not in held]
                self._content.delete_assets(map(v1_chain_of, going))
                count = self._discard(going, deletion_entries(going))
            yield count
            after = paths[-1]
