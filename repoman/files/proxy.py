"""A proxy of files: those of another server, fetched once and cached."""

from dataclasses import replace
from http import HTTPStatus
from typing import NoReturn

from repoman.blobs.store import StoredBlob
from repoman.blobs.upload import BlobUpload
from repoman.content import NewAsset
from repoman.errors import NotFound, Unsupported, UpstreamUnavailable
from repoman.events.event import Coordinate
from repoman.files.checksums import read_checksum
from repoman.files.format import FILE, Document, File, FileFormat, Metadata, NewFile
from repoman.files.hosted import delete_files, new_asset
from repoman.files.remote_documents import LOOKED_AGAIN_S, RemoteDocuments
from repoman.files.service import Backend, CheckFile, PackageRepository, RemoteQuery
from repoman.http.conditions import NO_PRECONDITION, Precondition
from repoman.http.content import Content
from repoman.proxy.cache import CacheRemote
from repoman.proxy.cached_files import CachedFiles, Place, RemoteFiles, address_of
from repoman.repositories.proxy_sections import HttpClientSection, ProxySection
from repoman.repositories.recipes import RepositoryContext, open_cache
from repoman.repositories.sections import RoutingSection

CHECKSUM_MAX_BYTES = 1 << 16  # Of the text beside a file of the remote.
ANSWER_MAX_BYTES = 16 << 20  # A longer answer past the cache is refused.


class ProxyFiles:
    """Implements :class:`repoman.files.service.FileRepository`."""

    def __init__(self, format_: FileFormat, context: RepositoryContext) -> None:
        config = context.config
        proxy = config.section("proxy", ProxySection)
        self._format = format_
        self._config = config
        self._name = config.name
        self._content = context.content
        self._remote = proxy.remote
        self._routing = config.section("routing", RoutingSection)
        self._headers = format_.headers(config)
        login = self._login = config.section("http_client", HttpClientSection).credentials.headers
        cache = self._cache = open_cache(context, (FILE,))
        self.remote = CacheRemote(cache, self._places)
        self._documents = RemoteDocuments(format_, context, cache, login)
        self._files = CachedFiles(
            cache,
            context.content,
            RemoteFiles(
                locate=self._locate,
                new_asset=self._new_asset,
                is_mutable=lambda path: self._file_at(path).is_mutable,
                headers=login,
                follow_deletion=proxy.follow_deletion,
                checksums=format_.checksums,
            ),
        )

    def document(self, metadata: Metadata) -> Document:
        """Return a document of the remote."""
        self._check(metadata)
        return self._documents.get(metadata)

    def owns(self, package: str) -> bool:
        """Return False: all is the remote's."""
        return False

    def owned(self, metadata: Metadata) -> frozenset[str]:
        """Return nothing, as above."""
        return frozenset()

    def get(self, file: File) -> Content:
        """Return a file."""
        self._check(file)
        found = self._files.get(file.path)
        return Content(
            size=found.size,
            media_type=found.media_type,
            open=found.open,
            etag=found.etag,
            last_modified=found.last_modified,
            headers={**self._headers, **found.headers},
            is_cacheable=found.is_lasting,
            source=found.source.value,
            pull=self._content.pull_of(file.path),
            checksums=found.checksums,
        )

    def writable(self, name: str) -> PackageRepository:
        """Refuse."""
        self._refuse()

    def backends(self) -> list[Backend]:
        """Return this repository."""
        return [Backend(self, self._routing.allows)]

    def ask_remote(self, request: RemoteQuery) -> bytes | None:
        """Return what the remote answers."""
        client = self._cache.client
        url, login = address_of(client, request.path, self._login)
        headers = {**login, **request.headers}
        with client.open(request.method, url, headers, body=request.body) as answer:
            if answer.status != HTTPStatus.OK:
                raise UpstreamUnavailable(f"{answer.host} answered with {answer.status}.")
            return answer.read_all(ANSWER_MAX_BYTES)

    def check_writable(self) -> None:
        """See :meth:`open_upload`."""
        self._refuse()

    def open_upload(self, file: File | None) -> BlobUpload:
        """Refuse every write, as the other methods do."""
        self._refuse()

    def save(
        self,
        *files: tuple[NewFile, BlobUpload],
        check: CheckFile,
        condition: Precondition = NO_PRECONDITION,
    ) -> bool:
        """See :meth:`open_upload`."""
        self._refuse()

    def delete(self, file: File, condition: Precondition = NO_PRECONDITION) -> None:
        """See :meth:`open_upload`."""
        self._refuse()

    def drop_component(self, component: Coordinate) -> None:
        """Remove the files of a component from the cache (NotFound)."""
        self.drop(self._content.paths_of(component))

    def drop(self, paths: list[str]) -> None:
        """Remove files from the cache (NotFound)."""
        if not delete_files(self._content, paths):
            raise NotFound(f"The cache of {self._name!r} does not have {', '.join(paths)!r}.")

    def _check(self, target: File | Metadata) -> None:
        is_root = isinstance(target, Metadata) and not target.package
        if not (is_root or self._routing.allows(target.name)):
            raise NotFound(
                f"The routing rule of the repository {self._name!r} forbids {target.name!r}."
            )
        if refusal := self._format.refusal(target, self._config):
            raise NotFound(refusal)

    def _places(self, name: str) -> list[tuple[str, str]]:
        """Return the beginnings and ends of the stored paths that belong to a package or path."""
        package = self._format.pattern(name)
        files = self._content.list_package(self._format.package(package), outline=True)
        paths = [name, *(asset.path for asset, *_ in files), *self._documents.paths_of(package)]
        return [(each, each) for each in paths]

    def _locate(self, path: str) -> Place:
        """Return where a file is, and what it has to hash to as far as the remote tells."""
        file = self._file_at(path)
        place = self._place(file)
        if self._format.remote_checksum and not (file.is_mutable or place.digests):
            return replace(place, digests=self._digests_beside(place))
        return place

    def _digests_beside(self, place: Place) -> dict[str, str]:
        """Return the checksum that the remote has beside a file."""
        algorithm = self._format.remote_checksum
        url, login = address_of(self._cache.client, f"{place.url}.{algorithm}", self._login)
        with self._cache.client.open("GET", url, login) as answer:
            if answer.status != HTTPStatus.OK:
                return {}
            digest = read_checksum(answer.read_all(CHECKSUM_MAX_BYTES), algorithm)
        return {algorithm: digest} if digest else {}

    def _place(self, file: File) -> Place:
        """Return where a file is; a document that lacks it is asked for once more."""
        try:
            return self._format.remote(file, lambda each: self._documents.get(each).value)
        except NotFound:
            return self._format.remote(
                file, lambda each: self._documents.get(each, LOOKED_AGAIN_S).value
            )

    def _new_asset(self, path: str, blob: StoredBlob, media_type: str) -> NewAsset:
        return new_asset(self._format, NewFile(self._file_at(path), media_type), blob)

    def _file_at(self, path: str) -> File:
        file = self._format.target(path)
        if not isinstance(file, File):
            raise NotFound(f"There is nothing at {path!r}.")
        return file

    def _refuse(self) -> NoReturn:
        raise Unsupported(
            f"{self._name} is a proxy of {self._remote} and accepts no uploads or deletions."
        )
