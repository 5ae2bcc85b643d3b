"""The command that shows where the disk space went."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from repoman.catalog.model import ComponentQuery, Order, PackageQuery, PackageView, PageRequest
from repoman.catalog.visibility import EveryViewer
from repoman.cli.common import with_repoman
from repoman.core import Repoman
from repoman.errors import Invalid, NotFound, Unsupported
from repoman.events.event import Coordinate
from repoman.overview.space import SpaceReport, StoreSpace
from repoman.printable import pluralize, render_size
from repoman.repositories.model import Repository

PAGE_PACKAGES = 500  # Packages that are read at once.
SIZE_CHARS = 12  # The width of a column of sizes.

Line = tuple[str, ...]  # A name, and sizes.


@click.command()
@click.argument("repository", required=False)
@click.argument("package", metavar="[IMAGE]", required=False)
@click.option("--days", type=click.IntRange(1), help="Show how much it was on so many last days.")
@click.option("--json", "as_json", is_flag=True, help="Print bytes as JSON, as the REST API does.")
@with_repoman
def space(
    repoman: Repoman,
    repository: str | None,
    package: str | None,
    days: int | None,
    as_json: bool,
) -> None:
    """Show where the disk space went, or what takes it in REPOSITORY, or in an IMAGE of it.

    Total counts each blob once, unique what would be free without it, shared the rest.
    """
    if days is not None:
        _show_growth(repoman, repository, days, as_json=as_json)
    elif repository is not None and package is not None:
        _show_versions(repoman, repoman.repositories.get(repository), package, as_json=as_json)
    elif repository is not None:
        _show_packages(repoman, repoman.repositories.get(repository).name, as_json=as_json)
    else:
        _show_all(repoman, as_json=as_json)


def _show_all(repoman: Repoman, *, as_json: bool) -> None:
    report = repoman.space.report()
    if as_json:
        from repoman.rest.usage import space_view  # Others need no models.

        click.echo(space_view(report).model_dump_json())
        return
    limits = {each.repository: each.limit for each in repoman.quotas.states()}
    _print_table([*_lines(report, limits)])
    freed = [each for each in repoman.space.freed() if each.gives_back]
    week, day = sum(each.week for each in freed), sum(each.day for each in freed)
    click.echo(f"Freed within 7 days: {render_size(week)}; within 24 hours: {render_size(day)}.")


def _lines(report: SpaceReport, limits: Mapping[str, int | None]) -> Iterator[Line]:
    for store in report.stores:
        yield from _store_lines(store, limits)
    for name in ("database", "log", "reserve", "audit"):
        told = {"log": "write-ahead log", "audit": "audit log", "reserve": "reserve for deletions"}
        yield told.get(name, name), render_size(getattr(report, name))
    yield "all", render_size(report.total)


def _store_lines(store: StoreSpace, limits: Mapping[str, int | None]) -> Iterator[Line]:
    state = store.state
    free = "" if state.free is None else f" ({render_size(state.free)} free)"
    limit = _of_at_most(state.info.hard_quota)
    yield f"blob store {state.info.name}{free}{limit}", render_size(state.usage.size)
    for each in store.repositories:
        told = f"  {each.name}{_of_at_most(limits.get(each.name))}"
        yield told, *_sizes(each.usage.size, each.usage.own_size)
        if each.by_rule:
            yield "    reclaimable by a rule", render_size(each.by_rule)
    yield "  waiting to be freed", render_size(state.usage.reclaimable)
    yield f"  {pluralize(store.uploads, 'incomplete upload')}", render_size(store.uploads_size)


def _of_at_most(limit: int | None) -> str:
    return "" if limit is None else f", of at most {render_size(limit)}"


def _show_packages(repoman: Repoman, repository: str, *, as_json: bool) -> None:
    """Show what the packages of a repository take, the one with most of its own first."""
    found = list(_packages(repoman, repository))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    usage = repoman.catalog.usage(repository, EveryViewer(repoman.repositories))
    lines = [(f"  {_name(each)}", *_sizes(each.size, each.own_size)) for each in found]
    _print_table([(repository, *_sizes(usage.size, usage.own_size)), *lines])


def _name(package: PackageView) -> str:
    return "/".join(filter(None, [package.namespace, package.name]))


def _packages(repoman: Repoman, repository: str) -> Iterator[PackageView]:
    query = PackageQuery(repositories=(repository,), order=Order.OWN_SIZE, is_descending=True)
    viewer, after = EveryViewer(repoman.repositories), ""
    while True:
        page = repoman.catalog.packages(query, PageRequest(PAGE_PACKAGES, after), viewer)
        yield from page.items
        if page.next is None:
            return
        after = page.next


def _show_versions(
    repoman: Repoman, repository: Repository, package: str, *, as_json: bool
) -> None:
    """Show what the versions of a package take, such as the tags of an image."""
    version_space = repository.capabilities.version_space
    if version_space is None:
        raise Unsupported(f"What versions take is not known in {repository.name}.")
    found = [(each, version_space(each)) for each in _versions(repoman, repository.name, package)]
    found.sort(key=lambda each: (-each[1].own_size, -each[1].size, each[0].version))
    if not found:
        raise NotFound(f"There is no {package!r} with versions in {repository.name}.")
    if as_json:
        rows = [{"version": each.version, **asdict(space)} for each, space in found]
        click.echo(json.dumps(rows, indent=2))
        return
    lines = [(each.version, *_sizes(space.size, space.own_size)) for each, space in found]
    _print_table(lines)


def _versions(repoman: Repoman, repository: str, package: str) -> Iterator[Coordinate]:
    query = ComponentQuery(repositories=(repository,), name=package)
    viewer, after = EveryViewer(repoman.repositories), ""
    while True:
        page = repoman.catalog.components(query, PageRequest(PAGE_PACKAGES, after), viewer)
        for each in page.items:
            if each.version:
                yield Coordinate(each.kind, each.name, each.version, each.namespace)
        if page.next is None:
            return
        after = page.next


def _show_growth(repoman: Repoman, repository: str | None, days: int, *, as_json: bool) -> None:
    if repository is None:
        raise Invalid("Name a repository, such as: repoman space NAME --days 30.")
    config = repoman.repositories.get(repository).config
    found = repoman.space.growth_of_repository(config.id, days)
    if as_json:
        from repoman.rest.usage import repository_days

        click.echo(json.dumps([each.model_dump(mode="json") for each in repository_days(found)]))
        return
    usage = repoman.catalog.usage(config.name, EveryViewer(repoman.repositories))
    lines = [(_day(each.at), *_sizes(each.size, each.part)) for each in found]
    _print_table([*lines, ("now", *_sizes(usage.size, usage.own_size))])


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _sizes(size: int, own_size: int) -> tuple[str, str, str]:
    return render_size(size), render_size(own_size), render_size(size - own_size)


def _print_table(lines: Sequence[Line]) -> None:
    """Print names, and sizes in columns below their heads."""
    lines = [("", "total", "unique", "shared"), *lines]
    width = max(len(line[0]) for line in lines)
    for line in lines:
        cells = [line[0].ljust(width), *(each.rjust(SIZE_CHARS) for each in line[1:])]
        click.echo("  ".join(cells).rstrip())
