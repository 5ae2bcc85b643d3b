"""The services of security, as one value that travels with each request."""

from collections.abc import Callable
from dataclasses import dataclass

import pluggy

from repoman.config import Settings
from repoman.db.database import Database
from repoman.options import Options
from repoman.security.accounts import Accounts
from repoman.security.authentication import Authenticator
from repoman.security.authorization import Authorizer
from repoman.security.privileges import Privileges
from repoman.security.realms import Realms
from repoman.security.roles import Roles
from repoman.security.selectors import Selectors
from repoman.security.sessions import SessionService
from repoman.security.throttling import Lockout
from repoman.security.tokens import Cursors, TokenService
from repoman.security.user_tokens import UserTokens
from repoman.security.users import Users


@dataclass(frozen=True, slots=True)
class Security:
    """Authentication, authorization, and the tokens and sessions that result from a login."""

    authenticator: Authenticator
    realms: Realms
    authorizer: Authorizer
    tokens: TokenService
    accounts: Accounts
    users: Users
    user_tokens: UserTokens
    sessions: SessionService
    roles: Roles
    privileges: Privileges
    selectors: Selectors
    cursors: Cursors

    def flush(self) -> None:
        """Write down what waits; only for the thread that notices writes."""
        self.accounts.flush()
        self.user_tokens.flush()
        self.sessions.flush()


def create_security(
    database: Database,
    settings: Settings,
    options: Options,
    plugins: pluggy.PluginManager,
    users: Users,
    user_tokens: UserTokens,
    clock: Callable[[], float],
) -> Security:
    """Return the services over one database; ``plugins`` bring the realms."""
    lockout = Lockout(settings.security.login_failures, settings.security.login_wait)
    accounts = Accounts(database, clock)
    realms = Realms(plugins, options, accounts)
    privileges = Privileges(database)
    tokens = TokenService(database, user_tokens, realms.goes_on, settings.security.token_lifetime)
    return Security(
        Authenticator(database, realms, lockout, accounts),
        realms,
        Authorizer(database, options),
        tokens,
        accounts,
        users,
        user_tokens,
        SessionService(database, settings.sessions, realms.goes_on, clock),
        Roles(database, options, privileges),
        privileges,
        Selectors(database, privileges),
        Cursors(lambda: tokens.derive_key("cursors")),
    )
