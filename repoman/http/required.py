"""What a view of the main port asks of its visitor, as decorators."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from repoman.errors import Denied, Unauthenticated
from repoman.http.current import current_actor, current_security
from repoman.security.actors import Actor

View = TypeVar("View", bound=Callable[..., Any])


def login_needed(view: View) -> View:
    """Let a view be called by users who logged in as a person, and not by a token.

    The view then raises Unauthenticated for nobody, and Denied for a token and for one who only has
    the name of somebody with an account.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        actor = _logged_in()
        if actor.token or actor.limit is not None or actor.scopes is not None:
            raise Denied("This cannot be done with a token. Log in with the password.")
        current_security().users.get_account(actor)
        return view(*args, **kwargs)

    return guarded  # type: ignore[return-value]  # it takes and returns what the view does


def permission_needed(domain: str, action: str) -> Callable[[View], View]:
    """Let a view be called by users with a permission on the server itself.

    The view then raises Unauthenticated for nobody, and Denied for somebody without the right.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            actor = _logged_in()
            if not current_security().authorizer.may_administer(actor, domain, action):
                raise Denied(f"{actor.name} is not allowed to {action} {domain}.")
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # it takes and returns what the view does

    return guard


def _logged_in() -> Actor:
    actor = current_actor()
    if actor.is_anonymous:
        raise Unauthenticated("Authentication is required.")
    return actor
