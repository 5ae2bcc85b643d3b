"""Checks of what the server runs on: disks, the clock, open files, and its own threads."""

import ctypes
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from repoman.config import DoctorSettings
from repoman.db.database import Database
from repoman.doctor.model import DoctorCheck, Finding, Fix, bad, good, unchecked, warn
from repoman.health import Health
from repoman.plugins import InstalledPlugin
from repoman.printable import pluralize, render_size
from repoman.repositories.model import Repository
from repoman.stores.model import StoreState
from repoman.stores.service import BlobStores

FILES_PER_CONNECTION = 2  # A socket and a file of a blob store.
FILES_BESIDE = 512  # Others: of the database, two for each of up to 200 threads; the log, modules.
TIMEX_BYTES = 256  # At least the size of C's struct timex, whose first field says what to set.
TIME_ERROR = 5  # What adjtimex(2) returns for a clock that nothing keeps right.
DATABASE_MAX_BYTES = 1 << 26  # A larger database is not read as a whole beside the server.


def health_check(*healths: Health) -> DoctorCheck:
    """Return the check whether all parts of the server work."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        problems = {name: text for each in healths for name, text in each.problems().items()}
        problems.pop("connectors", None)  # They have a check of their own.
        for name, text in problems.items():
            yield bad(f"{name} does not work", text, Fix("See the log of the server."))
        if not problems:
            count = sum(len(each.names()) for each in healths)
            yield good(f"nothing has failed in {pluralize(count, 'part')} of the server")

    return DoctorCheck("health", "The server", run, needs_server=True)


def plugin_check(list_installed: Callable[[], list[InstalledPlugin]]) -> DoctorCheck:
    """Return the check whether all installed plugins could be loaded."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        installed = list_installed()
        failed = [each for each in installed if each.problem]
        for each in failed:
            yield bad(
                f"The plugin {each.name} was left out",
                f"It cannot be loaded: {each.problem}. What it brings is missing, and repositories "
                "of its formats do not work.",
                Fix(
                    "Install a version that fits, and restart:",
                    f"pip install --upgrade {each.distribution}",
                ),
            )
        for each in installed:
            if each.failure:
                fix = Fix("See the log of the server, and tell its authors.")
                yield warn(f"The plugin {each.name} has failed", f"{each.failure}.", fix)
        if count := len(installed) - len(failed):
            yield good(f"{pluralize(count, 'plugin')} loaded")

    return DoctorCheck("plugins", "Plugins", run)


def read_only_check(database: Database) -> DoctorCheck:
    """Return the check whether anything can be changed."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        state = database.read_only.find()
        if state is not None:
            yield warn(
                "The server is in read-only mode",
                f"{state.actor} began it. All changes of content and configuration are refused.",
                Fix("End it:", "repoman release"),
            )

    return DoctorCheck("read-only", "Read-only mode", run)


def disk_check(settings: DoctorSettings, data: Path, stores: BlobStores) -> DoctorCheck:
    """Return the check whether there is space on the disks of the data and the blob stores."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        free = shutil.disk_usage(data).free
        yield _judged_space(f"The disk of {data}", free, settings.free_space)
        for state in stores.states():
            yield from _judged_store(state, free, settings.free_space)

    return DoctorCheck("disk", "Disk space", run)


def _judged_store(state: StoreState, data_free: int, least: int) -> Iterator[Finding]:
    name = state.info.name
    if state.problem:
        fix = Fix("Mount its disk, or correct its path; see 'repoman blobstore list'.")
        yield bad(f"The blob store {name} cannot be used", state.problem, fix)
    if state.violation:
        yield warn(
            f"The soft quota of the blob store {name} is exceeded",
            state.violation,
            Fix("Delete content, or raise the quota; see 'repoman blobstore set --help'."),
        )
    if state.free is not None and state.free < least <= data_free:  # It has its own disk.
        yield _judged_space(f"The disk of the blob store {name}", state.free, least)


def _judged_space(what: str, free: int, least: int) -> Finding:
    if free >= least:
        return good(f"{what}: {render_size(free)} free")
    return warn(
        f"{what} is nearly full",
        f"{render_size(free)} are free. When nothing is left, pushes are refused with 507.",
        Fix(
            "Delete content that nobody needs; then free the space of what is deleted:",
            "repoman task run 'Admin - Compact blob stores'",
        ),
        Fix("Or make the disk larger."),
    )


def clock_check(read: Callable[[], int] | None = None) -> DoctorCheck:
    """Return the check whether something keeps the clock right; ``read`` asks the kernel."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        state = (read or read_clock_state)()
        if state == TIME_ERROR:
            # No warning: a hypervisor may keep it right, and the kernel not know.
            yield unchecked(
                "The kernel does not know that anything keeps the clock right. With a wrong clock, "
                "certificates and tokens are refused, and what is old is not deleted.",
                Fix("Start a time service, such as:", "timedatectl set-ntp true"),
            )
        elif state < 0:
            yield unchecked("The kernel does not tell whether the clock is synchronized.")
        else:
            yield good("synchronized")

    return DoctorCheck("clock", "Clock", run)


def read_clock_state() -> int:
    """Return the state of the kernel's clock, as adjtimex(2) does; below 0: it does not tell."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    except (AttributeError, OSError):
        return -1


def files_check(connections: int) -> DoctorCheck:
    """Return the check whether the process may open enough files for ``connections``."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections * FILES_PER_CONNECTION + FILES_BESIDE
        if limit in (resource.RLIM_INFINITY, -1) or limit >= wanted:
            yield good(f"{limit if limit > 0 else 'any number of'} files may be open")
            return
        yield warn(
            f"Only {limit} files may be open",
            f"{connections} connections (server.connection_limit) take up to {wanted}. Beyond the "
            "limit, clients are refused.",
            Fix("In the unit of systemd, then restart:", f"[Service]\nLimitNOFILE={wanted}"),
            Fix("As an option of the container:", f"--ulimit nofile={wanted}"),
        )

    return DoctorCheck("open-files", "Open files", run, needs_server=True)


def database_check(database: Database) -> DoctorCheck:
    """Return the check whether the database is free of damage; only where that takes no time."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        size = database.sizes().get("database", 0)
        if size > DATABASE_MAX_BYTES:
            yield unchecked(
                f"It has {render_size(size)}, too much to read it as a whole beside requests.",
                Fix("Check a copy of it:", "sqlite3 COPY 'PRAGMA quick_check'"),
            )
        elif problem := database.find_damage():
            yield bad(
                "The database is damaged",
                f"SQLite says: {problem}",
                Fix("Stop the server, and restore a backup. See docs/operations.md."),
            )
        else:
            yield good(f"{render_size(size)}, free of damage")

    return DoctorCheck("database", "Database", run, asks_others=True)
