"""For the tests of the core and of plugins: a Repoman in process, its HTTP client, contract suites.

Import the fixtures into a ``conftest.py``; pytest is needed, which the product itself is not.
"""

import pytest

# Before the suites are imported: their assertions tell what they compared.
pytest.register_assert_rewrite("repoman.testing.blob_stores", "repoman.testing.formats")

from repoman.testing.blob_stores import BlobStoreSuite
from repoman.testing.client import (
    HttpClient,
    after_admission,
    application_of,
    both_http_clients,
    http_client,
)
from repoman.testing.factory import ADMIN, Clock, RepomanFactory, repoman_factory
from repoman.testing.formats.bombs import tar_bombs, zip_bombs
from repoman.testing.formats.remote import RemoteFile
from repoman.testing.formats.samples import Sample
from repoman.testing.formats.site import RepositoryClient
from repoman.testing.formats.suite import FormatSuite

__all__ = [
    "ADMIN",
    "BlobStoreSuite",
    "Clock",
    "FormatSuite",
    "HttpClient",
    "RemoteFile",
    "RepomanFactory",
    "RepositoryClient",
    "Sample",
    "after_admission",
    "application_of",
    "both_http_clients",
    "http_client",
    "repoman_factory",
    "tar_bombs",
    "zip_bombs",
]
