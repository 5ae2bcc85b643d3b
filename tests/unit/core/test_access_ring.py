import io
import re
import time

from repoman.http.access_ring import AccessRing


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
        deadline = time.monotonic() + 5
        while "now" not in stream.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_slow_reader_of_the_log_delays_nobody():
    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            time.sleep(0.3)
            return super().write(text)

    with AccessRing(Slow()) as ring:
        ring.write("first")
        begin = time.monotonic()
        for _ in range(1000):
            ring.write("more")
        assert time.monotonic() - begin < 0.2
