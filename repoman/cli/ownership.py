"""As whom a command works: as the owner of the data directory.

A file that root leaves in the data directory, such as a renewed key, is one that the server cannot
read at its next start.
"""

import ctypes
import logging
import os
import pwd
import stat
from pathlib import Path

from repoman.db.database import FILE
from repoman.errors import Unavailable

PR_SET_SECUREBITS = 28  # The option of prctl(2) that says how capabilities follow the user id.
SECBIT_NO_SETUID_FIXUP = 1 << 2  # The bit by which they do not; see capabilities(7).

_log = logging.getLogger(__name__)


def act_as_owner(data: Path) -> None:
    """Have new files of this process belong to the owner of a data directory, if root runs it.

    Root keeps its rights: the configuration, a port below 1024 or the program itself may be out of
    reach for the owner. The real user id stays too, by which the audit log knows who acts. Whoever
    is neither root nor able to use the database is told whom to be.

    Raises:
        Unavailable: the data directory belongs to somebody else.
    """
    try:
        owner = data.stat()
    except FileNotFoundError:
        return  # The command makes it, or says that it is not there.
    except OSError as error:
        raise Unavailable(
            f"The data directory {data} cannot be used: {os.strerror(error.errno or 0)}. Run the "
            "command as the user that runs the server, or as root."
        ) from error
    if not stat.S_ISDIR(owner.st_mode):
        raise Unavailable(f"{data} is not a directory. Name the data directory with --data.")
    if os.geteuid() == 0 and owner.st_uid != 0:
        _become(owner.st_uid, owner.st_gid)
    elif os.geteuid() not in (0, owner.st_uid) and not _is_usable(data):
        raise Unavailable(
            f"The data directory {data} belongs to the user {_name_of(owner.st_uid)}. "
            "Run the command as that user, or as root."
        )


def _become(uid: int, gid: int) -> None:
    try:
        groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:  # A container's user need not be in its list.
        groups = [gid]
    _keep_capabilities()
    try:
        os.setgroups(groups)
        os.setegid(gid)
        os.seteuid(uid)
    except OSError as error:  # A user namespace may lack the owner.
        _log.warning(
            "Cannot switch to the user %s, so new files will belong to root: %s", uid, error
        )


def _keep_capabilities() -> None:
    """Have root's capabilities stay when the user id changes; without, the owner's rights count."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    except (AttributeError, OSError):
        _log.debug("The C library has no prctl")


def _is_usable(data: Path) -> bool:
    """Return whether this process may write what a command has to write."""
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return False
    database = data / FILE
    return not database.exists() or os.access(database, os.R_OK | os.W_OK, effective_ids=True)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
