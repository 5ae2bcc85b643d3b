"""Commands about the images of a repository; the same as its pages and the REST API show."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import click

from repoman.plugin import (
    MOMENT,
    Collector,
    Invalid,
    ListPage,
    Repoman,
    RepositoryView,
    Resource,
    collect,
    find_state,
    list_unneeded,
    pluralize,
    render_time,
    run_in_server,
    with_repoman,
)
from repoman_docker.browsing.collecting import (
    GRACE_HOURS,
    explain_keeping,
    options_now,
)
from repoman_docker.browsing.comparison import Change, compare
from repoman_docker.browsing.deleting import (
    DeletionPlan,
    ReferenceDeletion,
    delete_references,
    plan_deletion,
)
from repoman_docker.browsing.details import describe_image
from repoman_docker.browsing.histories import TagEvent, left_tags, tag_history
from repoman_docker.browsing.image_deletion import delete_image, plan_image_deletion
from repoman_docker.browsing.images import ImageOrder, ImageRow, list_images
from repoman_docker.browsing.layer_files import LISTS, find_layer
from repoman_docker.browsing.loading import load_image
from repoman_docker.browsing.opening import find_package, open_view
from repoman_docker.browsing.restoring import Past, plan_restoration, restore_tags
from repoman_docker.browsing.tags import TagOrder, TagQuery, TagRow, list_tags
from repoman_docker.protocol.image_config import Step
from repoman_docker.protocol.texts import one_line
from repoman_docker.tasks import AGE_MAX_HOURS, ALL, COLLECTION_TASK, collectors_of

Row = TypeVar("Row")

GC_MAX_S = 86_400.0  # A collection by a command ends after this time; the next one goes on.
PAGE_ITEMS = 200  # The items that a command reads at a time.
SIGNS = {Change.SAME: "=", Change.CHANGED: "~", Change.ADDED: "+", Change.REMOVED: "-"}

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the REST API does.")
FILTER = click.option("--filter", "text", default="", help="A part of the name; * is anything.")
LIMIT = click.option("--limit", type=click.IntRange(1), help="Show only so many. Default: all.")
PLATFORM = click.option("--platform", default="", help="Of an index, such as linux/arm64.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")


@click.group()
def docker() -> None:
    """List, show, compare, delete and restore the images of Docker repositories."""


def _open(repoman: Repoman, repository: str) -> RepositoryView:
    return open_view(repoman, repoman.repositories.get(repository), None)


@docker.command("images")
@click.argument("repository")
@FILTER
@click.option("--order", type=click.Choice([*map(str, ImageOrder)]), default="name")
@LIMIT
@AS_JSON
@with_repoman
def show_images(
    repoman: Repoman, repository: str, text: str, order: str, limit: int | None, as_json: bool
) -> None:
    """List the images of REPOSITORY: name, tags, bytes, last push."""
    view = _open(repoman, repository)

    def read(after: str, size: int) -> ListPage[ImageRow]:
        return list_images(view, text, ImageOrder(order), after, size)

    for each in _rows(read, limit):
        if as_json:
            from repoman_docker.routes.rest_models import ImageXO  # Others need no models.

            _print(ImageXO.model_validate(each, from_attributes=True))
        else:
            click.echo(f"{each.name}  {each.tags}  {each.size}  {render_time(each.pushed_at)}")


@docker.command("tags")
@click.argument("repository")
@click.argument("image")
@FILTER
@PLATFORM
@click.option("--order", type=click.Choice([*map(str, TagOrder)]), default="newest")
@LIMIT
@AS_JSON
@with_repoman
def show_tags(
    repoman: Repoman,
    repository: str,
    image: str,
    text: str,
    platform: str,
    order: str,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the tags of IMAGE: tag, digest, platforms, bytes, last push."""
    view = _open(repoman, repository)
    find_package(view, image)
    query = TagQuery(text, platform, TagOrder(order))

    def read(after: str, size: int) -> ListPage[TagRow]:
        return list_tags(view, image, query, after, size)

    for each in _rows(read, limit):
        if as_json:
            from repoman_docker.routes.rest_models import TagXO

            _print(TagXO.model_validate(each, from_attributes=True))
        else:
            platforms = ",".join(each.platforms) or each.kind
            size = "?" if each.size is None else each.size
            pushed = render_time(each.pushed_at)
            click.echo(f"{each.tag}  {each.digest}  {platforms}  {size}  {pushed}")


