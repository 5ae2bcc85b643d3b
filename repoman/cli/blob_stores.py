"""Commands about blob stores; a running server applies the changes within seconds."""

import json
import os
from dataclasses import asdict

import click

from repoman.cli.common import AS_JSON, LOWEST_PRIORITY, print_details, with_repoman
from repoman.compaction import Unwatched
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.printable import pluralize
from repoman.stores.model import Quota, QuotaKind, StoreState
from repoman.stores.orphans import OrphanCount
from repoman.verification import DamagedBlob

USED = click.option(
    "--used-quota",
    type=click.IntRange(min=0),
    metavar="BYTES",
    help="Warn when more bytes are used.",
)
REMAINING = click.option(
    "--remaining-quota",
    type=click.IntRange(min=0),
    metavar="BYTES",
    help="Warn when fewer bytes are free.",
)
HARD = click.option(
    "--hard-quota",
    type=click.IntRange(min=0, max=2**63 - 1),
    metavar="BYTES",
    help="Refuse whatever goes beyond so many used bytes.",
)


@click.group()
def blobstore() -> None:
    """List, examine, create, change and delete blob stores."""


@blobstore.command("list")
@AS_JSON
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the blob stores with their sizes, paths and quotas.

    The exit status is 1 if one of them cannot be used.
    """
    states = repoman.stores.states()
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in states], indent=2))
    else:
        width = max(len(each.info.name) for each in states)
        for state in states:
            click.echo(f"{state.info.name:<{width}}  {_line_of(state)}")
    if any(state.problem for state in states):
        click.get_current_context().exit(1)


@blobstore.command()
@click.argument("name")
@AS_JSON
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the blob store NAME: its size, its path, its quotas, and how its blobs are."""
    state, last = repoman.stores.state(name), repoman.verifier.last(name)
    verified = None
    if last is not None:
        verified = {key: value for key, value in asdict(last).items() if key != "after"}
    more = {
        "reclaimable": state.usage.reclaimable,
        "temporary": repoman.stores.temporary_bytes(name),
        "damaged": repoman.verifier.count_damages().get(name, 0),
        "verification": verified,
    }
    print_details({**_as_json(state), **more}, as_json=as_json)


@blobstore.command()
@click.argument("name")
@AS_JSON
@with_repoman
def damaged(repoman: Repoman, name: str, as_json: bool) -> None:
    """List the damaged and missing blobs of NAME that the last verifications found.

    The exit status is 1 if there are any.
    """
    repoman.stores.get(name)
    count, after = 0, ""
    while found := repoman.verifier.damages(name, after):
        for each in found:
            click.echo(_damaged_line(each, as_json=as_json))
        count, after = count + len(found), found[-1].damage.digest
    if not as_json:
        click.echo(f"{pluralize(count, 'damaged blob')}.", err=True)
    if count:
        click.get_current_context().exit(1)


