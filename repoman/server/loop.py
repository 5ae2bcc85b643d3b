"""One epoll loop, run by one thread, and what it asks of its members."""

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sized
from contextlib import suppress
from typing import Any, Protocol

from repoman.threads import Watch
from repoman.waiting import RUN_SLOT

log = logging.getLogger(__name__)

IN = select.EPOLLIN
OUT = select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR

# A turn takes so many events from the system at most.
EVENTS_PER_TURN = 512

# The next turn begins after this time while ``after_turn`` wants to be asked again.
NUDGE_INTERVAL_S = 0.001


class Member(Protocol):
    """Something with a file descriptor that a loop watches; used by the loop's thread."""

    fd: int

    def interest(self) -> int:
        """Return the events waited for now: IN, OUT, both or 0."""

    def handle_read(self) -> None:
        """Read; there are bytes, a connection, or the end."""

    def handle_write(self) -> None:
        """Write; there is room."""

    def handle_close(self) -> None:
        """Close; the other side is gone or an error happened."""

    def refresh(self) -> None:
        """Look again at what to do next: another thread has changed something."""


class Loop:
    """Watches members and calls them; belongs to the thread that runs it.

    Any thread may use ``call`` and ``stop`` and ask ``is_watching``.

    Args:
        takes_slot: whether it waits for other threads that run Python; not where most of its time
            goes into system calls for large bodies.

    Attributes:
        buffer: bytes that members may receive into during a call, valid until they return.
        backlog: while there is something in it,
        after_turn: is called after each turn; True asks for another turn soon.
        on_tick: called about once per ``tick`` seconds.
    """

    def __init__(
        self, name: str, buffer_size: int, tick: float = 1.0, *, takes_slot: bool = False
    ) -> None:
        self.name = name
        self._takes_slot = takes_slot
        self.buffer = memoryview(bytearray(buffer_size))
        self.tick = tick
        self.backlog: Sized = ()
        self.after_turn: Callable[[], bool] = _needs_nothing
        self.on_tick: Callable[[], object] = _needs_nothing
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wakeup, IN)
        self._wakeup_lock = threading.RLock()  # reentrant: a signal handler may call while we do
        self._members: dict[int, Member] = {}
        self._masks: dict[int, int] = {}
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._is_armed = False
        self._is_running = True
        self._turns = Watch(f"{name} loop")
        self._next_tick = time.monotonic() + tick

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Run ``function(*args)`` on the loop's thread, soon. Safe in a signal handler."""
        self._calls.append((function, args))
        if not self._is_armed:
            with self._wakeup_lock:
                if not self._is_armed:
                    self._is_armed = True
                    os.eventfd_write(self._wakeup, 1)

    def stop(self) -> None:
        """Leave :meth:`run` after the calls queued so far."""
        self.call(self._stop)

    def register(self, member: Member) -> None:
        """Begin to watch a member for reading; its interest counts from the first event on.

        Raises:
            OSError: the system watches too many files already.
        """
        self._epoll.register(member.fd, IN)  # first: it may fail
        self._members[member.fd] = member
        self._masks[member.fd] = IN

    def unregister(self, member: Member) -> None:
        """Forget a member, before its descriptor is closed."""
        del self._members[member.fd]
        del self._masks[member.fd]
        with suppress(OSError):  # a failed attempt to begin TLS closes it all the same
            self._epoll.unregister(member.fd)

    def owns(self, member: Member) -> bool:
        """Tell whether the member is registered here."""
        return self._members.get(member.fd) is member

    def is_watching(self, member: Member, events: int) -> bool:
        """Tell whether the member would hear of these events."""
        return bool(self._masks.get(member.fd, 0) & events)

    def update(self, member: Member) -> None:
        """Bring what epoll watches in line with the member's interest.

        Reading is switched off only when an event arrives that nobody wants (see ``_dispatch``):
        most requests are answered before the next one comes, which saves two system calls each.
        """
        while self._members.get(member.fd) is member:
            watched = self._masks[member.fd]
            wanted = member.interest() | (watched & IN)
            if wanted == watched:
                return
            self._watch(member.fd, wanted)
            # Once more: a worker may have changed the interest between question and entry, and
            # have seen the old mask, so that it did not call.

    @property
    def problem(self) -> str:
        """Why a turn failed since the last tick; empty if none did."""
        return self._turns.problem

    def run(self) -> None:
        """Run until stopped, in spite of errors."""
        self._turns.run_forever(self._turn_on)

    def _turn_on(self) -> None:
        while self._is_running or self._calls:
            self._turn()

    def finish_calls(self) -> None:
        """Do what was asked for after the end of :meth:`run`."""
        while self._calls:
            self._run_calls()

    def close(self) -> None:
        """Close the descriptors, after :meth:`run`. Later calls have no effect."""
        with self._wakeup_lock:
            self._is_armed = True  # or a late call would write into another file of that number
            os.close(self._wakeup)
        self._epoll.close()

    def _stop(self) -> None:
        self._is_running = False

    def _turn(self) -> None:
        longest = NUDGE_INTERVAL_S if self.backlog and self.after_turn() else self.tick
        timeout = 0.0 if self._calls else longest
        found = self._epoll.poll(timeout, EVENTS_PER_TURN)
        slot = RUN_SLOT.take_at_once() if self._takes_slot else None
        has_to_wait = self._takes_slot and slot is None
        if has_to_wait:
            slot = RUN_SLOT.take_briefly()
        try:
            if has_to_wait and len(found) < EVENTS_PER_TURN:
                # More may have come meanwhile, and each turn interrupts a worker.
                found = self._epoll.poll(0, EVENTS_PER_TURN)
            for fd, events in found:
                if fd == self._wakeup:
                    os.eventfd_read(fd)
                    self._is_armed = False  # only after the read: otherwise a wake-up can get lost
                else:
                    self._dispatch(fd, events)
            if self._calls:
                self._run_calls()
            now = time.monotonic()
            if now >= self._next_tick:
                self._next_tick = now + self.tick
                self._turns.note_success()
                self._run(self.on_tick)
        finally:
            if slot is not None:
                slot.release()

    def _run_calls(self) -> None:
        # Those that are added meanwhile wait for the next turn, so that events get theirs.
        for _ in range(len(self._calls)):
            function, args = self._calls.popleft()
            try:
                function(*args)
            except Exception:
                log.exception("A call on the %s loop failed", self.name)

    def _run(self, function: Callable[[], object]) -> None:
        try:
            function()
        except Exception:
            log.exception("A call on the %s loop failed", self.name)

    def _dispatch(self, fd: int, events: int) -> None:
        member = self._members.get(fd)
        if member is None:
            return
        try:
            if events & (IN | GONE):
                self._handle_input(member, events)
            if events & OUT and self._members.get(fd) is member and member.interest() & OUT:
                member.handle_write()
            self.update(member)
        except Exception:
            log.exception("Closing a connection after an error on the %s loop", self.name)
            self._run(member.handle_close)

    def _handle_input(self, member: Member, events: int) -> None:
        if member.interest() & IN:
            member.handle_read()
        elif events & GONE:
            member.handle_close()
        else:
            self._watch(member.fd, self._masks[member.fd] & ~IN)

    def _watch(self, fd: int, events: int) -> None:
        self._masks[fd] = events
        self._epoll.modify(fd, events)


def _needs_nothing() -> bool:
    """Do nothing, and ask for nothing: what a loop calls where nobody has set anything else."""
    return False
