"""Referrers: which manifests say something about another."""

import json
import re
import secrets
import tracemalloc
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.functional.docker.images import (
    ABSENT,
    EMPTY,
    OCI_ARTIFACT,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    index_of,
    to_json,
)

SBOM, SIGNATURE = "application/spdx+json", "application/vnd.example.signature"
NOTHING = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


@pytest.fixture
def subject(registry, name):
    """The digest of a manifest that others may refer to."""
    registry.push_blob(name, EMPTY)
    return registry.push_manifest(name, "1", artifact())


def artifact(subject=None, kind=SBOM, **more):
    """An artifact, each time another one."""
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": descriptor(EMPTY, OCI_EMPTY),
        "layers": [],
        "number": secrets.token_hex(8),
        **more,
    }
    if subject:
        fields["subject"] = {"mediaType": OCI_MANIFEST, "digest": subject, "size": 9}
    return to_json({key: value for key, value in fields.items() if value is not None})


def push(registry, name, manifest):
    answer = registry.put_manifest(name, digest_of(manifest), manifest)
    assert answer.status == 201, answer.body
    return answer


def referrers(registry, name, subject, query=""):
    """The descriptors of the answer, which must be an index."""
    answer = registry.get(f"{name}/referrers/{subject}{query}")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == OCI_INDEX
    index = answer.json()
    assert {**index, "manifests": []} == NOTHING
    return index["manifests"]


def digests(found):
    return [each["digest"] for each in found]


def test_nothing_refers_to_what_nobody_knows(registry, name, subject):
    assert referrers(registry, name, subject) == []
    assert referrers(registry, name, ABSENT) == []
    assert referrers(registry, "no/such/image", ABSENT) == []
    assert referrers(registry, name, f"sha512:{'0' * 128}") == []


def test_a_malformed_subject_is_refused(registry, name):
    for text in ("sha256:abc", "1", "latest", "sha256:baddigeststring"):
        answer = registry.get(f"{name}/referrers/{text}")
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_a_push_with_a_subject_says_that_it_was_understood(registry, name, subject):
    assert push(registry, name, artifact(subject)).headers["OCI-Subject"] == subject
    assert push(registry, name, artifact(ABSENT)).headers["OCI-Subject"] == ABSENT
    assert "OCI-Subject" not in push(registry, name, artifact()).headers


def test_a_referrer_is_listed_with_what_it_says_of_itself(registry, name, subject):
    manifest = artifact(subject, annotations={"a": "b", "\u00e9": "\U0001f41f"})
    push(registry, name, manifest)
    [found] = referrers(registry, name, subject)
    assert found == {
        "mediaType": OCI_MANIFEST,
        "digest": digest_of(manifest),
        "size": len(manifest),
        "artifactType": SBOM,
        "annotations": {"a": "b", "\u00e9": "\U0001f41f"},
    }


def test_the_type_of_an_image_is_that_of_its_config(registry, name, subject):
    push(registry, name, artifact(subject, None))
    [found] = referrers(registry, name, subject)
    assert found["artifactType"] == OCI_EMPTY


def test_an_index_may_refer_too(registry, name, subject):
    about = {"mediaType": OCI_MANIFEST, "digest": subject, "size": 9}
    plain, typed = index_of(subject=about), index_of(subject=about, artifactType=SBOM)
    for index in (plain, typed):
        assert push(registry, name, index).headers["OCI-Subject"] == subject
    found = {each["digest"]: each for each in referrers(registry, name, subject)}
    assert "artifactType" not in found[digest_of(plain)]
    assert found[digest_of(typed)]["artifactType"] == SBOM
    assert "annotations" not in found[digest_of(plain)]


def test_a_referrer_may_come_before_its_subject(registry, name):
    later = artifact()
    registry.push_blob(name, EMPTY)
    manifest = artifact(digest_of(later))
    push(registry, name, manifest)
    push(registry, name, later)
    assert digests(referrers(registry, name, digest_of(later))) == [digest_of(manifest)]


def test_a_referrer_may_have_a_tag(registry, name, subject):
    manifest = artifact(subject)
    registry.push_manifest(name, "signature", manifest)
    assert digests(referrers(registry, name, subject)) == [digest_of(manifest)]


def test_a_deleted_referrer_is_not_listed_and_a_deleted_subject_keeps_its_own(
    registry, name, subject
):
    first, second = sorted((artifact(subject), artifact(subject)), key=digest_of)
    for manifest in (first, second):
        push(registry, name, manifest)
    registry.delete(f"{name}/manifests/{digest_of(first)}")
    assert digests(referrers(registry, name, subject)) == [digest_of(second)]
    registry.delete(f"{name}/manifests/{subject}")
    assert digests(referrers(registry, name, subject)) == [digest_of(second)]


