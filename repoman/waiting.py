"""Long waits: whoever has few threads is told of them, so that another one can work meanwhile."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Announce = Callable[[], AbstractContextManager[None]]


class Worker(threading.Thread):
    """A thread of which there are few: its waits are enclosed by what ``announce`` returns."""

    def __init__(self, announce: Announce, work: Callable[[], object], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self.announce = announce


def waiting() -> AbstractContextManager[None]:
    """Return a context for a wait of the calling thread that may be long.

    Raises:
        UpstreamBusy: too many wait already; when the context is entered.
    """
    thread = threading.current_thread()
    return thread.announce() if isinstance(thread, Worker) else nullcontext()
