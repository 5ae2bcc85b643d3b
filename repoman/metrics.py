"""Metrics: numbers about the server for monitoring, and their text form for Prometheus.

Requests are counted where they are logged: each leaves a tuple in a queue, and a thread adds the
tuples up, so that a request pays for one append. Everything else is read when somebody asks.

Source: the text format 0.0.4 and the names of Prometheus (prometheus.io/docs/instrumenting).
"""

import os
import resource
import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from repoman.logs import LogRing

QUEUE_MAX = 200_000  # Requests that may wait to be added up, some 40 MB.
METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"  # What other methods are called, which clients can invent.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds of the durations that are counted together."""
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# A request: method, status, seconds until the response began, the bytes of the response and of the
# body as their headers tell them, how a cache took part, and whether the response was repeated
# from memory.
Sample = tuple[str, str, float, str, str, str, bool]
Value = int | float


@dataclass(frozen=True, slots=True)
class Metric:
    """A number, or one for each combination of labels; a histogram has a suffix for each."""

    name: str
    kind: str  # counter, gauge or histogram
    help: str
    samples: tuple[tuple[str, Mapping[str, str], Value], ...]


def gauge(name: str, text: str, value: Value) -> Metric:
    """Return a number that goes up and down."""
    return Metric(name, "gauge", text, (("", {}, value),))


def counter(name: str, text: str, value: Value) -> Metric:
    """Return a number that only grows while the server runs."""
    return Metric(name, "counter", text, (("", {}, value),))


def labelled(kind: str, name: str, text: str, label: str, values: Mapping[str, Value]) -> Metric:
    """Return numbers by the value of one label."""
    return Metric(name, kind, text, tuple(("", {label: key}, n) for key, n in values.items()))


@dataclass
class Durations:
    """How many requests took how long: counts by bucket, their sum, and the longest, in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total: float = 0.0
    longest: float = 0.0

    @property
    def count(self) -> int:
        """The number of requests."""
        return sum(self.counts)

    def add(self, seconds: float, count: int) -> None:
        """Count requests that took as long."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += count
        self.total += seconds * count
        self.longest = max(self.longest, seconds)


