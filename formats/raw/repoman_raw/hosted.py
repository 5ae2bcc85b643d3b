"""A hosted raw repository: it stores the files that clients upload."""

from collections.abc import Mapping

from repoman.plugin import (
    FILE_FIELD,
    Asset,
    AuditEntry,
    BlobTarget,
    BlobUpload,
    CheckWrite,
    Content,
    ContentStore,
    Coordinate,
    Invalid,
    NewAsset,
    NotFound,
    ReadOnly,
    UploadedFile,
    UploadField,
    UploadForm,
    UploadSpec,
    WritePolicy,
)
from repoman_raw.service import check_file, check_path, guess_media_type

FILE = "file"  # the kind of all assets and components of this format
CHECKSUMS = ("md5", "sha1", "sha512")  # besides sha256, which addresses the bytes

UPLOAD = UploadSpec(
    component_fields=(
        UploadField(
            "directory",
            description="Directory of the files; / for the root",
            group="Component attributes",
        ),
    ),
    asset_fields=(FILE_FIELD, UploadField("filename", group="File")),
    takes_many=True,
)
"""What a form with files has."""


class RawHosted:
    """Implements :class:`repoman_raw.service.RawRepository`; each file is one asset at its path.

    ``headers`` are sent with each file.
    """

    def __init__(
        self,
        name: str,
        policy: WritePolicy,
        *,
        headers: Mapping[str, str],
        content: ContentStore,
        blobs: BlobTarget,
    ) -> None:
        self._name = name
        self._policy = policy
        self._headers = headers
        self._content = content
        self._blobs = blobs

    def get(self, path: str) -> Content:
        """Return a file."""
        asset = self._get_asset(path)
        if not self._content.has_bytes(asset):
            raise self._unknown(path)
        return Content(
            size=asset.size,
            media_type=asset.media_type,
            open=lambda: self._content.open_body(asset),
            etag=asset.digest,
            last_modified=asset.updated_at,
            headers=self._headers,
            pull=self._content.pull_of(path),
        )

    def open_blob_upload(self, path: str) -> BlobUpload:
        """Begin the upload of the bytes of a file."""
        check_path(path)
        self._check_write(path)
        return BlobUpload(self._blobs, CHECKSUMS)

    def save(self, path: str, upload: BlobUpload, media_type: str) -> bool:
        """Store the uploaded bytes as the file at a path."""
        new = _new_file(path, upload, media_type)
        with self._content.transaction():
            is_new = self._check_write(path)
            self._content.save_asset(new)
        return is_new

    def check_writable(self) -> None:
        """See :class:`repoman.plugin.UploadTarget`."""
        self._refuse_if_read_only()

    def open_file_upload(self) -> BlobUpload:
        """See :class:`repoman.plugin.UploadTarget`."""
        return BlobUpload(self._blobs, CHECKSUMS)

    def store_upload(self, form: UploadForm, check: CheckWrite) -> list[str]:
        """See :class:`repoman.plugin.UploadTarget`."""
        files = _paths(form)
        for path in files:
            check(f"/{path}", self._check_write(path))
        new = [
            _new_file(path, file.bytes, file.media_type or guess_media_type(path))
            for path, file in files.items()
        ]
        with self._content.transaction():
            for each in new:
                # As above, since another client may have been faster.
                check(f"/{each.path}", self._check_write(each.path))
                self._content.save_asset(each)
        return list(files)

    def delete(self, path: str) -> None:
        """Remove a file."""
        self._refuse_if_read_only()
        self._content.delete_assets(
            [self._get_asset(path).path], {path: AuditEntry("delete", path)}
        )

    def _get_asset(self, path: str) -> Asset:
        check_file(path)
        asset = self._content.find_asset(path)
        if asset is None:
            raise self._unknown(path)
        return asset

    def _unknown(self, path: str) -> NotFound:
        return NotFound(f"There is no file {path!r} in the repository {self._name!r}.")

    def _check_write(self, path: str) -> bool:
        """Return whether the path is free; raise if the policy forbids writing to it."""
        self._refuse_if_read_only()
        asset = self._content.find_asset(path)
        is_free = asset is None or not self._content.has_bytes(asset)
        if self._policy is WritePolicy.ALLOW_ONCE and not is_free:
            raise ReadOnly(
                f"The file {path!r} exists in the repository {self._name!r} and cannot be "
                "replaced (deployment policy: allow_once). Delete it, or choose another path."
            )
        return is_free

    def _refuse_if_read_only(self) -> None:
        if self._policy is WritePolicy.DENY:
            raise ReadOnly(f"The repository {self._name!r} is read-only (deployment policy: deny).")


def _new_file(path: str, upload: BlobUpload, media_type: str) -> NewAsset:
    """Return the asset of a file, whose bytes are durable from now on."""
    component = Coordinate(FILE, namespace=path.rpartition("/")[0], name=path)
    entry = AuditEntry("store", path)
    return NewAsset(
        path,
        FILE,
        upload.commit(),
        media_type,
        component=component,
        audit=entry,
    )


def _paths(form: UploadForm) -> dict[str, UploadedFile]:
    """Return the files of a form by path (Invalid)."""
    files: dict[str, UploadedFile] = {}
    for file in form.files:
        path = f"{form.fields['directory'].strip('/')}/{file.fields['filename'].strip('/')}"
        path = path.removeprefix("/")
        check_path(path)
        if path in files:
            raise Invalid(f"The form has two files for the path {path!r}.")
        files[path] = file
    return files
