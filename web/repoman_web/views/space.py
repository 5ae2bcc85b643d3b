"""Where the disk space went: of the whole server, and of one repository."""

from dataclasses import dataclass

from flask import Blueprint, render_template, request

from repoman.plugin import (
    ComponentLink,
    Coordinate,
    ListOrder,
    ListRequest,
    NotFound,
    PackageQuery,
    PackageView,
    Repository,
    RepositoryType,
    Usage,
    current_actor,
    current_repoman,
    list_reaching,
    may_administer,
    permission_needed,
    read_list,
)
from repoman_web.views.browse import browse
from repoman_web.views.browse_paths import open_repository
from repoman_web.views.charts import growth_chart
from repoman_web.views.home import STORED, freed_tasks

DAYS = (91, 30, 365, 730)  # Of the chart of one repository; the first is the usual one.
PAGE_PACKAGES = 50
ORDERS = {
    "own": ListOrder.OWN_SIZE,
    "size": ListOrder.SIZE,
    "pull": ListOrder.DOWNLOADED,
    "name": ListOrder.NAME,
}
OWN = ("total", "unique")  # What the lines of the chart of a repository are.
WORDS = (("package", "packages"), ("version", "versions"))  # Of formats that have none.

space = Blueprint("space", "repoman_web", url_prefix="/admin/space")


@dataclass(frozen=True, slots=True)
class Bar:
    """What an owner uses, in bytes, and both parts of its bar in percent of the largest one."""

    size: int
    own_size: int
    shares: tuple[tuple[float, str], ...]


def bar_of(size: int, own_size: int, largest: int) -> Bar:
    """Return the bar of unique and shared bytes of an owner."""
    whole = largest or 1
    shared = size - own_size
    shares = ((round(100 * own_size / whole, 1), "is-1"), (round(100 * shared / whole, 1), "is-2"))
    return Bar(size, own_size, shares)


@space.get("")
@permission_needed("blobstores", "read")
def show() -> str:
    """Return where the disk space of the server went."""
    repoman = current_repoman()
    report = repoman.space.report(current_actor())
    usages = [each.usage for store in report.stores for each in store.repositories]
    largest = max((each.size for each in usages), default=0)
    freed = repoman.space.freed() if may_administer("tasks", "read") else []
    return render_template(
        "repoman/space.html",
        report=report,
        bars=lambda usage: bar_of(usage.size, usage.own_size, largest),
        freed=freed_tasks(freed) if freed else None,
        chart=growth_chart(repoman.overview.storage().days, STORED),
    )


# One repository -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PackageRow:
    """A package in the list, with the page about it, if there is one."""

    package: PackageView
    bar: Bar
    link: ComponentLink | None


@browse.get("/<repository>/space")
def of_repository(repository: str) -> str:
    """Return what takes space in a repository, and how that grew."""
    found = open_repository(repository)
    view = current_repoman().views.open(found, current_actor())
    usage = view.usage()
    if found.config.type is RepositoryType.GROUP or usage is None:
        raise NotFound(f"What {found.name} takes is told only to those who may see all of it.")
    query = read_list(tuple(ORDERS), PAGE_PACKAGES)
    order = ORDERS[query.order]
    asked = PackageQuery(order=order, is_descending=order is not ListOrder.NAME)
    page = view.packages(asked, ListRequest(query.rows, query.after))
    days = _days()
    grown = current_repoman().space.growth_of_repository(found.config.id, days)
    ui = list_reaching(found)[0].ui
    return render_template(
        "repoman/repository_space.html",
        repository=found,
        tab="space",
        usage=usage,
        query=query,
        rows=_rows(found, usage, page.items),
        older=query.older(page.next or ""),
        days=days,
        ranges=sorted(DAYS),
        chart=growth_chart([(each.at, each.size, each.part) for each in grown], OWN),
        has_packages=ui.packages is not None,
        words=(ui.packages or WORDS[0], ui.versions or WORDS[1]),
    )


def _rows(repository: Repository, usage: Usage, packages: list[PackageView]) -> list[PackageRow]:
    link = current_repoman().plugins.hook.repoman_web_component
    return [
        PackageRow(
            each,
            bar_of(each.size, each.own_size, usage.size),
            link(
                repository=repository,
                coordinate=Coordinate(each.kind, each.name, "", each.namespace),
            ),
        )
        for each in packages
    ]


def _days() -> int:
    asked = request.args.get("days", "")
    return int(asked) if asked in map(str, DAYS) else DAYS[0]
