"""How long a proxy believes what it has, and what it does when the upstream is gone or moves."""

import socket
from functools import partial

import pytest

from repoman.proxy.cache import ProxyCache
from repoman.testing import HttpClient
from repoman_docker.protocol.manifest import parse_manifest
from tests.fakes.registry import Fault
from tests.functional.docker.driver import Failures
from tests.functional.docker.images import (
    OCI_ARTIFACT,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    index_of,
    make_image,
    to_json,
)
from tests.functional.docker_proxy.proxies import DAY, HOUR, MINUTE, late, name_of
from tests.live import wait_until

NAME = "team/app"
TAG = f"{NAME}/manifests/1"


@pytest.fixture
def old(upstream, proxy):
    """An image that is in the proxy's cache."""
    image = make_image()
    upstream.put(NAME, "1", image)
    proxy.pull(NAME, "1")
    return image


def source(answer):
    return answer.headers["X-Repoman-Cache"]


def test_a_young_tag_is_believed(proxy, upstream, old, clock):
    upstream.put(NAME, "1", make_image())
    clock.jump(1439 * MINUTE)
    assert proxy.get(TAG).body == old.manifest


def test_a_tag_over_its_age_is_asked_for_by_head(proxy, upstream, old, clock):
    asked = len(upstream.log)
    clock.jump(2 * DAY)
    answer = proxy.get(TAG)
    assert (answer.body, source(answer)) == (old.manifest, "REVALIDATED")
    assert upstream.lines()[asked:] == [f"HEAD /v2/{TAG}"]
    assert source(proxy.get(TAG)) == "HIT"
    assert int(proxy.get(TAG).headers["Age"]) < 10


def test_a_tag_that_moved_is_fetched_by_digest(proxy, upstream, old, clock):
    new = make_image()
    upstream.put(NAME, "1", new)
    asked = len(upstream.log)
    clock.jump(2 * DAY)
    answer = proxy.get(TAG)
    assert (answer.body, source(answer)) == (new.manifest, "MISS")
    assert upstream.lines()[asked:] == [
        f"HEAD /v2/{TAG}",
        f"GET /v2/{NAME}/manifests/{new.digest}",
    ]
    assert proxy.get(f"{NAME}/manifests/{old.digest}").body == old.manifest


def labelled(make_proxy, proxy, label):
    """The tags of a proxy that are found by a label."""
    query = {"repository": name_of(proxy), "docker.labels": label}
    answer = HttpClient(make_proxy.repoman).get("/service/rest/v1/search", query_string=query)
    return [each["version"] for each in answer.json["items"]]


def test_a_tag_that_moved_is_found_by_its_labels(make_proxy, proxy, upstream, clock):
    for vendor in ("acme", "other"):
        upstream.put(NAME, "1", make_image(annotations={"vendor": vendor}))
        clock.jump(2 * DAY)
        proxy.pull(NAME, "1")
        assert labelled(make_proxy, proxy, f"vendor={vendor}") == ["1"]
    assert labelled(make_proxy, proxy, "vendor=acme") == []


def test_a_tag_of_a_known_manifest_is_found_by_its_labels(make_proxy, proxy, upstream):
    image = make_image(annotations={"vendor": "acme"})
    upstream.put(NAME, "1", image)
    assert proxy.get(f"{NAME}/manifests/{image.digest}").status == 200
    proxy.pull(NAME, "1")
    assert labelled(make_proxy, proxy, "vendor=acme") == ["1"]


def test_a_digest_is_believed_for_ever(proxy, upstream, old, clock):
    asked = len(upstream.log)
    clock.jump(1000 * DAY)
    assert proxy.get(f"{NAME}/manifests/{old.digest}").body == old.manifest
    assert proxy.get(f"{NAME}/blobs/{digest_of(old.config)}").body == old.config
    assert len(upstream.log) == asked


def test_a_changed_age_counts_for_what_is_cached(make_proxy, proxy, upstream, old, clock):
    clock.jump(10 * MINUTE)
    upstream.put(NAME, "1", make_image())
    assert proxy.get(TAG).body == old.manifest
    make_proxy.change(proxy, proxy__metadata_max_age=5)
    assert proxy.get(TAG).body != old.manifest


