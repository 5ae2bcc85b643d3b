"""Blob stores by name, made from the settings."""

import pytest

from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.upload import store_bytes
from repoman.config import BlobStoreSettings
from repoman.errors import Invalid
from tests.disk import make_created_store


@pytest.fixture
def make(tmp_path):
    """Make the manager of the given stores."""

    def make(**stores):
        settings = {
            name: BlobStoreSettings.model_validate(values) for name, values in stores.items()
        }
        return BlobStoreManager(settings, {"file": make_created_store}, tmp_path / "data")

    return make


def test_a_relative_path_is_below_the_data_and_an_absolute_one_is_not(make, tmp_path):
    stores = make(near={"path": "blobs/near"}, far={"path": str(tmp_path / "far")})
    assert stores.names() == ["far", "near"]
    for name, place in (("near", tmp_path / "data/blobs/near"), ("far", tmp_path / "far")):
        digest = store_bytes(stores.get(name), b"some bytes").digest
        assert (place / "sha256" / digest[:2] / digest).is_file()


def test_a_store_that_is_not_there_is_answered_with_those_there_are(make):
    with pytest.raises(Invalid, match="'gone'; available: default"):
        make(default={"path": "blobs"}).get("gone")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"type": "tape", "path": "x"}, "blob_stores.fast.type"),
        ({}, "blob_stores.fast.path"),
        ({"path": 7}, "blob_stores.fast.path"),
        ({"path": "x", "pth": "y"}, "blob_stores.fast.pth"),
    ],
)
def test_a_wrong_setting_is_named_by_its_path(make, values, field):
    with pytest.raises(Invalid) as caught:
        make(fast=values)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
