"""A raw proxy: files of another server, fetched once and cached."""

from typing import NoReturn
from urllib.parse import quote

from repoman.plugin import (
    AuditEntry,
    BlobUpload,
    CachedFiles,
    CacheRemote,
    Content,
    Coordinate,
    HttpClientSection,
    NewAsset,
    NotFound,
    ProxySection,
    RemoteFiles,
    RepositoryContext,
    RoutingSection,
    StoredBlob,
    Unsupported,
    open_cache,
)
from repoman_raw.hosted import CHECKSUMS, FILE
from repoman_raw.service import RawSection, check_file


class RawProxy:
    """Implements :class:`repoman_raw.service.RawRepository`; the remote path is the path."""

    def __init__(self, context: RepositoryContext) -> None:
        config = context.config
        proxy = config.section("proxy", ProxySection)
        self._name = config.name
        self._content = context.content
        self._remote = proxy.remote
        self._routing = config.section("routing", RoutingSection)
        self._headers = config.section("raw", RawSection).headers
        cache = open_cache(context, (FILE,))
        self.remote = CacheRemote(cache, lambda path: [(path, path)])
        self._files = CachedFiles(
            cache,
            context.content,
            RemoteFiles(
                address=quote,
                new_asset=new_file,
                headers=config.section("http_client", HttpClientSection).credentials.headers,
                follow_deletion=proxy.follow_deletion,
                checksums=CHECKSUMS,
            ),
        )

    def get(self, path: str) -> Content:
        """Return a file."""
        check_file(path)
        if not self._routing.allows(path):
            raise NotFound(f"The routing rule of the repository {self._name!r} forbids {path!r}.")
        found = self._files.get(path)
        return Content(
            size=found.size,
            media_type=found.media_type,
            open=found.open,
            etag=found.etag,
            last_modified=found.last_modified,
            headers={**self._headers, **found.headers},
            source=found.source.value,
            pull=self._content.pull_of(path),
        )

    def open_blob_upload(self, path: str) -> BlobUpload:
        """Refuse every write, as the other methods do."""
        self._refuse()

    def save(self, path: str, upload: BlobUpload, media_type: str) -> bool:
        """See :meth:`open_blob_upload`."""
        self._refuse()

    def delete(self, path: str) -> None:
        """See :meth:`open_blob_upload`."""
        self._refuse()

    def drop(self, path: str) -> None:
        """Remove a file from the cache.

        Raises:
            NotFound: it is not there.
        """
        if not self._content.delete_assets([path], {path: AuditEntry("delete", path)}):
            raise NotFound(f"The cache of {self._name!r} does not have {path!r}.")

    def _refuse(self) -> NoReturn:
        raise Unsupported(
            f"{self._name} is a proxy of {self._remote} and accepts no uploads or deletions."
        )


def new_file(path: str, blob: StoredBlob, media_type: str) -> NewAsset:
    """Return the asset of a file, with its component."""
    component = Coordinate(FILE, namespace=path.rpartition("/")[0], name=path)
    return NewAsset(path, FILE, blob, media_type, component=component)
