"""When a remote is asked and when it rests, with a clock of the test's own."""

import pytest

from repoman.errors import UpstreamBlocked, UpstreamRateLimited, UpstreamUnavailable
from repoman.proxy.freshness import Ages
from repoman.proxy.remote_health import Condition, RemoteHealth
from repoman.testing import Clock


def failure(*, host="", is_unreachable=True, retry_after=None):
    error = UpstreamUnavailable(f"{host or 'The remote https://hub'} did not answer.")
    error.host, error.is_unreachable, error.retry_after = host, is_unreachable, retry_after
    return error


def limit(retry_after, host=""):
    error = UpstreamRateLimited("Too many requests.", retry_after)
    error.host = host
    return error


FAILURE = failure()


@pytest.fixture
def clock():
    return Clock(1_000.0)


def make(clock, **options):
    return RemoteHealth("https://hub", clock, **options)


def is_open(status, address=""):
    try:
        status.check(address)
    except (UpstreamBlocked, UpstreamRateLimited):
        return False
    return True


def test_it_begins_ready_and_becomes_available(clock):
    status = make(clock)
    assert status.condition == "Ready to Connect"
    status.check()
    status.note_success()
    assert status.condition is Condition.AVAILABLE


def test_the_administrator_blocks_it(clock):
    status = make(clock, is_blocked=True)
    assert status.condition == "Remote Manually Blocked"
    with pytest.raises(UpstreamBlocked, match="https://hub is blocked by the administrator"):
        status.check()


def test_it_rests_by_fibonacci_after_failures(clock):
    rests = []
    status = make(clock, on_block=rests.append)
    for length in (40, 40, 80, 120, 200, 320):
        assert is_open(status)
        status.note_failure(FAILURE)
        assert rests[-1] == length
        clock.jump(length - 1)
        assert not is_open(status)
        clock.jump(1)
    assert status.condition == "Remote Auto Blocked and Unavailable"


def test_success_begins_anew(clock):
    status = make(clock)
    for _ in range(5):
        status.note_failure(FAILURE)
        clock.jump(1000)
    status.note_success()
    assert status.condition == "Remote Available"
    assert status.reason == ""
    status.note_failure(FAILURE)
    clock.jump(40)
    assert is_open(status)


def test_failures_side_by_side_count_as_one(clock):
    status = make(clock)
    for _ in range(10):
        status.note_failure(FAILURE)
    clock.jump(40)
    assert is_open(status)


def test_it_rests_for_an_hour_at_most(clock):
    rests = []
    status = make(clock, on_block=rests.append)
    for _ in range(30):
        status.note_failure(FAILURE)
        clock.jump(3600)
    assert max(rests) == 3600


def test_without_auto_block_it_is_asked_again_and_again(clock):
    status = make(clock, auto_block=False)
    status.note_failure(FAILURE)
    assert is_open(status)
    assert status.condition == "Remote Unavailable"


def test_the_text_says_which_remote_why_and_for_how_long(clock):
    status = make(clock)
    status.note_failure(FAILURE)
    clock.jump(10)
    with pytest.raises(
        UpstreamBlocked, match=r"https://hub failed recently.* 31 s.*did not answer"
    ):
        status.check()


def test_a_limit_of_requests_does_not_stop_what_is_not_counted(clock):
    status = make(clock)
    status.note_limit(limit(30))
    status.check()
    with pytest.raises(UpstreamRateLimited) as caught:
        status.check_rate()
    assert caught.value.retry_after == 31
    clock.jump(30)
    status.check_rate()
    status.note_limit(limit(None))
    status.check_rate()


def test_a_limit_of_another_host_is_for_its_address_alone(clock):
    status = make(clock)
    status.note_limit(limit(30, host="cdn:443"), "https://hub/x")
    status.check_rate()
    assert not is_open(status, "https://hub/x")
    assert is_open(status, "https://hub/y")


# --- One address, another host -------------------------------------------------------------------


def test_a_failure_of_one_address_only_raises_a_doubt(clock):
    doubts = []
    status = make(clock, on_doubt=lambda: doubts.append(clock()))
    status.note_success()
    for _ in range(3):
        status.note_failure(failure(is_unreachable=False), "https://hub/x")
    assert doubts == [clock()]
    assert is_open(status, "https://hub/x")
    assert status.condition is Condition.AVAILABLE
    clock.jump(10)
    status.note_failure(failure(is_unreachable=False))
    assert len(doubts) == 2


def test_a_probe_that_fails_too_blocks_the_remote(clock):
    status = make(clock)
    status.note_failure(failure(is_unreachable=False))
    status.note_failure(failure(is_unreachable=False), is_probe=True)
    assert not is_open(status)
    assert status.condition is Condition.AUTO_BLOCKED
    assert status.blocked_for == 40


def test_another_host_is_blocked_apart(clock):
    status = make(clock)
    status.note_success()
    status.note_failure(failure(host="cdn:443"))
    assert is_open(status)
    assert status.condition is Condition.AVAILABLE
    assert status.reason == "cdn:443 did not answer."
    with pytest.raises(UpstreamBlocked, match=r"host cdn:443 failed recently.* 41 s") as caught:
        status.check_host("cdn:443")
    assert caught.value.retry_after == 41
    status.check_host("other:443")
    clock.jump(40)
    status.check_host("cdn:443")
    with pytest.raises(UpstreamBlocked, match="being tested"):
        status.check_host("cdn:443")
    assert status.begin_trial() is False  # of the remote, which has not failed
    status.note_success("cdn:443")
    status.check_host("cdn:443")
    assert status.reason == ""


