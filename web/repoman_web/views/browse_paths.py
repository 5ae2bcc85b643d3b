"""What a repository of any format holds, as a tree of paths: folders, files, and each file."""

import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from flask import Response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from repoman.plugin import (
    ANONYMOUS,
    FOLDER_FILES_MAX,
    Access,
    Action,
    AssetView,
    BrowseNode,
    ComponentLink,
    ComponentView,
    Content,
    Coordinate,
    Entry,
    ListPage,
    ListRequest,
    NotFound,
    Pull,
    Repository,
    Unavailable,
    content_repository,
    current_actor,
    current_repoman,
    current_security,
    delete_folder,
    done,
    examine_folder,
    list_reaching,
    note_pull,
    protect_content,
    read_list,
    render_id,
    row_key,
    send_content,
)
from repoman_web.views.browse import browse
from repoman_web.views.rendering import size

PAGE_NODES = 200  # Children of one folder on a page, and files that a filter finds.
LEVELS_WHOLE = 3  # Of the folders above, so many show their other children as well.
COMPONENT_FILES_MAX = 50  # Files of a component that a page lists.


@dataclass(slots=True)
class Node:
    """A folder or a file in the tree; ``children`` are those of an open folder."""

    text: str
    url: str
    note: str = ""
    is_folder: bool = False
    is_open: bool = False
    is_current: bool = False
    is_more: bool = False
    children: list["Node"] = field(default_factory=list)


def open_repository(name: str) -> Repository:
    """Return a repository in which the visitor may see something.

    Raises:
        Unauthenticated, NotFound: there is none, or the visitor may not know.
        Denied: the visitor may see nothing in it.
    """
    found = content_repository(name)
    return current_repoman().contents.repository(found.name, current_actor())


def path_url(repository: Repository, path: str, **parameters: Any) -> str:
    """Return the address of the page about a stored path."""
    place: dict[str, Any] = {"path": path} if path else {}
    return url_for("browse.paths", repository=repository.name, **place, **parameters)


# Pages --------------------------------------------------------------------------------------------


@browse.get("/<repository>/paths")
@browse.get("/<repository>/paths/<path:path>")
def paths(repository: str, path: str = "") -> str:
    """Return the tree of a repository, open at a path, with what is known of the file there."""
    found = open_repository(repository)
    query = read_list(rows=PAGE_NODES)
    if query.filter:
        return _found(found)
    asset = None
    if path and not path.endswith("/"):
        asset = current_repoman().contents.asset_at(found, path, current_actor())
    return render_template(
        "repoman/paths.html",
        repository=found,
        tab="paths",
        query=query,
        path=path,
        is_inner=bool(path),
        tree=_tree(found, path),
        may_list=_may(found, Action.BROWSE),
        folder_deletion=_folder_deletion(found, path),
        may_add=_may(found, Action.ADD) and found.capabilities.upload is not None,
        **({} if asset is None else _about(found, asset)),
    )


def _found(repository: Repository) -> str:
    """Return the files whose paths the filter fits."""
    query = read_list(rows=PAGE_NODES)
    text = query.filter
    pattern = text if set("*?") & set(text) else f"*{text}*"
    if text.startswith("/"):
        pattern = text if text.endswith("*") else f"{text}*"
    page = ListRequest(query.rows, query.after)
    files: ListPage[AssetView] = current_repoman().contents.assets(
        repository, page, current_actor(), path=pattern
    )
    return render_template(
        "repoman/paths_found.html",
        repository=repository,
        tab="paths",
        query=query,
        is_inner=True,
        files=files.items,
        older=query.older(files.next or ""),
        url=lambda each: path_url(repository, each.stored_path),
    )


# The tree -----------------------------------------------------------------------------------------


def _tree(repository: Repository, path: str) -> list[Node]:
    """Return the top of the tree; the folders on the way to a path are open (NotFound)."""
    folders = [path[: at + 1] for at, letter in enumerate(path) if letter == "/"]
    after = read_list().key(str)
    inner = _children(repository, folders[-1] if folders else "", path, (after or ("",))[0])
    if folders and path.endswith("/") and not inner and after is None:
        raise NotFound(f"There is no folder {path} in {repository.name}.")
    for depth, folder in enumerate(reversed(folders)):
        above = folder[:-1].rpartition("/")[0]
        parent = f"{above}/" if above else ""
        siblings = _children(repository, parent, path, "") if depth < LEVELS_WHOLE else []
        name, url = folder[:-1].rpartition("/")[2], path_url(repository, folder)
        opened = Node(name, url, is_folder=True, is_open=True, is_current=folder == path)
        opened.children = inner
        inner = _with_open(siblings, opened)
    return inner


