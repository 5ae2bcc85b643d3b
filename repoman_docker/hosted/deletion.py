"""Deletions of components and assets that the core asks for: by administrators, and by tasks."""

from collections.abc import Iterable, Iterator

from repoman.plugin import Asset, Conflict, ContentStore, Coordinate, NotFound, ReadOnly
from repoman_docker.layout import (
    BLOB,
    IMAGE,
    MANIFEST,
    TAG,
    V1_CHAIN,
    manifest_prefixes,
    tag_path,
    v1_chain_prefixes,
)
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.reference import Tag
from repoman_docker.v1.records import chain_paths

BATCH_ASSETS = 500  # Assets of an image that are deleted in one transaction.


class Deletion:
    """Deletes from one repository, hosted or proxy; thread safe.

    Args:
        content: of the repository.
        read_only: why nothing may be deleted; empty if it may.
    """

    def __init__(self, content: ContentStore, read_only: str = "") -> None:
        self._content = content
        self._read_only = read_only

    def delete_component(self, coordinate: Coordinate) -> None:
        """Delete a tag, or an image name with all its tags and manifests.

        Its blobs remain, as after every deletion of a manifest: a push may be about to use them.

        Raises:
            NotFound, ReadOnly: see :class:`repoman.plugin.Capabilities`.
        """
        self._check_write()
        if not self._content.has_component(coordinate):
            name = f"{coordinate.name}:{coordinate.version}".rstrip(":")
            raise NotFound(f"There is no {name} in this repository.")
        if coordinate.kind == IMAGE:
            self._delete_image(coordinate.name)
        else:
            self._content.delete_assets([tag_path(coordinate.name, Tag(coordinate.version))])

    def delete_asset(self, path: str) -> None:
        """Delete an asset: a manifest with its tags, or a blob that no manifest needs.

        Raises:
            NotFound, ReadOnly, Conflict: see :class:`repoman.plugin.Capabilities`.
        """
        self._check_write()
        with self._content.transaction():
            asset = self._content.get_asset(path)
            if asset.kind == BLOB and self._content.referring(path, BLOB, limit=1):
                raise Conflict(f"{path} is part of a manifest. Delete the manifest first.")
            self._content.delete_assets([path, *self._dependants(asset)])

    def _check_write(self) -> None:
        if self._read_only:
            raise ReadOnly(self._read_only)

    def _dependants(self, asset: Asset) -> Iterator[str]:
        """Yield the paths of what is useless without an asset."""
        if asset.kind != MANIFEST:
            return
        yield from (tag.path for tag in self._content.referring(asset.path, TAG))
        name, _, digest = asset.path.removeprefix("manifests/").rpartition("/")
        yield from chain_paths(self._content, name, Digest.parse(digest))

    def _delete_image(self, name: str) -> None:
        """Delete tags first: a tag never points to a manifest that is gone."""
        after = ""
        while tags := self._content.list_versions(TAG, name, after, BATCH_ASSETS):
            self._content.delete_assets(tag_path(name, Tag(each)) for each in tags)
            after = tags[-1]
        self._delete_below(V1_CHAIN, v1_chain_prefixes(name))
        self._delete_below(MANIFEST, manifest_prefixes(name))

    def _delete_below(self, kind: str, prefixes: Iterable[str]) -> None:
        for prefix in prefixes:
            after = ""
            while found := self._content.list_assets(kind, after, BATCH_ASSETS, prefix):
                self._content.delete_assets(each.path for each in found)
                after = found[-1].path