def test_an_age_of_minus_one_means_for_ever(make_proxy, proxy, upstream, old, clock):
    make_proxy.change(proxy, proxy__metadata_max_age=-1)
    upstream.put(NAME, "1", make_image())
    clock.jump(1000 * DAY)
    assert proxy.get(TAG).body == old.manifest


@pytest.mark.parametrize(
    "fault",
    [
        Fault("", status=500),
        Fault("", status=503),
        Fault("", status=429, headers={"Retry-After": "7"}),
        Fault("", status=403),
        None,
    ],
    ids=lambda fault: str(fault and fault.status),
)
def test_the_stale_copy_is_better_than_none(proxy, upstream, old, clock, fault):
    clock.jump(2 * DAY)
    if fault is None:
        upstream.stop()
    else:
        upstream.faults.append(fault)
    answer = proxy.get(TAG)
    assert (answer.status, answer.body, source(answer)) == (200, old.manifest, "STALE")
    assert answer.headers["Warning"].startswith('299 - "team/app:1 may be out of date.')
    assert upstream.url in answer.headers["Warning"]
    assert int(answer.headers["Age"]) >= 2 * DAY
    assert proxy.pull(NAME, "1") == old.manifest


def test_the_stale_copy_serves_when_only_the_new_manifest_fails(proxy, upstream, old, clock):
    upstream.put(NAME, "1", make_image())
    upstream.faults.append(Fault("GET /v2/team/app/manifests", status=429))
    clock.jump(2 * DAY)
    answer = proxy.get(TAG)
    assert (answer.body, source(answer)) == (old.manifest, "STALE")


def test_the_stale_copy_serves_while_the_administrator_blocks(make_proxy, proxy, old, clock):
    make_proxy.change(proxy, http_client__blocked=True)
    clock.jump(2 * DAY)
    assert source(proxy.get(TAG)) == "STALE"
    answer = proxy.get(f"{NAME}/manifests/2")
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert "blocked by the administrator" in answer.message


def test_what_the_upstream_deleted_is_kept(proxy, upstream, old, clock):
    del upstream.manifests[NAME, "1"]
    clock.jump(2 * DAY)
    answer = proxy.get(TAG)
    assert (answer.body, source(answer)) == (old.manifest, "STALE")
    assert "team/app:1 no longer exists in the remote" in answer.headers["Warning"]
    assert proxy.get(f"{NAME}/tags/list").json()["tags"] == ["1"]


def test_what_the_upstream_deleted_goes_if_so_set(make_proxy, proxy, upstream, old, clock):
    make_proxy.change(proxy, proxy__follow_deletion=True)
    del upstream.manifests[NAME, "1"]
    clock.jump(2 * DAY)
    proxy.pull(NAME, "1", failure=Failures.MANIFEST_UNKNOWN)
    assert proxy.get(f"{NAME}/manifests/{old.digest}").body == old.manifest


# --- Nothing cached ------------------------------------------------------------------------------


def test_a_limit_of_the_upstream_is_told_with_the_time_to_wait(proxy, upstream):
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your limit."}]}'
    upstream.put(NAME, "1", make_image())
    upstream.faults.append(Fault("GET", status=429, headers={"Retry-After": "77"}, body=body))
    answer = proxy.get(TAG)
    assert (answer.status, answer.code) == (429, "TOOMANYREQUESTS")
    assert answer.headers["Retry-After"] == "77"
    assert "You have reached your limit" in answer.message


@pytest.mark.parametrize("path", [TAG, f"{NAME}/blobs/sha256:{'0' * 64}", f"{NAME}/tags/list"])
def test_an_upstream_that_is_down_is_named(proxy, upstream, path):
    upstream.stop()
    answer = proxy.get(path)
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    assert upstream.url in answer.message


def test_an_upstream_that_is_too_slow_is_named(make_proxy, upstream):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        proxy = make_proxy(url, http_client__timeout=1, http_client__retries=0)
        answer = proxy.get(TAG)
    assert (answer.status, answer.code) == (504, "UNAVAILABLE")
    assert url in answer.message


