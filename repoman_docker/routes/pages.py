"""The pages about images: lists, one image, its layers, comparisons.

The addresses are ``/browse/REPOSITORY/images`` and ``/browse/REPOSITORY/image/NAME``; what belongs
to an image is behind ``/-/``, as no part of a name is a hyphen.
"""

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from repoman.plugin import (
    READING,
    Action,
    CollectionState,
    Coordinate,
    Invalid,
    NotFound,
    PackageView,
    Repository,
    RepositoryType,
    RepositoryView,
    content_repository,
    current_actor,
    current_repoman,
    find_state,
    list_reaching,
    read_list,
)
from repoman_docker.browsing import opening
from repoman_docker.browsing.comparison import compare
from repoman_docker.browsing.details import describe_image
from repoman_docker.browsing.images import ImageOrder, list_images
from repoman_docker.browsing.layer_files import (
    ENTRIES_MAX,
    LISTS,
    LayerFile,
    check_readable,
    find_layer,
)
from repoman_docker.browsing.loading import LoadedImage, load_image
from repoman_docker.browsing.opening import find_package
from repoman_docker.browsing.reading import READER
from repoman_docker.browsing.snippets import pull_commands
from repoman_docker.browsing.space import space_of
from repoman_docker.browsing.tags import (
    PAGE_TAGS,
    TagOrder,
    TagQuery,
    TagRow,
    list_tags,
    list_untagged,
    newest_tag,
)
from repoman_docker.layout import image, tagged
from repoman_docker.protocol.reference import Tag

MANIFEST_SHOWN_MAX_BYTES = 1 << 19  # A longer manifest is not shown as text.
PAGE = "page"  # The source of what visitors change.
FILES_SHOWN = 500  # Files of a layer on one page.
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64")  # To choose from.
PLACEHOLDER = "HOST:PORT"  # In commands, where no connector reaches the repository.


class ImageName(BaseConverter):
    """An image name in an address: parts, none of which is a hyphen."""

    regex = r"[^/]+(?:/(?!-(?:/|$))[^/]+)*"
    part_isolating = False


pages = Blueprint(
    "docker_pages",
    "repoman_docker",
    url_prefix="/browse/<repository>",
    template_folder="templates",
)