def _damaged_line(each: DamagedBlob, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({**asdict(each.damage), "places": [one._asdict() for one in each.places]})
    places = [f"    {place.repository}: {place.path}" for place in each.places]
    return "\n".join([f"sha256:{each.damage.digest} {each.damage.problem}", *places])


@blobstore.command()
@click.argument("name")
@click.option("--adopt", is_flag=True, help="Count them as reclaimable, for compaction to free.")
@click.option("--remove", is_flag=True, help="Remove them.")
@with_repoman
def orphans(repoman: Repoman, name: str, adopt: bool, remove: bool) -> None:
    """List the files of NAME that the database does not know; nothing is changed by default.

    A crash leaves such files, or a database that is older than the blob store. An adopted file is
    freed by compaction unless the same bytes are stored first. The server may be running.
    """
    if adopt and remove:
        raise Invalid("Give one of --adopt and --remove.")
    os.nice(LOWEST_PRIORITY)
    count = OrphanCount()
    if adopt or remove:
        work = repoman.orphans.adopt if adopt else repoman.orphans.remove
        count = work(name, Unwatched())
    else:
        for each in repoman.orphans.find(name, Unwatched()):
            click.echo(f"sha256:{each.digest}  {each.size:,} bytes")
            count = count.plus([each])
    verb = "Adopted" if adopt else "Removed" if remove else "Found"
    click.echo(f"{verb} {pluralize(count.files, 'unknown file')}, {count.size:,} bytes.", err=True)


@blobstore.command()
@click.argument("name")
@click.argument("path", required=False)
@USED
@REMAINING
@HARD
@with_repoman
def create(
    repoman: Repoman,
    name: str,
    path: str | None,
    used_quota: int | None,
    remaining_quota: int | None,
    hard_quota: int | None,
) -> None:
    """Create the blob store NAME in the directory PATH, which is empty or does not exist.

    A relative PATH is below 'blobs' in the data directory. Default: NAME.
    """
    quota = _quota(used_quota, remaining_quota)
    repoman.stores.create(name, name if path is None else path, quota, hard_quota=hard_quota)
    click.echo(f"Created the blob store {name}.")


@blobstore.command("set")
@click.argument("name")
@USED
@REMAINING
@click.option("--no-quota", is_flag=True, help="Remove the soft quota.")
@HARD
@click.option("--no-hard-quota", is_flag=True, help="Remove the hard quota.")
@with_repoman
def set_(
    repoman: Repoman,
    name: str,
    used_quota: int | None,
    remaining_quota: int | None,
    no_quota: bool,
    hard_quota: int | None,
    no_hard_quota: bool,
) -> None:
    """Set or remove the quotas of the blob store NAME.

    Beyond a soft quota there are warnings; beyond the hard quota nothing more is stored.
    """
    quota = _quota(used_quota, remaining_quota)
    soft = "--used-quota, --remaining-quota and --no-quota"
    hard = "--hard-quota and --no-hard-quota"
    _check_one(soft, no_quota, quota is not None)
    _check_one(hard, no_hard_quota, hard_quota is not None)
    if not (no_quota or quota or no_hard_quota or hard_quota is not None):
        raise Invalid(f"Give one of {soft}, or one of {hard}.")
    if no_quota or quota is not None:
        repoman.stores.change(name, None, quota)
    if no_hard_quota or hard_quota is not None:
        repoman.stores.limit(name, hard_quota)
    click.echo(f"Updated the blob store {name}.")


@blobstore.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the blob store NAME, which no repository uses, with the files in it."""
    if not yes:
        click.confirm(f"Delete the blob store {name} with its files?", abort=True)
    repoman.stores.delete(name)
    click.echo(f"Deleted the blob store {name}.")


def _check_one(options: str, *given: bool) -> None:
    """Return if at most one of some options was given (Invalid)."""
    if sum(given) > 1:
        raise Invalid(f"Give one of {options}.")


def _quota(used: int | None, remaining: int | None) -> Quota | None:
    given = [(QuotaKind.USED, used), (QuotaKind.REMAINING, remaining)]
    quotas = [Quota(kind, limit) for kind, limit in given if limit is not None]
    if len(quotas) > 1:
        raise Invalid("A blob store has one soft quota: --used-quota or --remaining-quota.")
    return quotas[0] if quotas else None


def _line_of(state: StoreState) -> str:
    info, usage = state.info, state.usage
    parts = [f"{pluralize(usage.blobs, 'blob')}, {usage.size:,} bytes", info.path or info.type]
    if info.quota is not None:
        parts.append(f"quota {info.quota}")
    if info.hard_quota is not None:
        parts.append(f"hard quota {info.hard_quota}")
    told = state.problem or state.refusal or state.violation
    return "; ".join([*parts, told] if told else parts)


def _as_json(state: StoreState) -> dict[str, object]:
    info = asdict(state.info)
    sums = {"blobs": state.usage.blobs, "size": state.usage.size, "free": state.free}
    told = {"problem": state.problem, "violation": state.violation, "refusal": state.refusal}
    return {**info, **sums, **told}
