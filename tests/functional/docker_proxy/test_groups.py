"""Groups with proxies among their members: who is asked, what an outage looks like, mirrors."""

import logging

import pytest

from repoman.testing import HttpClient
from tests.fakes.registry import Fault
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker_proxy.proxies import name_of

NAME = "team/app"
TAG = f"{NAME}/manifests/1"


@pytest.fixture
def hosted(make_proxy):
    return make_proxy.hosted()


@pytest.fixture
def second(make_upstream):
    """Another registry."""
    return make_upstream()


# --- Who is asked --------------------------------------------------------------------------------


def test_what_a_member_before_it_has_is_not_asked_of_a_remote(make_proxy, hosted, proxy, upstream):
    image = make_image()
    hosted.push(NAME, "1", image)
    upstream.put(NAME, "1", make_image())
    assert make_proxy.group(hosted, proxy).pull(NAME, "1") == image.manifest
    assert upstream.log == []


def test_a_digest_is_read_where_it_is_before_any_remote_is_asked(
    make_proxy, hosted, proxy, upstream
):
    image = make_image()
    hosted.push(NAME, "1", image)
    answer = make_proxy.group(proxy, hosted).get(f"{NAME}/manifests/{image.digest}")
    assert answer.headers["X-Repoman-Member"] == name_of(hosted)
    assert upstream.log == []


