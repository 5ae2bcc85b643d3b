"""Compression of what the main port sends: pages, JSON and static files, never stored content.

A page holds both what a visitor wrote into an address and a secret, the CSRF token. From the sizes
of many such pages an attacker who reads the network could learn the secret (BREACH). So the
compressed form of an answer carries a name of random length, as that of Django does.
"""

import gzip
import io
import re
import secrets
from http import HTTPStatus

from flask import Flask, Response, request

LEAST_BYTES = 1024  # Smaller bodies fit in one packet either way.
MOST_BYTES = 8 << 20  # Larger bodies would hold a worker for too long.
LEVEL = 6
PADDING_MAX_BYTES = 100  # Of the random name in the header of the compressed form.
MARK = "-gzip"  # At the end of the ETag of a compressed form.
TYPES = re.compile(r"text/|application/(json|javascript|xml|.*\+json|.*\+xml)|image/svg\+xml")
# Statuses without a body, or with a part of one.
BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.NOT_MODIFIED)
STATES = (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)
PACKED = "repoman.packed"  # environ: a condition has the ETag of a compressed form
CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")


def compressed(data: bytes, media_type: str) -> bytes | None:
    """Return the compressed form of a body that is always the same; None: it is not worth it."""
    if not (LEAST_BYTES <= len(data) <= MOST_BYTES and TYPES.match(media_type)):
        return None
    return gzip.compress(data, 9, mtime=0)


def install_compression(app: Flask) -> None:
    """Have the answers of an app compressed for clients that accept it.

    Each form of an answer has an ETag of its own. In conditions of requests both stand for the same
    state, so a view only ever sees and sets the one of the plain form.
    """
    app.before_request(read_conditions)

    @app.after_request
    def _compress(response: Response) -> Response:
        if response.status_code == HTTPStatus.NOT_MODIFIED and PACKED in request.environ:
            _mark(response)
        elif _is_compressible(response):
            offer(response)
        return response


def read_conditions() -> None:
    """Have conditions of the current request name the plain form where they name the other."""
    environ = request.environ
    for name in CONDITIONS:
        if MARK in environ.get(name, ""):
            environ[name] = environ[name].replace(f'{MARK}"', '"')
            environ[PACKED] = True


def respond_conditionally(response: Response, packed: bytes | None) -> None:
    """Answer the conditions of the current request, and send a response compressed on request.

    ``packed`` is its compressed form; None: it has none.
    """
    read_conditions()
    response.make_conditional(request.environ)
    if response.status_code == HTTPStatus.NOT_MODIFIED and PACKED in request.environ:
        _mark(response)
    if packed is not None and response.status_code in STATES:
        offer(response, packed)


def offer(response: Response, packed: bytes | None = None) -> None:
    """Send a complete response compressed, if the client accepts that.

    ``packed`` is its compressed form, if it is known already.
    """
    response.vary.add("Accept-Encoding")
    if response.status_code == HTTPStatus.NOT_MODIFIED or not request.accept_encodings["gzip"]:
        return
    response.set_data(_pack(response.get_data()) if packed is None else packed)
    response.content_encoding = "gzip"
    _mark(response)


def _is_compressible(response: Response) -> bool:
    return (
        not (response.direct_passthrough or response.is_streamed or response.content_encoding)
        and response.status_code not in BODILESS
        and TYPES.match(response.mimetype or "") is not None
        and LEAST_BYTES <= (response.calculate_content_length() or 0) <= MOST_BYTES
    )


def _pack(data: bytes) -> bytes:
    """Return the compressed form with a name of random length in its header."""
    packed = io.BytesIO()
    name = "a" * secrets.randbelow(PADDING_MAX_BYTES + 1)
    with gzip.GzipFile(name, "wb", LEVEL, packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()


def _mark(response: Response) -> None:
    tag, is_weak = response.get_etag()
    if tag is not None:
        response.set_etag(f"{tag}{MARK}", weak=bool(is_weak))
