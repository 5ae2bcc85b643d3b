"""What a format tells the suite of itself: files of its packages, and how clients handle them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from werkzeug.test import TestResponse

from repoman.testing.formats.remote import RemoteFile
from repoman.testing.formats.site import RepositoryClient


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of a package as clients read it.

    Attributes:
        path: below the address of the repository.
        name: as routing rules, pins and tokens see it; empty: the path.
        version: of its component; empty: the format has none.
    """

    path: str
    data: bytes
    name: str = ""
    version: str = ""

    @property
    def rule_name(self) -> str:
        """The name that rules are about."""
        return self.name or self.path


class Declarations:
    """What a format says of itself; a subclass overrides what differs.

    Attributes:
        name: of the format.
        rest_name: of the format in the paths of the REST API; empty: its name.
        plugin: the module or object with its hooks.
        replaces: whether a hosted repository with default settings takes other bytes for a file.
        shadows: whether a group asks no remote for a package that a hosted member has.
        puts: whether a file is stored by a PUT of its path, and removed by DELETE.
        takes_forms: whether the format has an upload by a form.
        has_digests: whether a proxy learns from its remote what a file has to hash to.
        documents_have_tags: whether documents have an ETag; those of :mod:`repoman.files` have.
        media_types: in which clients ask for documents; each is a form of its own.
        links: a pattern of the addresses of files in documents, its group; empty: there are none.
        versions: more than twenty, as the format writes them, the lowest first.
        open_routes: endpoints of routes of the format that need no right, such as a login.
        bad_paths: paths, encoded, at which there can be no file and nothing can be stored.
    """

    name: ClassVar[str]
    rest_name: ClassVar[str] = ""
    plugin: ClassVar[object]
    replaces: ClassVar[bool] = True
    shadows: ClassVar[bool] = True
    puts: ClassVar[bool] = False
    takes_forms: ClassVar[bool] = False
    has_digests: ClassVar[bool] = False
    documents_have_tags: ClassVar[bool] = True
    media_types: ClassVar[Sequence[str]] = ()
    links: ClassVar[str] = ""
    versions: ClassVar[Sequence[str]] = (
        *("0.0.1", "0.0.2", "0.1.0", "0.9.0", "0.10.0", "1.0.0-alpha.1", "1.0.0-alpha.2"),
        *("1.0.0-beta.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1"),
        *("1.0.9", "1.0.10", "1.1.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "2.0.0", "10.0.0"),
    )
    open_routes: ClassVar[Sequence[str]] = ()
    bad_paths: ClassVar[Sequence[str]] = (
        "a/%2e%2e/b",
        "a/..%2fb",
        "a%0d%0ab",
        "a%00b",
        "%FF",
        "a%252f..%252fb%1f",
        "x" * 5000,
        ".states/a:b",
        ".documents/a/b",
    )

    def make(self, package: str, version: str, content: str = "") -> Sample:
        """Return a file of a package; another ``content`` makes other bytes at the same path.

        ``package`` is a word of letters, ``version`` is such as ``1.0.0``.
        """
        raise NotImplementedError

    def make_big(self, size: int) -> Sample:
        """Return a file of ``size`` bytes at least, which the format does not compress."""
        return self.make("big", "1.0.0", "x" * size)

    def bombs(self, sample: Sample) -> Mapping[str, bytes]:
        """Return archives at the place of a file that unpack to very much, by what is wrong.

        Formats that read archives have some (``tar_bombs``, ``zip_bombs``).
        """
        return {}

    def upload(self, client: RepositoryClient, sample: Sample) -> TestResponse:
        """Store a file as clients of the format do, and return the answer."""
        return client.put(sample.path, sample.data)

    def documents(self, sample: Sample) -> Mapping[str, str]:
        """Return documents that name a file: their paths, and the text that names it."""
        return {}

    def remote(self, samples: Sequence[Sample]) -> Mapping[str, RemoteFile]:
        """Return what a remote that has these files answers, by path from its root."""
        return {f"/{each.path}": RemoteFile(each.data) for each in samples}

    def form(self, sample: Sample) -> Mapping[str, object]:
        """Return the form of REST that stores a file, with the name of the format in its fields."""
        raise NotImplementedError

    def rest_settings(self, type_: str) -> Mapping[str, object]:
        """Return further blocks that REST needs to create a repository of a type."""
        return {}

    def command_settings(self) -> Mapping[str, Sequence[str]]:
        """Return what the command line needs for each type, as ``--set`` has it."""
        return {
            "hosted": (),
            "proxy": ("proxy.remote_url=http://127.0.0.1:9",),
            "group": ('group.members=["cli-hosted"]',),
        }

    def refused(self) -> Sequence[Sample]:
        """Return files that the format does not take, for what they are or are called."""
        return ()

    def twins(self, sample: Sample) -> Sequence[str]:
        """Return further paths that lead to a file or to nothing, as other spellings do."""
        return ()
