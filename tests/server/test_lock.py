"""The lock of the data directory, where it cannot be had."""

import errno
import fcntl
import os

import pytest

from repoman.errors import Unavailable
from repoman.server.lock import DataLock, is_served


def test_a_file_system_without_locks_is_told_in_words(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "fcntl", fail)
    with pytest.raises(Unavailable, match="cannot be locked"), DataLock(tmp_path):
        pass
    assert not is_served(tmp_path)
