"""What a failure of a remote blocks, for how long, and how an administrator ends it."""

from datetime import datetime

import pytest

from repoman.errors import RepomanError
from repoman.proxy.cache_records import CacheRecords
from repoman.testing import HttpClient
from tests.fakes.registry import Fault
from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import name_of
from tests.live import free_port, wait_until

NAME, BAD = "team/app", "team/bad"
TAG, BAD_TAG = f"{NAME}/manifests/1", f"{BAD}/manifests/1"
BLOCKING = {"http_client__auto_block": True, "http_client__retries": 0}


def remote_of(make_proxy, proxy):
    return make_proxy.repoman.repositories.remote_of(name_of(proxy))


def status_of(make_proxy, proxy):
    service = make_proxy.repoman.repositories.get(name_of(proxy)).service
    return service.blobs._site.cache.status


@pytest.fixture
def blocking(make_proxy, upstream):
    """A proxy that blocks its upstream after failures."""
    upstream.put(NAME, "1", make_image())
    upstream.put(BAD, "1", make_image())
    return make_proxy(upstream.url, **BLOCKING)


def probed(upstream):
    """Wait until the upstream was asked how it is."""
    wait_until(lambda: "GET /v2/" in upstream.lines(), what="the probe")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"oops", b'{"errors":[{"code":"UNAVAILABLE","message":"no"}]}'])
def test_one_image_that_fails_blocks_no_other(make_proxy, blocking, upstream, status, body):
    upstream.faults.append(Fault(f"/{BAD}/", status=status, body=body))
    assert blocking.get(BAD_TAG).status == 502
    probed(upstream)
    assert blocking.get(TAG).status == 200
    assert blocking.get(BAD_TAG).status == 502
    assert remote_of(make_proxy, blocking).state.condition == "Remote Available"
    assert remote_of(make_proxy, blocking).state.blocked_until is None


def test_one_blob_that_breaks_off_blocks_nothing(make_proxy, blocking, upstream):
    digest = upstream.put_blob(BAD, bytes(100_000))
    upstream.faults.append(Fault(f"/{BAD}/", cut=10))
    with pytest.raises(RepomanError, match="closed the connection while sending"):
        blocking.get(f"{BAD}/blobs/{digest}")
    assert blocking.get(TAG).status == 200


def test_an_upstream_that_fails_whatever_it_is_asked_is_left_alone(make_proxy, blocking, upstream):
    remote = remote_of(make_proxy, blocking)
    assert remote.state.condition == "Ready to Connect"
    upstream.faults.append(Fault("", status=500))
    assert blocking.get(TAG).status == 502
    wait_until(lambda: remote.state.blocked_until, what="the block")
    asked = len(upstream.log)
    answer = blocking.get(TAG)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert "failed recently" in answer.message
    assert 30 < int(answer.headers["Retry-After"]) <= 40
    assert len(upstream.log) == asked
    assert remote.state.condition == "Remote Auto Blocked and Unavailable"
    assert "answered with the error 500" in remote.state.reason
    upstream.faults.clear()
    assert remote.check().condition == "Remote Available"
    assert blocking.get(TAG).status == 200  # nothing was remembered as not found meanwhile


def test_a_host_of_redirects_that_is_down_blocks_nothing_else(make_proxy, blocking, upstream):
    dead = f"127.0.0.1:{free_port()}"
    data = b"a layer"
    digest = upstream.put_blob(NAME, data)
    upstream.redirect = lambda _: f"http://{dead}/layer?signature=secret"
    answer = blocking.get(f"{NAME}/blobs/{digest}")
    assert answer.status == 502
    assert (
        f"The host {dead}, to which the remote {upstream.url} refers, cannot be" in answer.message
    )
    assert blocking.get(TAG).status == 200
    answer = blocking.get(f"{NAME}/blobs/{digest}")
    assert (answer.status, "failed recently" in answer.message) == (503, True)
    state = remote_of(make_proxy, blocking).state
    assert (state.condition, state.blocked_until) == ("Remote Available", None)
    assert dead in state.reason
    assert "secret" not in state.reason + answer.message
    upstream.redirect = None
    assert blocking.get(f"{NAME}/blobs/{digest}").body == data


def test_a_token_service_that_is_down_is_named(make_proxy, make_upstream):
    upstream = make_upstream(auth="token")
    dead = f"127.0.0.1:{free_port()}"
    upstream.realm = f"http://{dead}/token"
    proxy = make_proxy(upstream.url, **BLOCKING)
    answer = proxy.get(TAG)
    assert answer.status == 502
    assert f"The host {dead}, to which" in answer.message
    assert "refused the connection" in answer.message


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(make_proxy, upstream, status):
    upstream.put(NAME, "1", make_image())
    upstream.put(BAD, "1", make_image())
    proxy = make_proxy(upstream.url, http_client__auto_block=True, http_client__retries=5)
    upstream.faults.append(
        Fault(f"/{BAD}/", status=status, headers={"Retry-After": "300"}, times=1)
    )
    proxy.get(BAD_TAG)
    assert upstream.count(f"/{BAD}/") == 1  # not even tried again for the same client
    answer = proxy.get(BAD_TAG)
    assert answer.status == status
    assert 290 < int(answer.headers["Retry-After"]) <= 301
    assert upstream.count(f"/{BAD}/") == 1
    if status == 503:
        assert proxy.get(TAG).status == 200
    remote_of(make_proxy, proxy).check()
    assert proxy.get(BAD_TAG).status == 200