def test_hosts_without_number_do_not_push_out_the_remote(clock):
    status = make(clock)
    status.note_failure(FAILURE)
    for number in range(2_000):
        status.note_failure(failure(host=f"h{number}"))
    assert not is_open(status)
    assert len(status._hosts) <= 1_001


def test_an_address_is_left_alone_as_long_as_it_was_asked_for(clock):
    status = make(clock)
    status.note_failure(failure(is_unreachable=False, retry_after=7), "https://hub/x")
    with pytest.raises(
        UpstreamBlocked, match=r"not to be contacted at this address for another 8 s"
    ) as caught:
        status.check("https://hub/x")
    assert caught.value.retry_after == 8
    assert is_open(status, "https://hub/y")
    clock.jump(7)
    assert is_open(status, "https://hub/x")
    status.note_limit(limit(5), "https://hub/z")
    assert not is_open(status, "https://hub/z")
    assert is_open(status, "https://hub/x")


def test_a_block_is_not_shorter_than_what_was_asked_for(clock):
    status = make(clock)
    status.note_failure(failure(is_unreachable=False, retry_after=600), is_probe=True)
    assert status.blocked_for == 600


def test_a_reset_ends_all_of_it(clock):
    changes = []
    status = make(clock, on_change=lambda: changes.append(status.condition))
    status.note_failure(FAILURE)
    status.note_failure(failure(host="cdn"))
    status.note_limit(limit(600), "https://hub/x")
    status.note_login("The login was refused.")
    status.reset()
    status.check("https://hub/x")
    status.check_host("cdn")
    status.check_rate()
    assert (status.condition, status.reason) == (Condition.READY, "")


def test_a_refused_login_is_told_until_one_is_taken(clock):
    status = make(clock)
    status.note_success()
    status.note_login("The login was refused.")
    assert (status.condition, status.reason) == ("login refused", "The login was refused.")
    status.note_success()
    assert status.condition == "login refused"
    assert is_open(status)
    status.note_login()
    assert (status.condition, status.reason) == ("Remote Available", "")


def test_a_trial_that_tells_nothing_is_left_to_others(clock):
    status = make(clock)
    status.note_failure(FAILURE)
    clock.jump(40)
    assert is_open(status)
    assert not is_open(status)
    status.end_trial()
    assert is_open(status)


def test_whose_proxy_is_gone_is_asked_no_more(clock):
    status = make(clock)
    status.retire()
    with pytest.raises(UpstreamBlocked, match="no longer the remote of this proxy"):
        status.check()


# --- Ages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_age", "seconds", "is_fresh"),
    [(10, 599, True), (10, 600, False), (-1, 10**9, True), (0, 0, False)],
)
def test_what_is_young_is_fresh(clock, max_age, seconds, is_fresh):
    ages = Ages(clock, max_age)
    checked_at = clock()
    clock.jump(seconds)
    assert ages.is_fresh(checked_at) is is_fresh
    assert ages.age(checked_at) == seconds


@pytest.mark.parametrize(("max_age", "ahead", "is_fresh"), [(10, 9, True), (10, 10, False)])
def test_what_will_be_fresh_for_a_while(clock, max_age, ahead, is_fresh):
    ages = Ages(clock, max_age)
    checked_at = clock()
    clock.jump(590)
    assert ages.is_fresh(checked_at, ahead) is is_fresh
    assert Ages(clock, -1).is_fresh(checked_at, ahead)


def test_what_was_never_checked_is_not_fresh(clock):
    assert not Ages(clock, -1).is_fresh(None)
    assert Ages(clock, -1).age(None) == 0


def test_a_cache_token_makes_all_of_before_stale(clock):
    ages = Ages(clock, -1, lambda: 500.0)
    assert not ages.is_fresh(499.0)
    assert ages.is_fresh(500.0)


def test_after_a_rest_one_request_tries_for_all(clock):
    status = make(clock)
    status.note_failure(FAILURE)
    clock.jump(40)
    assert is_open(status)
    with pytest.raises(UpstreamBlocked, match="is being tested"):
        status.check()
    assert not status.begin_trial()
    status.note_success()
    assert is_open(status)
    assert is_open(status)


def test_the_trial_of_a_lost_request_ends_by_itself(clock):
    status = make(clock)
    status.note_failure(FAILURE)
    clock.jump(40)
    assert is_open(status)
    clock.jump(29)
    assert not is_open(status)
    clock.jump(1)
    assert is_open(status)


@pytest.mark.parametrize(("ahead", "is_fresh"), [(-10, True), (30, True), (3600, False)])
def test_a_check_in_the_future_is_not_believed(clock, ahead, is_fresh):
    assert Ages(clock, 10).is_fresh(clock() + ahead) is is_fresh
    assert Ages(clock, -1).is_fresh(clock() + ahead)
