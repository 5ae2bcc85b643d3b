"""Searches as clients write them: parameters with values, which become a query of the catalog.

The names are those of Sonatype Nexus Repository 3. Formats declare further ones
(:class:`repoman.content_rules.SearchField`); a parameter that nobody declares matches nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from repoman.catalog.listing import Wildcards
from repoman.catalog.model import AssetView, ComponentQuery, Order, Scope
from repoman.catalog.records import DIGEST
from repoman.content_rules import SearchTarget
from repoman.errors import Invalid
from repoman.events.event import Coordinate
from repoman.search import TEXT_MAX_CHARS

TERMS_MAX = 50
"""A search with more parameters is refused."""

TEXT, GROUP = "q", "group"
REPOSITORY, FORMAT, PRERELEASE = "repository", "format", "prerelease"
CHECKSUMS = (DIGEST, "sha1", "sha512", "md5")
NOTHING = Coordinate("", "")  # Formats show its group as they do where there is none.
# The parameters with patterns, and what they are compared with.
PATTERNS = {
    GROUP: SearchTarget.NAMESPACE,
    "name": SearchTarget.NAME,
    "version": SearchTarget.VERSION,
}
# An empty value means that the field is empty, but for these it means that anything goes.
OPTIONAL = (TEXT, REPOSITORY, FORMAT, PRERELEASE)

SORTS = {
    "group": Order.NAMESPACE,
    "name": Order.NAME,
    "version": Order.VERSION,
    "repository": Order.REPOSITORY,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """A search: all of its pairs of parameters and values must hold.

    Attributes:
        formats: of these, one must be that of the repository; empty: any.
        kind: the kind of the component; empty: those that its format shows to users.
        content: the SHA-256 of bytes that it is made of or refers to, directly or not, in hex.
        is_newest_first: whether results that are in the order of their age begin with the newest.
        sort: one of ``SORTS``, or empty.
        is_descending: None: as is usual for this order; versions are descending.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    sort: str = ""
    is_descending: bool | None = None
    formats: tuple[str, ...] = ()
    kind: str = ""
    content: str = ""
    is_newest_first: bool = False

    def __post_init__(self) -> None:
        """Check it (Invalid)."""
        if len(self.pairs) > TERMS_MAX:
            raise Invalid(f"A search can have at most {TERMS_MAX} parameters.")
        if self.sort and self.sort not in SORTS:
            names = ", ".join(SORTS)
            raise Invalid(
                f"sort: there is no such order as {self.sort[:50]!r}; choose one of: {names}.",
                field="sort",
            )

    def values(self, name: str) -> list[str]:
        """Return the values of a parameter that are not empty."""
        return [value for key, value in self.pairs if key == name and value]

    def has_checksums(self, asset: AssetView) -> bool:
        """Return whether an asset has the checksums that are searched for."""
        known = {**asset.checksums, DIGEST: asset.digest}
        wanted = ((key, value) for key, value in self.pairs if key in CHECKSUMS)
        return all(known.get(key) == value.lower() for key, value in wanted)


