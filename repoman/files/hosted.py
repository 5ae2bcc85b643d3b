"""A hosted repository of files: it stores what clients upload."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from repoman.blobs.store import StoredBlob
from repoman.blobs.upload import BlobUpload, store_bytes
from repoman.content import Asset, ContentStore, NewAsset
from repoman.errors import Invalid, NotFound, ReadOnly
from repoman.events.event import AuditEntry, Coordinate
from repoman.files.format import (
    FILE,
    METADATA,
    STATES,
    ChangePackage,
    Document,
    File,
    FileFormat,
    Metadata,
    NewFile,
)
from repoman.files.generated import GeneratedDocuments
from repoman.files.paths import check_free, guess_media_type
from repoman.files.service import Backend, CheckFile, RemoteQuery
from repoman.http.conditions import NO_PRECONDITION, Precondition
from repoman.http.content import Content
from repoman.proxy.cached_files import checked_media_type
from repoman.repositories.component_upload import CheckWrite, UploadedFile, UploadForm
from repoman.repositories.recipes import RepositoryContext
from repoman.repositories.sections import HostedStorageSection, WritePolicy

NO_BYTES = StoredBlob(hashlib.sha256().hexdigest(), 0)
"""The blob of states: they are attributes, so that a transaction can change them."""


@dataclass(frozen=True, slots=True)
class _Committed:
    """A file whose bytes are durable, but which no row names yet.

    Attributes:
        restored: the digest of its bytes, if they were missing or damaged at its path before.
    """

    file: File
    asset: NewAsset
    restored: str


class HostedFiles:
    """Implements :class:`repoman.files.service.PackageRepository`; each file is one asset."""

    def __init__(self, format_: FileFormat, context: RepositoryContext) -> None:
        self._format = format_
        self._name = context.config.name
        self._policy = context.config.section("storage", HostedStorageSection).write_policy
        self._headers = format_.headers(context.config)
        self._content = context.content
        self._blobs = context.blobs
        self.config = context.config
        self._documents = GeneratedDocuments(format_, self._name, context.content)

    def document(self, metadata: Metadata) -> Document:
        """Return a document made of the files."""
        return self._documents.get(metadata)

    def owns(self, package: str) -> bool:
        """Return whether there is a file of a package, or was one: its name stays."""
        return self._documents.has(package)

    def owned(self, metadata: Metadata) -> frozenset[str]:
        """Return all packages in a document, and those that it had."""
        names = self._format.names(metadata, self.document(metadata).value)
        return self._documents.kept_names().union(names)

    def get(self, file: File) -> Content:
        """Return a file."""
        asset = self._content.find_asset(file.path)
        if asset is None or not self._content.has_bytes(asset):
            raise self._unknown(file.path)
        return Content(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._content.open_body(asset),
            etag=asset.digest,
            last_modified=asset.updated_at,
            headers=self._headers,
            is_cacheable=True,
            pull=self._content.pull_of(file.path),
            checksums=lambda: self._content.checksums_of(asset),
        )

    def open_upload(self, file: File | None) -> BlobUpload:
        """Begin the upload of the bytes of a file."""
        self._refuse_if_read_only()
        if file is not None:
            self._check_allowed(file)
            self._check_early(file)
        return self.open_file_upload()

    def save(
        self,
        *files: tuple[NewFile, BlobUpload],
        check: CheckFile,
        condition: Precondition = NO_PRECONDITION,
        change: ChangePackage | None = None,
    ) -> bool:
        """Store uploaded bytes as files, and change their package with it."""
        free = {new.file.path: self._check_new(new.file, check) for new, _ in files}
        changes = [(files[0][0].file.package, change)] if change else []
        return self._save(files, free, check, changes, condition)

    def _save(
        self,
        files: Sequence[tuple[NewFile, BlobUpload]],
        free: dict[str, bool],
        check: CheckFile,
        changes: Sequence[tuple[str, ChangePackage]],
        condition: Precondition = NO_PRECONDITION,
    ) -> bool:
        """Store files with what is derived of them, and change packages, in one transaction.

        ``free`` says of each path whether nothing was there when the client was found to be
        allowed to store it.
        """
        with ExitStack() as stack:
            derived = [each for sent in files for each in self._derive(*sent, stack)]
            free |= {new.file.path: self._check_new(new.file, check) for new, _ in derived}
            committed = self._commit([*files, *derived])
            with self._content.transaction(*(each.asset.blob for each in committed), NO_BYTES):
                there = [self._find(each.file, each.restored) for each in committed]
                for each, found in zip(committed, there, strict=True):
                    if free[each.file.path] != (found is None):  # Another client was faster.
                        check(each.file, found is None)
                _check_condition(condition, there[0])
                for each, found in zip(committed, there, strict=True):
                    self._store(each, found)
                self._remove_outdated(committed, check)
                for package, change in changes:
                    self._change(package, change)
        return there[0] is None

    def _derive(
        self, new: NewFile, content: BlobUpload, stack: ExitStack
    ) -> Iterator[tuple[NewFile, BlobUpload]]:
        """Yield what the format makes out of a file; its uploads end with the stack."""
        for derived, data in self._format.derive(new.file, content):
            upload = stack.enter_context(self.open_file_upload())
            upload.write(data)
            yield derived, upload

    def _remove_outdated(self, stored: Sequence[_Committed], check: CheckFile) -> None:
        """Remove what was derived of the files before, and is not of their present bytes."""
        paths = {each.file.path for each in stored}
        for each in stored:
            for path in set(self._format.derived(each.file.path)) - paths:
                if self._remove([path]):
                    check(replace(each.file, path=path), False)

    def _remove(self, paths: Sequence[str]) -> int:
        """Remove files with what was derived of them, and return how many there were."""
        derived = (each for path in paths for each in self._format.derived(path))
        return delete_files(self._content, list(dict.fromkeys((*paths, *derived))))

    def change(self, package: str, change: ChangePackage) -> None:
        """Change a package in one transaction.

        Raises:
            ReadOnly: the write policy refuses it.
            RepomanError: what ``change`` raises; then nothing is changed.
        """
        self._refuse_if_read_only()
        with self._content.transaction(NO_BYTES):
            self._change(package, change, AuditEntry("change", package))

    def _change(self, name: str, change: ChangePackage, audit: AuditEntry | None = None) -> None:
        """Change a package in the transaction of the caller, which is one with NO_BYTES."""
        package = self._documents.package(name, outline=True)
        made = change(package)
        if made.removed:
            self._remove(made.removed)
        is_emptied = bool(made.removed and self._documents.emptied([name]))
        if is_emptied or made.state != package.state:
            self._save_state(name, made.state, audit, is_deletion=bool(made.removed))

    def _save_state(
        self,
        name: str,
        state: Mapping[str, Any],
        audit: AuditEntry | None = None,
        *,
        is_deletion: bool,
    ) -> None:
        """Store the state of a package in the transaction of the caller, one with NO_BYTES."""
        # Only the first state in a blob store waits for its disk: what it names is kept there.
        if not self._content.is_stored(NO_BYTES):
            store_bytes(self._blobs, b"")
        path = STATES + name
        new = NewAsset(path, METADATA, NO_BYTES, "application/json", state, audit=audit)
        self._content.save_asset(new, is_deletion=is_deletion)

    def writable(self, name: str) -> "HostedFiles":
        """Return this repository."""
        return self

    def backends(self) -> list[Backend]:
        """Return this repository."""
        return [Backend(self, lambda _: True)]

    def ask_remote(self, request: RemoteQuery) -> bytes | None:
        """Return None: there is no remote."""
        return None

    def delete(self, file: File, condition: Precondition = NO_PRECONDITION) -> None:
        """Remove a file."""
        self._refuse_if_read_only()
        with self._content.transaction(NO_BYTES):
            if self._content.existing([file.path]):
                _check_condition(condition, self._find(file))
            self._delete([file.path])

    def delete_component(self, component: Coordinate) -> None:
        """Remove the files of a component (NotFound, ReadOnly)."""
        self.delete_paths(self._content.paths_of(component))

    def delete_paths(self, paths: list[str]) -> None:
        """Remove files (NotFound, ReadOnly)."""
        self._refuse_if_read_only()
        with self._content.transaction(NO_BYTES):
            self._delete(paths)

    def _delete(self, paths: list[str]) -> None:
        """Remove files in the transaction of the caller, which is one with NO_BYTES (NotFound)."""
        there = self._content.existing(paths)
        names = {self._package_at(path) for path in there} - {""}
        if not self._remove(list(there)):
            raise self._unknown(", ".join(paths))
        # Their names stay ours: a group must not take them from a remote all of a sudden.
        if self._format.shadows:
            for name in self._documents.emptied(names):
                self._save_state(name, {}, is_deletion=True)

    def _package_at(self, path: str) -> str:
        """Return the package of the file at a path; empty: it belongs to none."""
        target = self._format.target(path)
        return target.package if isinstance(target, File) else ""

    # Uploads by a form --------------------------------------------------------------------------

    def check_writable(self) -> None:
        """See :class:`repoman.repositories.component_upload.UploadTarget`."""
        self._refuse_if_read_only()

    def open_file_upload(self) -> BlobUpload:
        """See :class:`repoman.repositories.component_upload.UploadTarget`."""
        return BlobUpload(self._blobs, self._format.checksums)

    def store_upload(self, form: UploadForm, check: CheckWrite) -> list[str]:
        """See :class:`repoman.repositories.component_upload.UploadTarget`."""

        def check_file(file: File, is_free: bool) -> None:
            check(f"/{file.path}", is_free)

        self._refuse_if_read_only()
        sent, free = list(self._format.files_of(form)), {}
        for file, _ in sent:
            free[file.path] = self._check_new(file, check_file)
            self._check_early(file)
        files = [(self._inspect(file, each), each.bytes) for file, each in sent]
        changes = [(file.package, self._format.uploaded(file, self.config)) for file, _ in sent]
        self._save(files, free, check_file, [(name, change) for name, change in changes if change])
        return [file.path for file, _ in sent]

    def _inspect(self, file: File, sent: UploadedFile) -> NewFile:
        media_type = sent.media_type or guess_media_type(file.path)
        return NewFile(file, media_type, self._format.inspect(file, sent.bytes))

    # Inside -------------------------------------------------------------------------------------

    def _unknown(self, path: str) -> NotFound:
        return NotFound(f"There is no file {path!r} in the repository {self._name!r}.")

    def _check_new(self, file: File, check: CheckFile) -> bool:
        """Return whether nothing is at the path of a file, if a client may store it."""
        self._check_allowed(file)
        is_free = self._find(file) is None
        check(file, is_free)
        return is_free

    def _check_allowed(self, file: File) -> None:
        check_free(file.path)
        if refusal := self._format.refusal(file, self.config):
            raise Invalid(refusal)

    def _check_early(self, file: File) -> None:
        """Return if the policy takes a file, as far as its path tells."""
        if self._format.refuses_early:
            self._check_write(file, self._find(file))

    def _commit(self, files: Sequence[tuple[NewFile, BlobUpload]]) -> list[_Committed]:
        """Make uploaded bytes durable; that alone restores equal ones that a path has lost."""
        paths = Counter(new.file.path for new, _ in files)
        if twice := [path for path, number in paths.items() if number > 1]:
            raise Invalid(f"The upload has more than one file for the path {twice[0]!r}.")
        lost = [self._lost_digest(new.file.path) for new, _ in files]
        found = []
        for (new, upload), digest in zip(files, lost, strict=True):
            blob = upload.commit()
            asset = new_asset(self._format, new, blob, AuditEntry("store", new.file.path))
            found.append(_Committed(new.file, asset, digest if digest == blob.digest else ""))
        return found

    def _lost_digest(self, path: str) -> str:
        """Return the digest of an asset whose bytes are missing or damaged; empty: it has them."""
        asset = self._content.find_asset(path)
        return "" if asset is None or self._content.has_bytes(asset) else asset.digest

    def _store(self, new: _Committed, there: Asset | None) -> None:
        """Store a file in the transaction of the caller, in place of what is there."""
        asset = new.asset
        self._check_write(new.file, there, asset.blob.digest)
        if there is None and asset.component is not None:
            self._check_twins(new.file.path, asset.component)
        if there is None or there.digest != asset.blob.digest:
            self._content.save_asset(asset)

    def _check_write(self, file: File, there: Asset | None, digest: str = "") -> None:
        """Return if the policy allows these bytes at a path, in place of what is there."""
        self._refuse_if_read_only()
        if there is None or self._policy is not WritePolicy.ALLOW_ONCE:
            return
        is_same = self._format.accepts_same and there.digest == digest
        if self._format.is_final(file) and not is_same:
            raise self._format.exists(file.path, self._name)

    def _find(self, file: File, restored: str = "") -> Asset | None:
        """Return what is at a path; None: nothing, or what has lost its bytes or just got them."""
        asset = self._content.find_asset(file.path)
        if asset is None or asset.digest == restored or not self._content.has_bytes(asset):
            return None
        return asset

    def _check_twins(self, path: str, component: Coordinate) -> None:
        """Return if no file of the same version differs from this one in its spelling only."""
        key = self._format.spelling(path)
        if key is None:
            return
        for other in self._content.paths_of(component):
            if other != path and self._format.spelling(other) == key:
                raise self._format.exists(other, self._name)

    def _refuse_if_read_only(self) -> None:
        if self._policy is WritePolicy.DENY:
            raise ReadOnly(f"The repository {self._name!r} is read-only (deployment policy: deny).")


def _check_condition(condition: Precondition, there: Asset | None) -> None:
    """Return if what is at a path meets a condition (PreconditionFailed)."""
    if there is None:
        condition.check("", None)
    else:
        condition.check(there.digest, there.updated_at)


def new_asset(
    format_: FileFormat, new: NewFile, blob: StoredBlob, audit: AuditEntry | None = None
) -> NewAsset:
    """Return the asset of a file whose bytes are durable."""
    return NewAsset(
        new.file.path,
        FILE,
        blob,
        checked_media_type(new.media_type),
        attributes=new.attributes,
        component=format_.coordinate(new.file),
        audit=audit,
    )


def delete_files(content: ContentStore, paths: list[str]) -> int:
    """Remove files, told in the audit log, and return how many there were."""
    return content.delete_assets(paths, {path: AuditEntry("delete", path) for path in paths})
