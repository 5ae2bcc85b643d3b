"""Groups with proxies among their members: who is asked, what an outage looks like, mirrors."""

import logging

import pytest

from repoman.testing import HttpClient
from tests.fakes.registry import Fault
from tests.functional.docker.images import (
    ABSENT,
    OCI_MANIFEST,
    digest_of,
    index_of,
    make_image,
)
from tests.functional.docker_proxy.proxies import DAY, name_of

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


def test_a_client_that_has_the_manifest_from_before_gets_the_blobs(
    make_proxy, hosted, proxy, upstream, second
):
    image = make_image()
    upstream.put(NAME, "1", image)
    group = make_proxy.group(hosted, make_proxy(second.url), proxy)
    assert group.head(TAG).status == 200
    path = f"{NAME}/blobs/{digest_of(image.layers[0])}"
    assert group.head(path).headers["X-Repoman-Member"] == name_of(proxy)
    assert group.get(path).body == image.layers[0]
    assert group.get(f"{NAME}/blobs/{ABSENT}").code == "BLOB_UNKNOWN"


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


def test_a_group_whose_members_are_offline_has_no_image(make_proxy, proxy, upstream):
    upstream.put(NAME, "1", make_image())
    group = make_proxy.group(proxy)
    make_proxy.repoman.repositories.update(name_of(proxy), {}, is_online=False)
    for path, code in ((f"{NAME}/tags/list", "NAME_UNKNOWN"), (TAG, "MANIFEST_UNKNOWN")):
        answer = group.get(path)
        assert (answer.status, answer.code) == (404, code)


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
        answer = group.get(f"{NAME}/tags/list")
    assert answer.json()["tags"] == ["1"]
    assert f"The list lacks the entries of {name_of(proxy)}." in answer.headers["Warning"]
    [line] = [each.getMessage() for each in caplog.records if "lacks" in each.getMessage()]
    assert name_of(group) in line
    assert name_of(proxy) in line


def test_a_list_of_referrers_lacks_a_member_that_is_down(make_proxy, hosted, proxy, upstream):
    upstream.faults.append(Fault("", status=500))
    answer = make_proxy.group(make_proxy.group(hosted, proxy)).get(f"{NAME}/referrers/{ABSENT}")
    assert (answer.status, answer.json()["manifests"]) == (200, [])
    assert f"The list lacks the entries of {name_of(proxy)}." in answer.headers["Warning"]


def test_a_list_with_an_old_part_tells_so(make_proxy, hosted, proxy, upstream, clock):
    upstream.put(NAME, "1", make_image())
    group = make_proxy.group(hosted, proxy)
    assert "Warning" not in group.get(f"{NAME}/tags/list").headers
    clock.jump(2 * DAY)
    upstream.stop()
    answer = group.get(f"{NAME}/tags/list")
    assert answer.json()["tags"] == ["1"]
    assert "The list may be out of date." in answer.headers["Warning"]


def test_a_list_of_nothing_but_outages_is_one(make_proxy, hosted, proxy, upstream):
    upstream.faults.append(Fault("", status=500))
    assert make_proxy.group(proxy, hosted).get(f"{NAME}/tags/list").status == 502


@pytest.mark.parametrize("status", [404, 429, 500])
def test_a_remote_that_says_yes_and_does_not_give_is_passed_over(
    make_proxy, proxy, upstream, second, status
):
    wanted = make_image()
    upstream.put(NAME, "1", make_image())
    second.put(NAME, "1", wanted)
    upstream.faults.append(Fault(f"GET /v2/{NAME}/manifests", status=status))
    group = make_proxy.group(proxy, make_proxy(second.url))
    answer = group.get(TAG)
    assert (answer.status, answer.body) == (200, wanted.manifest)
    assert upstream.count(f"HEAD /v2/{TAG}") == 1


def test_a_limit_of_requests_is_told_before_an_outage(make_proxy, proxy, upstream, second):
    upstream.faults.append(Fault("", status=500))
    second.faults.append(Fault("", status=429, headers={"Retry-After": "77"}))
    group = make_proxy.group(proxy, make_proxy(second.url))
    for path in (TAG, f"{NAME}/tags/list"):
        answer = group.get(path)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "77")


def lose(make_proxy, data):
    """Have the blob store lose some bytes, behind the back of the repositories."""
    store = make_proxy.repoman.blob_stores.get("default")
    store._path(digest_of(data).removeprefix("sha256:")).unlink()


def test_a_member_that_has_lost_a_manifest_is_passed_over(make_proxy, hosted, proxy, upstream):
    lost, wanted = make_image(), make_image()
    hosted.push(NAME, "1", lost)
    upstream.put(NAME, "1", wanted)
    lose(make_proxy, lost.manifest)
    group = make_proxy.group(hosted, proxy)
    assert group.get(TAG).body == wanted.manifest
    assert group.get(f"{NAME}/manifests/{lost.digest}").status == 404


def test_a_member_that_has_lost_a_blob_is_passed_over(make_proxy, hosted, proxy, upstream):
    image = make_image()
    hosted.push(NAME, "1", image)
    upstream.put(NAME, "1", image)
    proxy.get(TAG)
    lose(make_proxy, image.layers[0])
    group, path = make_proxy.group(hosted, proxy), f"{NAME}/blobs/{digest_of(image.layers[0])}"
    for answer in (group.head(path), group.get(path)):
        assert answer.status == 200
        assert answer.headers["X-Repoman-Member"] == name_of(proxy)
    assert answer.body == image.layers[0]


# --- HEAD and writes -----------------------------------------------------------------------------


def test_a_head_of_a_cold_blob_fetches_nothing(make_proxy, hosted, proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    group = make_proxy.group(hosted, proxy)
    group.get(TAG)
    answer = group.head(f"{NAME}/blobs/{digest_of(image.config)}")
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(len(image.config))
    assert answer.headers["X-Repoman-Member"] == name_of(proxy)
    assert upstream.count(f"GET /v2/{NAME}/blobs") == 0


def test_a_part_of_a_cold_blob(make_proxy, hosted, proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    group = make_proxy.group(hosted, proxy)
    group.get(TAG)
    path = f"{NAME}/blobs/{digest_of(image.layers[0])}"
    part = group.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, image.layers[0][10:20])
    assert group.get(path).body == image.layers[0]


def test_a_blob_is_read_where_it_is_before_any_remote_is_asked(make_proxy, hosted, proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    proxy.get(TAG)
    hosted.push(NAME, "1", image)
    answer = make_proxy.group(proxy, hosted).get(f"{NAME}/blobs/{digest_of(image.config)}")
    assert answer.headers["X-Repoman-Member"] == name_of(hosted)
    assert upstream.count("blobs") == 0


def test_a_client_of_a_mirror_asks_for_blobs_whoever_takes_the_pushes(
    make_proxy, hosted, proxy, upstream
):
    image = make_image()
    upstream.put(NAME, "1", image)
    group = make_proxy.group(hosted, proxy, group__writable_member=name_of(hosted))
    registry = f"127.0.0.1:{upstream.port}"
    group.get(f"{TAG}?ns={registry}")
    answer = group.head(f"{NAME}/blobs/{digest_of(image.config)}?ns={registry}")
    assert (answer.status, answer.headers["OCI-Namespace"]) == (200, registry)
    push = group.start(NAME, ns=registry)
    assert (push.status, push.code) == (405, "UNSUPPORTED")


# --- Names ---------------------------------------------------------------------------------------


@pytest.fixture
def hub(make_proxy, upstream):
    """A proxy at which a name of one component means one in library/, as at Docker Hub."""
    return make_proxy(upstream.url, docker_proxy__expand_library=True)


@pytest.mark.parametrize("blocked", ["evil", "library/evil"])
def test_a_rule_counts_by_whatever_name_an_image_is_asked_for(make_proxy, hub, upstream, blocked):
    upstream.put("library/evil", "1", make_image())
    rule = {"routing__mode": "block", "routing__matchers": [blocked]}
    group = make_proxy.group(hub, **rule)
    own = make_proxy(upstream.url, docker_proxy__expand_library=True, **rule)
    for name in ("evil", "library/evil"):
        answer = group.get(f"{name}/manifests/1")
        assert (answer.status, answer.code) == (403, "DENIED")
        assert own.get(f"{name}/manifests/1").status == 404
    assert upstream.log == []


def test_a_rule_on_the_names_of_a_remote_is_none_on_those_of_another_member(
    make_proxy, hosted, hub, upstream
):
    image = make_image()
    hosted.push("app", "1", image)
    upstream.put("library/app", "1", make_image())
    group = make_proxy.group(hub, hosted, routing__matchers=["library/.*"])
    assert group.pull("app", "1") == image.manifest
    assert group.get("library/app/manifests/1").status == 403
    assert upstream.log == []


@pytest.mark.parametrize("allowed", ["ubuntu", "library/ubuntu"])
def test_a_rule_that_allows_a_name_allows_its_other_form(make_proxy, hub, upstream, allowed):
    upstream.put("library/ubuntu", "1", make_image())
    rule = {"routing__mode": "allow", "routing__matchers": [allowed]}
    group = make_proxy.group(hub, **rule)
    for name in ("ubuntu", "library/ubuntu"):
        assert group.get(f"{name}/manifests/1").status == 200
    assert group.get("other/manifests/1").status == 403


def test_a_pin_counts_by_whatever_name_an_image_is_asked_for(
    make_proxy, hosted, hub, upstream, second
):
    wanted = make_image()
    upstream.put("library/ubuntu", "1", make_image())
    second.put("library/ubuntu", "1", wanted)
    mirror = make_proxy(second.url, docker_proxy__expand_library=True)
    pins = {"library/*": [name_of(mirror).upper()]}
    group = make_proxy.group(hosted, hub, mirror, group__pins=pins)
    for name in ("ubuntu", "library/ubuntu"):
        assert group.get(f"{name}/manifests/1").body == wanted.manifest
        assert group.get(f"{name}/tags/list").json()["tags"] == ["1"]
    assert upstream.log == []


# --- Lists ---------------------------------------------------------------------------------------


def test_what_a_hosted_member_and_a_remote_have_is_one_list(make_proxy, hosted, proxy, upstream):
    own, others = ["a", "c", "e"], ["b", "c", "d"]
    for tag in own:
        hosted.push(NAME, tag, make_image())
    for tag in others:
        upstream.put(NAME, tag, make_image())
    upstream.put("other/app", "1", make_image())
    group = make_proxy.group(hosted, proxy)
    assert page(group, f"{NAME}/tags/list", "tags") == [["a", "b"], ["c", "d"], ["e"]]
    proxy.get("other/app/manifests/1")
    proxy.get(f"{NAME}/manifests/b")
    assert page(group, "_catalog", "repositories", 1) == [["other/app"], [NAME]]


def test_the_images_of_a_group_do_not_wait_behind_slow_remotes(
    make_proxy, hosted, proxy, upstream, monkeypatch
):
    hosted.push(NAME, "1", make_image())
    upstream.put("other/app", "1", make_image())
    proxy.get("other/app/manifests/1")
    group = make_proxy.group(hosted, proxy)
    monkeypatch.setattr("repoman.threads.DaemonPool.submit", lambda *_: pytest.fail("a thread"))
    assert group.get("_catalog").json()["repositories"] == ["other/app", NAME]


def test_a_list_for_which_a_remote_was_asked_is_not_cached(make_proxy, hosted, proxy, upstream):
    own, other, empty = (make_proxy.hosted() for _ in range(3))
    for registry in (hosted, own, other):
        registry.push(NAME, "1", make_image())

    def tags(*members):
        group = make_proxy.repoman.repositories.find(name_of(make_proxy.group(*members)))
        return group.service.lists.tags(NAME, "", 10)

    assert tags(hosted, own, other).is_cacheable
    assert tags(hosted, empty).is_cacheable
    assert not tags(hosted, proxy).is_cacheable, "the remote has none so far"
    upstream.put(NAME, "2", make_image())
    assert not tags(hosted, proxy).is_cacheable


def page(group, path, key, size=2):
    """All pages of a list, as a client that follows links gets them."""
    pages, target = [], f"{path}?n={size}"
    while target:
        answer = group.get(target)
        pages.append(answer.json()[key])
        target = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    return pages


def test_referrers_of_a_hosted_member_and_a_remote_are_one_list(
    make_proxy, hosted, proxy, upstream
):
    subject = make_image()
    about = {"mediaType": OCI_MANIFEST, "digest": subject.digest, "size": len(subject.manifest)}
    hosted.push(NAME, "own", make_image(subject=about))
    far = [{"mediaType": OCI_MANIFEST, "digest": f"sha256:{c * 64}", "size": 7} for c in "0f"]
    upstream.referrers[subject.digest] = far
    group = make_proxy.group(hosted, proxy)
    found = group.get(f"{NAME}/referrers/{subject.digest}").json()["manifests"]
    digests = [each["digest"] for each in found]
    assert len(digests) == 3
    assert digests == sorted(digests)
    assert {each["digest"] for each in far} < set(digests)


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


def test_a_registry_has_no_letters_that_merely_resemble_its_own(make_proxy, hosted):
    kelvin = "doc%E2%84%AAer.io"
    hub = make_proxy("https://registry-1.docker.io")
    for mirror in (hub, make_proxy.group(hosted, hub)):
        answer = mirror.get(f"?ns={kelvin}")
        assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")


def test_a_mirror_in_a_group_in_a_group(make_proxy, hosted, proxy, upstream):
    upstream.put(NAME, "1", make_image())
    outer = make_proxy.group(hosted, make_proxy.group(proxy))
    answer = outer.get(f"{TAG}?ns=127.0.0.1:{upstream.port}")
    assert (answer.status, answer.headers["OCI-Namespace"]) == (200, f"127.0.0.1:{upstream.port}")
    assert outer.get(f"{TAG}?ns=quay.io").status == 404


# --- Trace ---------------------------------------------------------------------------------------


def trace(make_proxy, group, path):
    answer = HttpClient(make_proxy.repoman).get(
        f"/api/v1/repositories/{name_of(group)}/trace", query_string={"path": path}
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


def test_a_trace_of_a_digest_has_the_order_of_its_pull(make_proxy, hosted, proxy, upstream):
    image = make_image()
    hosted.push(NAME, "1", image)
    upstream.put(NAME, "1", image)
    group = make_proxy.group(proxy, hosted)
    steps = trace(make_proxy, group, f"/v2/{NAME}/manifests/{image.digest}")
    assert list(steps) == [name_of(hosted), name_of(proxy)]
    assert [outcome for outcome, _ in steps.values()] == ["found", "not asked"]
    assert upstream.log == []


def test_the_member_that_answered_is_named_from_within_a_group(make_proxy, hosted, proxy, upstream):
    upstream.put(NAME, "1", make_image())
    outer = make_proxy.group(hosted, make_proxy.group(proxy))
    assert outer.get(TAG).headers["X-Repoman-Member"] == name_of(proxy)


def test_a_trace_of_a_list_asks_everybody(make_proxy, hosted, proxy, upstream):
    hosted.push(NAME, "1", make_image())
    upstream.put(NAME, "2", make_image())
    group = make_proxy.group(hosted, proxy)
    steps = trace(make_proxy, group, f"/v2/{NAME}/tags/list").values()
    assert [outcome for outcome, _ in steps] == ["found", "found"]


# --- Another tag for what a remote has -----------------------------------------------------------


@pytest.fixture
def writable(make_proxy, hosted, proxy):
    """A group whose pushes go to a hosted member, with a proxy behind it."""
    return make_proxy.group(hosted, proxy, group__writable_member=name_of(hosted))


@pytest.mark.parametrize("is_cached", [True, False], ids=["cached", "not cached"])
def test_an_image_of_a_remote_gets_another_tag(
    make_proxy, hosted, proxy, writable, upstream, is_cached
):
    """Clients that only tag send the manifest and nothing else."""
    image = make_image()
    upstream.put(NAME, "1", image)
    manifest = writable.pull(NAME, "1") if is_cached else writable.get(TAG).body
    upstream.log.clear()
    assert writable.put_manifest(NAME, "mine", manifest).status == 201
    if is_cached:
        assert upstream.log == []
    upstream.stop()
    assert writable.pull(NAME, "mine") == image.manifest
    assert hosted.pull(NAME, "mine") == image.manifest
    assert hosted.tags(NAME) == ["mine"]


def test_an_index_of_a_remote_gets_another_tag(hosted, writable, upstream):
    image = make_image()
    upstream.put(NAME, "amd64", image)
    index = index_of(image.manifest)
    upstream.put_manifest(NAME, "1", index)
    assert writable.put_manifest(NAME, "mine", writable.get(TAG).body).status == 201
    assert writable.pull(NAME, "mine") == index


def test_an_image_of_another_hosted_member_gets_another_tag(make_proxy, hosted):
    image = make_image()
    elsewhere = make_proxy.hosted()
    elsewhere.push(NAME, "2", image)
    group = make_proxy.group(hosted, elsewhere, group__writable_member=name_of(hosted))
    assert group.put_manifest(NAME, "mine", image.manifest).status == 201
    assert hosted.pull(NAME, "mine") == image.manifest


def test_a_tag_for_what_nobody_has_is_refused_as_usual(writable, upstream):
    upstream.put(NAME, "1", make_image())
    writable.get(TAG)
    answer = writable.put_manifest(NAME, "mine", make_image().manifest)
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_a_tag_waits_for_a_remote_that_is_down(writable, proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    writable.get(TAG)
    upstream.faults.append(Fault("blobs", status=500))
    answer = writable.put_manifest(NAME, "mine", image.manifest)
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    assert writable.get(f"{NAME}/manifests/mine").status in (404, 502)


def test_layers_of_a_remote_are_mounted_once_they_are_kept(hosted, writable, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    mount = f"own/app/blobs/uploads/?mount={digest_of(image.layers[0])}&from={NAME}"
    assert writable.send("POST", mount).status == 202
    writable.pull(NAME, "1")
    upstream.stop()
    assert writable.send("POST", mount).status == 201
    assert hosted.get(f"own/app/blobs/{digest_of(image.layers[0])}").body == image.layers[0]


@pytest.fixture
def cached_elsewhere(make_proxy, upstream):
    """A proxy whose cache is in a blob store of its own."""
    stores = make_proxy.repoman.stores
    if "cache" not in make_proxy.repoman.blob_stores.names():
        stores.create("cache", "cache")
    return make_proxy(upstream.url, storage__blob_store="cache")


def test_what_another_blob_store_has_is_copied_and_not_linked(
    make_proxy, hosted, cached_elsewhere, upstream
):
    image = make_image()
    upstream.put(NAME, "1", image)
    group = make_proxy.group(hosted, cached_elsewhere, group__writable_member=name_of(hosted))
    manifest = group.pull(NAME, "1")
    mount = f"own/app/blobs/uploads/?mount={digest_of(image.layers[0])}&from={NAME}"
    assert group.send("POST", mount).status == 202
    assert group.put_manifest(NAME, "mine", manifest).status == 201
    assert make_proxy.repoman.moves.find(name_of(hosted)) is None
    store = make_proxy.repoman.blob_stores.get("default")
    for blob in image.blobs:
        assert store.stat(digest_of(blob).removeprefix("sha256:")) is not None
    assert group.send("POST", mount).status == 201


def test_who_may_not_read_gets_no_blobs_linked(make_proxy, writable, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    writable.pull(NAME, "1")
    login = make_proxy.user_of(writable, "add")
    answer = writable.as_user(login).put_manifest(NAME, "mine", image.manifest)
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")
