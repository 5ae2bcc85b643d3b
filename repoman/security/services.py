"""The services of security, as one value that travels with each request."""

from dataclasses import dataclass

from repoman.security.authentication import Authenticator
from repoman.security.authorization import Authorizer
from repoman.security.tokens import TokenService


@dataclass(frozen=True, slots=True)
class Security:
    """Who asks, what they may do, and tokens that say so for a while."""

    authenticator: Authenticator
    authorizer: Authorizer
    tokens: TokenService
