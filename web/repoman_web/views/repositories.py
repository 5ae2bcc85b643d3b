"""Repositories for administrators: the list, and what is done to one without a form."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    Action,
    CleanupSection,
    ConnectorReport,
    ConnectorStatus,
    Denied,
    ListQuery,
    ManagedRepositories,
    Repository,
    RepositoryType,
    SomeSettings,
    Usage,
    current_actor,
    current_repoman,
    done,
    find_format,
    page_call,
    read_list,
    report_connectors,
    row_key,
    settings_repository,
)
from repoman_web.views.repository_frame import state_of

CREATORS = SomeSettings(Action.ADD)
READERS = (SomeSettings(Action.READ), CREATORS)
TYPES = tuple(str(each) for each in RepositoryType)

repositories = Blueprint("repositories", "repoman_web", url_prefix="/admin/repositories")


@dataclass(frozen=True, slots=True)
class ShownConnector:
    """A port of a repository; ``problem`` is why clients cannot connect, unless it is opening."""

    port: int
    is_secure: bool
    problem: str
    is_opening: bool


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository in the list.

    Attributes:
        state: in words, its tone, and the reason.
        policies: how many cleanup policies it uses; None: it takes none.
    """

    repository: Repository
    format: str
    connectors: tuple[ShownConnector, ...]
    usage: Usage
    policies: int | None
    state: tuple[str, str, str]
    may_edit: bool
    may_delete: bool

    @property
    def name(self) -> str:
        """Return its name."""
        return self.repository.name


def may_create() -> bool:
    """Return whether the visitor may create some repository."""
    return CREATORS.allows(current_actor(), current_repoman().security.authorizer)


@repositories.get("")
def show() -> str:
    """Return a page of the repositories whose settings the visitor may read."""
    call = page_call()
    call.require_login()
    if not any(each.allows(call.actor, call.repoman.security.authorizer) for each in READERS):
        raise Denied(f"{call.actor.name} is not allowed to read the settings of repositories.")
    managed = ManagedRepositories(call)
    query = read_list(orders=("name", "stored"))
    wanted = {key: request.args.get(key, "") for key in ("type", "format")}
    everything = managed.list()
    found = _after(query, [each for each in everything if _fits(each[0], query, wanted)])
    rows, more = found[: query.rows], len(found) > query.rows
    return render_template(
        "repoman/repositories.html",
        rows=_describe(rows, managed.may),
        query=query,
        wanted=wanted,
        types=TYPES,
        formats=_formats(each for each, _ in everything),
        is_empty=not everything,
        may_create=bool(managed.recipes()),
        older=query.older(row_key(*_key(query, rows[-1]))) if more else "",
    )


@repositories.post("/<repository>/online")
def put_online(repository: str) -> Response:
    """Take a repository offline, or bring it online."""
    found = settings_repository(repository, Action.EDIT)
    is_online = request.form.get("online") == "1"
    current_repoman().repositories.update(found.name, {}, is_online=is_online)
    said = "is online." if is_online else "is offline: clients get an error, its content stays."
    return done(f"{found.name} {said}", _back(found))


@repositories.post("/<repository>/invalidate")
def invalidate(repository: str) -> Response:
    """Have the cache of a proxy, or of all proxies in a group, checked again."""
    found = settings_repository(repository, Action.EDIT)
    current_repoman().repositories.invalidate(found.name)
    text = f"{found.name} asks its upstream again for all that can change."
    return done(text, _back(found))


@repositories.post("/<repository>/check")
def check(repository: str) -> Response:
    """Ask the upstream of a proxy now, whatever failed before."""
    found = settings_repository(repository, Action.EDIT)
    remote = current_repoman().repositories.check(found.name)
    text, tone = state_of(found)
    said = f"{found.name}: {text}. {remote.reason}".rstrip()
    return done(said, _back(found), tone=tone)


def _back(repository: Repository) -> str:
    """Return the page that the button was on."""
    if request.form.get("back") == "settings":
        return url_for("repositories.edit", repository=repository.name)
    return url_for("repositories.show")


# The list ---------------------------------------------------------------------------------------


def _fits(repository: Repository, query: ListQuery, wanted: Mapping[str, str]) -> bool:
    config = repository.config
    return (
        all(word in config.name.lower() for word in query.filter.lower().split())
        and wanted["type"] in ("", config.type)
        and wanted["format"] in ("", config.format)
    )


def _key(query: ListQuery, row: tuple[Repository, Usage]) -> tuple[int, str]:
    """Return by what a row is ordered."""
    return (-row[1].size if query.order == "stored" else 0, row[0].name.lower())


def _after(
    query: ListQuery, rows: list[tuple[Repository, Usage]]
) -> list[tuple[Repository, Usage]]:
    """Return the rows in their order, from where the page begins."""
    rows = sorted(rows, key=lambda row: _key(query, row))
    after = query.key(int, str)
    return rows if after is None else [row for row in rows if _key(query, row) > after]


def _formats(found: Iterable[Repository]) -> list[tuple[str, str]]:
    names = sorted({each.config.format for each in found})
    return [("", "All formats"), *((name, format_title(name)) for name in names)]


def format_title(name: str) -> str:
    """Return how people call a format; its name, if it is not installed."""
    found = find_format(name)
    return name if found is None else found.title


def _describe(
    rows: list[tuple[Repository, Usage]], may: Callable[[Action, Repository], bool]
) -> list[RepositoryRow]:
    managed = current_repoman().repositories
    connectors = [one for each, _ in rows for one in managed.connectors_of(each)]
    reports: dict[str, list[ConnectorReport]] = {}
    for each in report_connectors(connectors):
        reports.setdefault(each.repository, []).append(each)
    return [
        RepositoryRow(
            repository=repository,
            format=format_title(repository.config.format),
            connectors=tuple(map(_connector, reports.get(repository.name, ()))),
            usage=usage,
            policies=_policies(repository),
            state=describe_state(repository, reports.get(repository.name, ())),
            may_edit=may(Action.EDIT, repository),
            may_delete=may(Action.DELETE, repository),
        )
        for repository, usage in rows
    ]


def _connector(report: ConnectorReport) -> ShownConnector:
    parts = urlsplit(report.url)
    return ShownConnector(
        parts.port or 0,
        parts.scheme == "https",
        report.problem,
        is_opening=report.state is ConnectorStatus.CLOSED,
    )


def _policies(repository: Repository) -> int | None:
    section = repository.config.sections.get("cleanup")
    return len(section.policy_names or ()) if isinstance(section, CleanupSection) else None


def describe_state(
    repository: Repository, connectors: Iterable[ConnectorReport] = ()
) -> tuple[str, str, str]:
    """Return how a repository is: in words, the tone, and the reason or nothing."""
    state, remote = state_of(repository), repository.capabilities.remote
    if repository.problem is not None:
        return (*state, repository.problem)
    if not repository.config.is_online:
        return (*state, "Clients get an error; the content stays.")
    for each in connectors:
        if each.state is ConnectorStatus.FAILED:
            return "port closed", "bad", each.problem
    return (*state, remote.state.reason if remote else "")
