"""Authentication: from credentials to an actor, by asking the realms."""

import pluggy

from repoman.errors import Unauthenticated
from repoman.security.actors import ANONYMOUS, Actor, Credentials


class Authenticator:
    """Asks every realm, local users first or last as plugins wish; thread safe."""

    def __init__(self, plugins: pluggy.PluginManager) -> None:
        self._plugins = plugins

    def authenticate(self, credentials: Credentials | None) -> Actor:
        """Return who this is; no credentials, or empty ones, are anonymous.

        Clients send an empty name and password where nobody has logged in.

        Raises:
            Unauthenticated: no realm knows these credentials.
        """
        if credentials is None or not (credentials.name or credentials.password):
            return ANONYMOUS
        actor: Actor | None = self._plugins.hook.repoman_authenticate(credentials=credentials)
        if actor is None:
            raise Unauthenticated("The user name or the password is wrong.")
        return actor
