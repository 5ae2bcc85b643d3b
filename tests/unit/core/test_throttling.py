"""Wrong passwords slow down whoever sends them, and nobody else."""

import pytest

from repoman.errors import TooManyRequests
from repoman.security import throttling
from repoman.security.throttling import Lockout


class Site:
    """A lock-out of three failures and five minutes, and the clock that it runs by."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lockout = Lockout(3, 300, lambda: self.now)

    def fail(self, times: int = 1, user: str = "ann", address: str = "10.0.0.1") -> int:
        """Give a wrong password so many times; return the wait after the last one."""
        for _ in range(times):
            wait = self.lockout.note_failure(user, address)
        return wait

    def wait(self, user: str = "ann", address: str = "10.0.0.1") -> int | None:
        """Return for how long a password is not looked at."""
        try:
            self.lockout.check(user, address)
        except TooManyRequests as error:
            return error.retry_after
        return None


@pytest.fixture
def site():
    return Site()


def test_a_few_wrong_passwords_do_no_harm(site):
    assert site.fail(2) == 0
    assert site.wait() is None


def test_the_text_says_for_how_long(site):
    site.fail(5)
    with pytest.raises(TooManyRequests, match=r"in 4 s\."):
        site.lockout.check("ann", "10.0.0.1")


def test_each_further_one_doubles_the_wait_up_to_the_longest(site):
    site.fail(2)
    waits = []
    for _ in range(11):
        waits.append(site.fail())
        assert site.wait() == waits[-1]
        site.now += waits[-1]
        assert site.wait() is None
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_dead_token_keeps_out_neither_its_user_nor_who_was_there_before(site):
    site.lockout.note_success("ann", "10.0.0.1", is_token=True)
    for _ in range(100):
        site.lockout.note_failure("bot", "10.0.0.1", is_token=True)
    assert site.wait("bot") is not None  # now the address waits, as for any hundred failures
    with pytest.raises(TooManyRequests):
        site.lockout.check("bot", "10.0.0.1", is_token=True)
    site.lockout.check("ann", "10.0.0.1", is_token=True)
    site.lockout.check("bot", "10.0.0.2", is_token=True)
    assert site.wait("bot", "10.0.0.2") is None


def test_a_token_is_no_new_beginning_for_who_guesses_the_password(site):
    site.fail(2)
    site.lockout.note_success("ann", "10.0.0.1", is_token=True)
    assert site.fail() == 1


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_an_address_counts_whatever_its_form(site, one, other, are_one):
    site.fail(3, address=one)
    assert (site.wait(address=other) is not None) is are_one


def test_the_wait_runs_down(site):
    site.fail(6)
    site.now += 5.5
    assert site.wait() == 3
    site.now += 2.5
    assert site.wait() is None


def test_after_a_long_rest_all_is_forgotten(site):
    site.fail(20)
    site.now += 901
    assert site.fail(2) == 0


def test_the_right_password_begins_anew(site):
    site.fail(2)
    site.lockout.note_success("ann", "10.0.0.1")
    assert site.fail(2) == 0


def test_others_do_not_wait(site):
    site.fail(10)
    assert site.wait(user="bob") is None
    assert site.wait(address="10.0.0.2") is None


def test_capitals_make_no_other_user(site):
    site.fail(10, user="Ann")
    assert site.wait(user="aNN")


@pytest.mark.parametrize("user", ["ann", "user", "pair", "10.0.0.1"])
def test_many_addresses_guess_at_one_user(site, user):
    for number in range(40):
        site.fail(user=user, address=f"10.0.1.{number}")
    assert 0 < site.wait(user=user, address="10.0.2.1") <= 30
    assert site.wait(user="other", address="10.0.2.1") is None


def test_one_address_tries_many_users(site):
    for number in range(40):
        site.fail(user=f"user{number}")
    assert 0 < site.wait(user="another") <= 30
    assert site.wait(user="another", address="10.0.0.2") is None


def test_who_has_got_in_from_there_lately_does_not_wait_for_others(site):
    site.lockout.note_success("ann", "10.0.0.1")
    for number in range(40):
        site.fail(user=f"user{number}")
        site.fail(address=f"10.0.1.{number}")
    assert site.wait() is None
    site.now += 80_000
    for number in range(40):
        site.fail(user=f"user{number}")
    assert site.wait() is None
    site.now += 10_000
    for number in range(40):
        site.fail(user=f"user{number}")
    assert site.wait()


def test_who_has_got_in_waits_for_failures_of_their_own(site):
    site.lockout.note_success("ann", "10.0.0.1")
    site.fail(5)
    assert site.wait() == 4


def test_addresses_of_one_ipv6_network_are_one(site):
    site.fail(10, address="2001:db8:1:2::1")
    assert site.wait(address="2001:db8:1:2:ffff::9")
    assert site.wait(address="2001:db8:1:3::1") is None


@pytest.mark.parametrize("address", ["", "fe80::1%eth0", "::ffff:10.0.0.1", "no:address"])
def test_any_text_is_an_address(site, address):
    site.fail(10, address=address)
    assert site.wait(address=address)


def test_it_can_be_switched_off():
    lockout = Lockout(0, 300)
    assert {lockout.note_failure("ann", "10.0.0.1") for _ in range(100)} == {0}
    lockout.check("ann", "10.0.0.1")


def test_an_attack_with_ever_new_names_takes_bounded_memory(site, monkeypatch):
    monkeypatch.setattr(throttling, "COUNTS_MAX", 50)
    for number in range(200):
        site.fail(user=f"user{number}")
        site.lockout.note_success(f"friend{number}", "10.0.0.9")
    assert len(site.lockout._counts) <= 50
    assert len(site.lockout._greeted) <= 50
    assert site.wait(user="another")  # the address is not among what was dropped