class Requests:
    """Counts requests; thread safe.

    Attributes:
        note: takes a :data:`Sample`; cheap, for any thread.
        by_status: how many there were, by method and status.
        by_method: how long they took, by method.
        by_source: how many there were, by how a cache took part.
        sent_by_source: bytes of the responses, by the same.
        received: bytes of their bodies; sent: bytes of the responses.
        repeated: how many were answered from the response cache.
    """

    def __init__(self) -> None:
        self._queue: deque[Sample] = deque(maxlen=QUEUE_MAX)
        self.note: Callable[[Sample], None] = self._queue.append
        self._lock = threading.Lock()
        self.by_status: Counter[tuple[str, str]] = Counter()
        self.by_method: dict[str, Durations] = {}
        self.by_source: Counter[str] = Counter()
        self.sent_by_source: Counter[str] = Counter()
        self.received = self.sent = self.repeated = 0

    def add_up(self) -> None:
        """Add up what has come since the last time; call it often."""
        with self._lock:
            # What is repeated from memory gives the same sample each time.
            samples = Counter(self._queue.popleft() for _ in range(len(self._queue)))
            for sample, count in samples.items():
                self._add(sample, count)

    def totals(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """Return requests by status, and those that caches took part in with their bytes."""
        self.add_up()
        with self._lock:
            statuses: Counter[str] = Counter()
            for (_, status), count in self.by_status.items():
                statuses[status] += count
            return statuses, Counter(self.by_source), Counter(self.sent_by_source)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all requests so far."""
        self.add_up()
        with self._lock:
            yield Metric(
                "repoman_http_requests_total",
                "counter",
                "Requests, without health checks.",
                tuple(
                    ("", {"method": method, "code": status}, count)
                    for (method, status), count in self.by_status.items()
                ),
            )
            yield Metric(
                "repoman_http_request_duration_seconds",
                "histogram",
                "Time until the response began.",
                tuple(_histogram(self.by_method)),
            )
            yield labelled(
                "counter",
                "repoman_http_cached_requests_total",
                "Requests for cached content, by what the cache did.",
                "source",
                self.by_source,
            )
            yield counter(
                "repoman_http_repeated_responses_total",
                "Responses that were repeated from memory.",
                self.repeated,
            )
            yield counter(
                "repoman_http_request_bytes_total", "Bytes of request bodies.", self.received
            )
            yield counter(
                "repoman_http_response_bytes_total", "Bytes of response bodies.", self.sent
            )

    def _add(self, sample: Sample, count: int) -> None:
        method, status, seconds, sent, received, source, is_repeated = sample
        has_body = method != "HEAD"
        method = method if method in METHODS else OTHER
        self.by_status[method, status] += count
        durations = self.by_method.get(method)
        if durations is None:
            durations = self.by_method[method] = Durations()
        durations.add(seconds, count)
        size = _bytes_of(sent) * count if has_body else 0
        if source != "-":
            self.by_source[source] += count
            self.sent_by_source[source] += size
        self.sent += size
        self.received += _bytes_of(received) * count
        self.repeated += is_repeated * count


def _histogram(by_method: Mapping[str, Durations]) -> Iterator[tuple[str, dict[str, str], Value]]:
    for method, durations in by_method.items():
        total = 0
        for bound, count in zip((*BUCKETS_S, "+Inf"), durations.counts, strict=True):
            total += count
            yield "_bucket", {"method": method, "le": str(bound)}, total
        yield "_sum", {"method": method}, durations.total
        yield "_count", {"method": method}, total


def _bytes_of(length: str) -> int:
    return int(length) if length.isascii() and length.isdigit() else 0


Read = Callable[[], Iterable[Metric]]


class Metrics:
    """What all parts of the server can tell.

    Attributes:
        requests: the requests so far.
        log: the lines of the server log.
    """

    def __init__(self) -> None:
        self.requests = Requests()
        self.log = LogRing()
        self._reads: list[Read] = [self.requests.collect, self._collect_log, collect_process]

    def add(self, read: Read) -> None:
        """Have ``read`` asked for metrics too, from any thread."""
        self._reads = [*self._reads, read]

    def collect(self) -> list[Metric]:
        """Return all metrics, in the order in which their parts were added."""
        return [metric for read in self._reads for metric in read()]

    def _collect_log(self) -> Iterator[Metric]:
        yield labelled(
            "counter",
            "repoman_log_records_total",
            "Records of the server log.",
            "level",
            dict(self.log.counts),
        )


def collect_process() -> Iterator[Metric]:
    """Yield what Prometheus' own clients tell of a process."""
    yield counter("process_cpu_seconds_total", "CPU time.", time.process_time())
    yield gauge("process_resident_memory_bytes", "Resident memory.", resident_bytes())
    yield gauge("process_start_time_seconds", "Start, since the epoch.", started_at())
    yield gauge("process_open_fds", "Open file descriptors.", _count_files())
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield gauge("process_max_fds", "Limit of open file descriptors.", limit)
    yield gauge("process_threads", "Threads.", threading.active_count())


def _count_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident_bytes() -> int:
    """Return the memory of the process that is not swapped out, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def memory_bytes() -> int:
    """Return the memory of the machine, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES


@cache
def started_at() -> float:
    """Return when the process began, in seconds since the epoch."""
    return time.time() - uptime()


def uptime() -> float:
    """Return for how long the process has run, in seconds."""
    # The 22nd field, counted behind the name, which may have spaces (proc(5)).
    begun = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - begun / CLOCK_TICKS


def render_prometheus(metrics: Iterable[Metric]) -> str:
    """Return metrics in the text format 0.0.4."""
    return "".join(f"{line}\n" for metric in metrics for line in _lines_of(metric))


def _lines_of(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for suffix, labels, value in metric.samples:
        listed = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{metric.name}{suffix}{f'{{{listed}}}' if listed else ''} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
