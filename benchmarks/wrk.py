"""The load generator wrk."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.programs import find_program

CONNECTIONS = 16
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
# Numbers the requests in a header, on from one run to the next, so that no two are the same.
DIFFERENT = """
local count = os.time() * 1000000
function request()
  count = count + 1
  wrk.headers["X-Request-Id"] = string.format("%d", count)
  return wrk.format()
end
"""


@dataclass(frozen=True)
class Load:
    """What came of it: requests per second, and latencies in milliseconds."""

    rate: float
    median: float
    worst: float  # of 99 in 100 requests


def load(url: str, seconds: int, headers: tuple[str, ...], script: Path | None = None) -> Load:
    """Ask for an address over and over.

    Raises:
        RuntimeError: not every answer was good.
    """
    command = [
        find_program("wrk"),
        "--threads",
        "1",
        "--connections",
        str(CONNECTIONS),
        "--latency",
    ]
    command += ["--duration", f"{seconds}s", "--timeout", "30s"]
    command += [word for header in headers for word in ("--header", header)]
    command += ["--script", str(script)] if script else []
    output = subprocess.run([*command, url], check=True, stdout=subprocess.PIPE, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if rate is None or "Socket errors" in output or "Non-2xx" in output:
        raise RuntimeError(f"{url}:\n{output}")
    return Load(float(rate[1]), _latency(output, "50"), _latency(output, "99"))


def _latency(output: str, percent: str) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)", output, re.MULTILINE)
    return float(found[1]) * MILLISECONDS[found[2]] if found else float("nan")
