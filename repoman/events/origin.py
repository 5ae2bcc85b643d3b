"""Who acts in the calling thread, and from where: for events, for the audit log, for new assets.

Whatever begins an action (a request, a command, a task) says so once, by :func:`acting_as`;
whatever is changed on the way asks :func:`current_origin`. Threads begin as the program itself.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, and from where.

    Attributes:
        actor: the name of the user; ``system`` is the program itself.
        address: the IP address of the client.
        connector: by which the request came.
        repository: the name of the one to which the request came; a change may be in another one.
        source: what makes the change: ``request``, ``command``, or a part or task of the program.
        attributes: say more, such as the token of the user.
    """

    actor: str
    realm: str = ""
    address: str = ""
    connector: str = ""
    repository: str = ""
    source: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


SYSTEM = Origin("system", source="system")

FindOrigin = Callable[[], Origin]

# What is set is a function, so that a request finds out only if something asks.
ACTING: ContextVar[FindOrigin] = ContextVar("acting", default=lambda: SYSTEM)


def current_origin() -> Origin:
    """Return who acts in the calling thread."""
    return ACTING.get()()


@contextmanager
def acting_as(origin: Origin) -> Iterator[None]:
    """Return a context in which ``origin`` acts in this thread."""
    token = ACTING.set(lambda: origin)
    try:
        yield
    finally:
        ACTING.reset(token)


@contextmanager
def acting_by(source: str) -> Iterator[None]:
    """Return a context in which whoever acts does so by another ``source``, such as a fetch."""
    find = ACTING.get()
    token = ACTING.set(lambda: replace(find(), source=source))
    try:
        yield
    finally:
        ACTING.reset(token)
