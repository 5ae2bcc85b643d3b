"""The search for components and assets over REST."""

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from repoman.catalog.contents import render_id
from repoman.catalog.distinct_versions import VersionOrder, sort_versions
from repoman.catalog.model import PageRequest
from repoman.catalog.search_terms import Terms
from repoman.rest.components import AssetXO, ComponentXO, asset_xo, component_xo, download_url
from repoman.rest.endpoints import EVERYBODY, Area, Call, Reply
from repoman.rest.resources import AnyCase, Page, PageQuery, Query, Resource, Timestamp

SUGGEST_MIN_CHARS = 2  # The shortest beginning for which there are suggestions.
SUGGESTIONS_MAX = 20  # The most suggestions.
VERSIONS_MAX = 250  # The most versions on a page.
NUMBER_MAX = 2**31 - 1  # The highest number of a page.
NO_SUCH_PAGE = (406,)  # The status of errors that have no body.

search = Area(
    "Search",
    "Search for components, in all repositories that the user may browse. All parameters must "
    "match, repeated ones too. `*` stands for any characters and `?` for one; an empty value means "
    "that the field is empty. Formats have further parameters: see their pages. A parameter that "
    "does not exist matches nothing.",
    example="/v1/search?name=team/*&sort=version",
)


class Direction(AnyCase):
    """The direction of an order."""

    ASCENDING = "asc"
    DESCENDING = "desc"


class SearchQuery(PageQuery):
    """Selects components; further parameters are those of formats."""

    model_config = ConfigDict(extra="allow")

    q: list[str] = Field(
        [],
        description="Words, each in a name, group, version or description; in quotes, several "
        "words are one.",
    )
    repository: list[str] = Field([], description="Name of a repository; of a group: its members.")
    format: list[str] = Field([], description="Name of a format.")
    group: list[str] = Field([], description="Group of the component.")
    name: list[str] = Field([], description="Name of the component.")
    version: list[str] = Field([], description="Version of the component.")
    prerelease: list[str] = Field(
        [], description="`true`: only pre-releases. `false`: no pre-releases."
    )
    md5: list[str] = Field([], description="MD5 of an asset, in hex.")
    sha1: list[str] = Field([], description="SHA-1 of an asset, in hex.")
    sha256: list[str] = Field([], description="SHA-256 of an asset, in hex.")
    sha512: list[str] = Field([], description="SHA-512 of an asset, in hex.")
    sort: str = Field("", description="`group`, `name`, `version` or `repository`.")
    direction: Direction | None = Field(
        None, description="Default: `asc`, and `desc` for versions."
    )
    timeout: int | None = Field(None, description="Accepted and ignored: a page is always quick.")

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        """Return the values without those that are empty and are not about components."""
        settings = ("continuationToken", "sort", "direction", "timeout")
        return {key: value for key, value in values.items() if value or key not in settings}

    @property
    def terms(self) -> Terms:
        """What is searched for."""
        own = set(PageQuery.model_fields) | {"sort", "direction", "timeout"}
        named = {name: getattr(self, name) for name in SearchQuery.model_fields if name not in own}
        pairs = (
            (name, value)
            for name, values in {**named, **(self.model_extra or {})}.items()
            for value in values
        )
        is_descending = None if self.direction is None else self.direction is Direction.DESCENDING
        return Terms(tuple(pairs), self.sort, is_descending)

    @property
    def page(self) -> PageRequest:
        """The page that is asked for."""
        return PageRequest(after=self.continuation_token or "")


class SuggestQuery(Query):
    """What somebody has begun to type."""

    q: str = Field(
        min_length=SUGGEST_MIN_CHARS, description="Words, each in a name, group or version."
    )
    format: str = Field("", description="Name of a format.")
    limit: int = Field(10, ge=1, le=SUGGESTIONS_MAX, description="How many there are at most.")


class SuggestionXO(Resource):
    """A component, without its assets."""

    id: str
    repository: str
    format: str
    group: str | None
    name: str
    version: str


