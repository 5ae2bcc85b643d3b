"""The tree of the content of a repository over REST: the children of one directory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from pydantic import Field, TypeAdapter

from repoman.catalog.contents import render_id
from repoman.catalog.folders import delete_folder
from repoman.catalog.model import BrowseNode, PageRequest
from repoman.catalog.visibility import BROWSE
from repoman.rest.components import NOT_HERE
from repoman.rest.endpoints import NEXUS_ROOT, Area, Call, Reply
from repoman.rest.resources import PATH_MAX_CHARS, Query, Resource

NODES_MAX = 10_000  # Children that are examined for one answer; Link leads to the others.
PATH = "/v1/repositories/{name}/browse"

browse = Area("Browse", "The content of repositories as a tree of directories.")


class NodeType(StrEnum):
    """What a node is."""

    FOLDER = "folder"
    COMPONENT = "component"
    ASSET = "asset"


class BrowseNodeXO(Resource):
    """A child of a directory."""

    id: str = Field(description="Its path; that of a folder is the `path` of its children.")
    text: str = Field(description="Its name.")
    type: NodeType = Field(description="`folder` or `asset`.")
    leaf: bool = Field(description="Whether it has no children.")
    component_id: str | None = Field(description="The component to which an asset belongs.")
    asset_id: str | None = Field(description="The asset.")
    package_url: str | None = Field(None, description="Always null.")


class BrowseQuery(Query):
    """Selects a directory."""

    path: str = Field(
        "", max_length=PATH_MAX_CHARS, description="The directory. Default: the top of the tree."
    )
    after: str = Field(
        "",
        max_length=6 * PATH_MAX_CHARS,  # It may be sealed, which makes four of three bytes.
        description="Only children after this position: an id, or the value in the header `Link`.",
    )


@dataclass(frozen=True, slots=True)
class BrowseContent:
    """The right to browse anything in the repository in the path."""

    text: str = "Needs the right to browse content of the repository."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied, NotFound)."""
        call.repository = call.repoman.contents.repository(values["name"], call.actor, BROWSE)


@browse.get(PATH, BrowseContent(), bare=NOT_HERE)
def browse_repository(call: Call, query: BrowseQuery) -> list[BrowseNodeXO] | Reply:
    """List the children of a directory of a repository, or of the members of a group.

    10,000 of them are examined for an answer, which has those that the user may browse. If there
    are more, its header `Link` has the address of the next ones.
    """
    found: list[BrowseNode] = []
    after: str | None = query.after
    left, page_limit = NODES_MAX, call.repoman.settings.catalog.page_limit
    while after is not None and left > 0:
        page = PageRequest(min(left, page_limit), after)
        children = call.repoman.contents.browse(call.repository, query.path, page, call.actor)
        found += children.items
        after = children.next
        left -= page.size
    shown = list(_shown(call, found))
    if after is None:
        return shown
    path = PATH.replace("{name}", quote(call.repository.name))
    address = f"{call.base_url}{NEXUS_ROOT}{path}?path={_escape(query.path)}&after={_escape(after)}"
    body = TypeAdapter(list[BrowseNodeXO]).dump_json(shown, indent=2, by_alias=True)
    return Reply(body, "application/json", headers={"Link": f'<{address}>; rel="next"'})


class FolderQuery(Query):
    """Selects a directory that is deleted."""

    path: str = Field(max_length=PATH_MAX_CHARS, min_length=1, description="The directory.")


@browse.delete(PATH, BrowseContent(), bare=NOT_HERE)
def delete_directory(call: Call, query: FolderQuery) -> None:
    """Delete the files in a directory and in the directories in it: up to 10,000.

    Files that the user may not delete stay, and those that other content needs.
    """
    delete_folder(call.repoman.contents, call.repository, query.path, call.actor)


def _shown(call: Call, nodes: list[BrowseNode]) -> Iterator[BrowseNodeXO]:
    assets = [each.asset for each in nodes if each.asset is not None]
    components = call.repoman.contents.components_of(call.repository, assets, call.actor)
    for each in nodes:
        asset = each.asset
        component = None if asset is None else components.get(asset.component or 0)
        yield BrowseNodeXO(
            id=each.path,
            text=each.name,
            type=NodeType.FOLDER if asset is None else NodeType.ASSET,
            leaf=asset is not None,
            component_id=component and render_id(component),
            asset_id=asset and render_id(asset),
        )


def _escape(text: str) -> str:
    return quote(text, safe="")
