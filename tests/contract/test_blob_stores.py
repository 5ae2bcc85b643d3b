"""Every blob store keeps the contract."""

import pytest

from repoman.blobs.file import FileBlobStore
from repoman.testing import BlobStoreSuite


class TestFileBlobStore(BlobStoreSuite):
    @pytest.fixture
    def open_store(self, tmp_path):
        return lambda: FileBlobStore(tmp_path / "blobs")