def test_an_upstream_that_fails_is_named(proxy, upstream):
    upstream.faults.append(Fault("", status=500))
    answer = proxy.get(TAG)
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    assert "error 500" in answer.message
    assert (upstream.count("HEAD"), upstream.count("GET")) == (1, 2)  # it was tried once more


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_no_login_here(proxy, upstream, status):
    upstream.faults.append(Fault("", status=status))
    for path, code in (
        (TAG, "MANIFEST_UNKNOWN"),
        (f"{NAME}/blobs/sha256:{'0' * 64}", "BLOB_UNKNOWN"),
    ):
        answer = proxy.get(path)
        assert (answer.status, answer.code) == (404, code)
        assert "refused access to team/app" in answer.message
        assert "WWW-Authenticate" not in answer.headers


# --- Not found -----------------------------------------------------------------------------------


def test_what_was_not_found_is_not_asked_for_again_at_once(make_proxy, upstream, clock):
    proxy = make_proxy(upstream.url, negative_cache__time_to_live=10)
    blob = f"{NAME}/blobs/{digest_of(b'late')}"
    for _ in range(3):
        assert proxy.get(TAG).status == 404
        assert proxy.get(blob).status == 404
    assert [each.method for each in upstream.log] == ["HEAD", "GET", "GET"]
    upstream.put(NAME, "1", make_image())
    upstream.put_blob(NAME, b"late")
    assert proxy.get(TAG).status == 404
    clock.jump(11 * MINUTE)
    assert proxy.get(TAG).status == 200
    assert proxy.get(blob).status == 200


def test_the_not_found_cache_can_be_off(make_proxy, upstream):
    proxy = make_proxy(upstream.url, negative_cache__enabled=False)
    assert proxy.get(TAG).status == 404
    upstream.put(NAME, "1", make_image())
    assert proxy.get(TAG).status == 200


def test_failures_are_not_remembered_as_absence(make_proxy, upstream):
    proxy = make_proxy(upstream.url, http_client__retries=0)
    upstream.put(NAME, "1", make_image())
    for status in (500, 429, 403, 401):
        upstream.faults.append(Fault("GET /v2/team", status=status, times=2))
        assert proxy.get(TAG).status != 200
        upstream.faults.clear()
    assert proxy.get(TAG).status == 200


@pytest.fixture
def seen(proxy, upstream):
    """An image that was asked for by HEAD; its tag has moved, and it is gone."""
    old = make_image()
    upstream.put(NAME, "1", old)
    assert proxy.head(TAG).status == 200
    upstream.manifests.clear()
    return old


def test_a_tag_that_was_asked_for_by_head_and_moved_is_asked_for_anew(proxy, upstream, seen):
    new = make_image()
    upstream.put(NAME, "1", new)
    assert proxy.get(TAG).body == new.manifest


def test_a_digest_that_a_tag_no_longer_has_is_not_remembered(proxy, upstream, seen):
    old = f"{NAME}/manifests/{seen.digest}"
    assert proxy.get(old).code == "MANIFEST_UNKNOWN"
    new = make_image()
    upstream.put(NAME, "1", new)
    assert proxy.head(TAG).headers["Docker-Content-Digest"] == new.digest
    upstream.put(NAME, "old", seen)
    assert proxy.get(old).body == seen.manifest


def test_a_tag_that_was_asked_for_by_head_is_fetched_by_the_tag_if_its_digest_is_wrong(
    proxy, upstream
):
    image = make_image()
    upstream.put(NAME, "1", image)
    assert proxy.head(TAG).status == 200
    upstream.manifests[NAME, image.digest] = make_image().manifest
    assert proxy.get(TAG).body == image.manifest


def test_a_digest_that_is_found_under_a_tag_is_found_again_where_nothing_is_kept(
    proxy, upstream, monkeypatch
):
    image = make_image()
    upstream.put(NAME, "1", image)
    assert proxy.head(TAG).status == 200
    del upstream.manifests[NAME, image.digest]
    monkeypatch.setattr(ProxyCache, "keep", lambda *_: False)
    for _ in range(2):
        assert proxy.get(f"{NAME}/manifests/{image.digest}").body == image.manifest


