"""The command that shows where the disk space went."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import click

from repoman.catalog.model import Order, PackageQuery, PackageView, PageRequest
from repoman.catalog.visibility import EveryViewer
from repoman.cli.common import with_repoman
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.overview.space import SpaceReport, StoreSpace
from repoman.printable import pluralize, render_size

PAGE_PACKAGES = 500  # Packages that are read at once.
SIZE_CHARS = 12  # The width of a column of sizes.

Line = tuple[str, ...]  # A name, and sizes.


@click.command()
@click.argument("repository", required=False)
@click.option("--days", type=click.IntRange(1), help="Show how much it was on so many last days.")
@click.option("--json", "as_json", is_flag=True, help="Print bytes as JSON, as the REST API does.")
@with_repoman
def space(repoman: Repoman, repository: str | None, days: int | None, as_json: bool) -> None:
    """Show where the disk space went, or what takes space in REPOSITORY.

    Total counts each blob once, unique what would be free without it, shared the rest.
    """
    if days is not None:
        _show_growth(repoman, repository, days, as_json=as_json)
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
    _print_table([*_lines(report)])
    freed = [each for each in repoman.space.freed() if each.gives_back]
    week, day = sum(each.week for each in freed), sum(each.day for each in freed)
    click.echo(f"Freed within 7 days: {render_size(week)}; within 24 hours: {render_size(day)}.")


def _lines(report: SpaceReport) -> Iterator[Line]:
    for store in report.stores:
        yield from _store_lines(store)
    for name in ("database", "log", "reserve", "audit"):
        told = {"log": "write-ahead log", "audit": "audit log", "reserve": "reserve for deletions"}
        yield told.get(name, name), render_size(getattr(report, name))
    yield "all", render_size(report.total)


def _store_lines(store: StoreSpace) -> Iterator[Line]:
    state = store.state
    free = "" if state.free is None else f" ({render_size(state.free)} free)"
    yield f"blob store {state.info.name}{free}", render_size(state.usage.size)
    for name, usage in store.repositories:
        yield f"  {name}", *_sizes(usage.size, usage.own_size)
    yield "  waiting to be freed", render_size(state.usage.reclaimable)
    yield f"  {pluralize(store.uploads, 'incomplete upload')}", render_size(store.uploads_size)


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


def _show_growth(repoman: Repoman, repository: str | None, days: int, *, as_json: bool) -> None:
    if repository is None:
        raise Invalid("Name a repository, such as: repoman space NAME --days 30.")
    id_ = repoman.repositories.get(repository).config.id
    found = repoman.space.growth_of_repository(id_, days)
    if as_json:
        from repoman.rest.usage import repository_days

        click.echo(json.dumps([each.model_dump(mode="json") for each in repository_days(found)]))
        return
    _print_table([(_day(each.at), *_sizes(each.size, each.part)) for each in found])


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _sizes(size: int, own_size: int) -> tuple[str, str, str]:
    return render_size(size), render_size(own_size), render_size(size - own_size)


def _print_table(lines: list[Line]) -> None:
    """Print names, and sizes in columns below their heads."""
    lines = [("", "total", "unique", "shared"), *lines]
    width = max(len(line[0]) for line in lines)
    for line in lines:
        cells = [line[0].ljust(width), *(each.rjust(SIZE_CHARS) for each in line[1:])]
        click.echo("  ".join(cells).rstrip())
