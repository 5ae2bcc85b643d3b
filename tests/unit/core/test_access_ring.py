import errno
import io
import re
import threading
import time

from repoman.http import access_log
from repoman.http.access_log import AccessRing
from tests.clock import WAIT_S
from tests.live import wait_until


def test_lines_come_out_in_order_with_their_time():
    stream = io.StringIO()
    with AccessRing(stream) as ring:
        for number in range(5000):
            ring.write(f"line {number}")
    lines = stream.getvalue().splitlines()
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO repoman\.access: line (\d+)"
    assert [int(re.fullmatch(pattern, line)[1]) for line in lines] == list(range(5000))


def test_a_line_is_written_soon_without_any_end():
    stream = io.StringIO()
    with AccessRing(stream) as ring:
        time.sleep(0.15)  # the writer rests
        ring.write("now")
        wait_until(lambda: "now" in stream.getvalue(), what="the line")


def test_a_slow_reader_of_the_log_delays_nobody():
    is_busy, go_on = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            is_busy.set()
            go_on.wait(WAIT_S)
            go_on.set()
            return super().write(text)

    stream = Slow()
    with AccessRing(stream) as ring:
        ring.write("first")
        assert is_busy.wait(WAIT_S)
        for _ in range(1000):
            ring.write("more")
        assert stream.getvalue() == ""
        go_on.set()


def test_lines_that_cannot_be_written_do_not_end_the_log():
    class Full(io.StringIO):
        is_full = True
        attempts = 0

        def write(self, text: str) -> int:
            self.attempts += 1
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(text)

    stream = Full()
    with AccessRing(stream) as ring:
        ring.write("lost")
        wait_until(lambda: stream.attempts, what="an attempt to write")
        stream.is_full = False
        ring.write("kept")
        wait_until(lambda: "kept" in stream.getvalue(), what="the next line")
    assert "lost" not in stream.getvalue()


def test_lines_that_wait_are_bounded(monkeypatch):
    monkeypatch.setattr(access_log, "RING_MAX_LINES", 100)
    stream = io.StringIO()
    ring = AccessRing(stream)
    for number in range(150):
        ring.write(f"line {number}")
    with ring:
        pass
    lines = stream.getvalue().splitlines()
    assert (len(lines), lines[-1][-8:]) == (100, "line 149")