def test_a_digest_that_another_reader_looks_for_under_a_tag_is_found(proxy, upstream, monkeypatch):
    image = make_image()
    upstream.put(NAME, "1", image)
    assert proxy.head(TAG).status == 200
    del upstream.manifests[NAME, image.digest]
    read = partial(proxy.get, f"{NAME}/manifests/{image.digest}")
    with late(monkeypatch, "get tags/", read) as other:
        assert read().body == image.manifest
    assert other.result().body == image.manifest
    assert upstream.count(f"GET /v2/{TAG}") == 1


def test_a_digest_that_was_not_found_is_asked_for_once_a_tag_has_it(proxy, upstream):
    image = make_image()
    assert proxy.get(f"{NAME}/manifests/{image.digest}").status == 404
    upstream.put(NAME, "1", image)
    assert proxy.pull(NAME, "1") == image.manifest


def test_a_tag_whose_new_digest_is_not_there_is_fetched_by_the_tag(proxy, upstream, old, clock):
    new = make_image()
    upstream.put(NAME, "1", new)
    del upstream.manifests[NAME, new.digest]
    clock.jump(2 * DAY)
    assert proxy.get(TAG).body == new.manifest
    assert proxy.get(f"{NAME}/manifests/{new.digest}").body == new.manifest


def test_a_tag_that_moved_to_what_is_not_there_yet_stays_where_it_was(proxy, upstream, old, clock):
    new = make_image()
    upstream.put(NAME, "1", new)
    upstream.faults.append(Fault("GET /v2/team/app/manifests", status=404))
    clock.jump(2 * DAY)
    answer = proxy.get(TAG)
    assert (answer.body, source(answer)) == (old.manifest, "STALE")
    upstream.faults.clear()
    clock.jump(2 * DAY)
    assert proxy.get(TAG).body == new.manifest


# --- Quarantine ----------------------------------------------------------------------------------


def test_a_tag_that_moved_lately_stays_where_it_was(make_proxy, upstream, clock):
    proxy = make_proxy(upstream.url, proxy__minimum_age=48, proxy__metadata_max_age=60)
    old, bad, good = make_image(), make_image(), make_image()
    upstream.put(NAME, "1", old)
    assert proxy.get(TAG).body == old.manifest  # there is no former one to serve
    upstream.put(NAME, "1", bad)
    clock.jump(2 * HOUR)
    answer = proxy.get(TAG)
    assert answer.body == old.manifest
    assert "less than 48 h ago" in answer.headers["Warning"]
    upstream.put(NAME, "1", good)
    clock.jump(47 * HOUR)
    assert proxy.get(TAG).body == old.manifest  # the time begins anew
    clock.jump(47 * HOUR)
    assert proxy.get(TAG).body == old.manifest
    clock.jump(2 * HOUR)
    assert proxy.get(TAG).body == good.manifest


def test_a_former_digest_does_not_take_a_tag_back(make_proxy, upstream, clock):
    proxy = make_proxy(upstream.url, proxy__minimum_age=48, proxy__metadata_max_age=60)
    old, new = make_image(), make_image()
    upstream.put(NAME, "1", old)
    assert proxy.head(TAG).status == 200
    for tag in ("1", "2"):
        upstream.put(NAME, tag, new)
    assert proxy.get(f"{NAME}/manifests/2").body == new.manifest
    clock.jump(2 * HOUR)
    assert proxy.get(TAG).body == new.manifest
    assert proxy.get(f"{NAME}/manifests/{old.digest}").body == old.manifest
    assert proxy.get(TAG).body == new.manifest


def test_a_tag_that_moved_and_came_back_has_not_moved(make_proxy, upstream, clock):
    proxy = make_proxy(upstream.url, proxy__minimum_age=10, proxy__metadata_max_age=60)
    old, bad = make_image(), make_image()
    for image, hours in ((old, 0), (bad, 2), (old, 9), (bad, 9)):
        upstream.put(NAME, "1", image)
        clock.jump(hours * HOUR)
        assert proxy.get(TAG).body == old.manifest
    clock.jump(11 * HOUR)
    assert proxy.get(TAG).body == bad.manifest


