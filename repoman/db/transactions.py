"""What a thread knows of its open transaction."""

import threading
from itertools import count

# The topics of a block, if its statements do not say them, and its repository, if it has one.
Scope = tuple[tuple[str, ...] | None, int | None]


class ThreadState(threading.local):
    """The open transaction of a thread, and whether its writes wait for other writers briefly."""

    transaction: "Transaction | None" = None
    waits_briefly = False


class Transaction:
    """An open transaction: its topics, and their numbers after it."""

    def __init__(self, scope: Scope, *, is_durable: bool) -> None:
        self.is_durable = is_durable
        self.has_failed = False  # in a part that cannot fail alone
        self.scopes = [scope]
        self.topics = set(scope[0] or ())
        self.bumped: set[str] = set()  # those whose numbers have moved already
        self.numbers: dict[str, int] = {}
        self._count = count(1)

    def check(self) -> None:
        """Refuse to keep a part of what belongs together (RuntimeError); that is a bug."""
        if self.has_failed:
            raise RuntimeError("The transaction continued after a failure of its part.")

    def next_name(self) -> str:
        """Return the name of another savepoint."""
        return f"s{next(self._count)}"
