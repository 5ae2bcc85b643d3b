"""Uploads by a form: which repository, its fields and files, and what became of each file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    FILES_MAX,
    Actor,
    FieldType,
    Invalid,
    Part,
    RepomanError,
    Repository,
    UploadedFile,
    UploadField,
    UploadGuide,
    UploadSpec,
    content_repository,
    current_actor,
    current_repoman,
    receive_page_form,
    streams_form,
)
from repoman_web.views.repositories import format_title
from repoman_web.views.search_results import path_url

FILE = "asset"  # The name of a file in the form of a format.
FILENAME = "filename"  # A field of a file that is filled in with its name.
TOLD = "uploaded"  # In Flask's session: what became of the files of the form before.
TOLD_MAX_CHARS = 2000  # Of that: it is in a cookie.
MISSING = "Fill this in."
NO_FILES = "Choose at least one file."

upload = Blueprint("upload", "repoman_web", url_prefix="/upload")


class SomeUploads:
    """The right to upload something into some repository."""

    def allows(self, actor: Actor, _authorizer: object) -> bool:
        """Return whether the actor has it."""
        return next(current_repoman().uploads.targets(actor), None) is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file; ``problem`` is why it was not stored. Sizes are in bytes."""

    name: str
    size: int
    path: str = ""
    digest: str = ""
    problem: str = ""


@dataclass(slots=True)
class Wrong:
    """What is wrong with a form, by the names of its fields."""

    fields: dict[str, str]
    files: str = ""


@upload.get("")
def show() -> str | Response:
    """Return the repositories that take files; of one only, its form."""
    targets = list(current_repoman().uploads.targets(current_actor()))
    if len(targets) == 1:
        return redirect(url_for("upload.form", repository=targets[0].name))
    return render_template("repoman/upload_choice.html", targets=targets, format_title=format_title)


@upload.get("/<repository>")
def form(repository: str) -> str:
    """Return the form for files, and what became of those that were sent with it before."""
    found = content_repository(repository)
    told = session.pop(TOLD, None) or {}
    if told.get("repository") != found.name:
        told = {}
    try:
        current_repoman().uploads.check(found, current_actor())
    except Invalid as error:
        return render_template("repoman/upload_refused.html", repository=found, problem=str(error))
    given = {name: request.args[name] for name in _names(_spec(found)) if name in request.args}
    values = {**_guide(found).values, **told.get("values", {}), **given}
    return _render(found, values, told=told)


@upload.post("/<repository>")
@streams_form
def store(repository: str) -> Response | tuple[str, int]:
    """Store files, and go back to the form, which says what became of each."""
    found = content_repository(repository)
    uploads = current_repoman().uploads
    uploads.check(found, current_actor())
    with receive_page_form(lambda *_: uploads.open_file(found, FILE)) as sent:
        spec = _spec(found)
        values = {name: sent.fields.get(name, [""])[-1].strip() for name in _names(spec)}
        files = [each for each in sent.parts if each.filename or each.sink.size]
        wrong = _check(spec, values, files)
        if wrong.fields or wrong.files:
            return _render(found, values, wrong=wrong), HTTPStatus.UNPROCESSABLE_ENTITY
        outcomes = list(_store(found, values, files))
    session[TOLD] = _told(found, values, outcomes)
    return redirect(url_for("upload.form", repository=found.name), HTTPStatus.SEE_OTHER)


def _spec(repository: Repository) -> UploadSpec:
    return current_repoman().uploads.spec(repository)


def _guide(repository: Repository) -> UploadGuide:
    found: UploadGuide | None = current_repoman().plugins.hook.repoman_web_upload(
        repository=repository
    )
    return found or UploadGuide()


def _fields(spec: UploadSpec) -> Iterator[tuple[str, UploadField]]:
    """Yield the fields that a visitor fills in, by their names in the form of the page.

    Those of a file are the same for all files that are sent together.
    """
    for each in spec.component_fields:
        if each.type is not FieldType.FILE:
            yield each.name, each
    for each in spec.asset_fields:
        if each.type is not FieldType.FILE and each.name != FILENAME:
            yield f"{FILE}.{each.name}", each


