import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman_docker.protocol.descriptor import Descriptor, Platform
from repoman_docker.protocol.manifest import parse_manifest
from repoman_docker.protocol.media_types import OCI_INDEX, OCI_MANIFEST
from repoman_docker.protocol.reference import Digest
from repoman_docker.protocol.referrers import (
    referrers_index,
    render_descriptor,
)
from repoman_docker.protocol.strict_json import MAX_SIZE

MAX_BYTES = 4 << 20  # The setting referrers_limit, unless an administrator changes it.


def entry(number, artifact_type="application/spdx+json", **annotations):
    digest = Digest.of("sha256", str(number).encode())
    return Descriptor(OCI_MANIFEST, digest, number, annotations, artifact_type)


def listed(index):
    return [found["digest"] for found in json.loads(index.body)["manifests"]]


def test_an_empty_list_is_an_index_too():
    index = referrers_index([], None, MAX_BYTES)
    assert json.loads(index.body) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [],
    }
    assert not index.is_filtered
    assert index.last is None


def test_an_entry_says_what_is_known_of_it():
    found = json.loads(referrers_index([entry(1, k="v")], None, MAX_BYTES).body)["manifests"]
    assert found == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": str(entry(1).digest),
            "size": 1,
            "artifactType": "application/spdx+json",
            "annotations": {"k": "v"},
        }
    ]


def test_what_is_not_known_is_left_out():
    digest = Digest("sha256", "a" * 64)
    bare = Descriptor(OCI_INDEX, digest, 5, platform=Platform("linux", "amd64"), urls=("x",))
    assert json.loads(render_descriptor(bare)) == {
        "mediaType": OCI_INDEX,
        "digest": str(digest),
        "size": 5,
    }


@pytest.mark.parametrize("wanted", ["application/spdx+json", "application/spdx json"])
def test_only_the_artifact_type_asked_for_is_listed(wanted):
    index = referrers_index([entry(1), entry(2, "a/b"), entry(3)], wanted, MAX_BYTES)
    assert listed(index) == [str(entry(1).digest), str(entry(3).digest)]
    assert index.is_filtered


def test_a_filter_is_reported_although_nothing_matches():
    index = referrers_index([entry(1)], "a/b", MAX_BYTES)
    assert listed(index) == []
    assert index.is_filtered


@pytest.mark.parametrize("wanted", [None, ""])
def test_without_an_artifact_type_nothing_is_filtered(wanted):
    index = referrers_index([entry(1), entry(2, "")], wanted, MAX_BYTES)
    assert len(listed(index)) == 2
    assert not index.is_filtered


@given(st.lists(st.integers(0, 400), max_size=20), st.integers(0, 3000))
def test_long_lists_are_cut_into_pages_that_lose_nothing(lengths, max_bytes):
    everything = [entry(number, text="x" * length) for number, length in enumerate(lengths)]
    pages, rest = [], everything
    while True:
        index = referrers_index(rest, None, max_bytes)
        found = listed(index)
        pages += found
        assert len(index.body) <= max_bytes or len(found) <= 1
        if index.last is None:
            break
        assert found[-1] == str(index.last)
        rest = rest[len(found) :]
    assert pages == [str(single.digest) for single in everything]


def test_the_usual_limit_is_that_of_clients():
    big = [entry(number, text="x" * 1_000_000) for number in range(6)]
    index = referrers_index(iter(big), None, MAX_BYTES)
    assert len(listed(index)) == 4
    assert len(index.body) <= MAX_BYTES
    assert index.last == big[3].digest


def test_a_cut_list_counts_only_what_matches():
    index = referrers_index([entry(1), entry(2, "a/b")], "application/spdx+json", max_bytes=0)
    assert len(listed(index)) == 1
    assert index.last is None


@given(st.lists(st.builds(entry, st.integers(0, MAX_SIZE), st.text())), st.none() | st.text())
def test_any_list_and_filter_give_an_index_that_parses(descriptors, artifact_type):
    index = referrers_index(descriptors, artifact_type, MAX_BYTES)
    assert parse_manifest(index.body, OCI_INDEX).media_type == OCI_INDEX