def test_a_digest_that_nobody_has_yet_is_found_at_a_remote(make_proxy, hosted, proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    answer = make_proxy.group(proxy, hosted).get(f"{NAME}/manifests/{image.digest}")
    assert (answer.body, answer.headers["X-Repoman-Member"]) == (image.manifest, name_of(proxy))


def test_a_blob_is_asked_only_of_the_remote_that_served_the_image(
    make_proxy, proxy, upstream, second
):
    image = make_image()
    upstream.put(NAME, "1", image)
    group = make_proxy.group(make_proxy(second.url), proxy)
    assert group.pull(NAME, "1") == image.manifest
    assert [line for line in second.lines() if "blobs" in line] == []
    for blob in image.blobs:
        assert upstream.count(f"GET /v2/{NAME}/blobs/{digest_of(blob)}") == 1


# --- Rules of members ----------------------------------------------------------------------------

RULE = {"routing__mode": "block", "routing__matchers": ["team/.*"]}


def test_the_rule_of_a_proxy_keeps_no_other_member_from_answering(
    make_proxy, hosted, upstream, second
):
    image = make_image()
    hosted.push(NAME, "1", image)
    ruled = make_proxy(upstream.url, **RULE)
    assert make_proxy.group(hosted, ruled).pull(NAME, "1") == image.manifest
    assert make_proxy.group(ruled, hosted).pull(NAME, "1") == image.manifest
    second.put(NAME, "2", image)
    assert make_proxy.group(ruled, make_proxy(second.url)).pull(NAME, "2") == image.manifest
    assert upstream.log == []


def test_the_rule_of_a_group_keeps_no_other_member_from_answering(
    make_proxy, hosted, proxy, upstream, second
):
    image = make_image()
    inner = make_proxy.group(proxy, **RULE)
    hosted.push(NAME, "1", image)
    assert make_proxy.group(hosted, inner).pull(NAME, "1") == image.manifest
    assert make_proxy.group(inner, hosted).pull(NAME, "1") == image.manifest
    second.put(NAME, "2", image)
    assert make_proxy.group(inner, make_proxy(second.url)).pull(NAME, "2") == image.manifest
    assert upstream.log == []


# --- Outages -------------------------------------------------------------------------------------


def test_an_outage_is_not_reported_as_absence(make_proxy, hosted, proxy, upstream):
    upstream.faults.append(Fault("", status=500))
    answer = make_proxy.group(proxy, hosted).get(TAG)
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    assert f"127.0.0.1:{upstream.port}" in answer.message


def test_what_another_member_has_is_served_during_an_outage(make_proxy, hosted, proxy, upstream):
    image = make_image()
    hosted.push(NAME, "1", image)
    upstream.faults.append(Fault("", status=500))
    answer = make_proxy.group(proxy, hosted).get(TAG)
    assert (answer.body, answer.headers["X-Repoman-Member"]) == (image.manifest, name_of(hosted))


def test_a_list_lacks_a_member_that_is_down_and_the_log_says_so(
    make_proxy, hosted, proxy, upstream, caplog
):
    hosted.push(NAME, "1", make_image())
    upstream.faults.append(Fault("", status=500))
    group = make_proxy.group(proxy, hosted)
    with caplog.at_level(logging.WARNING):
        assert group.get(f"{NAME}/tags/list").json()["tags"] == ["1"]
    [line] = [each.getMessage() for each in caplog.records if "lacks" in each.getMessage()]
    assert name_of(group) in line
    assert name_of(proxy) in line


def test_a_list_of_nothing_but_outages_is_one(make_proxy, hosted, proxy, upstream):
    upstream.faults.append(Fault("", status=500))
    assert make_proxy.group(proxy, hosted).get(f"{NAME}/tags/list").status == 502


# --- ns ------------------------------------------------------------------------------------------


def test_a_client_that_means_a_registry_gets_what_its_mirror_has(
    make_proxy, hosted, proxy, upstream, second
):
    wanted = make_image()
    hosted.push(NAME, "1", make_image())
    second.put(NAME, "1", make_image())
    upstream.put(NAME, "1", wanted)
    group = make_proxy.group(hosted, make_proxy(second.url), proxy)
    registry = f"127.0.0.1:{upstream.port}"
    answer = group.get(f"{TAG}?ns={registry}")
    assert answer.body == wanted.manifest
    assert answer.headers["X-Repoman-Member"] == name_of(proxy)
    assert answer.headers["OCI-Namespace"] == registry
    for blob in wanted.blobs:
        found = group.get(f"{NAME}/blobs/{digest_of(blob)}?ns={registry}")
        assert (found.body, found.headers["OCI-Namespace"]) == (blob, registry)
    assert group.get(f"{NAME}/tags/list?ns={registry}").json()["tags"] == ["1"]
    assert second.log == []


def test_a_group_without_a_mirror_of_it_sends_the_client_on(make_proxy, hosted, proxy, upstream):
    hosted.push(NAME, "1", make_image())
    group = make_proxy.group(hosted, proxy)
    for path in ("", TAG, f"{NAME}/tags/list"):
        answer = group.get(f"{path}?ns=docker.io")
        assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
    assert upstream.log == []
    assert group.get(TAG).status == 200


def test_a_mirror_in_a_group_in_a_group(make_proxy, hosted, proxy, upstream):
    upstream.put(NAME, "1", make_image())
    outer = make_proxy.group(hosted, make_proxy.group(proxy))
    answer = outer.get(f"{TAG}?ns=127.0.0.1:{upstream.port}")
    assert (answer.status, answer.headers["OCI-Namespace"]) == (200, f"127.0.0.1:{upstream.port}")
    assert outer.get(f"{TAG}?ns=quay.io").status == 404


# --- Trace ---------------------------------------------------------------------------------------


def trace(make_proxy, group, path):
    answer = HttpClient(make_proxy.repoman).get(
        f"/service/rest/v1/repositories/{name_of(group)}/trace", query_string={"path": path}
    )
    assert answer.status_code == 200, answer.text
    return {each["member"]: (each["outcome"], each["reason"]) for each in answer.json["members"]}


def test_a_trace_tells_of_outages_and_of_who_answered(make_proxy, hosted, proxy, upstream, second):
    upstream.faults.append(Fault("", status=500))
    second.put(NAME, "1", make_image())
    last = make_proxy(second.url)
    group = make_proxy.group(hosted, proxy, last, make_proxy.hosted())
    steps = list(trace(make_proxy, group, f"/v2/{TAG}").values())
    assert [outcome for outcome, _ in steps] == ["absent", "failed", "found", "not asked"]
    assert f"127.0.0.1:{upstream.port}" in steps[1][1]
    assert steps[3][1] == f"{name_of(last)} has it."


def test_a_trace_of_a_list_asks_everybody(make_proxy, hosted, proxy, upstream):
    hosted.push(NAME, "1", make_image())
    upstream.put(NAME, "2", make_image())
    group = make_proxy.group(hosted, proxy)
    steps = trace(make_proxy, group, f"/v2/{NAME}/tags/list").values()
    assert [outcome for outcome, _ in steps] == ["found", "found"]
