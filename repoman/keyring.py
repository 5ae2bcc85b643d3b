"""The keys that encrypt the secrets in the database, in a file outside of it.

The file has one Fernet key a line, the present one first; the others still open what they sealed.
A copy of the database alone gives away no password of a remote and no signing key.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from repoman.durable import (
    PRIVATE_DIRECTORY_MODE,
    NewFile,
    make_directory,
    replace_files,
    sync_directory,
)
from repoman.errors import Invalid, Unavailable

MARK = "$sealed"  # the one key of the JSON object that stands for a sealed text
REMEDY = (
    "Restore the key file that belongs to this database from a backup. If it is lost, delete the "
    "secrets that it encrypted with 'repoman secret forget' and set the passwords of remotes "
    "again."
)

REMEDY_OF_DAMAGE = REMEDY.replace(
    "If it is lost, delete", "If it is lost, remove this file, delete"
)

_log = logging.getLogger(__name__)


def map_sealed(value: Any, change: Callable[[str], Any]) -> Any:
    """Return plain JSON values with ``change(token)`` in place of whatever is sealed in them."""
    if isinstance(value, dict):
        if value.keys() == {MARK}:
            return change(value[MARK])
        return {key: map_sealed(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [map_sealed(each, change) for each in value]
    return value


def find_sealed(value: Any) -> Iterator[str]:
    """Yield the tokens of all that is sealed in plain JSON values."""
    found: list[str] = []
    map_sealed(value, found.append)
    yield from found


class Keyring:
    """Seals and opens texts by the keys of a file; thread safe.

    The file may change at any time: other processes rotate its keys. It is looked at before each
    use, and keys that were in it before stay known for as long as this process lives.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] = ()
        self._keys: tuple[str, ...] = ()
        self._known: tuple[str, ...] = ()
        self._fernet: MultiFernet | None = None

    def open(self, *, may_make: bool) -> None:
        """Read the file, or make it with a first key.

        Call it inside a write transaction, as everything that changes the file.

        Raises:
            Unavailable: it is not there and may not be made, or cannot be read or written.
            Invalid: what is in it is not a valid key.
        """
        if may_make and self._is_missing():
            self._write((_new_key(),))
            _log.info("Created a key for the secrets in the database: %s", self.path)
        self._refresh()

    def seal(self, text: str) -> dict[str, str]:
        """Return a text as the database holds it.

        Call it inside the write transaction that stores it: a rotation has to see it, or to have
        been before it.

        Raises:
            Unavailable: the file is gone; what it would open after a restart must not be stored.
        """
        return {MARK: self._refresh().encrypt(text.encode()).decode("ascii")}

    def unseal(self, value: Any) -> Any:
        """Return plain JSON values with the sealed texts in them opened.

        Raises:
            Unavailable: no key of the file opens them.
        """
        return map_sealed(value, self._unseal)

    def renew(self, value: Any) -> Any:
        """Return plain JSON values with the sealed texts in them sealed by the present key."""
        fernet = self._refresh()
        return map_sealed(value, lambda token: {MARK: fernet.rotate(token).decode("ascii")})

    def opens(self, token: str) -> bool:
        """Return whether a key of the file opens this."""
        try:
            self._known_fernet().decrypt(token)
        except InvalidToken:
            return False
        return True

    def add_key(self) -> str:
        """Put a new key before the others, on disk when this returns, and return it."""
        self._refresh()
        key = _new_key()
        self._write((key, *self._keys))
        return key

    def drop_others(self, key: str) -> None:
        """Leave this key alone in the file, unless another one has become the first."""
        self._refresh()
        if self._keys[0] == key and len(self._keys) > 1:
            self._write((key,))

    # Inside -------------------------------------------------------------------------------------

    def _unseal(self, token: str) -> str:
        try:
            return self._known_fernet().decrypt(token).decode()
        except InvalidToken as error:
            raise Unavailable(
                f"The keys in {self.path} cannot decrypt the secrets in the database. {REMEDY}"
            ) from error

    def _known_fernet(self) -> MultiFernet:
        """Return the keys as they are now; those of before, if the file has just gone."""
        try:
            return self._refresh()
        except Unavailable:
            if self._fernet is None:
                raise
            return self._fernet

    def _refresh(self) -> MultiFernet:
        """Read the file if it is another one than before."""
        with self._lock:
            try:
                self._read()
            except FileNotFoundError as error:
                raise Unavailable(
                    f"The key file {self.path} is missing, but the database contains secrets that "
                    f"were encrypted with its keys. {REMEDY}"
                ) from error
            except OSError as error:
                raise self._unreadable(error) from error
            if self._fernet is None:
                raise Invalid(f"The key file {self.path} contains no key. {REMEDY_OF_DAMAGE}")
            return self._fernet

    def _is_missing(self) -> bool:
        try:
            return not self.path.exists()
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> Unavailable:
        reason = os.strerror(error.errno or 0)
        return Unavailable(f"The key file {self.path} cannot be read: {reason}.")

    def _read(self) -> None:
        status = self.path.stat()
        if self._stamp == _stamp(status):
            return
        with self.path.open(encoding="ascii", errors="replace") as file:
            status = os.fstat(file.fileno())
            lines = [line.strip() for line in file]
        keys = tuple(filter(None, lines))
        known = tuple(dict.fromkeys((*keys, *self._known)))
        try:
            fernet = MultiFernet([Fernet(key) for key in known]) if keys else None
        except ValueError:
            # Without the cause: it might quote the line.
            problem = f"The key file {self.path} has a line that is not a valid key."
            raise Invalid(f"{problem} {REMEDY_OF_DAMAGE}") from None
        if status.st_mode & 0o077:
            _log.warning(
                "The key file %s can be read by other users than its owner. Change its "
                "mode to 600.",
                self.path,
            )
        self._keys, self._known, self._fernet = keys, known, fernet
        self._stamp = _stamp(status)

    def _write(self, keys: tuple[str, ...]) -> None:
        """Put the file in its place whole, or not at all."""
        path = self.path.resolve()
        try:
            if make_directory(path.parent, PRIVATE_DIRECTORY_MODE):
                sync_directory(path.parent.parent)
            replace_files(NewFile(path, "".join(f"{key}\n" for key in keys).encode()))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise Unavailable(f"The key file {self.path} cannot be written: {reason}.") from error


def _new_key() -> str:
    return Fernet.generate_key().decode("ascii")


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
