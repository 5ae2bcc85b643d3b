"""Challenges and scopes: how a client is told to fetch a token, and what it asks for.

Source: docker's token authentication specification; RFC 6750, section 3.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenScope:
    """A scope of the wire: ``type:name:action[,action]``."""

    type: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(sorted(self.actions))}"


CATALOG = TokenScope("registry", "catalog", frozenset({"*"}))


def image_scope(name: str, *actions: str) -> TokenScope:
    """Return the scope of actions on an image."""
    return TokenScope("repository", name, frozenset(actions))


def parse_scopes(values: list[str]) -> tuple[TokenScope, ...]:
    """Return the scopes in the parameters ``scope``; each may hold several, parted by spaces.

    What is malformed is left out: a token may always grant less than was asked for.
    """
    found = (_parse_scope(text) for value in values for text in value.split(" "))
    return tuple(scope for scope in found if scope is not None)


def _parse_scope(text: str) -> TokenScope | None:
    # A name may hold a colon (host:port), so the type ends at the first one, the name at the last.
    kind, _, rest = text.partition(":")
    name, _, actions = rest.rpartition(":")
    kind = kind.partition("(")[0]
    if not (kind and name and actions):
        return None
    return TokenScope(kind, name, frozenset(actions.split(",")) - {""})


def render_challenge(
    realm: str, service: str, scopes: Iterable[TokenScope] = (), error: str = ""
) -> str:
    """Return the WWW-Authenticate header that sends a client to the token endpoint ``realm``."""
    parts = {"realm": realm, "service": service}
    if scope := " ".join(map(str, scopes)):
        parts["scope"] = scope
    if error:
        parts["error"] = error
    return "Bearer " + ",".join(f'{key}="{_quotable(value)}"' for key, value in parts.items())


def _quotable(value: str) -> str:
    return "".join(each for each in value if each.isprintable() and each not in '"\\')
