"""The repositories that a visitor may know of, and the first page of each."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, current_app, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    Action,
    ListQuery,
    Repository,
    RepositoryAddress,
    RepositorySummary,
    RepositoryType,
    content_repository,
    current_actor,
    current_repoman,
    done,
    list_addresses,
    read_list,
    row_key,
    settings_repository,
)
from repoman_web.views.repositories import may_create
from repoman_web.views.repository_frame import (
    State,
    content_text,
    first_tab,
    members_of,
    state_of,
)

TYPES = {each.value: each.value.capitalize() for each in RepositoryType}
ORDERS = ("name", "size", "push", "pull")
PAGE_REPOSITORIES = 500  # Repositories on one page; so many can be filtered without the server.

browse = Blueprint("browse", "repoman_web", url_prefix="/browse")


@dataclass(frozen=True, slots=True)
class Row:
    """A repository in the list; ``summary`` is None if the visitor sees only a part of it."""

    address: RepositoryAddress
    repository: Repository
    state: State
    summary: RepositorySummary | None
    content: str

    @property
    def name(self) -> str:
        """Return the name of the repository."""
        return self.repository.name

    def rank(self, order: str) -> tuple[float, str]:
        """Return by what the row is sorted: the largest value first, then by name."""
        found = self.summary or RepositorySummary()
        values = {"size": found.usage.size, "push": found.stored_at, "pull": found.downloaded_at}
        return -values.get(order, 0), self.name.lower()


@browse.get("")
def show() -> str:
    """Return the repositories that the visitor may know of."""
    query = read_list(ORDERS, PAGE_REPOSITORIES)
    known = list_addresses()
    rows = [each for each in _rows(known) if _is_wanted(each, query)]
    rows.sort(key=lambda each: each.rank(query.order))
    shown, older = _page(rows, query)
    return render_template(
        "repoman/browse.html",
        rows=shown,
        query=query,
        older=older,
        is_whole=len(shown) == len(rows),
        has_any=bool(known),
        may_create=may_create(),
        formats=dict(sorted({each.format_name: each.format for each in known}.items())),
        types=TYPES,
        format=request.args.get("format", ""),
        type=request.args.get("type", ""),
    )


def _rows(known: list[RepositoryAddress]) -> list[Row]:
    repoman = current_repoman()
    summaries = repoman.views.summaries(current_actor())
    found = ((each, repoman.repositories.find(each.name)) for each in known)
    return [
        Row(each, repository, state_of(repository), *_content(each, repository, summaries))
        for each, repository in found
        if repository is not None
    ]


def _content(
    address: RepositoryAddress, repository: Repository, summaries: dict[str, RepositorySummary]
) -> tuple[RepositorySummary | None, str]:
    if repository.config.type is RepositoryType.GROUP:
        count = len(members_of(repository))
        return None, f"{count} {'member' if count == 1 else 'members'}"
    summary = summaries.get(repository.name)
    return summary, "" if summary is None else content_text(address, summary.usage)


def _is_wanted(row: Row, query: ListQuery) -> bool:
    wanted = request.args.get("format", ""), request.args.get("type", "")
    has = row.address.format_name, row.address.type
    fits = all(one in ("", other) for one, other in zip(wanted, has, strict=True))
    return fits and query.filter.lower() in row.name.lower()


def _page(rows: list[Row], query: ListQuery) -> tuple[list[Row], str]:
    """Return the rows of a page, and the address of the next one."""
    after: tuple[Any, ...] | None = query.key(float, str)
    if after is not None:
        rows = [each for each in rows if each.rank(query.order) > after]
    shown = rows[: query.rows]
    is_last = len(shown) == len(rows)
    return shown, "" if is_last else query.older(row_key(*shown[-1].rank(query.order)))


@browse.get("/<repository>")
def repository(repository: str) -> Any:
    """Return the first page of a repository."""
    found = content_repository(repository)
    return current_app.view_functions[first_tab(found).endpoint](repository=found.name)


# Changes of its state, for administrators ---------------------------------------------------------


@browse.post("/<repository>/online")
def bring_online(repository: str) -> Response:
    """Have a repository serve requests again."""
    name = settings_repository(repository, Action.EDIT).name
    current_repoman().repositories.update(name, {}, is_online=True)
    return done(f"{name} is online.", url_for("browse.repository", repository=name))


@browse.post("/<repository>/check")
def check(repository: str) -> Response:
    """Ask the upstream of a proxy now, even if it is blocked after failures."""
    name = settings_repository(repository, Action.EDIT).name
    current_repoman().repositories.check(name)
    found = state_of(current_repoman().repositories.get(name))
    text = f"The upstream of {name} was asked: {found.text}."
    return done(text, url_for("browse.repository", repository=name), tone=found.tone)
