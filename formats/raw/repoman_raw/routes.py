"""The HTTP routes: parse the request, call the service, render the response. No rules live here."""

from http import HTTPStatus
from typing import cast

from flask import Blueprint, Response, request

from repoman.plugin import (
    Invalid,
    current_environ,
    current_repository,
    note_pull,
    receive_body,
    send_content,
)
from repoman_raw.service import RawRepository, guess_media_type

files = Blueprint("raw", __name__)


@files.get("/<rest:path>")
def get_file(path: str) -> Response:
    """Send a file, or the requested range of it; handles HEAD as well."""
    response = send_content(_repository().get(path))
    note_pull(path)
    return response


@files.put("/<rest:path>")
def put_file(path: str) -> Response:
    """Store the body as a file."""
    if "Content-Range" in request.headers:
        raise Invalid("A file can only be stored as a whole; Content-Range is not supported.")
    repository = _repository()
    # The server may call this function twice: first to ask whether it accepts the body.
    with receive_body(current_environ(), lambda: repository.open_blob_upload(path)) as upload:
        is_new = repository.save(path, upload, _media_type(path))
    return Response(status=HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT)


@files.delete("/<rest:path>")
def delete_file(path: str) -> Response:
    """Remove a file."""
    _repository().delete(path)
    return Response(status=HTTPStatus.NO_CONTENT)


def _repository() -> RawRepository:
    return cast("RawRepository", current_repository().service)


def _media_type(path: str) -> str:
    return request.headers.get("Content-Type") or guess_media_type(path)