def test_referrers_of_another_image_are_not_listed(registry, name, other_name, subject):
    registry.push_blob(other_name, EMPTY)
    push(registry, other_name, artifact(subject))
    assert referrers(registry, name, subject) == []
    assert referrers(registry, f"{name}/below", subject) == []


def test_a_subject_is_matched_by_the_digest_that_was_written(registry, name):
    registry.push_blob(name, EMPTY)
    manifest = artifact()
    names = [digest_of(manifest), digest_of(manifest, "sha512")]
    found = {}
    for each in names:
        push(registry, name, referrer := artifact(each))
        found[each] = digest_of(referrer)
    for each in names:
        assert digests(referrers(registry, name, each)) == [found[each]]


def test_a_referrer_pushed_by_sha512_is_listed_so(registry, name, subject):
    manifest = artifact(subject)
    digest = digest_of(manifest, "sha512")
    assert registry.put_manifest(name, digest, manifest).status == 201
    assert digests(referrers(registry, name, subject)) == [digest]


# --- Filter --------------------------------------------------------------------------------------


@pytest.fixture
def two_kinds(registry, name, subject):
    """The digests of a list of contents and of a signature."""
    found = {}
    for kind in (SBOM, SIGNATURE):
        push(registry, name, manifest := artifact(subject, kind))
        found[kind] = digest_of(manifest)
    return found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("application%2Fspdx%2Bjson", SBOM),
        ("application/spdx+json", SBOM),
        (SIGNATURE, SIGNATURE),
        ("no/such", None),
    ],
)
def test_referrers_of_one_kind(registry, name, subject, two_kinds, text, kind):
    path = f"{name}/referrers/{subject}?artifactType={text}"
    answer = registry.get(path)
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    wanted = [] if kind is None else [two_kinds[kind]]
    assert digests(answer.json()["manifests"]) == wanted


@pytest.mark.parametrize("query", ["", "?artifactType=", "?unknown=x"])
def test_no_filter_lists_all(registry, name, subject, two_kinds, query):
    answer = registry.get(f"{name}/referrers/{subject}{query}")
    assert "OCI-Filters-Applied" not in answer.headers
    assert digests(answer.json()["manifests"]) == sorted(two_kinds.values())


# --- Pages ---------------------------------------------------------------------------------------


def pages(registry, path):
    """The answers up to the last page."""
    found = []
    while path:
        answer = registry.get(path)
        assert answer.status == 200
        found.append(answer)
        link = answer.headers.get("Link")
        path = link and re.fullmatch(r'<([^>]+)>; rel="next"', link)[1]
        assert len(found) < 50
    return found


def test_many_referrers_come_in_pages(site, name):
    registry = site.create({"docker.referrers_limit": 65_536})
    registry.push_blob(name, EMPTY)
    wanted = []
    for number in range(12):
        kind = SBOM if number % 3 else SIGNATURE
        push(registry, name, manifest := artifact(ABSENT, kind, annotations={"a": "x" * 15_000}))
        wanted.append((digest_of(manifest), kind))
    found = pages(registry, f"{name}/referrers/{ABSENT}")
    assert len(found) == 3
    assert all(len(answer.body) <= 65_536 for answer in found)
    listed = [each for answer in found for each in answer.json()["manifests"]]
    assert digests(listed) == sorted(digest for digest, _ in wanted)
    found = pages(registry, f"{name}/referrers/{ABSENT}?artifactType={SBOM.replace('+', '%2B')}")
    assert len(found) == 2
    assert all(answer.headers["OCI-Filters-Applied"] == "artifactType" for answer in found)
    listed = [each for answer in found for each in answer.json()["manifests"]]
    assert digests(listed) == sorted(digest for digest, kind in wanted if kind == SBOM)
    link = urlsplit(found[0].headers["Link"].partition(">")[0][1:])
    assert link.path == registry.target(f"{name}/referrers/{ABSENT}")
    assert parse_qs(link.query)["artifactType"] == [SBOM]


def test_a_referrer_too_long_for_a_page_has_one_of_its_own(site, name):
    registry = site.create({"docker.referrers_limit": 65_536})
    registry.push_blob(name, EMPTY)
    for _ in range(2):
        push(registry, name, artifact(ABSENT, annotations={"a": "x" * 70_000}))
    found = pages(registry, f"{name}/referrers/{ABSENT}")
    assert [len(answer.json()["manifests"]) for answer in found] == [1, 1]