# --- Lists ---------------------------------------------------------------------------------------


def test_tags_come_from_the_upstream_in_pages_and_are_cached(proxy, upstream, clock):
    upstream.page = 2
    for tag in ("a", "b", "c", "D", "e"):
        upstream.put_manifest(NAME, tag, make_image().manifest)
    assert proxy.get(f"{NAME}/tags/list").json() == {
        "name": NAME,
        "tags": ["D", "a", "b", "c", "e"],
    }
    asked = len(upstream.log)
    page = proxy.get(f"{NAME}/tags/list?n=2&last=a")
    assert page.json()["tags"] == ["b", "c"]
    assert "last=c" in page.headers["Link"]
    assert len(upstream.log) == asked
    upstream.put_manifest(NAME, "f", make_image().manifest)
    clock.jump(2 * DAY)
    assert "f" in proxy.get(f"{NAME}/tags/list").json()["tags"]
    upstream.stop()
    clock.jump(2 * DAY)
    assert "f" in proxy.get(f"{NAME}/tags/list").json()["tags"]


@pytest.mark.parametrize("follow", [True, False])
def test_offline_the_known_tags_are_listed(make_proxy, proxy, upstream, old, follow):
    make_proxy.change(proxy, proxy__follow_deletion=follow)
    upstream.stop()
    answer = proxy.get(f"{NAME}/tags/list")
    assert (answer.json()["tags"], source(answer)) == (["1"], "STALE")
    assert (
        f"The list has only what is cached here. The remote {upstream.url}"
        in answer.headers["Warning"]
    )
    assert proxy.get("unknown/app/tags/list").status == 502


@pytest.mark.parametrize("kind", ["tags", "referrers"])
def test_a_list_tells_its_source(proxy, upstream, old, clock, kind):
    path = f"{NAME}/tags/list" if kind == "tags" else f"{NAME}/referrers/{old.digest}"
    entry = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'a' * 64}", "size": 7}
    upstream.referrers[old.digest] = [entry]
    first = proxy.get(path)
    clock.jump(100)
    second = proxy.get(path)
    assert [source(first), source(second)] == ["MISS", "HIT"]
    assert second.headers["X-Repoman-Upstream"] == f"127.0.0.1:{upstream.port}"
    assert 100 <= int(second.headers["Age"]) < 110
    assert "Warning" not in second.headers
    upstream.stop()
    clock.jump(2 * DAY)
    third = proxy.get(path)
    assert source(third) == "STALE"
    assert third.headers["Warning"].startswith('299 - "The list may be out of date. The remote')
    assert third.body == first.body


def test_a_list_is_read_once_for_all_its_pages(proxy, upstream, old, monkeypatch):
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": f"sha256:{number:064}", "size": 7}
        for number in range(5)
    ]
    upstream.referrers[old.digest] = entries
    path = f"{NAME}/referrers/{old.digest}"
    parsed = []
    monkeypatch.setattr("repoman_docker.routes.lists.BATCH_REFERRERS", 2)
    monkeypatch.setattr(
        "repoman_docker.proxy.lists.parse_manifest",
        lambda *what: parsed.append(what) or parse_manifest(*what),
    )
    for _ in range(3):
        assert proxy.get(path).json()["manifests"] == entries
    assert len(parsed) == 2  # as it came, and once from the cache


def test_the_catalog_has_no_names_that_are_not_let_through(make_proxy, proxy, upstream, old):
    upstream.put("secret/app", "1", make_image())
    proxy.pull("secret/app", "1")
    make_proxy.change(proxy, routing__matchers=["secret/.*"])
    assert proxy.get("_catalog").json() == {"repositories": [NAME]}
    assert proxy.get("_catalog?n=1&last=a").json() == {"repositories": [NAME]}


def test_an_image_that_the_upstream_does_not_know(proxy, upstream):
    answer = proxy.get(f"{NAME}/tags/list")
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")