def _children(repository: Repository, folder: str, path: str, after: str) -> list[Node]:
    found = current_repoman().contents.browse(
        repository, folder, ListRequest(PAGE_NODES, after), current_actor()
    )
    nodes = [_node(repository, each, is_current=each.path == path) for each in found.items]
    if found.next is not None:
        url = path_url(repository, folder, after=row_key(found.next))
        nodes.append(Node("More in this folder", url, is_more=True))
    return nodes


def _node(repository: Repository, node: BrowseNode, *, is_current: bool) -> Node:
    note = "" if node.asset is None else size(node.asset.size)
    return Node(
        node.name,
        path_url(repository, node.path),
        note,
        is_folder=node.asset is None,
        is_current=is_current,
    )


def _with_open(nodes: list[Node], opened: Node) -> list[Node]:
    """Return nodes with an open folder among them; it is the first one if the page lacks it."""
    if all(each.url != opened.url for each in nodes):
        return [opened, *nodes]
    return [opened if each.url == opened.url else each for each in nodes]


# One file -----------------------------------------------------------------------------------------


def _about(repository: Repository, asset: AssetView) -> dict[str, Any]:
    """Return what the page about a file shows."""
    contents, actor = current_repoman().contents, current_actor()
    may_read = _may(repository, Action.READ, asset.path)
    entry = _entry_of(repository, asset)
    return {
        "asset": asset,
        "copies": current_repoman().catalog.count_copies(asset),
        "entry": entry,
        "title": component_title(entry) if entry else "",
        "link": None if entry is None else _link(repository, entry.view),
        "may_read": may_read,
        "curl": _curl(repository, asset) if may_read else "",
        "deletion": "" if contents.why_undeletable(asset, actor) else deletion_url(asset),
    }


def _link(repository: Repository, component: ComponentView) -> ComponentLink | None:
    coordinate = Coordinate(component.kind, component.name, component.version, component.namespace)
    link: ComponentLink | None = current_repoman().plugins.hook.repoman_web_component(
        repository=repository, coordinate=coordinate
    )
    return link


def _curl(repository: Repository, asset: AssetView) -> str:
    """Return the command that downloads a file; empty if no address reaches it."""
    urls = next((each.urls for each in list_reaching(repository) if each.urls), ())
    if not urls:
        return ""
    ref, access = repository.ref, _access(repository, Action.READ, asset.path)
    is_open = current_security().authorizer.is_allowed(ANONYMOUS, ref, access)
    login = "" if is_open else f"-u {shlex.quote(current_actor().name)} "
    return f"curl -fLO {login}{shlex.quote(urls[0] + quote(asset.path))}"


def deletion_url(asset: AssetView) -> str:
    """Return the address of the page that deletes a file: that of its format, or the usual one."""
    repoman = current_repoman()
    owner = repoman.repositories.find(asset.repository)
    ask = repoman.plugins.hook.repoman_web_deletion
    own: str | None = None if owner is None else ask(repository=owner, asset=asset)
    return own or url_for(
        "browse.show_deletion", repository=asset.repository, path=asset.stored_path
    )


def _folder_deletion(repository: Repository, path: str) -> str:
    """Return the address of the page that deletes a folder; empty: the visitor cannot."""
    if not path.endswith("/") or repository.capabilities.delete_asset is None:
        return ""
    if not _may(repository, Action.DELETE):
        return ""
    return url_for("browse.show_deletion", repository=repository.name, path=path)


def _access(repository: Repository, action: Action, path: str) -> Access:
    return Access(frozenset({action}), path, repository.rules.name_of(path))


def _may(repository: Repository, action: Action, path: str = "") -> bool:
    """Return whether the visitor may do something with a path; without one, with anything."""
    authorizer, actor = current_security().authorizer, current_actor()
    if not path:
        return authorizer.may_do_somewhere(actor, repository.ref, frozenset({action}))
    return authorizer.is_allowed(actor, repository.ref, _access(repository, action, path))


