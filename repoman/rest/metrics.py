"""Metrics over REST: for Prometheus, and in the form of Sonatype Nexus Repository 3.

Exporters read names there that belong to Java; they get what the same is in this process.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from repoman.metrics import Requests, memory_bytes, render_prometheus, resident_bytes, uptime
from repoman.monitoring import collect_all
from repoman.rest.endpoints import Area, Call, Permission, Reply
from repoman.rest.status import CheckView, checks_of
from repoman.threads import describe_threads

FORM = "4.0.0"  # The version of the form of `data`, that of Dropwizard Metrics.
PROMETHEUS = "text/plain; version=0.0.4"
WEB = "org.eclipse.jetty.webapp.WebAppContext"  # In front of the names about requests.
CLASSES = "12345"  # The first digits of statuses.
METHODS = ("get", "head", "put", "post", "delete", "options", "other")
LEVELS = ("debug", "info", "warn", "error")

READ = Permission("metrics", "read")

metrics = Area("Metrics", "Numbers about the server, for monitoring; also at `/service/metrics`.")


@metrics.get("/metrics/ping", READ)
def ping(call: Call) -> str:
    """Answer `pong`."""
    return "pong\n"


@metrics.get("/metrics/data", READ)
def show_metrics(call: Call) -> dict[str, Any]:
    """Show the numbers that exporters for Sonatype Nexus Repository 3 read, as JSON."""
    requests = call.repoman.metrics.requests
    requests.add_up()
    return {
        "version": FORM,
        "gauges": {name: {"value": value} for name, value in _gauges()},
        "counters": {},
        "histograms": {},
        "meters": {
            **_statuses(requests),
            **_levels(call.repoman.metrics.log.counts),
        },
        "timers": dict(_timers(requests)),
    }


@metrics.get("/metrics/healthcheck", READ)
def list_health(call: Call) -> dict[str, CheckView]:
    """List all checks, as `/v1/status/check` does."""
    return checks_of(call)


@metrics.get("/metrics/threads", READ)
def list_threads(call: Call) -> str:
    """List the threads and where each of them is, as text."""
    return "\n".join(describe_threads())


@metrics.get("/metrics/prometheus", READ)
def list_prometheus(call: Call) -> Reply:
    """List all metrics in the text format of Prometheus."""
    return Reply(render_prometheus(collect_all(call.repoman)), PROMETHEUS)


def _gauges() -> Iterator[tuple[str, int]]:
    resident, memory = resident_bytes(), memory_bytes()
    for part, used in (("heap", resident), ("non-heap", 0), ("total", resident)):
        limit = memory if used else 0
        numbers = {"committed": used, "init": 0, "max": limit, "used": used}
        for name, value in numbers.items():
            yield f"jvm.memory.{part}.{name}", value
    yield "jvm.vm.uptime", round(uptime() * 1000)
    yield "jvm.thread-states.count", threading.active_count()


def _statuses(requests: Requests) -> dict[str, dict[str, int]]:
    counts: Counter[str] = Counter()
    for (_, status), count in requests.by_status.copy().items():
        counts[status[:1]] += count
    return {f"{WEB}.{each}xx-responses": {"count": counts[each]} for each in CLASSES}


def _levels(counts: Counter[str]) -> dict[str, dict[str, int]]:
    named = Counter({"warn": counts["warning"], "error": counts["error"] + counts["critical"]})
    named.update({each: counts[each] for each in ("debug", "info")})
    return {f"metrics.{each}": {"count": named[each]} for each in LEVELS}


def _timers(requests: Requests) -> Iterator[tuple[str, dict[str, float]]]:
    for method in METHODS:
        found = requests.by_method.get(method if method == "other" else method.upper())
        count = 0 if found is None else found.count
        mean = found.total / count if found is not None and count else 0.0
        longest = 0.0 if found is None else found.longest
        yield f"{WEB}.{method}-requests", {"count": count, "mean": mean, "max": longest}
