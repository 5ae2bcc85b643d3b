"""What all tests of the suite stand on: a site that they share, and a remote."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from repoman.testing.factory import RepomanFactory
from repoman.testing.formats.remote import RemoteServer, remote_server
from repoman.testing.formats.samples import Declarations, Sample
from repoman.testing.formats.site import RepositoryClient, Site, all_plugins, wait_until

PACKAGE, VERSIONS = "demo", ("1.0.0", "1.1.0", "2.0.0")
HOUR_S = 3600.0
LONG_S = 60 * 24 * HOUR_S  # Longer than anything may stay in a cache unchecked.


class FormatTests(Declarations):
    """Fixtures and helpers of the suite."""

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
        """Return a started Repoman, which the tests of the class share."""
        factory = RepomanFactory(tmp_path_factory.mktemp(cls.name) / "data")
        yield Site(factory, all_plugins(cls.name, cls.plugin))
        factory.stop()

    @pytest.fixture(scope="class")
    @classmethod
    def running_remote(cls) -> Iterator[RemoteServer]:
        """Return a remote, which the tests of the class share."""
        with remote_server() as remote:
            yield remote

    @pytest.fixture
    def remote_files(self, running_remote: RemoteServer) -> Iterator[RemoteServer]:
        """Return a remote without files and faults."""
        running_remote.reset()
        yield running_remote
        running_remote.reset()

    @pytest.fixture
    def hosted(self, site: Site) -> str:
        """Return the name of an empty hosted repository."""
        return site.create(f"{self.name}-hosted")

    @pytest.fixture
    def client(self, site: Site, hosted: str) -> RepositoryClient:
        """Return a client of the hosted repository."""
        return site.client(hosted)

    @pytest.fixture
    def mirror(self, site: Site, remote_files: RemoteServer) -> str:
        """Return the name of a proxy of a remote that has the first two versions."""
        remote_files.files = dict(self.remote(self.samples()[:2]))
        return site.proxy(f"{self.name}-proxy", remote_files.url)

    def start(self, directory: Path, *, is_installed: bool = True) -> Site:
        """Start a Repoman on data of its own, in a process that has no other."""
        plugins = all_plugins(self.name, self.plugin)
        if not is_installed:
            del plugins[self.name]
        return Site(RepomanFactory(directory / "data"), plugins)

    def samples(self, content: str = "") -> list[Sample]:
        """Return three versions of a package."""
        return [self.make(PACKAGE, version, content) for version in VERSIONS]

    def store(self, client: RepositoryClient, *samples: Sample) -> None:
        """Upload files, which must work."""
        for each in samples:
            answer = self.upload(client, each)
            assert answer.status_code < 300, answer.text

    def tagged(self, sample: Sample) -> list[str]:
        """Return the paths about a file whose answers have an ETag."""
        return [sample.path, *(self.documents(sample) if self.documents_have_tags else ())]

    def paths(self, sample: Sample) -> list[str]:
        """Return the paths of a file and of its documents."""
        return [sample.path, *self.documents(sample)]

    def is_named(self, client: RepositoryClient, sample: Sample) -> bool:
        """Return whether a file can be read, and whether all documents agree."""
        answer = client.get(sample.path)
        assert answer.status_code in (200, 404), answer.text
        found = answer.status_code == 200
        if found:
            assert answer.data == sample.data
        for path, text in self.documents(sample).items():
            document = client.get(path)
            assert document.status_code in (200, 404), document.text
            assert (text in document.text) == found, f"{path} should name {text}: {found}"
        return found

    def keep(self, client: RepositoryClient, path: str) -> None:
        """Read from a proxy until its cache answers."""
        assert client.get(path).status_code == 200
        wait_until(
            lambda: client.head(path).headers.get("X-Repoman-Cache") == "HIT", "the cached copy"
        )
