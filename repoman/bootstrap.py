"""The first start: fills an empty database, and begins the options as the settings say."""

import logging
import os
import secrets
from pathlib import Path

from repoman.config import BootstrapSettings, Settings
from repoman.db.database import FILE, Database
from repoman.durable import NewFile, replace_files
from repoman.errors import Unavailable
from repoman.mail import EMAIL_OPTIONS, EmailOptions
from repoman.outgoing import network_options
from repoman.repositories.manager import RepositoryManager
from repoman.sections import Section
from repoman.security.options import security_options
from repoman.security.permissions import ADMIN_ROLE
from repoman.security.users import Users

ADMIN = "admin"
ABOUT_ADMIN = {
    "first_name": "Administrator",
    "last_name": "User",
    "email": "admin@example.org",
}
PASSWORD_FILE = "admin.password"  # noqa: S105 - a file name, not a password
PASSWORD_BYTES = 18  # Random bytes of the first password, which has more characters than bytes.

_log = logging.getLogger(__name__)


def seed(
    database: Database,
    users: Users,
    repositories: RepositoryManager,
    settings: BootstrapSettings,
    data: Path,
) -> None:
    """Create the first user and the first repositories, unless there is a user already.

    The admin's random password is written to ``admin.password`` in the data directory, readable by
    the owner alone. All rows are one transaction, so the next start tries again after a failure.
    """
    if users.exist():
        return
    password = secrets.token_urlsafe(max(PASSWORD_BYTES, users.min_chars))
    with database.transaction():
        if users.exist():  # another process was faster
            return
        for each in settings.repositories:
            repositories.create(each.name, each.recipe, each.settings)
        _write_private(data / PASSWORD_FILE, password + "\n")
        users.create(ADMIN, password, [ADMIN_ROLE], about=ABOUT_ADMIN)
    _log.info("Created the user %s. Its password is in %s.", ADMIN, data / PASSWORD_FILE)


def has_first_password(data: Path) -> bool:
    """Return whether admin still has the password that the first start made."""
    return (data / PASSWORD_FILE).exists()


def is_first_login(data: Path, name: str) -> bool:
    """Return whether this is admin, who still has the password that the first start made."""
    return name == ADMIN and has_first_password(data)


def forget_first_password(data: Path, name: str) -> None:
    """Remove the file with the first password of admin, once ``name`` has another one or is gone.

    A file that cannot be removed is logged: its password is no longer valid.
    """
    if name != ADMIN:
        return
    path = data / PASSWORD_FILE
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning(
            "Could not remove %s; delete it by hand. The password in it is no longer valid. (%s)",
            path,
            error,
        )


def _write_private(path: Path, text: str) -> None:
    try:
        replace_files(NewFile(path, text.encode()))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"The password file {path} cannot be written: {reason}.") from error


def option_sections(settings: Settings) -> dict[str, Section]:
    """Return the sections of options as the settings file begins them."""
    return {
        **security_options(settings.security),
        **network_options(),
        EMAIL_OPTIONS: EmailOptions(),
    }


def has_database(data: Path) -> bool:
    """Return whether a data directory has a database with anything in it (Unavailable)."""
    try:
        return (data / FILE).stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"The database {data / FILE} cannot be used: {reason}.") from error
