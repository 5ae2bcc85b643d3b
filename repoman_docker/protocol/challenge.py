"""Challenges and scopes: they tell a client to fetch a token, and for what.

Source: docker's token authentication specification; RFC 6750, section 3.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_PART = re.compile(
    r"""[\s,]*+(?:(?P<key>[\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*
        (?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<plain>[^\s,"=][^\s,"]*+)(?=[\s,]|$))
    |(?P<scheme>[A-Za-z][\w-]*+)(?=[\s,]|$)(?:[ ]+(?P<data>[\w.~+/-]+=*)(?=[ \t]*(?:,|$)))?)""",
    re.VERBOSE | re.ASCII,
)
_STRANGE = re.compile(r'[\s,]*+(?:"(?:[^"\\]|\\.)*+"|[^,\s])[^,\s"]*+')


@dataclass(frozen=True, slots=True)
class TokenScope:
    """A scope as it is sent: ``type:name:action[,action]``."""

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
    """Return the scopes in the parameters ``scope``; each may have several, separated by spaces.

    Malformed scopes are ignored: a token may always grant less than was requested.
    """
    found = (_parse_scope(text) for value in values for text in value.split(" "))
    return tuple(scope for scope in found if scope is not None)


def _parse_scope(text: str) -> TokenScope | None:
    # A name may contain a colon (host:port): the type ends at the first, the name at the last.
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
    """Return a text without the characters that a header must not have."""
    return "".join(each for each in value if " " <= each <= "~" and each not in '"\\')


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge of a 401 response: the scheme in lower case, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """Return the challenges in WWW-Authenticate headers, in order (RFC 9110, 11.6.1).

    Several headers count as one, joined by commas. Malformed parts are ignored.
    """
    found: list[Challenge] = []
    parameters: dict[str, str] = {}  # of the last one
    position = 0
    while position < len(header):
        part = _PART.match(header, position)
        if part is None:
            strange = _STRANGE.match(header, position)
            position = len(header) if strange is None else strange.end()
            continue
        position = part.end()
        if part["scheme"]:
            parameters = {}
            found.append(Challenge(part["scheme"].lower(), parameters))
        elif found:
            value = part["plain"] or re.sub(r"\\(.)", r"\1", part["quoted"] or "")
            parameters[part["key"].lower()] = value
    return found
