"""Authorization: whether an actor may take an action.

The rule of this version: who has logged in may do everything with content; who has not may read,
where the setting ``security.anonymous_read`` lets them.
"""

from repoman.errors import Unauthenticated
from repoman.security.actors import Action, Actor


class Authorizer:
    """Decides by the settings."""

    def __init__(self, *, anonymous_read: bool) -> None:
        self._anonymous_read = anonymous_read

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        """Return whether the actor may take the action."""
        return not actor.is_anonymous or (self._anonymous_read and action is Action.READ)

    def check(self, actor: Actor, action: Action) -> None:
        """Return if the actor may take the action.

        Raises:
            Unauthenticated: not without a login.
        """
        if not self.is_allowed(actor, action):
            raise Unauthenticated("A login is needed for this.")
