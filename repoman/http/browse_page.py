"""Directories of repositories as plain HTML pages, whose links scripts follow.

A page has a limited number of children; a link at its end leads to the next ones.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, abort, redirect, request
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from repoman.catalog.model import AssetView, BrowseNode, PageRequest
from repoman.catalog.visibility import BROWSE
from repoman.core import Repoman
from repoman.http.addresses import main_address
from repoman.http.current import current_actor
from repoman.rest.components import download_url
from repoman.rest.endpoints import NEXUS_ROOT

ROOT = f"{NEXUS_ROOT}/repository/browse"
PAGE_NODES = 500  # The children on one page.
PAGE = Markup("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Index of {directory}</title>
</head>
<body class="htmlIndex">
<h1>Index of {directory}</h1>
<table cellspacing="10">
<tr><th align="left">Name</th><th>Last Modified</th><th>Size</th></tr>
{rows}
</table>
{more}</body>
</html>
""")
PARENT = Markup('<tr><td><a href="../">Parent Directory</a></td></tr>')
DIRECTORY = Markup('<tr><td><a href="{url}">{name}</a></td><td>&nbsp;</td><td>&nbsp;</td></tr>')
FILE = Markup(
    '<tr><td><a href="{url}">{name}</a></td><td>{time}</td><td align="right">{size}</td></tr>'
)
MORE = Markup('<p><a href="{url}" rel="next">Next page</a></p>\n')


def create_browse_page(repoman: Repoman) -> Blueprint:
    """Return the routes of the pages."""
    blueprint = Blueprint("repoman_browse", __name__)

    @blueprint.get(f"{ROOT}/<name>")
    @blueprint.get(f"{ROOT}/<name>/")
    @blueprint.get(f"{ROOT}/<name>/<path:path>")
    def show(name: str, path: str = "") -> BaseResponse:
        """Show a directory; its address ends with a slash."""
        if not request.path.endswith("/"):
            query = request.query_string.decode("latin-1")
            return redirect(_here() + "/" + (f"?{query}" if query else ""), 303)
        repository = repoman.contents.repository(name, current_actor(), BROWSE)
        page = PageRequest(PAGE_NODES, request.args.get("after", ""))
        found = repoman.contents.browse(repository, path, page, current_actor())
        if path and not (found.items or found.next or page.after):
            abort(404)
        more = MORE.format(url="?" + urlencode({"after": found.next})) if found.next else ""
        rows = Markup("\n").join(_rows(found.items, has_parent=bool(path)))
        return Response(
            PAGE.format(directory=f"/{path}", rows=rows, more=more), mimetype="text/html"
        )

    return blueprint


def _here() -> str:
    """Return the path of the request, without the name of a host that it may have made up."""
    return quote(request.root_path.rstrip("/") + request.path)


def _rows(nodes: list[BrowseNode], *, has_parent: bool) -> Iterator[Markup]:
    if has_parent:
        yield PARENT
    for each in nodes:
        if each.asset is None:
            yield DIRECTORY.format(url=quote(each.name, safe="") + "/", name=each.name)
        else:
            yield FILE.format(
                url=download_url(main_address(), each.asset),
                name=each.name,
                time=_time_of(each.asset),
                size=each.asset.size,
            )


def _time_of(asset: AssetView) -> str:
    return datetime.fromtimestamp(asset.updated_at, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
