"""How clients use a repository: lines to copy, filled in for an address, a name and a visitor."""

from flask import Blueprint, render_template, request

from repoman.plugin import (
    ANONYMOUS,
    READING,
    Action,
    Repository,
    RepositoryAddress,
    UseGuide,
    UseRequest,
    content_repository,
    current_actor,
    current_repoman,
    current_security,
    list_reaching,
)

FIELD_MAX_CHARS = 300  # Of what a visitor fills in.

use = Blueprint("use", "repoman_web", url_prefix="/browse/<repository>/use")


@use.get("")
def show(repository: str) -> str:
    """Return the lines for all clients of a repository."""
    found = content_repository(repository)
    addresses = _addresses(found)
    wanted = request.args.get("address", "")
    address = wanted if wanted in addresses else next(iter(addresses), "")
    guide = None
    if address:
        guide = _guide(found, addresses[address], address)
    return render_template(
        "repoman/use.html",
        repository=found,
        tab="use",
        addresses={url: _label(url, each, found) for url, each in addresses.items()},
        address=address,
        guide=guide,
        name=_field("name"),
        wanted=_field("version"),  # "version" is that of the product
        user=_field("user") or _visitor(),
    )


def _addresses(repository: Repository) -> dict[str, RepositoryAddress]:
    """Return by which addresses the visitor reaches a repository, HTTPS first."""
    found = {url: each for each in list_reaching(repository) for url in each.urls}
    return dict(sorted(found.items(), key=lambda item: not item[0].startswith("https:")))


def _label(url: str, via: RepositoryAddress, repository: Repository) -> str:
    return url if via.name == repository.name else f"{url} (through {via.name})"


def _guide(repository: Repository, via: RepositoryAddress, address: str) -> UseGuide | None:
    found = current_repoman().repositories.find(via.name) or repository
    asked = use_request(repository, found, address)
    guide: UseGuide | None = current_repoman().plugins.hook.repoman_web_use(request=asked)
    return guide


def use_request(repository: Repository, via: Repository, address: str) -> UseRequest:
    """Return what a format is asked about a repository, for the visitor and what they filled in."""
    authorizer, actor = current_security().authorizer, current_actor()
    return UseRequest(
        repository=repository,
        via=via,
        address=address,
        name=_field("name"),
        version=_field("version"),
        user=_field("user") or _visitor(),
        may_add=authorizer.may_do_somewhere(actor, via.ref, frozenset({Action.ADD})),
        is_open=all(
            authorizer.may_do_everywhere(ANONYMOUS, via.ref, frozenset({each})) for each in READING
        ),
    )


def _field(name: str) -> str:
    text = request.args.get(name, "").strip()[:FIELD_MAX_CHARS]
    return text if text.isprintable() else ""  # Lines are pasted into files line by line.


def _visitor() -> str:
    actor = current_actor()
    return "" if actor.is_anonymous else actor.name
