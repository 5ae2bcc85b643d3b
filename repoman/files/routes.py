"""The HTTP routes of repositories of files: parse the request, call the service, answer."""

from http import HTTPStatus
from typing import cast
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from repoman.errors import Invalid, NotFound
from repoman.files.checksums import checksum_of, verify
from repoman.files.format import (
    Checksum,
    File,
    FileFormat,
    Metadata,
    NewFile,
    Target,
)
from repoman.files.paths import check_free, guess_media_type
from repoman.files.rendering import Renderer
from repoman.files.service import FileRepository, check_write
from repoman.http.body import read_body, receive_body
from repoman.http.conditions import precondition_of
from repoman.http.content import send_content
from repoman.http.current import current_environ, current_repository, note_pull

CHECKSUM_MAX_BYTES = 1 << 12  # Of the text that a client stores beside a file.
DOCUMENT_MAX_BYTES = 4 << 20  # Of a document that a client stores.


def files_blueprint(format_: FileFormat) -> Blueprint:
    """Return the routes of a format: its own, then those of the paths of files."""
    blueprint = Blueprint(format_.name, __name__)
    format_.routes(blueprint)

    renderer = Renderer(format_)

    @blueprint.get("/<rest:path>")
    def get_path(path: str) -> BaseResponse:
        """Send a document, a checksum, or a file or a range of it; handles HEAD as well."""
        target = _found(format_, path)
        if isinstance(target, Checksum):
            return _send_checksum(target, renderer)
        if isinstance(target, Metadata):
            if format_.redirects and path != target.key:
                return redirect(
                    f"{request.root_path}/{quote(target.key)}", HTTPStatus.MOVED_PERMANENTLY
                )
            repository = _repository()
            if format_.edits(request.args):
                repository = repository.writable(target.name)
            return renderer.send(target, repository.document(target))
        response = send_content(_repository().get(target))
        note_pull(path)
        return response

    if format_.takes_puts:
        _add_writes(blueprint, format_)
    return blueprint


def _send_checksum(checksum: Checksum, renderer: Renderer) -> Response:
    """Return the digest of what a client would get: a document is hashed as it is rendered."""
    repository, of = _repository(), checksum.of
    if isinstance(of, Metadata):
        digest = renderer.checksum(of, repository.document(of), checksum.algorithm)
    else:
        digest = checksum_of(repository.get(of), checksum.algorithm)
    response = Response(digest, mimetype="text/plain")
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(digest)
    response.make_conditional(request.environ)
    return response


def _add_writes(blueprint: Blueprint, format_: FileFormat) -> None:
    @blueprint.put("/<rest:path>")
    def put_file(path: str) -> Response:
        """Store the body as a file, or take it for a document or a checksum."""
        if "Content-Range" in request.headers:
            raise Invalid("A file can only be stored as a whole; Content-Range is not supported.")
        target, repository = _target(format_, path), _repository()
        if format_.takes_documents and isinstance(target, Metadata | Checksum):
            return _take_text(format_, target)
        file = _file_for(format_, path)
        # The server may call this function twice: first to ask whether it accepts the body.
        with receive_body(current_environ(), lambda: repository.open_upload(file)) as upload:
            media_type = request.headers.get("Content-Type") or guess_media_type(path)
            found = format_.inspect(file, upload)
            condition = precondition_of(current_environ())
            new = NewFile(file, media_type, found)
            is_new = repository.save((new, upload), check=check_write, condition=condition)
        return Response(status=HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT)

    @blueprint.delete("/<rest:path>")
    def delete_file(path: str) -> Response:
        """Remove a file."""
        file = _found(format_, path)
        if not isinstance(file, File):
            raise NotFound(f"There is no file at {path!r}; the documents there are made of files.")
        _repository().delete(file, precondition_of(current_environ()))
        return Response(status=HTTPStatus.NO_CONTENT)


def _take_text(format_: FileFormat, target: Metadata | Checksum) -> Response:
    """Take what a document changes, or compare a checksum."""
    repository = _repository().writable(target.name)
    repository.check_writable()
    if isinstance(target, Checksum):
        verify(repository, target, read_body(current_environ(), CHECKSUM_MAX_BYTES))
    else:
        change = format_.taken(target, read_body(current_environ(), DOCUMENT_MAX_BYTES))
        if change:
            repository.change(target.package, change)
    return Response(status=HTTPStatus.CREATED)


def _repository() -> FileRepository:
    return cast("FileRepository", current_repository().service)


def _target(format_: FileFormat, path: str) -> Target | None:
    """Return what a client means by a path (Invalid: it is none for clients)."""
    check_free(path)
    return format_.target(path)


def _found(format_: FileFormat, path: str) -> Target:
    """Return what may be at a path (NotFound, Invalid)."""
    target = _target(format_, path)
    if target is None:
        is_directory = not path or path.endswith("/")
        text = "Directories are not listed. Request a file." if is_directory else "Not a file."
        raise NotFound(text)
    return target


def _file_for(format_: FileFormat, path: str) -> File:
    """Return the file that a client may store at a path (Invalid)."""
    file = _target(format_, path)
    if not isinstance(file, File):
        raise Invalid(f"The path {path!r} is not that of a file.")
    return file