class VersionsQuery(Query):
    """Selects the versions of a component."""

    format: str = Field(description="Name of the format.")
    group: str = Field("", description="Group of the component. Default: any.")
    name: str = Field(description="Name of the component.")
    version: str = Field(
        "", description="A part of the versions to list, in any case of letters. Default: all."
    )
    page: int = Field(0, ge=0, le=NUMBER_MAX, description="Number of the page, from 0 on.")
    size: int = Field(20, ge=1, le=VERSIONS_MAX, description="How many versions a page has.")
    sort: VersionOrder = Field(VersionOrder.VERSION, description="What they are sorted by.")
    direction: Direction = Field(Direction.DESCENDING, description="The direction of the order.")


class VersionXO(Resource):
    """A version of a component."""

    version: str
    last_updated: Timestamp = Field(description="When a repository last stored it.")
    repositories: list[str] = Field(description="Names of the repositories that have it.")


class VersionsXO(Resource):
    """A page of the versions of a component."""

    items: list[VersionXO]
    total: int = Field(description="How many versions there are on all pages.")
    page: int
    size: int


@search.get("/v1/search", EVERYBODY, bare=NO_SUCH_PAGE)
def search_components(call: Call, query: SearchQuery) -> Page[ComponentXO]:
    """Search for components; only those that the user may browse are found.

    A page has up to 50 of them. It may have fewer although there are more: go on until the
    continuationToken is null.
    """
    found = call.repoman.contents.search(query.terms, query.page, call.actor)
    items = [component_xo(call, each) for each in found.items]
    return Page[ComponentXO](items=items, continuation_token=found.next)


@search.get("/v1/search/suggest", EVERYBODY)
def suggest_components(call: Call, query: SuggestQuery) -> list[SuggestionXO]:
    """List some components for what somebody has begun to type."""
    terms = Terms((("q", query.q), ("format", query.format)))
    found = call.repoman.contents.suggest(terms, query.limit, call.actor)
    return [
        SuggestionXO(
            id=render_id(each.view),
            repository=each.view.repository,
            format=each.view.format,
            group=each.shown.namespace or None,
            name=each.shown.name,
            version=each.shown.version,
        )
        for each in found
    ]


@search.get("/v1/search/versions", EVERYBODY)
def list_versions(call: Call, query: VersionsQuery) -> VersionsXO:
    """List the distinct versions of a component, with the repositories that have each.

    Only repositories and versions count that the user may browse, and of a component with more
    versions than `catalog.versions_limit`, the newest ones.
    """
    pairs = (("format", query.format), ("group", query.group), ("name", query.name))
    terms = Terms(tuple(each for each in pairs if each[1]))
    is_descending = query.direction is Direction.DESCENDING
    found = sort_versions(
        call.repoman.contents.versions(terms, call.actor, query.version),
        query.sort,
        is_descending=is_descending,
    )
    start = query.page * query.size
    items = [
        VersionXO(
            version=each.version,
            last_updated=each.updated_at,
            repositories=sorted(each.repositories),
        )
        for each in found[start : start + query.size]
    ]
    return VersionsXO(items=items, total=len(found), page=query.page, size=query.size)


@search.get("/v1/search/assets", EVERYBODY, bare=NO_SUCH_PAGE)
def search_assets(call: Call, query: SearchQuery) -> Page[AssetXO]:
    """Search for the assets of components; of checksums, only those that have them.

    A page has the assets of up to 50 components. It may have those of fewer although there are
    more: go on until the continuationToken is null.
    """
    found = call.repoman.contents.search_assets(query.terms, query.page, call.actor)
    items = [asset_xo(call, each) for each in found.items]
    return Page[AssetXO](items=items, continuation_token=found.next)


@search.get(
    "/v1/search/assets/download",
    EVERYBODY,
    status=302,
    has_plain_errors=True,
    answers={404: "No asset matches."},
)
def download_asset(call: Call, query: SearchQuery) -> Reply:
    """Redirect to the only asset that matches; of several, to the first one of a `sort`."""
    asset = call.repoman.contents.find_one(query.terms, call.actor)
    return Reply(headers={"Location": download_url(call.base_url, asset)})
