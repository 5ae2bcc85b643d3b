"""What formats add to the search page, as data: kinds, criteria, results of upstreams."""

from dataclasses import dataclass

from repoman.repositories.model import Repository


@dataclass(frozen=True, slots=True)
class SearchKind:
    """One kind of results, with a tab of its own.

    Attributes:
        key: names it in addresses.
        title: what they are called, such as ``Tags``.
        icon: the name of its symbol.
        kind: the kind of the components.
        counted: what one of their versions is called, and what many are, to say how many there
            are; None: nothing is said.
    """

    key: str
    title: str
    icon: str
    kind: str
    counted: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SearchInput:
    """A field of the search form.

    Attributes:
        name: one of the ``search_fields`` of the rules of the format.
        label: what it is called.
        example: what could be in it.
    """

    name: str
    label: str
    example: str = ""


@dataclass(frozen=True, slots=True)
class SearchCriteria:
    """How components of a format are searched for: their kinds, and criteria of the format."""

    format: str
    kinds: tuple[SearchKind, ...]
    inputs: tuple[SearchInput, ...] = ()


@dataclass(frozen=True, slots=True)
class FindRequest:
    """What a visitor wants to be found elsewhere.

    Attributes:
        text: words.
        repositories: in which the visitor may see something; only through these may anything be
            found.
        limit: so many results of each repository are enough.
        patience: seconds to wait for all of them.
    """

    text: str
    repositories: tuple[Repository, ...]
    limit: int
    patience: float


@dataclass(frozen=True, slots=True)
class FoundItem:
    """Something that a remote has and this server has not.

    Attributes:
        note: how well known it is, such as ``312 stars``.
        command: the line with which it is downloaded through our repository.
    """

    name: str
    text: str = ""
    note: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class FoundElsewhere:
    """What the remote of a repository has found.

    Attributes:
        total: how many there are, as far as known.
        problem: why results are missing; empty if none are.
    """

    repository: str
    items: tuple[FoundItem, ...] = ()
    total: int = 0
    problem: str = ""
