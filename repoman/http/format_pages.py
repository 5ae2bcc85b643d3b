"""What formats add to the pages of their repositories, as data: tabs, links and lines to copy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from repoman.repositories.model import Repository


@dataclass(frozen=True, slots=True)
class RepositoryTab:
    """A tab on the pages of a repository.

    Attributes:
        key: names it among the tabs of the repository.
        endpoint: of its view, as Flask knows it; it takes the argument ``repository``, a name.
        count: how many things are on it, if that is kept; None: nothing is shown.
    """

    key: str
    title: str
    endpoint: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class ComponentLink:
    """The page about a component, or about one of its files.

    Attributes:
        text: what it is, such as ``linux/amd64``.
        title: its name as people write it; empty: name and version.
    """

    url: str
    icon: str
    text: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class UseRequest:
    """What a visitor wants to use, and how.

    Attributes:
        repository: whose content it is.
        via: the repository at the address: this one, or a group that has it as a member.
        address: of a connector or a path, with its scheme.
        name: of what is to be used; empty: anything, and the lines name a placeholder.
        version: the same.
        user: who logs in; empty: the lines name a placeholder.
        may_add: whether the visitor may store something.
        is_open: whether everybody may read without a login.
    """

    repository: Repository
    via: Repository
    address: str
    name: str = ""
    version: str = ""
    user: str = ""
    may_add: bool = False
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Snippet:
    """Lines to copy; ``caption`` says what they are for, or in which file they belong."""

    text: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class UseSection:
    """How one client uses the repository.

    Attributes:
        key: names it in addresses.
        group: the title above several sections, such as ``Build servers``.
        notes: sentences below the lines.
    """

    key: str
    group: str
    title: str
    snippets: tuple[Snippet, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UseNotice:
    """What will not work, and what to do; ``tone`` is ``warn`` or ``plain``."""

    tone: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class UseGuide:
    """All ways to use a repository, the most usual one first.

    Attributes:
        placeholders: what the name and the version are called, as labels of the fields; empty:
            there is none to fill in.
    """

    sections: tuple[UseSection, ...]
    notices: tuple[UseNotice, ...] = ()
    placeholders: tuple[str, str] = ("Name", "Version")


@dataclass(frozen=True, slots=True)
class HomeCard:
    """What to try first, on the home page of a server in which nothing is stored yet.

    Attributes:
        snippets: the steps in their order; their captions say what each one does.
    """

    title: str
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True, slots=True)
class UploadGuide:
    """How the page with the form for uploads looks.

    Attributes:
        labels: what fields of the form are called, by their names.
        hints: what may be in them.
        values: what is in them at first.
        stores_each: whether each file is stored by itself, so that one that is refused does not
            keep the others out.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    stores_each: bool = False