@browse.get("/<repository>/download/<path:path>")
def download(repository: str, path: str) -> Response:
    """Return the bytes of a file, to be saved; the visitor's session counts here."""
    found = open_repository(repository)
    repoman, actor = current_repoman(), current_actor()
    asset = repoman.contents.asset_at(found, path, actor)
    current_security().authorizer.check(actor, found.ref, _access(found, Action.READ, asset.path))
    if not found.config.is_online:
        raise Unavailable(f"The repository {found.name} is offline.")
    view, key = repoman.views.open(found, actor), (asset.repository_id, asset.stored_path)
    stored = view.stored([key]).get(key)
    if stored is None:
        raise NotFound(f"There is no file {path}.")
    name = quote(path.rpartition("/")[2])
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    response = send_content(
        Content(stored.size, stored.media_type, lambda: view.open(stored), stored.digest,
                stored.updated_at, headers)
    )  # fmt: skip
    if request.method == "GET":
        repoman.pulls.note((Pull(asset.repository_id, (path,)), True))
        note_pull(f"{found.name}{asset.path}")
    return protect_content(response)


# Deletion -----------------------------------------------------------------------------------------


@browse.get("/<repository>/delete/<path:path>")
def show_deletion(repository: str, path: str) -> str:
    """Return what deleting a file, or all files of a folder, would do."""
    found = open_repository(repository)
    if path.endswith("/"):
        return _show_folder_deletion(found, path)
    repoman, actor = current_repoman(), current_actor()
    asset = repoman.contents.asset_at(found, path, actor)
    entry = _entry_of(found, asset)
    return render_template(
        "repoman/delete_file.html",
        repository=found,
        asset=asset,
        entry=entry,
        others=[each for each in entry.assets if each.id != asset.id] if entry else [],
        shown_max=COMPONENT_FILES_MAX,
        copies=repoman.catalog.count_copies(asset) - 1,
        stays_because=repoman.contents.why_undeletable(asset, actor),
        back=path_url(found, path),
    )


@browse.post("/<repository>/delete/<path:path>")
def delete(repository: str, path: str) -> BaseResponse:
    """Delete a file, the component that it belongs to with all its files, or a folder."""
    found = open_repository(repository)
    if path.endswith("/"):
        return _delete_folder(found, path)
    contents, actor = current_repoman().contents, current_actor()
    asset = contents.asset_at(found, path, actor)
    if request.form.get("what") == "component" and (entry := _entry_of(found, asset)) is not None:
        contents.delete_component(render_id(entry.view), actor)
        text = f"{component_title(entry)} was deleted from {asset.repository}."
    else:
        contents.delete_asset(render_id(asset), actor)
        text = f"{path} was deleted from {asset.repository}."
    return done(text, _nearest(found, path))


def _show_folder_deletion(repository: Repository, folder: str) -> str:
    contents = current_repoman().contents
    return render_template(
        "repoman/delete_folder.html",
        repository=repository,
        folder=folder,
        content=examine_folder(contents, repository, folder, current_actor()),
        files_max=FOLDER_FILES_MAX,
        back=path_url(repository, folder),
    )


def _delete_folder(repository: Repository, folder: str) -> BaseResponse:
    result = delete_folder(current_repoman().contents, repository, folder, current_actor())
    text = f"Deleted from {folder} of {repository.name}: {result.deleted:,}."
    if result.staying:
        path, reason = result.staying[0]
        text += f" Not deleted: {result.staying_count:,}, such as {path}: {reason}"
    return done(text, _nearest(repository, folder))


def component_title(entry: Entry) -> str:
    """Return name and version of a component."""
    return f"{entry.shown.name.removeprefix('/')} {entry.shown.version}".strip()


def _entry_of(repository: Repository, asset: AssetView) -> Entry | None:
    """Return the component to which a file belongs, with all its files; None: there is none."""
    contents, actor = current_repoman().contents, current_actor()
    view = contents.components_of(repository, [asset], actor).get(asset.component or 0)
    return None if view is None else contents.component(render_id(view), actor)


def _nearest(repository: Repository, path: str) -> str:
    """Return the address of the innermost folder above a path that is still there."""
    contents, actor = current_repoman().contents, current_actor()
    folder = path.rstrip("/").rpartition("/")[0]
    while folder:
        with suppress(NotFound):
            if contents.browse(repository, folder, ListRequest(1), actor).items:
                return path_url(repository, f"{folder}/")
        folder = folder.rpartition("/")[0]
    return path_url(repository, "")
