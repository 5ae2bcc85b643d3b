"""What a format plugin registers: its name, its routes and how it words an error."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Request, Response

from repoman.http.current import bearer_token
from repoman.http.errors import Failure, render_plain
from repoman.http.hosts import SAFE_METHODS
from repoman.security.actors import WRITING, Access, Action, Credentials

_READ = frozenset({Action.READ})
_DELETE = frozenset({Action.DELETE})


def access_of_method(request: Request) -> Access:
    """Return what a request needs, judged by its method and path alone."""
    if request.method in SAFE_METHODS:
        actions = _READ
    else:
        actions = _DELETE if request.method == "DELETE" else WRITING
    return Access(actions, request.path, name_of_file(request.path))


def no_credentials(_request: Request) -> Credentials | None:
    """Return None: the header has the credentials."""
    return None


def speaks_nothing(_path: str) -> bool:
    """Return False: no path belongs to these clients."""
    return False


def name_of_file(path: str) -> str:
    """Return the path as the name of what it is about."""
    return path.removeprefix("/")


def no_usage(_url: str) -> str:
    """Return no command."""
    return ""


@dataclass(frozen=True, slots=True)
class FormatUi:
    """How pages show a format.

    Attributes:
        icon: the name of its symbol.
        usage: returns the command with which a user gets something from a repository at this
            address, with words in capitals for what the user chooses; one line.
        packages: what one package is called, and what many are; None: only files are counted.
        versions: the same for the versions of packages.
        about: what its repositories hold, in a few words.
        path_example: a path that the members of a group can be asked for.
    """

    icon: str = ""
    usage: Callable[[str], str] = no_usage
    packages: tuple[str, str] | None = None
    versions: tuple[str, str] | None = None
    about: str = ""
    path_example: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """A package world with its own protocol.

    Attributes:
        name: what its recipes and repositories are filed under (``raw``).
        title: its display name.
        blueprints: its routes, as seen from the root of a connector.
        render_error: returns the response for a failure, in the format's own words.
        access_of: returns what a request needs of rights; None: nothing, and nobody is asked
            who they are.
        token_of: returns the token of this server that a request carries; None if it has none.
        credentials_of: returns the name and password that a request carries elsewhere than in the
            header; None where the header counts.
        speaks: returns whether a path, as seen from the root, is one that its clients ask for: then
            it words the answer of repositories that do not exist, or that nobody may know of.
        name_of: returns the name, as the patterns of tokens see it, of what a path is about; the
            path is one as content selectors see it.
        needs_root: whether its clients cannot take a path in the address, so that it wants a
            connector.
        trust: where its clients look for the certificate of an authority to trust; a path, with
            HOST and PORT for those of the connector.
        ui: how pages show it.
    """

    name: str
    title: str
    blueprints: tuple[Blueprint, ...]
    render_error: Callable[[Failure], Response] = render_plain
    access_of: Callable[[Request], Access | None] = access_of_method
    token_of: Callable[[Request], str | None] = bearer_token
    credentials_of: Callable[[Request], Credentials | None] = no_credentials
    speaks: Callable[[str], bool] = speaks_nothing
    name_of: Callable[[str], str] = name_of_file
    needs_root: bool = False
    trust: str | None = None
    ui: FormatUi = FormatUi()
