"""What plugins may use of the services of security, as protocols; the services fulfil them."""

from collections.abc import Callable
from typing import Protocol

from repoman.security.actors import Access, Action, Actor, Limit, RepositoryRef, Scope
from repoman.security.session_records import Session
from repoman.security.user_records import User
from repoman.security.user_token_records import UserToken


class Authorizing(Protocol):
    """Decides who is allowed to do what, see :class:`repoman.security.authorization.Authorizer`."""

    def is_allowed(self, actor: Actor, ref: RepositoryRef, access: Access) -> bool: ...
    def check(self, actor: Actor, ref: RepositoryRef, access: Access) -> None: ...
    def knows(self, actor: Actor, ref: RepositoryRef) -> bool: ...
    def may_administer(self, actor: Actor, domain: str, action: str) -> bool: ...
    def prefixes(
        self, actor: Actor, ref: RepositoryRef, actions: frozenset[Action]
    ) -> tuple[str, ...]:
        """Return how all paths begin on which the actor may do this; the empty text: anyhow."""

    def may_do_everywhere(
        self, actor: Actor, ref: RepositoryRef, actions: frozenset[Action]
    ) -> bool: ...
    def may_do_somewhere(
        self, actor: Actor, ref: RepositoryRef, actions: frozenset[Action]
    ) -> bool: ...
    def name_filter(
        self,
        actor: Actor,
        ref: RepositoryRef,
        actions: frozenset[Action],
        path_of: Callable[[str], str],
    ) -> Callable[[str], bool] | None: ...


class BearerTokens(Protocol):
    """Issues tokens, see :class:`repoman.security.tokens.TokenService`."""

    def lifetime_for(self, actor: Actor, wanted: int | None = None) -> int: ...
    def issue(
        self,
        actor: Actor,
        audience: str,
        scopes: tuple[Scope, ...],
        lifetime: int | None = None,
    ) -> str: ...


class LocalUsers(Protocol):
    """The users of this server, see :class:`repoman.security.users.Users`."""

    def get(self, name: str) -> User: ...
    def get_account(self, actor: Actor) -> User: ...
    def set_password(self, name: str, password: str, *, is_own: bool = False) -> None: ...


class TokensOfUsers(Protocol):
    """The user tokens, see :class:`repoman.security.user_tokens.UserTokens`."""

    def of_user(self, user: str | None = None) -> list[UserToken]: ...
    def create(self, user: str, name: str, limit: Limit, days: int | None = None) -> str: ...
    def revoke(self, user: str, id_or_name: str) -> UserToken: ...


class BrowserSessions(Protocol):
    """The browser sessions, see :class:`repoman.security.sessions.SessionService`."""

    def of_user(self, user: str) -> list[Session]: ...
    def end_of_user(self, user: str, id_: str) -> None: ...


class SealedPositions(Protocol):
    """Positions that clients hand back, see :class:`repoman.security.tokens.Cursors`."""

    def seal(self, position: str) -> str: ...
    def open(self, cursor: str) -> str | None: ...


class SecurityServices(Protocol):
    """The services of security, as far as plugins may use them."""

    @property
    def authorizer(self) -> Authorizing: ...
    @property
    def tokens(self) -> BearerTokens: ...
    @property
    def users(self) -> LocalUsers: ...
    @property
    def user_tokens(self) -> TokensOfUsers: ...
    @property
    def sessions(self) -> BrowserSessions: ...
    @property
    def cursors(self) -> SealedPositions: ...
