"""Uploads as clients of a format send them: forms with a file, and documents with files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import cast

from repoman.blobs.upload import BlobUpload
from repoman.errors import Invalid
from repoman.files.format import NewFile
from repoman.files.service import FileRepository, check_write
from repoman.http.attachments import DOCUMENT_MAX_BYTES, OpenDocument, receive_document
from repoman.http.body import receive_body
from repoman.http.conditions import precondition_of
from repoman.http.current import current_environ, current_repository
from repoman.http.multipart import OpenForm, receive_form
from repoman.proxy.cached_files import OCTET_STREAM
from repoman.rest.endpoints import Part


@dataclass(slots=True)
class FileUpload:
    """A form that has arrived; leaving its context drops what was not saved.

    Attributes:
        bytes: those of the file, which are no blob yet.
    """

    repository: FileRepository
    fields: Mapping[str, Sequence[str]]
    filename: str
    media_type: str
    bytes: BlobUpload
    _form: OpenForm

    def text(self, field: str) -> str:
        """Return the first text of a field; empty: there is none."""
        return next(iter(self.fields.get(field, ())), "")

    def check_digests(self, algorithms: Mapping[str, str]) -> None:
        """Check the file against the digests in hex that are in fields, by their algorithms.

        Raises:
            Invalid: one does not match, or there is none.
        """
        given = {each: text for each in algorithms if (text := self.text(each))}
        if not given:
            raise Invalid(f"The form has no digest of the file ({' or '.join(algorithms)}).")
        for name, text in given.items():
            if text.lower() != self.bytes.hexdigest(algorithms[name]):
                raise Invalid(f"{name}: the digest does not match the uploaded file.", field=name)

    def sent_beside(self, field: str) -> BlobUpload | None:
        """Return the bytes of another file of the form, by its field; None: it has none."""
        found = (each.sink for each in self._form.parts if each.field == field)
        return cast("BlobUpload | None", next(found, None))

    def save(self, new: NewFile, *beside: tuple[NewFile, BlobUpload]) -> bool:
        """Store the file with those beside it; return whether it is new.

        A precondition of the request is about the file, as that of a PUT of its path is.

        Raises:
            Denied, Unauthenticated: the user may not store it there.
            RepomanError: as of :meth:`repoman.files.service.FileRepository.save`.
        """
        condition = precondition_of(current_environ())
        return self.repository.save(
            (new, self.bytes), *beside, check=check_write, condition=condition
        )

    def __enter__(self) -> "FileUpload":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._form.close()


def receive_file_form(field: str, *, may_be_alone: bool = False) -> FileUpload:
    """Return the form of the current request, once its file has arrived.

    ``field`` is that of the file; the others are dropped but for those that are asked for. Where
    it ``may_be_alone``, a body that is no form is the file itself.

    Raises:
        Invalid: the body is no form with such a file.
        ReadOnly, Unsupported: the repository takes none; the body is not read.
        RepomanError: it is too large, or cannot be stored.
    """
    repository = cast("FileRepository", current_repository().service)
    repository.check_writable()
    environ = current_environ()
    media_type = environ.get("CONTENT_TYPE", "")
    if may_be_alone and not media_type.startswith("multipart/"):
        sink = receive_body(environ, lambda: repository.open_upload(None))
        form = OpenForm()
        form.parts.append(Part(field, "", media_type or OCTET_STREAM, sink))
    else:
        form = receive_form(environ, lambda *_: repository.open_upload(None))
    found = [each for each in form.parts if each.field == field]
    if len(found) != 1:
        form.close()
        raise Invalid(f"{field}: the form must have exactly one file of this name.", field=field)
    part = found[0]
    bytes_ = cast("BlobUpload", part.sink)
    return FileUpload(repository, form.fields, part.filename, part.media_type, bytes_, form)


def receive_file_document(
    suffix: str = "", max_bytes: int = DOCUMENT_MAX_BYTES
) -> OpenDocument[BlobUpload]:
    """Return the JSON document of the current request, once the files in it have arrived.

    Those are the attachments whose names have the suffix; others stay as they are in the document,
    which may have ``max_bytes`` without the files.

    Raises:
        ReadOnly, Unsupported: the repository takes none; the body is not read.
        Invalid: the body is no JSON object.
        RepomanError: it is too large, or cannot be stored.
    """
    repository = cast("FileRepository", current_repository().service)
    repository.check_writable()

    def open_file(name: str) -> BlobUpload | None:
        return repository.open_upload(None) if name.endswith(suffix) else None

    return receive_document(current_environ(), open_file, max_bytes)
