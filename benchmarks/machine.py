"""What a run depends on besides the code, without the name of the machine."""

import os
import platform
import ssl
from pathlib import Path

from benchmarks.peers import versions

GIGABYTE = 1_000_000_000


def load_average() -> str:
    """Return how busy the machine has been for one, five and fifteen minutes."""
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def describe(directory: Path) -> list[tuple[str, str]]:
    """Return what the machine and the programs are, in lines of a name and a text."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIGABYTE
    return [
        ("Processor", f"{_processor()}, {os.cpu_count()} cores for servers and clients together"),
        ("Memory", f"{memory:.0f} GB"),
        ("Kernel", f"{platform.system()} {platform.release().partition('-')[0]}"),
        ("Data on", _file_system(directory)),
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
