"""The search page: one box, criteria, results of each kind, and those of upstreams on demand."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    FindRequest,
    FoundElsewhere,
    Invalid,
    ListRequest,
    Repository,
    RepositoryType,
    SearchCriteria,
    SearchInput,
    SearchTerms,
    current_actor,
    current_repoman,
)
from repoman_web.views.search_results import (
    Checksum,
    Kind,
    Results,
    Row,
    declared_inputs,
    find,
    kinds_of,
    stored_as,
)

SHORT_ROWS = 5  # Rows of each kind where all kinds are shown.
PAGE_ROWS = 50
CHECKSUM_ROWS = 50  # Files with one checksum.
VALUE_MAX_CHARS = 500
UPSTREAM_ROWS = 10  # Results of each upstream.
UPSTREAM_PATIENCE_S = 5.0
CHECKSUM = "checksum"
TEXT, FORMAT, REPOSITORY = "q", "format", "repository"
# The beginning of a checksum, as pages show it.
CUT_CHECKSUM = re.compile(r"(sha\d+:)?[0-9a-fA-F]{12,}")
NO_CHECKSUM = "This is not a checksum. Paste a whole MD5, SHA-1, SHA-256 or SHA-512."

search = Blueprint("search", "repoman_web", url_prefix="/search")


@dataclass(slots=True)
class Asked:
    """What a visitor searches for.

    Attributes:
        values: what is in the fields of the form, by their names; empty ones are left out.
        checksum: the one that is searched for, in a field of its own or in place of words.
        errors: what is wrong with fields, by their names.
    """

    values: dict[str, str]
    kind: str = ""
    after: str = ""
    checksum: Checksum | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_request(cls, names: Iterator[str]) -> "Asked":
        """Return what the address of the request asks for, in fields with these names."""
        given = ((name, request.args.get(name, "").strip()[:VALUE_MAX_CHARS]) for name in names)
        asked = cls({name: value for name, value in given if value})
        asked.kind = request.args.get("kind", "")
        asked.after = request.args.get("after", "")
        text = asked.values.get(CHECKSUM, "")
        asked.checksum = Checksum.parse(text or asked.values.get(TEXT, ""))
        if text and asked.checksum is None:
            asked.errors[CHECKSUM] = NO_CHECKSUM
        return asked

    @property
    def is_empty(self) -> bool:
        """Return whether nothing but where to search is said."""
        return not set(self.values) - {FORMAT, REPOSITORY}

    def uses(self, names: Iterable[str]) -> bool:
        """Return whether there is anything in one of these fields."""
        return any(each in self.values for each in names)

    @property
    def is_pasted(self) -> bool:
        """Return whether a checksum is all that is said."""
        return self.checksum is not None and len(self.values) == 1 and not self.kind

    @property
    def is_cut(self) -> bool:
        """Return whether only the beginning of a checksum is said."""
        text = self.values.get(TEXT, "")
        return self.checksum is None and CUT_CHECKSUM.fullmatch(text) is not None

    def terms(self, kind: Kind) -> SearchTerms:
        """Return the search for components of a kind."""
        left_out = {CHECKSUM} if self.is_of_words else {CHECKSUM, TEXT}
        pairs = [each for each in self.values.items() if each[0] not in left_out]
        content = ""
        if self.checksum is not None and self.checksum.algorithm == "sha256":
            content = self.checksum.value
        elif self.checksum is not None:
            pairs.append((self.checksum.algorithm, self.checksum.value))
        return SearchTerms(
            tuple(pairs),
            formats=kind.formats,
            kind=kind.kind,
            content=content,
            is_newest_first=True,
        )

    @property
    def is_of_words(self) -> bool:
        """Return whether the large box has words, and not a checksum."""
        return self.checksum is None or CHECKSUM in self.values

    def url(self, **changes: str) -> str:
        """Return the address of this search with other parameters, at its start."""
        wanted: dict[str, Any] = {**self.values, "kind": self.kind, **changes}
        return url_for("search.show", **{name: value for name, value in wanted.items() if value})


@search.get("")
def show() -> str | Response:
    """Return the results; of a whole checksum, the page of the only file that has it."""
    repositories = current_repoman().contents.searchable(current_actor())
    criteria = _criteria(repositories)
    inputs = list(declared_inputs(criteria, ""))
    asked = Asked.of_request(_names(inputs))
    kinds = kinds_of(criteria, _chosen(repositories, asked))
    chosen = next((each for each in kinds if each.key == asked.kind), None)
    asked.kind, asked.after = (chosen.key, asked.after) if chosen else ("", "")
    files = _files(asked, chosen)
    if asked.is_pasted and len(files) == 1 and files[0].url:
        return redirect(files[0].url)
    results = _results(asked, [chosen] if chosen else kinds)
    return render_template(
        "repoman/search.html",
        asked=asked,
        kinds=kinds,
        chosen=chosen,
        files=files,
        results=results,
        inputs=list(declared_inputs(criteria, asked.values.get(FORMAT, ""))),
        formats=_formats(repositories),
        repositories=[(each.name, each.name) for each in repositories],
        upstream=_upstream(asked, repositories),
        may_ask_upstream=_has_upstream(repositories),
    )


def _criteria(repositories: list[Repository]) -> list[SearchCriteria]:
    """Return what formats declare, of those that the visitor has something of."""
    formats = {each.config.format for each in repositories}
    found = current_repoman().plugins.hook.repoman_web_criteria()
    return [one for each in found for one in each if one.format in formats]


def _names(inputs: list[SearchInput]) -> Iterator[str]:
    yield from (TEXT, FORMAT, REPOSITORY, "group", "name", "version", CHECKSUM)
    yield from (each.name for each in inputs)


def _chosen(repositories: list[Repository], asked: Asked) -> list[Repository]:
    """Return the repositories in which is searched."""
    name, format_ = (asked.values.get(each, "") for each in (REPOSITORY, FORMAT))
    return [
        each
        for each in repositories
        if (not name or each.name.lower() == name.lower())
        and (not format_ or each.config.format == format_)
    ]


def _files(asked: Asked, chosen: Kind | None) -> list[Row]:
    """Return the files with the checksum that is searched for."""
    if asked.checksum is None or chosen is not None or asked.after:
        return []
    return stored_as(asked.checksum, CHECKSUM_ROWS)


def _results(asked: Asked, kinds: list[Kind]) -> list[Results]:
    """Return the results of the kinds that have some; nothing if a field is wrong."""
    if asked.is_empty or asked.errors:
        return []
    page = ListRequest(PAGE_ROWS if len(kinds) == 1 and asked.kind else SHORT_ROWS, asked.after)
    try:
        found = [find(each, asked.terms(each), page) for each in kinds]
    except Invalid as error:
        asked.errors[error.field if error.field in asked.values else TEXT] = str(error)
        return []
    return [each for each in found if each.rows or each.next]


def _formats(repositories: list[Repository]) -> list[tuple[str, str]]:
    """Return the formats of some repositories with their titles."""
    found = {each.config.format for each in repositories}
    registered = current_repoman().plugins.hook.repoman_register_formats()
    titles = {each.name: each.title for some in registered for each in some}
    return sorted((each, titles.get(each, each)) for each in found)


def _has_upstream(repositories: list[Repository]) -> bool:
    return any(each.config.type is RepositoryType.PROXY for each in repositories)


def _upstream(asked: Asked, repositories: list[Repository]) -> Mapping[str, Any] | None:
    """Return what upstreams have; None if the visitor has not asked for it."""
    text = asked.values.get(TEXT, "") or asked.values.get("name", "").strip("*")
    if not request.args.get("upstream") or not text or asked.checksum is not None:
        return None
    began = time.monotonic()
    wanted = FindRequest(
        text, tuple(_chosen(repositories, asked)), UPSTREAM_ROWS, UPSTREAM_PATIENCE_S
    )
    found = current_repoman().plugins.hook.repoman_web_find(request=wanted)
    every: list[FoundElsewhere] = [one for each in found for one in each]
    return {"found": every, "text": text, "seconds": time.monotonic() - began}