def test_long_annotations_are_listed_whole_and_take_little_memory(in_process, name):
    registry = in_process.registry
    registry.push_blob(name, EMPTY)
    wanted = {}
    for number in range(24):
        annotations = {"short": str(number), "long": "x" * (2 << 20), "a": "b"}
        push(registry, name, manifest := artifact(ABSENT, annotations=annotations))
        wanted[digest_of(manifest)] = annotations
    tracemalloc.start()
    try:
        registry.get(f"{name}/referrers/{ABSENT}")
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    found = pages(registry, f"{name}/referrers/{ABSENT}")
    listed = [each for answer in found for each in answer.json()["manifests"]]
    assert {each["digest"]: each["annotations"] for each in listed} == wanted


def test_a_page_reads_few_large_manifests(in_process, name):
    registry = in_process.registry
    registry.push_blob(name, EMPTY)
    for _ in range(10):
        annotations = {"a": "x" * 5_000}
        push(registry, name, artifact(ABSENT, annotations=annotations, filling="x" * 7_500_000))
    found = pages(registry, f"{name}/referrers/{ABSENT}")
    assert [len(answer.json()["manifests"]) for answer in found] == [8, 2]


def test_annotations_are_listed_in_part_after_the_manifest_was_lost(in_process, name):
    registry = in_process.registry
    registry.push_blob(name, EMPTY)
    manifest = artifact(ABSENT, annotations={"short": "b", "long": "x" * 5_000})
    push(registry, name, manifest)
    digest = digest_of(manifest).partition(":")[2]
    [stored] = [each for each in in_process.data.rglob(f"*{digest}*") if each.is_file()]
    stored.unlink()
    [found] = referrers(registry, name, ABSENT)
    assert found["annotations"] == {"short": "b"}


def test_a_type_that_is_too_long_to_be_listed_is_refused(registry, name, subject):
    for kind, status in (("a/" + "b" * 253, 201), ("a/" + "b" * 254, 400)):
        manifest = artifact(subject, kind)
        answer = registry.put_manifest(name, digest_of(manifest), manifest)
        assert answer.status == status, answer.body
    assert answer.code == "MANIFEST_INVALID"


# --- Artifact manifests --------------------------------------------------------------------------


def artifact_manifest(subject: str) -> bytes:
    """A signature in the manifest that release candidates of the spec had for artifacts."""
    return to_json(
        {
            "mediaType": OCI_ARTIFACT,
            "artifactType": SIGNATURE,
            "blobs": [descriptor(EMPTY, OCI_EMPTY)],
            "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 9},
            "annotations": {"by": "somebody"},
        }
    )


def test_an_artifact_manifest_is_a_referrer_too(registry, name, subject):
    manifest = artifact_manifest(subject)
    assert push(registry, name, manifest).headers["OCI-Subject"] == subject
    [listed] = referrers(registry, name, subject, f"?artifactType={SIGNATURE}")
    assert listed == descriptor(
        manifest, OCI_ARTIFACT, artifactType=SIGNATURE, annotations={"by": "somebody"}
    )


def test_an_artifact_manifest_needs_its_blobs(registry, name, subject):
    assert registry.delete(f"{name}/blobs/{digest_of(EMPTY)}").status == 405
    push(registry, name, manifest := artifact_manifest(subject))
    registry.delete(f"{name}/manifests/{subject}")
    assert registry.delete(f"{name}/blobs/{digest_of(EMPTY)}").status == 405
    registry.delete(f"{name}/manifests/{digest_of(manifest)}")
    assert registry.delete(f"{name}/blobs/{digest_of(EMPTY)}").status == 202
    answer = registry.put_manifest(name, "1", manifest)
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")


# --- The fallback tag ----------------------------------------------------------------------------


def test_the_fallback_tag_is_an_ordinary_tag(registry, name, subject):
    tag = subject.replace(":", "-")
    manifest = artifact()
    entry = descriptor(manifest, OCI_MANIFEST, artifactType=SBOM)
    index = to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
    push(registry, name, manifest)
    registry.push_manifest(name, tag, index)
    assert registry.get(f"{name}/manifests/{tag}").body == index
    assert tag in registry.tags(name)
    assert referrers(registry, name, subject) == []
    registry.delete(f"{name}/manifests/{tag}")
    assert registry.tags(name) == ["1"]


def test_the_list_is_the_same_for_the_same_referrers(registry, name, subject, two_kinds):
    path = f"{name}/referrers/{subject}"
    first = registry.get(path).body
    assert registry.get(path).body == first
    assert len(json.loads(first)["manifests"]) == len(two_kinds)
