"""The addresses of repositories, as the pages of the main port show them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from flask import Flask, current_app, request

from repoman.http.current import current_actor, current_security
from repoman.http.formats import Format, FormatUi, name_of_file
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Connector, Repository

EXTENSION = "repoman_addresses"


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """A repository as its users see it.

    Attributes:
        format: the title of its format.
        format_name: the name of its format.
        type: hosted, proxy or group.
        is_online: whether it serves requests.
        urls: its external address or else its connectors, HTTPS first, and its path on the main
            port if its clients can take one.
        usage: how a client gets something, by the first of these; empty if there is nothing to say.
        ui: how pages show its format.
    """

    name: str
    format: str
    format_name: str
    type: str
    is_online: bool
    urls: tuple[str, ...]
    usage: str
    ui: FormatUi


class AddressBook:
    """Knows all repositories and formats; one for each app."""

    def __init__(
        self, repositories: RepositoryManager, formats: Mapping[str, Format], external_url: str
    ) -> None:
        self._repositories = repositories
        self._external_url = external_url
        self._formats = formats

    def install(self, app: Flask) -> None:
        """Let :func:`list_addresses` find this one."""
        app.extensions[EXTENSION] = self

    def visible(self) -> list[RepositoryAddress]:
        """Return the repositories that the visitor may know about, by name."""
        knows, actor = current_security().authorizer.knows, current_actor()
        everything = self._repositories.all()
        return [self._describe(each) for each in everything if knows(actor, each.ref)]

    def reaching(self, repository: Repository) -> list[RepositoryAddress]:
        """Return the repository, and the groups with it that the visitor may know about."""
        knows, actor = current_security().authorizer.knows, current_actor()
        groups = self._repositories.groups_with(repository.name)
        found = [repository, *(each for each in groups if knows(actor, each.ref))]
        return [self._describe(each) for each in found]

    def _describe(self, repository: Repository) -> RepositoryAddress:
        config = repository.config
        format_ = self._formats.get(config.format)
        urls = tuple(self._urls(repository, format_))
        return RepositoryAddress(
            name=config.name,
            format=format_.title if format_ else config.format,
            format_name=config.format,
            type=config.type,
            is_online=config.is_online and repository.problem is None and format_ is not None,
            urls=urls,
            usage=format_.ui.usage(urls[0]) if format_ and urls else "",
            ui=format_.ui if format_ else FormatUi(),
        )

    def name_of(self, format_name: str, path: str) -> str:
        """Return the name of what a path in a repository of a format is about."""
        found = self._formats.get(format_name)
        return name_of_file(path) if found is None else found.name_of(path)

    def format(self, name: str) -> Format | None:
        """Return a format; None if it is not installed."""
        return self._formats.get(name)

    def main(self) -> str:
        """Return the address of the main port, external or as it was asked for."""
        return self._external_url or request.url_root.rstrip("/")

    def _urls(self, repository: Repository, format_: Format | None) -> list[str]:
        root = self.main()
        urls = connector_urls(repository, self._repositories.connectors_of(repository), root)
        if format_ is not None and not format_.needs_root:
            urls.append(f"{root}/repository/{repository.name}")
        return urls


def connector_urls(repository: Repository, connectors: Iterable[Connector], root: str) -> list[str]:
    """Return where clients reach the connectors of a repository, HTTPS first.

    ``root`` is the address of the main port, whose host is theirs unless they have an external
    address. That one leads to connectors too: without any there is none.
    """
    connectors = list(connectors)
    if connectors and repository.external_url:
        return [repository.external_url]
    host = urlsplit(root).hostname or ""
    host = f"[{host}]" if ":" in host else host
    urls = [f"{each.scheme}://{host}:{each.port}" for each in connectors]
    return sorted(urls, key=lambda url: not url.startswith("https:"))


def main_address() -> str:
    """Return the address of the main port as clients know it, without a slash at its end."""
    return cast("AddressBook", current_app.extensions[EXTENSION]).main()


def list_addresses() -> list[RepositoryAddress]:
    """Return the repositories that the visitor of this page may know about, by name."""
    return cast("AddressBook", current_app.extensions[EXTENSION]).visible()


def list_reaching(repository: Repository) -> list[RepositoryAddress]:
    """Return by what clients of this visitor reach a repository: itself, then groups with it."""
    return cast("AddressBook", current_app.extensions[EXTENSION]).reaching(repository)


def find_format(name: str) -> Format | None:
    """Return a format; None if it is not installed."""
    return cast("AddressBook", current_app.extensions[EXTENSION]).format(name)


def format_name_of(format_name: str, path: str) -> str:
    """Return the name, as patterns of tokens see it, of what a path in a repository is about."""
    return cast("AddressBook", current_app.extensions[EXTENSION]).name_of(format_name, path)
