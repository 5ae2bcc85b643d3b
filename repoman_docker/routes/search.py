"""``GET /v1/search`` for ``docker search`` and podman, with exactly the types they decode.

Source: Docker Registry Index API V1, Search.
"""

from flask import Response, request

from repoman.plugin import Invalid, Unauthenticated, current_actor
from repoman_docker.index import ImageHit
from repoman_docker.protocol.challenge import CATALOG
from repoman_docker.protocol.texts import one_line
from repoman_docker.routes.access import sees_images, visible_images
from repoman_docker.routes.current import answer, repository
from repoman_docker.search import Found

USUAL = 25  # default number of results on a page
MOST_ON_PAGE = 100
FAILED = "X-Repoman-Search-Failed"


def get_search() -> Response:
    """Answer with a page of images that the actor may see."""
    actor = current_actor()
    if not actor.has_scope(CATALOG.type, CATALOG.name, "search"):
        raise Unauthenticated("The token does not permit a search.")
    size = min(max(_number("n", USUAL), 1), MOST_ON_PAGE)
    page = max(_number("page", 1), 1)
    term = request.args.get("q", "")
    found = Found()
    if sees_images():
        found = repository().search.find(term, page * size, visible_images())
    response = answer(
        {
            "query": term,
            "page": page,
            "page_size": size,
            "num_pages": -(-found.total // size),
            "num_results": found.total,
            "results": [_result(each) for each in found.hits[(page - 1) * size : page * size]],
        }
    )
    if found.failed:
        response.headers[FAILED] = ", ".join(found.failed)
    return response


def _result(hit: ImageHit) -> dict[str, object]:
    return {
        "name": hit.name,
        "description": one_line(hit.description),  # stored ones may predate this rule
        "star_count": hit.stars,
        "is_official": hit.is_official,
        "is_automated": hit.is_automated,
        "is_trusted": hit.is_automated,  # its former name
    }


def _number(key: str, default: int) -> int:
    """Return a numeric parameter; excessive values are reduced to a large one."""
    text = request.args.get(key, "").strip()
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise Invalid(f"The parameter {key} is not a number.")
    return int(text[:10])
