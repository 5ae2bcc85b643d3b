"""The services of security, as one value that travels with each request."""

from dataclasses import dataclass

from repoman.security.authentication import Authenticator
from repoman.security.authorization import Authorizer
from repoman.security.privileges import Privileges
from repoman.security.roles import Roles
from repoman.security.selectors import Selectors
from repoman.security.sessions import SessionService
from repoman.security.tokens import TokenService
from repoman.security.users import Users


@dataclass(frozen=True, slots=True)
class Security:
    """Who asks, what they may do, and tokens and sessions that say so for a while."""

    authenticator: Authenticator
    authorizer: Authorizer
    tokens: TokenService
    users: Users
    sessions: SessionService
    roles: Roles
    privileges: Privileges
    selectors: Selectors
