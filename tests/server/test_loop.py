"""One loop, without a server around it."""

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from repoman import waiting
from repoman.server.loop import IN, OUT, Loop
from repoman.waiting import RUN_SLOT
from tests.clock import LONG_S, WAIT_S
from tests.server.conftest import eventually, finish_calls


class Member:
    """A socket pair's end whose interest a test sets."""

    def __init__(self):
        self.socket, self.other = socket.socketpair()
        self.socket.setblocking(False)
        self.fd = self.socket.fileno()
        self.wanted = IN
        self.asked = 0
        self.received = b""
        self.writes = 0
        self.closed = 0

    def interest(self):
        self.asked += 1
        return self.wanted

    def handle_read(self):
        self.received += self.socket.recv(100)

    def handle_write(self):
        self.writes += 1
        self.wanted &= ~OUT

    def handle_close(self):
        self.closed += 1
        self.wanted = 0

    def refresh(self):
        pass


def take_turns(loop):
    """Return when the loop has asked the system for events a few times more."""
    for _ in range(5):
        finish_calls(loop)


@pytest.fixture
def loop():
    loop = Loop("test", 1000, tick=0.05)
    thread = threading.Thread(target=loop.run)
    thread.start()
    yield loop
    loop.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    loop.close()


@pytest.fixture
def member(loop):
    member = Member()
    loop.call(loop.register, member)
    eventually(lambda: loop.owns(member))
    yield member
    done = threading.Event()
    loop.call(lambda: (loop.unregister(member), done.set()))
    assert done.wait(WAIT_S)
    member.socket.close()
    member.other.close()


def test_member_hears_of_bytes(member):
    member.other.send(b"hello")
    eventually(lambda: member.received == b"hello")


def test_member_hears_of_room(loop, member):
    def want():
        member.wanted = IN | OUT
        loop.update(member)

    loop.call(want)
    eventually(lambda: member.writes == 1)
    take_turns(loop)
    assert member.writes == 1


def test_unwanted_bytes_are_not_asked_about_again_and_again(loop, member):
    member.wanted = 0
    member.other.send(b"hello")
    eventually(lambda: not loop.is_watching(member, IN))
    finish_calls(loop)
    asked = member.asked
    take_turns(loop)
    assert member.asked == asked
    member.wanted = IN
    loop.call(loop.update, member)
    eventually(lambda: member.received == b"hello")


def test_interest_that_changes_between_question_and_entry_is_not_lost(loop, member):
    answers = iter([0])

    def interest():  # a worker finishes right after the loop has asked
        return next(answers, IN)

    member.interest = interest
    member.other.send(b"hello")
    eventually(lambda: member.received == b"hello")


def test_end_of_an_uninterested_member_is_noticed(member):
    member.wanted = 0
    member.other.close()
    eventually(lambda: member.closed)


def test_a_turn_handles_also_what_comes_while_it_waits_for_a_worker(monkeypatch):
    monkeypatch.setattr(waiting, "BRIEF_PATIENCE_S", LONG_S)
    loop, members = Loop("test", 1000, tick=LONG_S, takes_slot=True), [Member(), Member()]
    for member in members:
        loop.register(member)
    turn = threading.Thread(target=loop._turn)
    RUN_SLOT.take()
    try:
        members[0].other.send(b"first")
        turn.start()
        eventually(lambda: RUN_SLOT._slot.next.locked())
        members[1].other.send(b"second")
    finally:
        assert RUN_SLOT.release()
    turn.join(WAIT_S)
    assert [member.received for member in members] == [b"first", b"second"]
    loop.close()
    for member in members:
        member.socket.close()
        member.other.close()


def test_failing_member_is_closed(member, caplog):
    def fail():
        raise ZeroDivisionError

    member.handle_read = fail
    member.other.send(b"hello")
    eventually(lambda: member.closed)
    assert "ZeroDivisionError" in caplog.text


def test_member_whose_interest_cannot_be_known_is_closed_and_the_loop_goes_on(loop, member, caplog):
    def interest():
        if member.received and not member.closed:
            raise ZeroDivisionError
        return IN

    member.interest = interest
    member.other.send(b"hello")
    eventually(lambda: member.closed)
    done = threading.Event()
    loop.call(done.set)
    assert done.wait(WAIT_S)
    assert "ZeroDivisionError" in caplog.text


def test_member_that_cannot_be_closed_does_not_end_the_loop(loop, member, caplog):
    def fail():
        raise ZeroDivisionError

    def read():
        member.socket.recv(100)
        fail()

    member.handle_read, member.handle_close = read, fail
    member.other.send(b"hello")
    eventually(lambda: caplog.text.count("ZeroDivisionError") >= 2)
    done = threading.Event()
    loop.call(done.set)
    assert done.wait(WAIT_S)


def test_failing_call_does_not_end_the_loop(loop, caplog):
    loop.call(lambda: 1 / 0)
    done = threading.Event()
    loop.call(done.set)
    assert done.wait(WAIT_S)
    assert "ZeroDivisionError" in caplog.text


def test_calls_from_many_threads_wake_the_loop_each_time(loop):
    """Waits for each call: a lost wake-up would take until the next tick."""

    def call(_):
        for _ in range(300):
            finish_calls(loop)

    loop.tick = LONG_S
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(call, range(3)))


def test_calls_that_call_do_not_keep_events_waiting(loop, member):
    stop = threading.Event()

    def again():
        if not stop.is_set():
            loop.call(again)

    loop.call(again)
    member.other.send(b"hello")
    eventually(lambda: member.received == b"hello")
    stop.set()


def test_calls_that_call_do_not_keep_from_what_comes_after_each_turn(loop):
    stop = threading.Event()
    asked = []

    def again():
        if not stop.is_set():
            loop.call(again)

    loop.call(again)
    loop.backlog = ["work"]
    loop.after_turn = lambda: asked.append(1)
    eventually(lambda: len(asked) > 3)
    stop.set()


def test_what_cannot_be_watched_is_no_member(loop):
    member = Member()
    member.socket.close()
    member.other.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.register(member)
    assert not loop.owns(member)


def test_ticks(loop):
    ticks = []
    loop.on_tick = lambda: ticks.append(time.monotonic())
    eventually(lambda: len(ticks) >= 3)


def test_late_call_writes_into_nobodys_file(tmp_path):
    loop = Loop("test", 1000)
    loop.stop()
    loop.run()
    number = loop._wakeup
    loop.close()
    with (tmp_path / "victim").open("wb") as victim:
        if victim.fileno() != number:
            os.dup2(victim.fileno(), number)
        loop.call(bool)
        if victim.fileno() != number:
            os.close(number)
    assert (tmp_path / "victim").read_bytes() == b""


def test_a_turn_that_fails_is_not_the_end(loop, caplog):
    errors = [SystemExit("no"), MemoryError(), ValueError("odd")]

    def fail():
        if errors:
            raise errors.pop()
        return False

    loop.backlog = ["work"]
    loop.after_turn = fail
    loop.call(bool)
    eventually(lambda: not errors)
    done = threading.Event()
    loop.call(done.set)
    assert done.wait(5)
    assert "'test loop' failed and continues: ValueError: odd" in caplog.text
    eventually(lambda: loop.problem == "")