# --- Whose proxy is gone -------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_former_remote_is_asked_no_more(make_proxy, upstream, make_upstream, monkeypatch, how):
    monkeypatch.setattr("repoman.proxy.remote_health.BLOCK_STEP_S", 0.1)
    proxy = make_proxy(upstream.url, **BLOCKING)
    status = status_of(make_proxy, proxy)
    rests = []
    on_block = status._on_block
    status._on_block = lambda pause: (rests.append(pause), on_block(pause))
    upstream.stop()
    assert proxy.get(TAG).status == 502
    if how == "deleted":
        make_proxy.repoman.repositories.delete(name_of(proxy))
    else:
        make_proxy.change(proxy, proxy__remote_url=make_upstream().url)
    upstream.start()
    before = len(rests)
    # The alarm is one thread: a call after the probe's time comes after the probe.
    passed = []
    make_proxy.repoman.proxies.alarm.call_later(0.5, lambda: passed.append(1))
    wait_until(lambda: passed, what="the time of the probe")
    make_proxy.repoman.proxies.fetchers.submit("probes", lambda: passed.append(2))
    wait_until(lambda: 2 in passed, what="the probes")
    assert upstream.log == []
    assert len(rests) == before


# --- Check now -----------------------------------------------------------------------------------


def blocked(make_proxy, proxy, upstream):
    """Have the upstream fail until it is blocked, and be well again."""
    upstream.stop()
    assert proxy.get(TAG).status == 502
    upstream.start()
    assert proxy.get(TAG).status == 503


def test_an_administrator_ends_a_block_over_rest(make_proxy, blocking, upstream):
    blocked(make_proxy, blocking, upstream)
    client = HttpClient(make_proxy.repoman)
    path = f"/api/v1/repositories/{name_of(blocking)}"
    told = client.get(f"{path}/remote").json
    assert told["status"] == "Online - Remote Auto Blocked and Unavailable"
    at, until = (datetime.fromisoformat(told[key]) for key in ("at", "blockedUntil"))
    assert 0 < (until - at).total_seconds() <= 40
    anonymous = client.request("POST", f"{path}/remote/check", login=False)
    assert anonymous.status_code in (400, 401)  # a POST without a mark of ours, or no login
    answer = client.request("POST", f"{path}/remote/check")
    assert (answer.status_code, answer.json["status"]) == (200, "Online - Remote Available")
    assert answer.json["blockedUntil"] is None
    assert blocking.get(TAG).status == 200
    make_proxy.repoman.audit.flush()
    (event,) = make_proxy.repoman.audit.search({"target": name_of(blocking), "type": "check"})
    assert (event["domain"], event["actor"]) == ("repository", "admin")


def test_a_check_by_another_process_ends_the_block_here(make_proxy, blocking, upstream, tmp_path):
    blocked(make_proxy, blocking, upstream)
    make_proxy.repoman.proxies.notice_checks()
    records = make_proxy.repoman.repositories.get(name_of(blocking)).service.blobs._site.cache
    other = CacheRecords(make_proxy.repoman.database, records.options.repository_id)
    other.note_check()
    make_proxy.repoman.proxies.notice_checks()
    wait_until(
        lambda: remote_of(make_proxy, blocking).state.condition == "Remote Available",
        what="the check",
    )
    assert blocking.get(TAG).status == 200


@pytest.mark.parametrize("auth", ["basic", "token"])
def test_a_refused_login_is_told(make_proxy, make_upstream, auth):
    upstream = make_upstream(auth=auth)
    upstream.put(NAME, "1", make_image())
    login = {"http_client__username": "puller", "http_client__password": "wrong"}
    proxy = make_proxy(upstream.url, **login)
    remote = remote_of(make_proxy, proxy)
    assert remote.check().condition == "login refused"
    assert "refused the credentials of this proxy" in remote.state.reason
    make_proxy.change(proxy, http_client__password="secret")
    assert remote_of(make_proxy, proxy).check().condition == "Remote Available"
    upstream.credentials = ("puller", "another")
    upstream.tokens.clear()
    assert proxy.get(f"{BAD}/tags/list").status == 404
    assert remote_of(make_proxy, proxy).state.condition == "login refused"


def test_who_is_refused_one_image_is_not_refused_the_login(make_proxy, make_upstream):
    upstream = make_upstream(auth="token")
    login = {"http_client__username": "puller", "http_client__password": "secret"}
    proxy = make_proxy(upstream.url, **login)
    upstream.faults.append(Fault(f"/{NAME}/", status=403))
    assert proxy.get(TAG).status == 404
    assert remote_of(make_proxy, proxy).state.condition == "Remote Available"
