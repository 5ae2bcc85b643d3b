"""User tokens over REST: one's own, and those of others for administrators."""

from typing import Any

from pydantic import Field

from repoman.errors import Denied
from repoman.rest.endpoints import API_ROOT, SIGNED_IN, Area, Call, Permission
from repoman.rest.resources import Resource, Timestamp
from repoman.security.actors import Action, Limit
from repoman.security.user_token_records import UserToken

TAKEN = {409: "The user has a token of this name, or too many."}

user_tokens = Area(
    "User tokens", "Secrets that replace a password, for a part of a user's rights.", root=API_ROOT
)


class TokenRequest(Resource):
    """The token to create. Empty lists do not limit it."""

    name: str = Field(description="Name of the token, unique for its user.")
    repositories: list[str] = Field(
        default_factory=list, description="Patterns of repository names."
    )
    names: list[str] = Field(
        default_factory=list, description="Patterns of names in them, such as team/*."
    )
    actions: list[Action] = Field(default_factory=list, description="The allowed actions.")
    days: int | None = Field(None, description="Lifetime in days; null: it never expires.")


class TokenView(Resource):
    """A user token."""

    id: str
    user: str
    name: str
    repositories: list[str]
    names: list[str]
    actions: list[Action]
    created_at: Timestamp
    expires_at: Timestamp | None
    last_used_at: Timestamp | None


class CreatedToken(TokenView):
    """A new user token with its secret."""

    secret: str = Field(description="Replaces the password of the user. It cannot be shown again.")


@user_tokens.get("/tokens", SIGNED_IN)
def list_own_tokens(call: Call) -> list[TokenView]:
    """List your own tokens."""
    return _list(call, _own_name(call))


@user_tokens.post("/tokens", SIGNED_IN, status=201, answers=TAKEN)
def create_own_token(call: Call, body: TokenRequest) -> CreatedToken:
    """Create a token of your own; its secret is shown in this answer only."""
    return _create(call, _own_name(call), body)


@user_tokens.delete("/tokens/{id}", SIGNED_IN)
def revoke_own_token(call: Call, id: str) -> None:
    """Revoke a token of your own, by its id or name."""
    call.repoman.security.user_tokens.revoke(_own_name(call), id)


@user_tokens.get("/users/{user}/tokens", Permission("users", "read"))
def list_tokens(call: Call, user: str) -> list[TokenView]:
    """List the tokens of a user."""
    return _list(call, call.repoman.users.get(user).name)


@user_tokens.post("/users/{user}/tokens", Permission("*", "*"), status=201, answers=TAKEN)
def create_token(call: Call, user: str, body: TokenRequest) -> CreatedToken:
    """Create a token of a user, such as a robot; its secret is shown in this answer only."""
    return _create(call, call.repoman.users.get(user).name, body)


@user_tokens.delete("/users/{user}/tokens/{id}", Permission("users", "update"))
def revoke_token(call: Call, user: str, id: str) -> None:
    """Revoke a token of a user, by its id or name."""
    call.repoman.security.user_tokens.revoke(call.repoman.users.get(user).name, id)


def _own_name(call: Call) -> str:
    """Return the user whose own tokens these are (Denied: who came with a token)."""
    if call.actor.token or call.actor.limit is not None:
        raise Denied("A user token cannot be used to manage user tokens. Use the password.")
    return call.repoman.users.get_account(call.actor).name


def _create(call: Call, user: str, body: TokenRequest) -> CreatedToken:
    tokens = call.repoman.security.user_tokens
    limit = Limit(tuple(body.repositories), tuple(body.names), frozenset(body.actions))
    secret = tokens.create(user, body.name, limit, body.days)
    made = next(each for each in tokens.of_user(user) if each.name == body.name)
    return CreatedToken(secret=secret, **_values(made))


def _list(call: Call, user: str) -> list[TokenView]:
    return [TokenView(**_values(each)) for each in call.repoman.security.user_tokens.of_user(user)]


def _values(token: UserToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "user": token.user,
        "name": token.name,
        "repositories": token.limit.repositories,
        "names": token.limit.names,
        "actions": sorted(token.limit.actions),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }
