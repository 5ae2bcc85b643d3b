"""Commands about what repositories contain: components, assets, and searches."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from repoman.catalog.contents import Entry, render_id
from repoman.catalog.distinct_versions import DistinctVersion, VersionOrder, sort_versions
from repoman.catalog.folders import FILES_MAX, delete_folder, examine_folder
from repoman.catalog.model import AssetView, Page, PageRequest
from repoman.catalog.search_terms import SORTS, Terms
from repoman.cli.common import parse_assignments, render_time, with_repoman
from repoman.core import Repoman
from repoman.printable import pluralize
from repoman.repositories.component_upload import UploadedFile

PAGE_ITEMS = 200  # The items that a command reads at a time.
READ_BYTES = 1 << 20  # The bytes of a file that a command reads at a time.

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
LIMIT = click.option(
    "--limit", type=click.IntRange(1), help="Show only so many of them. Default: all."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line.")


@click.group()
def component() -> None:
    """List, show, upload and delete components."""


@component.command("list")
@click.argument("repository")
@LIMIT
@AS_JSON
@with_repoman
def list_components(repoman: Repoman, repository: str, limit: int | None, as_json: bool) -> None:
    """List the components of REPOSITORY, or of the members of a group, with their ids."""
    found = repoman.repositories.get(repository)
    pages = _pages(lambda page: repoman.contents.components(found, page, None), limit)
    for each in pages:
        _print_entry(each, as_json=as_json)


@component.command("show")
@click.argument("id_", metavar="ID")
@with_repoman
def show_component(repoman: Repoman, id_: str) -> None:
    """Show a component and its assets as JSON."""
    click.echo(json.dumps(_entry(repoman.contents.component(id_, None)), indent=2))


@component.command("delete")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@with_repoman
def delete_components(repoman: Repoman, ids: tuple[str, ...]) -> None:
    """Delete components with their assets. The write policy of their repositories applies."""
    repositories = []
    for id_ in ids:
        entry = repoman.contents.delete_component(id_, None)
        click.echo(f"deleted {_named(entry)} from {entry.view.repository}")
        repositories.append(entry.view.repository)
    _tell_notes(repoman, repositories)


@component.command("upload")
@click.argument("repository")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of the component, such as directory=/docs. Can be repeated.",
)
@with_repoman
def upload_component(
    repoman: Repoman, repository: str, files: tuple[Path, ...], fields: tuple[str, ...]
) -> None:
    """Upload FILEs as a component of the hosted REPOSITORY: all of them, or none.

    The name of each file is its field 'filename'.
    """
    target = repoman.repositories.get(repository)
    repoman.uploads.check(target, None)
    with ExitStack() as stack:
        sent = []
        texts = {name: [str(value)] for name, value in parse_assignments(fields).items()}
        for number, path in enumerate(files, 1):
            name = "asset" if len(files) == 1 else f"asset{number}"
            texts.setdefault(f"{name}.filename", [path.name])
            with path.open("rb") as file:
                upload = stack.enter_context(repoman.uploads.open_file(target, name))
                while data := file.read(READ_BYTES):
                    upload.write(data)
            sent.append((name, UploadedFile(upload, path.name)))
        repoman.uploads.store(target, texts, sent, None)
    click.echo(f"Uploaded {pluralize(len(files), 'file')} to {target.name}.")


@click.group()
def asset() -> None:
    """List, show and delete assets, the files of components."""


@asset.command("list")
@click.argument("repository")
@LIMIT
@AS_JSON
@with_repoman
def list_assets(repoman: Repoman, repository: str, limit: int | None, as_json: bool) -> None:
    """List the assets of REPOSITORY, or of the members of a group, with their ids."""
    found = repoman.repositories.get(repository)
    for each in _pages(lambda page: repoman.contents.assets(found, page, None), limit):
        _print_asset(each, as_json=as_json)


@asset.command("tree")
@click.argument("repository")
@click.argument("directory", default="")
@LIMIT
@with_repoman
def list_directory(repoman: Repoman, repository: str, directory: str, limit: int | None) -> None:
    """List what is in DIRECTORY (default: the top) of REPOSITORY, or of the members of a group.

    Directories end with a slash.
    """
    found = repoman.repositories.get(repository)
    browse = repoman.contents.browse
    for each in _pages(lambda page: browse(found, directory, page, None), limit):
        size = "" if each.asset is None else each.asset.size
        click.echo(f"{size:>12}  {each.path}")


@asset.command("show")
@click.argument("id_", metavar="ID")
@with_repoman
def show_asset(repoman: Repoman, id_: str) -> None:
    """Show an asset as JSON."""
    click.echo(json.dumps(_asset(repoman.contents.asset(id_, None)), indent=2))


@asset.command("delete")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@with_repoman
def delete_assets(repoman: Repoman, ids: tuple[str, ...]) -> None:
    """Delete assets. The write policy of their repositories applies."""
    repositories = []
    for id_ in ids:
        found = repoman.contents.delete_asset(id_, None)
        click.echo(f"deleted {found.path} from {found.repository}")
        repositories.append(found.repository)
    _tell_notes(repoman, repositories)


def _tell_notes(repoman: Repoman, repositories: list[str]) -> None:
    """Say what else goes or stays with what was deleted."""
    found = map(repoman.repositories.find, dict.fromkeys(repositories))
    notes = [each.capabilities.deletion_note for each in found if each is not None]
    for note in dict.fromkeys(filter(None, notes)):
        click.echo(note)


@asset.command("delete-folder")
@click.argument("repository")
@click.argument("folder")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_repoman
def delete_files_in_folder(repoman: Repoman, repository: str, folder: str, yes: bool) -> None:
    """Delete all files in FOLDER of REPOSITORY and in the folders in it."""
    found = repoman.repositories.get(repository)
    content = examine_folder(repoman.contents, found, folder, None)
    if not yes:
        count = f"more than {FILES_MAX:,}" if content.is_too_large else f"{content.count:,}"
        click.confirm(f"Delete {count} files in {folder} of {found.name}?", abort=True)
    result = delete_folder(repoman.contents, found, folder, None, has_limit=False)
    click.echo(f"deleted {pluralize(result.deleted, 'file')} in {folder} from {found.name}")
    _tell_notes(repoman, [found.name])
    for path, reason in result.staying:
        click.echo(f"kept {path}: {reason}", err=True)
    if (more := result.staying_count - len(result.staying)) > 0:
        click.echo(f"kept {pluralize(more, 'other file')}", err=True)


@click.command()
@click.argument("terms", metavar="NAME=VALUE...", nargs=-1)
@click.option("--sort", type=click.Choice(list(SORTS)), help="The order of what is found.")
@click.option(
    "--direction",
    type=click.Choice(["asc", "desc"]),
    help="The direction of the order. Default: desc for versions, otherwise asc.",
)
@click.option("--assets", "wants_assets", is_flag=True, help="Find assets instead of components.")
@click.option(
    "--versions",
    "wants_versions",
    is_flag=True,
    help="List the distinct versions of what is found, and the repositories that have each.",
)
@LIMIT
@AS_JSON
@with_repoman
def search(
    repoman: Repoman,
    terms: tuple[str, ...],
    sort: str | None,
    direction: str | None,
    wants_assets: bool,
    wants_versions: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """Search for components, as the REST API does, such as name='team/*' version=1.0.

    All terms must match. The names are q, repository, format, group, name, version, prerelease,
    md5, sha1, sha256, sha512 and those of formats; * stands for any characters and ? for one.
    """
    pairs = tuple(pair for each in terms for pair in parse_assignments((each,)).items())
    wanted = Terms(
        tuple((name, str(value)) for name, value in pairs),
        sort or "",
        None if direction is None else direction == "desc",
    )
    contents = repoman.contents
    if wants_versions:
        if wants_assets or sort:
            raise click.UsageError("--versions goes with neither --assets nor --sort.")
        found = contents.versions(wanted, None)
        is_descending = direction != "asc"
        for each in sort_versions(found, VersionOrder.VERSION, is_descending=is_descending)[:limit]:
            _print_version(each, as_json=as_json)
        return
    if wants_assets:
        for each in _pages(lambda page: contents.search_assets(wanted, page, None), limit):
            _print_asset(each, as_json=as_json)
        return
    for entry in _pages(lambda page: contents.search(wanted, page, None), limit):
        _print_entry(entry, as_json=as_json)


def _pages(read: Callable[[PageRequest], Page[Any]], limit: int | None) -> Iterator[Any]:
    """Yield the items of all pages, up to a limit."""
    after: str | None = ""
    count = 0
    while after is not None:
        page = read(PageRequest(PAGE_ITEMS, after))
        for each in page.items:
            if count == limit:
                return
            yield each
            count += 1
        after = page.next


def _print_entry(entry: Entry, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_entry(entry)))
        return
    stored = render_time(entry.view.updated_at)
    click.echo(f"{render_id(entry.view)}  {entry.view.repository:<20} {stored}  {_named(entry)}")


def _print_asset(found: AssetView, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_asset(found)))
        return
    click.echo(f"{render_id(found)}  {found.repository:<20} {found.size:>12}  {found.path}")


def _print_version(found: DistinctVersion, *, as_json: bool) -> None:
    names = sorted(found.repositories)
    if as_json:
        told = {"version": found.version, "updated_at": found.updated_at, "repositories": names}
        click.echo(json.dumps(told))
        return
    click.echo(f"{render_time(found.updated_at)}  {found.version:<30} {', '.join(names)}")


def _named(entry: Entry) -> str:
    return ":".join(each for each in (entry.shown.name, entry.shown.version) if each)


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": render_id(entry.view),
        "repository": entry.view.repository,
        "format": entry.view.format,
        "group": entry.shown.namespace,
        "name": entry.shown.name,
        "version": entry.shown.version,
        "assets": [_asset(each) for each in entry.assets],
    }


def _asset(found: AssetView) -> dict[str, Any]:
    inner = ("id", "repository_id", "address", "kind", "stored_path", "component", "package")
    told = {name: value for name, value in asdict(found).items() if name not in inner}
    return {"id": render_id(found), **told}
