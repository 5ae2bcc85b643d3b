"""For the tests of the core and of plugins: a Repoman in process, its HTTP client, contract suites.

Import the fixtures into a ``conftest.py``; pytest is needed, which the product itself is not.
"""

from repoman.testing.blob_stores import BlobStoreSuite
from repoman.testing.client import HttpClient, after_admission, application_of
from repoman.testing.factory import ADMIN, RepomanFactory, repoman_factory

__all__ = [
    "ADMIN",
    "BlobStoreSuite",
    "HttpClient",
    "RepomanFactory",
    "after_admission",
    "application_of",
    "repoman_factory",
]