@pages.record_once
def _know_names(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["image"] = ImageName


def open_view(name: str, actions: frozenset[Action] = READING) -> RepositoryView:
    """Return a Docker repository as the visitor sees it.

    Raises:
        Unauthenticated, NotFound: there is none, or the visitor may not know.
        Denied: the visitor may see nothing in it.
    """
    return opening.open_view(current_repoman(), content_repository(name), current_actor(), actions)


def host_of(repository: Repository) -> str:
    """Return host and port by which clients reach a repository, with HTTPS if they can."""
    return address_of(repository).partition("://")[2] or PLACEHOLDER


def address_of(repository: Repository) -> str:
    """Return the address for clients, with HTTPS if there is one; empty: there is none."""
    urls = [url for each in list_reaching(repository) for url in each.urls]
    return min(urls, key=lambda url: not url.startswith("https:"), default="")


def may_delete(view: RepositoryView, coordinate: Coordinate) -> bool:
    """Return whether the visitor may delete something, and the repository can."""
    can = view.repository.capabilities.delete_component is not None
    return can and view.may(Action.DELETE, coordinate)


# Lists --------------------------------------------------------------------------------------------


@pages.get("/images")
def images(repository: str) -> str:
    """Return the images of a repository."""
    view = open_view(repository, opening.LISTING)
    query = read_list(orders=tuple(ImageOrder), rows=PAGE_TAGS)
    order = ImageOrder(query.order)
    page = list_images(view, query.filter, order, query.after, query.rows)
    return render_template(
        "docker/images.html",
        repository=view.repository,
        tab="images",
        images=page.items,
        largest=max((each.size for each in page.items), default=0),
        query=query,
        older=query.older(page.next or ""),
        host=host_of(view.repository),
        may_edit=current_repoman().security.authorizer.may_configure(
            current_actor(), view.repository.ref, Action.EDIT
        ),
        deletable=lambda each: may_delete(view, image(each.name)),
        reclaimable=_reclaimable(view),
    )


def _reclaimable(view: RepositoryView) -> CollectionState | None:
    """Return what the last collection found that only a rule can remove, for who may collect."""
    collector = view.repository.capabilities.collector
    if collector is None or not view.may_everywhere(Action.DELETE):
        return None
    return find_state(collector.repository_id)


@pages.get("/image/<image:name>")
def show(repository: str, name: str) -> str:
    """Return the tags of an image."""
    view = open_view(repository, opening.LISTING)
    package = find_package(view, name)
    query = read_list(orders=tuple(TagOrder), rows=PAGE_TAGS)
    platform = request.args.get("platform", "")
    asked = TagQuery(query.filter, platform, TagOrder(query.order))
    page = list_tags(view, name, asked, query.after, query.rows)
    newest = newest_tag(view, name)
    return render_template(
        "docker/image.html",
        **_about(view, name, package),
        tags=page.items,
        query=query,
        platform=platform,
        platforms=dict.fromkeys((*PLATFORMS, *([platform] if platform else []))),
        older=query.older(page.next or ""),
        newest=newest,
        deletable=lambda each: may_delete(view, tagged(name, Tag(each.tag))),
        section="tags",
    )


@pages.get("/image/<image:name>/-/untagged")
def untagged(repository: str, name: str) -> str:
    """Return the manifests of an image that have no tag."""
    view = open_view(repository, opening.LISTING)
    package = find_package(view, name)
    query = read_list(rows=PAGE_TAGS)
    page = list_untagged(view, name, query.after, query.rows)
    return render_template(
        "docker/untagged.html",
        **_about(view, name, package),
        rows=page.items,
        query=query,
        older=query.older(page.next or ""),
        deletable=lambda each: may_delete(view, tagged(name, Tag(each.digest))),
        section="untagged",
    )


def _about(view: RepositoryView, name: str, package: PackageView) -> dict[str, Any]:
    told = view.descriptions([package])
    return {
        "repository": view.repository,
        "name": name,
        "package": package,
        "description": next(iter(told.values()), ""),
        "host": host_of(view.repository),
        "may_delete_image": may_delete(view, image(name)),
        "is_group": view.repository.config.type is RepositoryType.GROUP,
    }


# One image ----------------------------------------------------------------------------------------


@pages.get("/image/<image:name>/-/tags/<reference>")
@pages.get("/image/<image:name>/-/tags/<reference>/<any(config,attached,manifest):section>")
def tag(repository: str, name: str, reference: str, section: str = "layers") -> str:
    """Return the page about a tag."""
    if ":" in reference:
        raise NotFound(f"{reference} is not a tag.")
    return _image_page(repository, name, reference, section)


@pages.get("/image/<image:name>/-/digests/<reference>")
@pages.get("/image/<image:name>/-/digests/<reference>/<any(config,attached,manifest):section>")
def digest(repository: str, name: str, reference: str, section: str = "layers") -> str:
    """Return the page about a manifest."""
    if ":" not in reference:
        raise NotFound(f"{reference} is not a digest.")
    return _image_page(repository, name, reference, section)


def _image_page(repository: str, name: str, reference: str, section: str) -> str:
    view = open_view(repository)
    platform = request.args.get("platform", "")
    found = describe_image(view, name, reference, platform)
    loaded = found.image
    may_read = view.may(Action.READ, tagged(name, Tag(reference)))
    host = host_of(view.repository)
    shown = f"{name}:{loaded.tag}" if loaded.tag else name
    return render_template(
        f"docker/tag_{section}.html",
        repository=view.repository,
        name=name,
        reference=reference,
        section=section,
        found=found,
        image=loaded,
        space=space_of(
            loaded.repository_id, name, Tag(loaded.tag) if loaded.tag else loaded.digest
        ),
        platform=platform,
        url=_urls_of(repository, name, reference, platform),
        pulls=pull_commands(host, shown, str(loaded.digest), loaded.kind),
        host=host,
        deletable=may_delete(view, tagged(name, Tag(reference))),
        may_ask_why=view.repository.capabilities.collector is not None,
        manifest=_manifest_text(view, loaded) if section == "manifest" and may_read else "",
        total=sum(each.size for each in found.layers.rows) or 1,
    )


def _urls_of(repository: str, name: str, reference: str, platform: str) -> Callable[..., str]:
    """Return what makes the addresses of the pages about one image."""
    endpoint = "docker_pages.digest" if ":" in reference else "docker_pages.tag"

    def url(section: str = "layers", **changes: str) -> str:
        values = {"repository": repository, "name": name, "reference": reference}
        shown = {} if section == "layers" else {"section": section}
        wanted = {"platform": platform, **changes}
        kept = {key: value for key, value in wanted.items() if value}
        parameters: dict[str, Any] = {**values, **shown, **kept}
        return url_for(endpoint, **parameters)

    return url


def _manifest_text(view: RepositoryView, loaded: LoadedImage) -> str:
    """Return the manifest as people read it; empty if it is not stored, or too long."""
    stored = loaded.image or loaded.entry
    body = READER.body(view, stored, MANIFEST_SHOWN_MAX_BYTES)
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False) if body else ""
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode()


