"""The programs that tests and benchmarks run: real clients, and servers of others."""

import os
import shutil
import sys
from pathlib import Path

SYSTEM_PATH = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
)


def find_program(name: str) -> str:
    """Path of a program that we cannot do without."""
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise AssertionError(f"The program {name} is missing. Install it:  make programs")
    return path
