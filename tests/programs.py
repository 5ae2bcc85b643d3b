"""The programs that tests and benchmarks run: real clients, and servers of others."""

import os
import shutil
import sys
from pathlib import Path

import pytest

SYSTEM_PATH = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
)


def find_program(name: str) -> str:
    """Path of a program that we cannot do without."""
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise AssertionError(f"The program {name} is missing. Install it:  make programs")
    return path


# Programs in Python, each kind in an environment of its own beside that of the tests. They are run
# as modules: the scripts of an environment name the directory in which it was made.
PYTHON_CLIENTS = Path(sys.prefix) / "python-clients"
PYTHON_INDEXES = Path(sys.prefix) / "python-indexes"
PYTHON_PACKAGES = Path(sys.prefix) / "python-packages"
MISSING = "{0} is missing. Get it with:  make python-programs"


def python_program(environment: Path, *words: str) -> list[str]:
    """Command of a program in Python; its test is skipped where it is missing."""
    program = environment / "bin" / "python"
    if not (environment / "complete").exists():
        pytest.skip(MISSING.format(environment.name))
    return [str(program), *words]


def python_packages() -> list[Path]:
    """Wheels of real packages that pip has fetched, with all that they depend on."""
    if not (PYTHON_PACKAGES / "complete").exists():
        pytest.skip(MISSING.format(PYTHON_PACKAGES.name))
    return sorted(PYTHON_PACKAGES.glob("*.whl"))
