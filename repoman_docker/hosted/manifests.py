"""Manifests and tags of a hosted repository."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from functools import partial

from repoman.plugin import (
    Asset,
    AuditEntry,
    BlobTarget,
    Content,
    ContentStore,
    Denied,
    NotFound,
    Unauthenticated,
    store_bytes,
)
from repoman_docker.hosted.deletion import check_tags, delete_manifest
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.layout import (
    CHILD,
    TAG,
    blob_path,
    deletion_entries,
    image,
    manifest_path,
    manifest_pull,
    new_manifest,
    new_tag,
    reference_path,
    size_indexes,
    tag_path,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import ErrorCode, missing_blobs
from repoman_docker.protocol.manifest import Manifest, parse_manifest
from repoman_docker.protocol.reference import Digest, Tag, full_name
from repoman_docker.protocol.texts import CONFIGS, description_of, labels_of, searchable_labels
from repoman_docker.sections import DockerSection
from repoman_docker.service import (
    CheckDelete,
    CheckMove,
    Discard,
    RegistryFailure,
    StoredManifest,
    failure,
    registry_failures,
)

CONFIG_MAX_BYTES = 1 << 20  # maximum bytes of a config that is read for its labels


class HostedManifests:
    """Stores the exact bytes; each push is one transaction."""

    def __init__(
        self,
        content: ContentStore,
        blobs: BlobTarget,
        policy: DeploymentPolicy,
        docker: DockerSection,
        discard: Discard,
    ) -> None:
        self._content = content
        self._blobs = blobs
        self._policy = policy
        self._discard = discard
        self._sparse = docker.sparse
        self._descriptor_limit = docker.descriptor_limit

    def get(self, name: str, reference: Digest | Tag) -> Content:
        """See :class:`repoman_docker.service.ManifestService`."""
        return self._content_of(self._find(name, reference))

    def head(self, name: str, reference: Digest | Tag) -> Content:
        """See :class:`repoman_docker.service.ManifestService`."""
        asset = self._find(name, reference)
        if not self._content.has_bytes(asset):
            raise _unknown(name, reference)
        # The client may list it in an index now, and not push it.
        if isinstance(reference, Digest) and not self._content.promise(asset.path, (TAG, CHILD)):
            raise _unknown(name, reference)
        return self._content_of(asset)

    def _find(self, name: str, reference: Digest | Tag) -> Asset:
        asset = self._content.find_asset(reference_path(name, reference))
        if asset is None:
            raise _unknown(name, reference)
        return asset

    def _content_of(self, asset: Asset) -> Content:
        digest = asset.attributes["digest"]
        return Content(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._content.open_body(asset, is_popular=True),
            etag=digest,
            headers={"Docker-Content-Digest": digest},
            is_cacheable=True,
            pull=manifest_pull(self._content, asset),
        )

    def check_push(self, name: str, reference: Digest | Tag) -> None:
        """See :class:`repoman_docker.service.ManifestService`."""
        self._policy.check_write()

    def put(
        self,
        name: str,
        reference: Digest | Tag,
        tags: tuple[Tag, ...],
        body: bytes,
        content_type: str | None,
        check_move: CheckMove | None = None,
        *,
        verb: str = "push",
    ) -> StoredManifest:
        """See :class:`repoman_docker.service.ManifestService`; the audit log has the ``verb``."""
        self._policy.check_write()
        digest = _digest_of(body, reference)
        with registry_failures():
            manifest = parse_manifest(body, content_type, self._descriptor_limit)
        if isinstance(reference, Tag):
            tags = (reference, *tags)
        # Checked before storing the bytes, to fail early, and again in the transaction.
        needed = self._check(name, tags, digest, manifest, check_move)
        self._check_bytes(needed)
        blob = store_bytes(self._blobs, body)
        told = self._labels(manifest.config, needed)
        description = "" if manifest.subject else description_of(manifest.annotations, told)
        labels = searchable_labels(manifest.annotations, told)
        stored = new_manifest(name, digest, manifest, blob, body)
        size, media_type = stored.transfer_size, manifest.media_type
        with self._content.transaction(blob):
            self._check(name, tags, digest, manifest, check_move)
            entry = _entry(verb, name, digest, digest) if isinstance(reference, Digest) else None
            self._content.save_asset(replace(stored, audit=entry))
            for tag in dict.fromkeys(tags):
                new = new_tag(name, tag, digest, media_type, blob, size, labels)
                self._content.save_asset(replace(new, audit=_entry(verb, name, tag, digest)))
            size_indexes(self._content, stored)
            if description:
                may_replace = _may_edit(check_move, tags[0] if tags else Tag(str(digest)))
                self._content.describe_component(image(name), description, replace=may_replace)
        subject = None if manifest.subject is None else manifest.subject.digest
        return StoredManifest(digest, subject)

    def list_missing(self, name: str, manifest: Manifest) -> list[Digest]:
        """Return the blobs for want of which the manifest could not be pushed now."""
        blobs = {blob_path(name, each.digest): each.digest for each in manifest.required_blobs()}
        found = {blobs[path]: each for path, each in self._content.existing(blobs).items()}
        lost = [each for each, asset in found.items() if not self._content.has_bytes(asset)]
        if self._sparse and _is_sparse(manifest, found):
            return lost
        return [*lost, *(each for each in blobs.values() if each not in found)]

    def delete(
        self, name: str, reference: Digest | Tag, check_tag: CheckDelete | None = None
    ) -> None:
        """See :class:`repoman_docker.service.ManifestService`."""
        self._policy.check_write()
        path = reference_path(name, reference)
        if isinstance(reference, Tag):
            if self._content.find_asset(path) is not None:
                self._policy.check_delete(name, reference)
            is_deleted = self._content.delete_assets([path], deletion_entries([path])) > 0
        else:
            is_deleted = self._delete_manifest(name, reference, check_tag)
        if not is_deleted:
            raise _unknown(name, reference)

    def _delete_manifest(self, name: str, digest: Digest, check_tag: CheckDelete | None) -> bool:
        def check(tag: Tag) -> None:
            if check_tag is not None:
                check_tag(tag)
            self._policy.check_delete(name, tag)

        check_tags(self._content, manifest_path(name, digest), check)
        return delete_manifest(
            self._content,
            name,
            digest,
            self._discard,
            check_tag=check,
            check_holder=partial(self._policy.check_delete, name)
            if self._policy.has_immutable
            else None,
        )

    def _labels(
        self, config: Descriptor | None, needed: Mapping[Digest, Asset]
    ) -> Mapping[str, object]:
        if config is None or config.media_type not in CONFIGS or config.size > CONFIG_MAX_BYTES:
            return {}
        asset = needed.get(config.digest)
        if asset is None:
            return {}
        try:
            with self._content.open_asset(asset) as file:
                return labels_of(file.read())
        except NotFound:  # the bytes have just been lost
            return {}

    def _check(
        self,
        name: str,
        tags: Iterable[Tag],
        digest: Digest,
        manifest: Manifest,
        check_move: CheckMove | None,
    ) -> dict[Digest, Asset]:
        """Return the assets that the manifest needs and that exist."""
        blobs = {blob_path(name, each.digest): each for each in manifest.required_blobs()}
        present = {manifest_path(name, digest): None, **{tag_path(name, tag): tag for tag in tags}}
        found = self._content.existing([*present, *blobs])
        for path, tag in present.items():
            if path in found:
                self._check_present(name, tag, found[path], digest, manifest, check_move)
        return self._check_references(blobs, found, manifest)

    def _check_bytes(self, needed: Mapping[Digest, Asset]) -> None:
        """Refuse blobs that lost their bytes; the client then pushes them again for all images."""
        if lost := [each for each, asset in needed.items() if not self._content.has_bytes(asset)]:
            raise RegistryFailure(missing_blobs(lost))

    def _check_present(
        self,
        name: str,
        tag: Tag | None,
        asset: Asset,
        digest: Digest,
        manifest: Manifest,
        check_move: CheckMove | None,
    ) -> None:
        """Check whether the push may change an existing tag, or the manifest itself.

        Raises:
            RegistryFailure: MANIFEST_INVALID, the bytes exist under another media type; DENIED,
                a tag must not be moved.
        """
        old = asset.attributes["digest"]
        if old == str(digest):
            _check_media_type(name, asset, manifest.media_type)
        elif check_move is not None and tag is not None:
            check_move(tag)
        if tag is not None:
            self._policy.check_tag(name, tag, old, digest)

    def _check_references(
        self, blobs: Mapping[str, Descriptor], found: Mapping[str, Asset], manifest: Manifest
    ) -> dict[Digest, Asset]:
        there = {each.digest: found[path] for path, each in blobs.items() if path in found}
        missing = [each for path, each in blobs.items() if path not in found]
        if missing and not (self._sparse and _is_sparse(manifest, there)):
            raise RegistryFailure(missing_blobs([each.digest for each in missing]))
        for path, each in blobs.items():
            if path in found:
                _check_size(each, found[path])
        return there


def _is_sparse(manifest: Manifest, there: Container[Digest]) -> bool:
    """Return whether enough exists for a sparse image, as opposed to a failed push."""
    has_config = manifest.config is None or manifest.config.digest in there
    return has_config and any(layer.digest in there for layer in manifest.layers)


def _digest_of(body: bytes, reference: Digest | Tag) -> Digest:
    if isinstance(reference, Tag):
        return Digest.of("sha256", body)
    found = Digest.of(reference.algorithm, body)
    if found != reference:
        raise failure(
            ErrorCode.DIGEST_INVALID,
            f"The digest of the manifest is {found}, not {reference}. Push it again.",
        )
    return reference


def _entry(verb: str, name: str, reference: Digest | Tag, digest: Digest) -> AuditEntry:
    return AuditEntry(verb, full_name(name, reference), {"digest": str(digest)})


def _may_edit(check_move: CheckMove | None, tag: Tag) -> bool:
    """Return whether the pusher may move an existing tag, not only add tags."""
    if check_move is None:
        return True
    try:
        check_move(tag)
    except (Denied, Unauthenticated):
        return False
    return True


def _check_media_type(name: str, asset: Asset, media_type: str) -> None:
    """Check that the manifest is stored under this media type, which clients see.

    The media type determines the references: another one would leave layers unprotected.
    """
    if asset.media_type != media_type:
        digest = asset.attributes["digest"]
        raise failure(
            ErrorCode.MANIFEST_INVALID,
            f"{name}@{digest} is stored here as {asset.media_type} and cannot become "
            f"{media_type}. Delete the manifest first to push it under another media type.",
            {"digest": digest},
        )


def _check_size(descriptor: Descriptor, asset: Asset) -> None:
    if descriptor.size != asset.size:
        raise failure(
            ErrorCode.MANIFEST_INVALID,
            f"The manifest states that {descriptor.digest} has {descriptor.size} bytes, but it has "
            f"{asset.size}.",
        )


def _unknown(name: str, reference: Digest | Tag) -> RegistryFailure:
    mark = "@" if isinstance(reference, Digest) else ":"
    return failure(
        ErrorCode.MANIFEST_UNKNOWN,
        f"There is no {name}{mark}{reference} in this repository.",
        {"name": name, "reference": str(reference)},
    )
