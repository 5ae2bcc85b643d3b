"""What a run depends on besides the code, without the name of the machine."""

import os
import platform
import ssl
import time
from pathlib import Path

from benchmarks.peers import versions

GIGABYTE = 1_000_000_000
CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
LOOK = 0.5  # seconds
QUIET = 0.1  # the most that others may use of all processors


def load_average() -> str:
    """Return how busy the machine has been for one, five and fifteen minutes."""
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def wait_until_quiet(patience: int) -> None:
    """Wait until nobody works on this machine, at most so many seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = _processor_times()
        time.sleep(LOOK)
        idle, total = (now - then for now, then in zip(_processor_times(), before, strict=True))
        if idle >= (1 - QUIET) * total:
            return


def _processor_times() -> tuple[int, int]:
    """Return the time without work, and all time, in ticks."""
    times = [int(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return times[3] + times[4], sum(times)


def describe(directory: Path, disk: Path) -> list[tuple[str, str]]:
    """Return what the machine and the programs are, in lines of a name and a text."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIGABYTE
    return [
        ("Processor", f"{_processor()}, {os.cpu_count()} cores for servers and clients together"),
        ("Memory", f"{memory:.0f} GB"),
        ("Kernel", f"{platform.system()} {platform.release().partition('-')[0]}"),
        ("Congestion control", CONGESTION_CONTROL.read_text().strip()),
        ("Data on", f"{_file_system(directory)}; small images on {_file_system(disk)}"),
        ("Python", f"{platform.python_version()} with {' '.join(ssl.OPENSSL_VERSION.split()[:2])}"),
        *versions().items(),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(directory: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    around = [mount for mount in mounts if directory.resolve().is_relative_to(mount[0])]
    return max(around, key=lambda mount: len(mount[0]))[1]
