"""The first start, and those after it."""

import errno
import os
import stat
from pathlib import Path

import pytest

from repoman.bootstrap import seed
from repoman.config import Settings
from repoman.core import Repoman
from repoman.errors import Conflict, Invalid, Unavailable
from repoman.security.actors import Credentials

SEED = {"repositories": [{"name": "Team", "recipe": "toy-hosted"}]}


@pytest.fixture
def open_repoman(tmp_path, toy):
    """A Repoman on the data directory of the test, with nothing in it at first."""

    def open_repoman(bootstrap=SEED):
        return Repoman(Settings(data=tmp_path / "data", bootstrap=bootstrap), {"toy": toy})

    return open_repoman


@pytest.fixture
def password_file(tmp_path):
    return tmp_path / "data/admin.password"


def log_in(repoman, password):
    return repoman.security.authenticator.authenticate(Credentials("admin", password)).name


def test_an_empty_database_gets_an_admin_and_the_repositories_of_the_settings(
    open_repoman, password_file
):
    with open_repoman() as repoman:
        assert [each.name for each in repoman.repositories.all()] == ["Team"]
        [admin] = repoman.users.all()
        assert (admin.first_name, admin.last_name) == ("Administrator", "User")
        assert admin.email == "admin@example.org"
        password = password_file.read_text().strip()
        assert len(password) >= 24
        assert log_in(repoman, password) == "admin"


def test_the_password_is_readable_by_the_owner_alone(open_repoman, password_file):
    with open_repoman():
        assert stat.S_IMODE(password_file.stat().st_mode) == 0o600


def test_a_file_that_lies_there_does_not_lend_its_mode(open_repoman, password_file):
    password_file.parent.mkdir()
    password_file.write_text("old")
    password_file.chmod(0o644)
    with open_repoman():
        assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
        assert password_file.read_text() != "old"


def test_later_starts_change_nothing(open_repoman, password_file):
    with open_repoman() as repoman:
        repoman.repositories.delete("Team")
        first = password_file.read_text()
    password_file.unlink()
    with open_repoman() as repoman:
        assert repoman.repositories.all() == []
        assert log_in(repoman, first.strip()) == "admin"
    assert not password_file.exists()


def test_passwords_differ_from_server_to_server(open_repoman, password_file, tmp_path, toy):
    with open_repoman():
        pass
    with Repoman(Settings(data=tmp_path / "other"), {"toy": toy}):
        pass
    assert password_file.read_text() != (tmp_path / "other/admin.password").read_text()


@pytest.mark.parametrize(
    ("second", "error"),
    [
        ({"name": "More", "recipe": "toy-proxy"}, Invalid),
        ({"name": "team", "recipe": "toy-hosted"}, Conflict),
    ],
)
def test_a_first_start_that_fails_begins_anew(open_repoman, second, error):
    wrong = {"repositories": [*SEED["repositories"], second]}
    with pytest.raises(error), open_repoman(wrong):
        pass
    with open_repoman() as repoman:
        assert [each.name for each in repoman.repositories.all()] == ["Team"]
        assert [user.name for user in repoman.users.all()] == ["admin"]


def test_a_password_that_cannot_be_written_ends_the_start_and_the_next_one_begins_anew(
    open_repoman, password_file, monkeypatch
):
    real = os.fsync

    def fsync(fd):
        if "admin.password" in str(Path(f"/proc/self/fd/{fd}").readlink()):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(Unavailable, match=r"admin\.password"), open_repoman():
            pass
    with open_repoman() as repoman:
        assert log_in(repoman, password_file.read_text().strip()) == "admin"


def test_the_second_of_two_first_starts_leaves_the_password_of_the_other(
    open_repoman, password_file, monkeypatch
):
    with open_repoman({}) as repoman:
        password = password_file.read_text()
        looks = iter([[]])  # the other one has not committed yet
        real = repoman.users.all
        monkeypatch.setattr(repoman.users, "all", lambda: next(looks, real()))
        seed(
            repoman.database,
            repoman.users,
            repoman.repositories,
            repoman.settings.bootstrap,
            repoman.data,
        )
        assert password_file.read_text() == password
        assert log_in(repoman, password.strip()) == "admin"


def test_the_first_password_is_as_long_as_the_settings_want_it(tmp_path, toy, password_file):
    settings = Settings(data=tmp_path / "data", security={"password_min_chars": 100})
    with Repoman(settings, {"toy": toy}) as repoman:
        password = password_file.read_text().strip()
        assert log_in(repoman, password) == "admin"