def _rows(read: Callable[[str, int], ListPage[Row]], limit: int | None) -> Iterator[Row]:
    """Yield the items of a list, a page at a time, up to a limit."""
    after: str | None = ""
    left = limit
    while after is not None and left != 0:
        page = read(after, PAGE_ITEMS if left is None else min(PAGE_ITEMS, left))
        yield from page.items
        left = left and left - len(page.items)
        after = page.next


@docker.command("show")
@click.argument("repository")
@click.argument("reference", metavar="IMAGE:TAG")
@PLATFORM
@AS_JSON
@with_repoman
def show(repoman: Repoman, repository: str, reference: str, platform: str, as_json: bool) -> None:
    """Show a tag, or IMAGE@DIGEST: platforms, layers with their steps, what is attached."""
    found = describe_image(_open(repoman, repository), *_parse(reference), platform)
    if as_json:
        from repoman_docker.routes.rest_models import manifest_xo

        _print(manifest_xo(found))
        return
    image = found.image
    click.echo(f"digest = {image.digest}")
    click.echo(f"kind = {image.kind}")
    for each in image.platforms:
        size = "not stored" if each.size is None else f"{each.size} bytes"
        click.echo(f"platform {each.platform} = {each.digest}, {size}")
    if found.same:
        click.echo(f"also = {', '.join(found.same)}")
    for layer in found.layers.rows:
        click.echo(f"layer {layer.digest}  {layer.size}  {_told(layer.step)}".rstrip())
    for attached in found.attachments:
        click.echo(f"attached {attached.digest}  {attached.type.name}, {attached.media_type}")


@docker.command("compare")
@click.argument("repository")
@click.argument("left", metavar="IMAGE:TAG")
@click.argument("right", metavar="IMAGE:TAG")
@PLATFORM
@AS_JSON
@with_repoman
def compare_images(
    repoman: Repoman, repository: str, left: str, right: str, platform: str, as_json: bool
) -> None:
    """Show what changes from one image to another: layers, and parts of the configuration."""
    view = _open(repoman, repository)
    found = compare(*(load_image(view, *_parse(each), platform) for each in (left, right)))
    if as_json:
        from repoman_docker.routes.rest_models import comparison_xo

        _print(comparison_xo(found))
        return
    for each in found.layers:
        layer = each.right or each.left
        digest = "" if layer is None else layer.digest
        click.echo(f"{SIGNS[each.change]} layer {digest}  {each.growth:+}  {_told(each.step)}")
    for value in found.values:
        click.echo(
            f"{SIGNS[value.change]} {value.what} {one_line(value.name)}: "
            f"{one_line(value.left)} -> {one_line(value.right)}"
        )
    click.echo(f"{found.download_size} bytes to download for who has {left}")


@docker.command("files")
@click.argument("repository")
@click.argument("image")
@click.argument("digest")
@AS_JSON
@with_repoman
def show_files(repoman: Repoman, repository: str, image: str, digest: str, as_json: bool) -> None:
    """List the files of the layer DIGEST of IMAGE: mode, owner, bytes, path."""
    view = _open(repoman, repository)
    found = LISTS.get(view, find_layer(view, image, digest))
    if as_json:
        from repoman_docker.routes.rest_models import LayerFilesXO

        _print(LayerFilesXO.model_validate(found, from_attributes=True))
        return
    for each in found.files:
        removed = "  (removed)" if each.is_removed else ""
        click.echo(f"{each.mode}  {each.owner}  {each.size}  {each.path}{removed}")
    if found.cut:
        click.echo(found.cut, err=True)


@docker.command("delete")
@click.argument("repository")
@click.argument("image")
@click.argument("references", metavar="TAG...", nargs=-1, required=True)
@DRY_RUN
@with_repoman
def delete(
    repoman: Repoman, repository: str, image: str, references: tuple[str, ...], dry_run: bool
) -> None:
    """Delete tags, or digests, of IMAGE; a manifest goes with its last tag.

    The exit status is 1 if any of them is kept.
    """
    view = _open(repoman, repository)
    act = plan_deletion if dry_run else delete_references
    plan = act(view, image, references)
    _tell_deletion(plan, "would delete" if dry_run else "deleted", _when_freed(view))
    _tell_kept({each.reference: each.stays_because for each in plan.rows})