@dataclass(slots=True)
class _Parts:
    """The parts of a query, as they are collected."""

    patterns: dict[str, list[str]] = field(default_factory=dict)
    checksums: list[tuple[str, str]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    prereleases: set[bool] = field(default_factory=set)
    is_possible: bool = True

    def take(self, name: str, value: str) -> bool:
        """Add a condition if the parameter is one of the core; return whether it is."""
        if name in (REPOSITORY, FORMAT) or (name in OPTIONAL and not value):
            return True
        if name == TEXT:
            self.texts.append(value)
        elif name == PRERELEASE:
            self.prereleases.add(_parse_flag(name, value))
        elif name in CHECKSUMS:
            self.checksums.append((name, value.lower()))
        elif name in PATTERNS:
            self.add(PATTERNS[name], value)
        else:
            return False
        return True

    def add(self, target: SearchTarget, value: str) -> None:
        """Add a condition."""
        if target is SearchTarget.DIGEST:
            self.checksums.append((DIGEST, value))
        elif target is SearchTarget.PART:
            self.parts.append(value)
        elif target is SearchTarget.LABEL:
            name, _, text = value.partition("=")
            self.is_possible = self.is_possible and self.labels.get(name, text) == text
            self.labels[name] = text
        else:
            self.patterns.setdefault(target, []).append(_pattern(target, value))


def _pattern(target: SearchTarget, value: str) -> str:
    """Return a pattern without its quotes, and without the slash that only users see."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return value if target is SearchTarget.VERSION else value.removeprefix("/")


def compile_terms(
    terms: Terms, scopes: Iterable[Scope]
) -> tuple[ComponentQuery, list[Scope]] | None:
    """Return the query that a search means, and the scopes that it is about; None: no match.

    Raises:
        Invalid: a value is not valid.
    """
    parts, scopes = _Parts(), _of_formats(terms, scopes)
    for name, value in terms.pairs:
        if name == GROUP and value.strip("/") == "":
            scopes = [each for each in scopes if each.rules.shown(NOTHING).namespace == value]
        if not parts.take(name, value):
            scopes = [each for each in scopes if name in each.rules.search_fields]
            for declared in [each.rules.search_fields[name] for each in scopes[:1]]:
                parts.add(declared.target, declared.parse(value))
    is_long = sum(map(len, parts.texts)) > TEXT_MAX_CHARS
    if not scopes or is_long or len(parts.prereleases) > 1 or not parts.is_possible:
        return None
    if terms.content:
        parts.parts.append(terms.content)
    query = replace(_query(parts), kind=terms.kind, only_shown=not terms.kind)
    return _ordered(terms, query, scopes), scopes


def _of_formats(terms: Terms, scopes: Iterable[Scope]) -> list[Scope]:
    patterns = [Wildcards.parse(each) for each in terms.values(FORMAT)]
    return [
        scope
        for scope in scopes
        if (not terms.formats or scope.format in terms.formats)
        and all(each.fits(scope.format) for each in patterns)
    ]


def _query(parts: _Parts) -> ComponentQuery:
    leading: dict[str, str] = {}
    also: list[tuple[str, str]] = []
    for target, patterns in parts.patterns.items():
        first, *rest = sorted(dict.fromkeys(patterns), key=_selectivity)
        leading[target] = first
        also += [(str(target), each) for each in rest]
    return ComponentQuery(
        namespace=leading.get(SearchTarget.NAMESPACE),
        name=leading.get(SearchTarget.NAME),
        version=leading.get(SearchTarget.VERSION),
        also=tuple(also),
        checksums=tuple(dict.fromkeys(parts.checksums)),
        parts=tuple(dict.fromkeys(parts.parts)),
        labels=parts.labels,
        is_prerelease=next(iter(parts.prereleases), None),
        text=" ".join(_words(parts.texts)),
    )


def _words(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts; a name in them may begin with the slash that only users see."""
    for text in texts:
        yield " ".join(each.removeprefix("/") for each in text.split())


def _selectivity(pattern: str) -> tuple[bool, int]:
    """Return the sort key of a pattern: those that fewer texts match come first."""
    parsed = Wildcards.parse(pattern)
    return not parsed.is_exact, -len(parsed.beginning)


def _ordered(terms: Terms, query: ComponentQuery, scopes: Iterable[Scope]) -> ComponentQuery:
    """Return the query in the order that is asked for, or in the usual one."""
    if terms.sort:
        order = SORTS[terms.sort]
        down = terms.is_descending
        return replace(
            query, order=order, is_descending=order is Order.VERSION if down is None else down
        )
    order = usual_order(query, scopes)
    down = bool(terms.is_descending) or (terms.is_newest_first and order is Order.ID)
    return replace(query, order=order, is_descending=down)


def usual_order(query: ComponentQuery, scopes: Iterable[Scope]) -> Order:
    """Return the order in which a page examines the fewest rows."""
    if Wildcards.parse(query.name).beginning:
        return Order.NAME
    if Wildcards.parse(query.namespace).beginning:
        return Order.NAMESPACE
    is_limited = any(each.prefixes is not None and "" not in each.prefixes for each in scopes)
    return Order.NAME if is_limited else Order.ID


def _parse_flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise Invalid(f"{name}: must be true or false.", field=name)
    return value.lower() == "true"
