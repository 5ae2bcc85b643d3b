"""Documents as clients get them: in one of their forms, with validators, compressed on request."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from repoman.caching import LruCache
from repoman.files.format import Document, FileFormat, Metadata, Rendered, tag_of
from repoman.flights import SingleFlight
from repoman.http.compression import compressed, respond_conditionally
from repoman.http.current import allow_caching
from repoman.waiting import Wait


@dataclass(frozen=True, slots=True)
class _Form:
    """A rendered document, and its compressed form where that is worth it."""

    rendered: Rendered
    packed: bytes | None


class Renderer:
    """Renders the documents of a format; thread safe.

    What it has rendered is kept by the tag of the document, so it is never out of date. Of many who
    ask for the same at once, one renders it, and the others wait.
    """

    def __init__(self, format_: FileFormat) -> None:
        self._format = format_
        self._forms: LruCache[_Form] = LruCache()
        self._flights: SingleFlight[_Form] = SingleFlight(Wait.TURN)

    def send(self, metadata: Metadata, document: Document) -> Response:
        """Return the answer to the current GET or HEAD request."""
        if document.is_cacheable:
            allow_caching()
        variant = self._format.variant(metadata, request.headers.get("Accept", ""))
        base = request.url_root.rstrip("/") if self._format.is_absolute else ""
        form = self._form(metadata, document, variant, base)
        response = Response(form.rendered.body, content_type=form.rendered.media_type)
        response.headers.extend(document.headers)
        response.headers["Cache-Control"] = "no-cache"
        response.vary.add("Accept")
        for each in document.warnings:
            response.headers.add("Warning", f'199 - "{_quoted(each)}"')
        response.set_etag(tag_of(document.tag, variant, base))
        respond_conditionally(response, form.packed)
        return response

    def checksum(self, metadata: Metadata, document: Document, algorithm: str) -> str:
        """Return the digest, in hex, of a document in the form for clients that want none."""
        variant = self._format.variant(metadata, "")
        base = request.url_root.rstrip("/") if self._format.is_absolute else ""
        form = self._form(metadata, document, variant, base)
        return hashlib.new(algorithm, form.rendered.body, usedforsecurity=False).hexdigest()

    def _form(self, metadata: Metadata, document: Document, variant: str, base: str) -> _Form:
        key = (metadata, document.tag, variant, base)
        form = self._forms.find(key)
        if form is not None:
            return form

        def make() -> _Form:
            # Those who come after it has ended find the form, if there is room for it in memory.
            return self._forms.get(key, lambda: self._make(metadata, document, variant, base))

        return self._flights.run(key, make)

    def _make(self, metadata: Metadata, document: Document, variant: str, base: str) -> _Form:
        rendered = self._format.render(metadata, document.value, variant, base)
        return _Form(rendered, compressed(rendered.body, rendered.media_type))


def render_json(value: Any, media_type: str = "application/json") -> Rendered:
    """Return a value as JSON, without spaces."""
    return Rendered(json.dumps(value, separators=(",", ":")).encode(), media_type)


def choose_form(accept: str, forms: Sequence[str]) -> str:
    """Return the media type that a header Accept likes most; the first one if it likes none."""
    wanted = parse_accept_header(accept, MIMEAccept)
    return wanted.best_match(forms, default=forms[0])


def _quoted(text: str) -> str:
    """Return a text as the quoted part of a header."""
    printable = "".join(each if " " <= each <= "~" else "?" for each in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')