def _tell_deletion(plan: DeletionPlan, verb: str, when: str) -> None:
    for each in plan.going:
        if each.is_digest:
            click.echo(f"{verb} {each.reference}")
        elif each.image_goes:
            click.echo(f"{verb} {each.reference} with its manifest")
        else:
            click.echo(f"{verb} {each.reference}, not its manifest, {_why_kept(each)}")
    click.echo(
        f"{pluralize(len(plan.images), 'manifest')}, "
        f"{pluralize(len(plan.attachments), 'attached thing')}; "
        f"frees {plan.freed_size} of {plan.size} bytes {when}"
    )


def _tell_kept(reasons: Mapping[str, str]) -> None:
    """Say what was kept, and why, and end with the status 1; nothing has an empty reason."""
    kept = {what: reason for what, reason in reasons.items() if reason}
    for what, reason in kept.items():
        click.echo(f"kept {what}: {reason}", err=True)
    if kept:
        click.get_current_context().exit(1)


def _why_kept(row: ReferenceDeletion) -> str:
    """Return why the manifest of a tag stays."""
    if row.is_listed:
        return "which an index lists"
    if row.other_tags:
        return f"which stays as {', '.join(row.other_tags)}"
    return "which other tags have" if row.is_tagged_elsewhere else "which you may not delete"


def _when_freed(view: RepositoryView) -> str:
    """Return when deletions free their bytes, and until when they can be undone."""
    days = view.repository.capabilities.undo_days
    if not days:
        return "once unused layers are removed; this cannot be undone"
    return f"after {pluralize(days, 'day')}; it can be restored until then"


@docker.command("delete-image")
@click.argument("repository")
@click.argument("image")
@DRY_RUN
@with_repoman
def delete_whole(repoman: Repoman, repository: str, image: str, dry_run: bool) -> None:
    """Delete IMAGE with all its tags and manifests.

    The exit status is 1 if it is kept.
    """
    view = _open(repoman, repository)
    plan = (plan_image_deletion if dry_run else delete_image)(view, image)
    _tell_kept({image: plan.refusal})
    click.echo(
        f"{'would delete' if dry_run else 'deleted'} {image} with {pluralize(plan.tags, 'tag')} "
        f"and all manifests; frees {plan.freed_size} of {plan.size} bytes {_when_freed(view)}"
    )


@docker.group()
def tag() -> None:
    """Show what tags were, and restore them."""


@tag.command("history")
@click.argument("repository")
@click.argument("reference", metavar="[IMAGE[:TAG]]", default="")
@LIMIT
@AS_JSON
@with_repoman
def show_history(
    repoman: Repoman, repository: str, reference: str, limit: int | None, as_json: bool
) -> None:
    """Show what happened to a tag, or the moves and deletions of an image or of all, newest first.

    As far back as content events are kept: time, image and tag, what, digests, who, by what.
    """
    view = _open(repoman, repository)
    image, tag_name = _parse_image(reference)

    def read(after: str, size: int) -> ListPage[TagEvent]:
        if tag_name:
            return tag_history(view, image, tag_name, after, size)
        return left_tags(view, image or None, after, size)

    for each in _rows(read, limit):
        if as_json:
            from repoman_docker.routes.rest_tags import event_xo

            _print(event_xo(each))
        else:
            digests = f"{each.old or '-'} -> {each.new or '-'}"
            told = f"{each.name}:{each.tag}  {each.what}  {digests}  {each.actor}  {each.source}"
            click.echo(f"{render_time(each.at)}  {told}")


@tag.command("restore")
@click.argument("repository")
@click.argument("reference", metavar="[IMAGE[:TAG]]", default="")
@click.option("--at", type=MOMENT, help="As they were at this time (UTC).")
@click.option("--digest", default="", help="The manifest to which the tag should lead.")
@click.option("--dry-run", is_flag=True, help="Only say what would be restored.")
@with_repoman
def restore(
    repoman: Repoman,
    repository: str,
    reference: str,
    at: datetime | None,
    digest: str,
    dry_run: bool,
) -> None:
    """Restore a tag that was moved or deleted: as it was before its last change, or as you say.

    With --at and without a tag: all tags of IMAGE, or of REPOSITORY, that have changed since. What
    is new since then stays. The exit status is 1 if any tag is kept as it is.
    """
    view = _open(repoman, repository)
    begin = None if at is None else at.replace(tzinfo=UTC).timestamp()
    past = Past(*_parse_image(reference), begin, digest)
    found = (plan_restoration if dry_run else restore_tags)(view, past)
    verb = "would restore" if dry_run else "restored"
    for each in found.going:
        was = each.old or "deleted"
        click.echo(f"{verb} {each.name}:{each.tag} to {each.new} (was {was})")
    click.echo(f"{len(found.going)} of {len(found.changes)} tags")
    if not found.is_complete:
        click.echo("There are more. Restore again.", err=True)
    _tell_kept({f"{each.name}:{each.tag}": each.refusal for each in found.changes})