@pages.get("/image/<image:name>/-/layers/<digest>")
def layer(repository: str, name: str, digest: str) -> str:
    """Return the files of a layer."""
    view = open_view(repository)
    stored = find_layer(view, name, digest)
    reference = request.args.get("reference", "")
    place = _layer_of(view, name, reference, request.args.get("platform", ""), digest)
    problem, files = "", None
    try:
        check_readable(place["media_type"])
        files = LISTS.get(view, stored)
    except Invalid as error:
        problem = str(error)
    query = read_list(orders=("path", "size"), rows=FILES_SHOWN)
    shown, older = _files(files.files if files else (), query)
    return render_template(
        "docker/layer.html",
        repository=view.repository,
        name=name,
        digest=digest,
        stored=stored,
        layer=place,
        files=files,
        shown=shown,
        problem=problem,
        query=query,
        older=older,
        entries_max=ENTRIES_MAX,
    )


def _files(files: tuple[LayerFile, ...], query: Any) -> tuple[list[LayerFile], str]:
    """Return the files of a page, and the address of the next one; ``after`` is a number here.

    The list is in memory and never changes.
    """
    found = [each for each in files if query.filter.lower() in each.path.lower()]
    if query.order == "size":
        found.sort(key=lambda each: -each.size)
    start = int(query.after) if query.after.isdecimal() and len(query.after) < 7 else 0
    end = start + query.rows
    return found[start:end], query.older(str(end)) if end < len(found) else ""


def _layer_of(
    view: RepositoryView, name: str, reference: str, platform: str, digest: str
) -> dict[str, Any]:
    """Return where a layer is in the image from which the visitor came, if that is known."""
    none: dict[str, Any] = {"media_type": "", "number": 0, "step": None, "below": "", "above": ""}
    if not reference:
        return none
    try:
        loaded = load_image(view, name, reference, platform)
    except NotFound:
        return none
    digests = [str(each.digest) for each in loaded.manifest.layers]
    if digest not in digests:
        return none
    at = digests.index(digest)
    return {
        "media_type": loaded.manifest.layers[at].media_type,
        "number": at + 1,
        "step": loaded.steps[at],
        "below": digests[at - 1] if at else "",
        "above": digests[at + 1] if at + 1 < len(digests) else "",
    }


# Comparison ---------------------------------------------------------------------------------------


@pages.get("/image/<image:name>/-/compare")
def comparison(repository: str, name: str) -> str:
    """Return two images side by side."""
    view = open_view(repository)
    listed = current_repoman().views.open(view.repository, view.actor, opening.LISTING)
    chosen = request.args.getlist("tag")
    left, right = request.args.get("left", ""), request.args.get("right", "")
    if len(chosen) > 1:  # As they are chosen in a list, whose first one is the newest.
        left, right = f"{name}:{chosen[1]}", f"{name}:{chosen[0]}"
    elif chosen:
        newest = newest_tag(listed, name)
        left = left or (f"{name}:{newest}" if newest != chosen[0] else "")
        right = f"{name}:{chosen[0]}"
    platform, problem, found = request.args.get("platform", ""), "", None
    if left and right:
        try:
            found = compare(*(_load(view, name, each, platform) for each in (left, right)))
        except NotFound as error:
            problem = str(error)
    suggestions: list[TagRow] = list_tags(listed, name, TagQuery(), size=20).items
    return render_template(
        "docker/compare.html",
        repository=view.repository,
        name=name,
        left=left,
        right=right,
        platform=platform,
        platforms=_platforms(found.left, found.right) if found else [],
        suggestions=[f"{name}:{each.tag}" for each in suggestions],
        found=found,
        problem=problem,
        only=bool(request.args.get("only")),
    )


def _load(view: RepositoryView, name: str, text: str, platform: str) -> LoadedImage:
    """Return the image that ``NAME:TAG``, ``NAME@DIGEST`` or ``TAG`` means (NotFound)."""
    text = text.strip()
    head, mark, reference = text.partition("@")
    if not mark:
        head, mark, reference = text.rpartition(":")
    return load_image(view, head or name, reference, platform)


def _platforms(*images: LoadedImage) -> list[str]:
    found = [each.platform for image in images for each in image.platforms]
    return list(dict.fromkeys(found))
