"""Hands content events to the plugins that implement ``repoman_content_changed``.

Each plugin has a position and a thread of its own, so that one that is slow, fails or waits for a
network holds up neither the others nor any request.
"""

import logging
import time
from collections.abc import Callable
from operator import attrgetter

import pluggy

from repoman.db.database import Database
from repoman.events.event import ContentEvent
from repoman.events.event_records import list_events
from repoman.events.follower import Follower, newest_id
from repoman.events.origin import SYSTEM, Origin, acting_as
from repoman.threads import Periodic, describe

HOOK = "repoman_content_changed"
LOOK_INTERVAL_S = 0.5  # How often the thread looks for new events.
ATTEMPTS_MAX = 10  # How often a plugin gets an event at which it fails before it is skipped.
PAUSE_MIN_S = 0.5  # The pause after the first failure; it doubles with each further one.
PAUSE_MAX_S = 60.0  # The longest pause after a failure.

_log = logging.getLogger(__name__)


class PluginFollower:
    """Hands the events to one plugin, in their order, at least once.

    Args:
        name: of the plugin.
        hook: calls it with an event.
        ticks: seconds that never run backwards.

    Attributes:
        thread: hands new events to the plugin while it runs.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        hook: Callable[..., object],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._hook = hook
        self._ticks = ticks
        self._follower = Follower(
            database, f"plugin {name}", list_events, attrgetter("id"), self._hand_on, batch=1
        )
        self._failures = 0
        self._failure = ""
        self._resume_at = 0.0
        self.thread = Periodic(f"events of {name}", self.follow, LOOK_INTERVAL_S)

    @property
    def problem(self) -> str:
        """Why the plugin receives no events; empty if it does."""
        return self._failure or self.thread.problem

    def position(self) -> int:
        """Return the id of the last event that the plugin has handled."""
        return self._follower.position

    def begin(self) -> None:
        """Let a plugin that is new begin with the next event."""
        self._follower.start_at(newest_id)

    def follow(self) -> None:
        """Hand over all new events until one fails; that one comes again after a pause."""
        while self._ticks() >= self._resume_at and not self.thread.is_stopping():
            if not self._follower.follow():
                return

    def _hand_on(self, events: list[ContentEvent]) -> bool:
        """Hand over some events; return whether they are done."""
        try:
            with acting_as(Origin(SYSTEM.actor, source=f"plugin {self.name}")):
                for event in events:
                    self._hook(event=event)
        except BaseException as error:  # noqa: BLE001 - also what a plugin means to exit by
            return self._note_failure(events[0], error)
        self._failures, self._failure = 0, ""
        return True

    def _note_failure(self, event: ContentEvent, error: BaseException) -> bool:
        """Log the first failure and the last; return whether the event is skipped."""
        self._failures += 1
        self._failure = f"The plugin {self.name} fails at the event {event.id}: {describe(error)}"
        if self._failures >= ATTEMPTS_MAX:
            _log.error("%s. The event is skipped.", self._failure)
            self._failures = 0
            return True
        if self._failures == 1:
            _log.error("%s. It is tried again.", self._failure, exc_info=error)
        pause = min(PAUSE_MIN_S * 2 ** (self._failures - 1), PAUSE_MAX_S)
        self._resume_at = self._ticks() + pause
        return False


def plugin_followers(database: Database, plugins: pluggy.PluginManager) -> list[PluginFollower]:
    """Return a follower for each plugin that implements the hook."""
    with_hook = [impl.plugin for impl in getattr(plugins.hook, HOOK).get_hookimpls()]
    followers = []
    for plugin in with_hook:
        others = [each for each in with_hook if each is not plugin]
        hook = plugins.subset_hook_caller(HOOK, others)
        followers.append(PluginFollower(database, plugins.get_name(plugin) or "", hook))
    return followers