def _parse_image(text: str) -> tuple[str, str]:
    """Return image and tag of ``IMAGE:TAG``, either of which may be missing."""
    image, _, tag_name = text.partition(":")
    return image, tag_name


def _parse(text: str) -> tuple[str, str]:
    """Return image and reference of ``IMAGE:TAG`` or ``IMAGE@DIGEST`` (Invalid)."""
    image, mark, reference = text.partition("@")
    if not mark:
        image, mark, reference = text.rpartition(":")
    if not image or not reference:
        raise Invalid(f"{text}: write it as IMAGE:TAG or IMAGE@DIGEST.")
    return image, reference


def _told(step: Step | None) -> str:
    return "" if step is None else f"{step.verb} {step.text}".strip()


def _print(resource: Resource) -> None:
    click.echo(resource.model_dump_json())


@docker.command("gc")
@click.argument("repository", required=False)
@click.option("--dry-run", is_flag=True, help="Only say what would go, and why.")
@click.option(
    "--age",
    type=click.IntRange(1, AGE_MAX_HOURS),
    default=GRACE_HOURS,
    help="The grace in hours. Default: 24.",
)
@with_repoman
def gc(repoman: Repoman, repository: str | None, dry_run: bool, age: int) -> None:
    """Delete what nothing can reach any more in REPOSITORY; default: in all hosted ones.

    A running server does it, as a task, since only it knows what was pulled a moment ago.
    """
    collectors = collectors_of(repoman.repositories.all(), repository or ALL)
    if not dry_run:
        settings = {"repository": repository or ALL, "age": age}
        where = repository or "all repositories"
        title = f"Delete unused content of {where} after {pluralize(age, 'hour')}"
        if not run_in_server(repoman, COLLECTION_TASK, title, settings):
            _collect_here(repoman, collectors, age)
        return
    count = size = 0
    for name, collector in collectors:
        for each in list_unneeded(collector, options_now(age, is_dry=True)):
            click.echo(f"{name}  {each.kind}  {each.title}  frees {each.freed}: {each.reason}")
            count, size = count + 1, size + each.freed
        state = find_state(collector.repository_id)
        if state.reclaimable_count:
            click.echo(
                f"{name}  reclaimable by a rule (docker.untagged_days): "
                f"{pluralize(state.reclaimable_count, 'untagged manifest')}, at least "
                f"{state.reclaimable_size} bytes"
            )
    click.echo(f"would delete {pluralize(count, 'asset')}; frees {size} bytes")


def _collect_here(repoman: Repoman, collectors: list[tuple[str, Collector]], age: int) -> None:
    """Collect in this process; no server can start meanwhile (Conflict: one just did)."""
    with repoman.blob_stores.locked_exclusively():
        result = collect(collectors, options_now(age), _Watcher(), GC_MAX_S)
    click.echo(result.text or "There is nothing to delete.")


class _Watcher:
    """Prints the log of a collection without a server."""

    def flush_pulls(self) -> None:
        """Do nothing: nobody pulls, and a server wrote its pulls when it ended."""

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Do nothing."""

    def log(self, text: str) -> None:
        """Print a line."""
        click.echo(text)

    def pause(self, seconds: float) -> None:
        """Let others write."""
        time.sleep(seconds)

    def freed(self, size: int) -> None:
        """Do nothing: the result tells it."""


@docker.command("why")
@click.argument("repository")
@click.argument("digest", metavar="[IMAGE@]DIGEST")
@with_repoman
def why(repoman: Repoman, repository: str, digest: str) -> None:
    """Say why a manifest or a blob is kept: what needs it, and until when."""
    image, _, digest = digest.rpartition("@")
    for each in explain_keeping(_open(repoman, repository), image, digest):
        until = f" Until {render_time(each.until)}." if each.until else ""
        click.echo(f"{each.title}: {each.reason}{until}")