def test_the_catalog_has_what_is_cached(proxy, upstream, old):
    upstream.put("other/app", "1", make_image())
    assert proxy.get("_catalog").json() == {"repositories": [NAME]}


def test_referrers_come_from_the_upstream(proxy, upstream, old, clock):
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{'a' * 64}",
        "size": 7,
        "artifactType": "application/x.sbom",
        "annotations": {"a": "b"},
    }
    other = {**entry, "digest": f"sha256:{'b' * 64}", "artifactType": "application/x.other"}
    upstream.referrers[old.digest] = [other, entry]
    path = f"{NAME}/referrers/{old.digest}"
    assert proxy.get(path).json()["manifests"] == [entry, other]
    filtered = proxy.get(f"{path}?artifactType=application/x.sbom")
    assert filtered.json()["manifests"] == [entry]
    assert proxy.get(f"{NAME}/referrers/sha256:{'c' * 64}").json()["manifests"] == []
    upstream.stop()
    clock.jump(2 * DAY)
    assert proxy.get(path).json()["manifests"] == [entry, other]


def test_referrers_of_a_registry_without_the_api(proxy, upstream, old):
    upstream.has_referrers = False
    signature = make_image()
    upstream.put_manifest(NAME, old.digest.replace(":", "-"), index_of(signature.manifest))
    found = proxy.get(f"{NAME}/referrers/{old.digest}").json()["manifests"]
    assert [each["digest"] for each in found] == [signature.digest]


def test_an_artifact_manifest_is_a_referrer_by_way_of_proxies_and_groups(
    make_proxy, proxy, upstream, old
):
    subject = {"mediaType": OCI_MANIFEST, "digest": old.digest, "size": len(old.manifest)}
    fields = {"mediaType": OCI_ARTIFACT, "artifactType": "a/x", "blobs": [], "subject": subject}
    artifact = to_json(fields)
    upstream.put_manifest(NAME, digest_of(artifact), artifact)
    group = make_proxy.group(proxy)
    assert group.get(f"{NAME}/manifests/{digest_of(artifact)}").body == artifact
    upstream.stop()
    [listed] = group.get(f"{NAME}/referrers/{old.digest}").json()["manifests"]
    assert listed == descriptor(artifact, OCI_ARTIFACT, artifactType="a/x")


# --- Writes and mirrors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", TAG),
        ("DELETE", TAG),
        ("DELETE", f"{NAME}/blobs/sha256:{'0' * 64}"),
        ("POST", f"{NAME}/blobs/uploads/"),
        ("POST", f"{NAME}/blobs/uploads/?mount=sha256:{'0' * 64}&from=a/b"),
        ("POST", f"{NAME}/blobs/uploads/?digest=sha256:{'0' * 64}"),
        ("PATCH", f"{NAME}/blobs/uploads/0"),
    ],
)
def test_writes_are_refused_with_the_way_to_go(make_proxy, proxy, upstream, method, path):
    if make_proxy.repoman.repositories.find("own-images") is None:
        make_proxy.repoman.repositories.create("own-images", "docker-hosted", {})
    answer = proxy.send(method, path, b"{}")
    assert (answer.status, answer.code) == (405, "UNSUPPORTED")
    assert f"{name_of(proxy)} is a proxy" in answer.message
    assert "Push to a hosted repository: own-images" in answer.message
    assert upstream.log == []


def test_a_probe_ends_the_rest_by_itself(make_proxy, upstream, monkeypatch):
    monkeypatch.setattr("repoman.proxy.remote_health.BLOCK_STEP_S", 0.2)
    upstream.put(NAME, "1", make_image())
    proxy = make_proxy(upstream.url, http_client__auto_block=True, http_client__retries=0)
    status = make_proxy.repoman.repositories.get(name_of(proxy)).service.blobs._site.cache.status
    upstream.stop()
    assert proxy.get(f"{NAME}/manifests/1").status == 502
    assert status.condition == "Remote Auto Blocked and Unavailable"
    upstream.start()
    wait_until(lambda: status.condition == "Remote Available", what="the probe")
    assert [each.path for each in upstream.log] == ["/v2/"]
    assert proxy.pull(NAME, "1")
