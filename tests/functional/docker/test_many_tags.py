"""Manifests with many tags are deleted in short transactions, and the manifest last."""

import pytest

from repoman.plugin import Denied
from repoman.testing import HttpClient
from repoman_docker.hosted import deletion
from repoman_docker.protocol.reference import Digest, Tag
from tests.functional.docker.images import OCI_INDEX, digest_of, index_of

INDEX = index_of()
DIGEST = Digest.parse(digest_of(INDEX))
TAGS = [f"v{number}" for number in range(7)]


@pytest.fixture
def hosted(in_process, monkeypatch):
    """The manifests of a repository with one manifest that has many tags."""
    monkeypatch.setattr(deletion, "BATCH_TAGS", 2)
    repoman = in_process.repoman
    made = repoman.repositories.create("many-tags", "docker-hosted", {})
    client = HttpClient(repoman, connector="many-tags")
    for tag in TAGS:
        headers = {"Content-Type": OCI_INDEX}
        assert client.put(f"/v2/app/manifests/{tag}", INDEX, headers=headers).status_code == 201
    yield made.service.manifests
    repoman.repositories.delete("many-tags")


@pytest.fixture
def batches(hosted, monkeypatch):
    """How many assets each deletion had to remove."""
    found, delete_assets = [], hosted._content.delete_assets

    def counted(paths, *args):
        found.append(len(list(paths)))
        return delete_assets(paths, *args)

    monkeypatch.setattr(type(hosted._content), "delete_assets", lambda _, *args: counted(*args))
    return found


def tags_of(hosted):
    return hosted._content.list_versions("tag", "app", "", -1)


def test_tags_go_in_batches_and_the_manifest_with_the_last(hosted, batches):
    hosted.delete("app", DIGEST)
    assert batches == [2, 2, 2, 1]  # The manifest goes to the trash.
    assert tags_of(hosted) == []
    assert hosted._content.list_assets("manifest", "", 9) == []


def test_a_tag_that_must_stay_keeps_all(hosted, batches):
    def check(tag):
        if tag == Tag("v6"):
            raise Denied("This tag stays.")

    with pytest.raises(Denied):
        hosted.delete("app", DIGEST, check)
    assert (tags_of(hosted), batches) == (TAGS, [])


def test_an_interrupted_deletion_continues(hosted, monkeypatch):
    delete_assets, calls = hosted._content.delete_assets, []

    def fail_late(paths, *args):
        calls.append(paths)
        if len(calls) == 3:
            raise Denied("killed")
        return delete_assets(paths, *args)

    with monkeypatch.context() as patch:
        patch.setattr(type(hosted._content), "delete_assets", lambda _, *args: fail_late(*args))
        with pytest.raises(Denied):
            hosted.delete("app", DIGEST)
    assert len(tags_of(hosted)) == 3
    assert len(hosted._content.list_assets("manifest", "", 9)) == 1
    hosted.delete("app", DIGEST)
    assert tags_of(hosted) == []
