"""The rows of users of other realms, while another process writes."""

import sqlite3
import time
from contextlib import closing

import pytest

from repoman.db.database import FILE
from repoman.errors import Unavailable
from repoman.security.accounts import Accounts
from repoman.security.actors import Actor
from repoman.security.user_records import find_user


@pytest.fixture
def accounts(database):
    return Accounts(database, time.time)


@pytest.fixture
def occupied(database, tmp_path):
    """What another process holds the lock of writers with."""
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        yield other


def test_a_known_user_gets_in_without_a_write(accounts, occupied, caplog):
    accounts.keep(Actor("jo", realm="ldap", roles=("first",)))
    occupied.execute("begin immediate")
    accounts.keep(Actor("jo", realm="ldap", roles=("second",)))
    assert "The roles of jo could not be saved yet" in caplog.text
    occupied.execute("rollback")
    accounts.keep(Actor("jo", realm="ldap", roles=("second",)))
    assert find_user("jo").external_roles == ("second",)


def test_a_new_user_is_refused_soon(accounts, occupied):
    occupied.execute("begin immediate")
    with pytest.raises(Unavailable):
        accounts.keep(Actor("jo", realm="ldap"))