def _names(spec: UploadSpec) -> list[str]:
    return [name for name, _ in _fields(spec)]


def _check(spec: UploadSpec, values: Mapping[str, str], files: Sequence[Part]) -> Wrong:
    needed = [name for name, each in _fields(spec) if not each.is_optional]
    wrong = Wrong({name: MISSING for name in needed if not values[name]})
    if not files:
        wrong.files = NO_FILES
    elif len(files) > 1 and not spec.takes_many:
        wrong.files = "This format takes one file at a time."
    return wrong


def _store(
    repository: Repository, values: Mapping[str, str], files: Sequence[Part]
) -> Iterator[Outcome]:
    """Store files, each by itself if the format can, and yield what became of each."""
    uploads, actor = current_repoman().uploads, current_actor()
    together = [[each] for each in files] if _guide(repository).stores_each else [list(files)]
    for some in together:
        texts: dict[str, list[str]] = {}
        sent, digests = [], []
        for number, part in enumerate(some, 1):
            name = f"{FILE}{number}" if len(some) > 1 else FILE
            texts |= _texts(name, values, part)
            sent.append((name, UploadedFile(part.sink, part.filename, _known_type(part))))
            digests.append(part.sink.hexdigest("sha256"))
        try:
            paths = uploads.store(repository, texts, sent, actor)
        except RepomanError as error:
            yield from (Outcome(each.filename, each.sink.size, problem=str(error)) for each in some)
            continue
        for part, path, digest in zip(some, paths, digests, strict=True):
            yield Outcome(part.filename, part.sink.size, path, digest)


def _texts(name: str, values: Mapping[str, str], part: Part) -> dict[str, list[str]]:
    """Return the fields of a form with a file of this name, as the format knows them."""
    own = {key: [text] for key, text in values.items() if not key.startswith(f"{FILE}.")}
    of_file = {
        f"{name}.{key.removeprefix(f'{FILE}.')}": [text]
        for key, text in values.items()
        if key.startswith(f"{FILE}.")
    }
    return {**own, **of_file, f"{name}.{FILENAME}": [part.filename.replace("\\", "/")]}


def _known_type(part: Part) -> str:
    """Return a media type that says something; else the name of the file says more."""
    return "" if part.media_type == "application/octet-stream" else part.media_type


def _told(
    repository: Repository, values: Mapping[str, str], outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """Return what the next page says, refused files first, as many as a cookie can hold."""
    rows: list[list[Any]] = []
    room = TOLD_MAX_CHARS
    for each in sorted(outcomes, key=lambda each: not each.problem):
        row = [each.name, each.size, each.path, each.digest[:12], each.problem]
        room -= sum(len(str(value).encode()) for value in row) + 20
        if room < 0:
            break
        rows.append(row)
    stored = sum(not each.problem for each in outcomes)
    return {
        "repository": repository.name,
        "values": {name: value[:200] for name, value in values.items()},
        "rows": rows,
        "stored": stored,
        "refused": len(outcomes) - stored,
    }


def _render(
    repository: Repository,
    values: Mapping[str, str],
    *,
    told: Mapping[str, Any] | None = None,
    wrong: Wrong | None = None,
) -> str:
    spec = _spec(repository)
    rows = [Outcome(*each) for each in (told or {}).get("rows", [])]
    return render_template(
        "repoman/upload.html",
        repository=repository,
        spec=spec,
        guide=_guide(repository),
        fields=list(_fields(spec)),
        values=values,
        wrong=wrong or Wrong({}),
        told=told or {},
        rows=rows,
        url_of=lambda path: path_url(repository.name, path),
        files_max=FILES_MAX,
        several=len(list(current_repoman().uploads.targets(current_actor()))) > 1,
    )
