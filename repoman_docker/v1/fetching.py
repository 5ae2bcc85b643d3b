"""V1 images fetched from a remote, and cached forever: an id always means the same image."""

from contextlib import closing

from repoman.plugin import (
    BlobTarget,
    BlobUpload,
    ContentStore,
    Invalid,
    ProxyCache,
    StoredBlob,
    TooLarge,
    UpstreamUnavailable,
    store_bytes,
)
from repoman_docker.layout import blob_path, new_blob, v1_image_path
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.reference import Digest
from repoman_docker.protocol.v1 import BrokenJson, parse_fields
from repoman_docker.remote import V1Client
from repoman_docker.service import V1Image
from repoman_docker.v1.layers import inspect_layer
from repoman_docker.v1.records import ImageRecord, stored_image

ATTEMPTS_MAX = 5  # For one layer; each continues where the previous one ended.
PARTIAL = 206


class Fetching:
    """Fetches each image once for concurrent requests."""

    def __init__(
        self, client: V1Client, content: ContentStore, blobs: BlobTarget, cache: ProxyCache
    ) -> None:
        self._client = client
        self._content = content
        self._blobs = blobs
        self._cache = cache

    def get(self, name: str, ancestry: tuple[str, ...]) -> V1Image:
        """Return the first image of an ancestry, from the cache or from the remote.

        Raises:
            UpstreamError: the remote sent something invalid, or nothing.
        """
        path = v1_image_path(ancestry[0], name)
        return self._cache.once(f"fetch {path}", lambda: self._get(path, name, ancestry))

    def find(self, name: str, image_id: str) -> V1Image | None:
        """Return an image from the cache; its layer may have been evicted."""
        asset = self._content.find_asset(v1_image_path(image_id, name))
        if asset is None:
            return None
        return stored_image(self._content, asset, name)

    def _get(self, path: str, name: str, ancestry: tuple[str, ...]) -> V1Image:
        known = self.find(name, ancestry[0])
        if known is None:
            self._fetch(name, ancestry)
            known = self.find(name, ancestry[0])
        if known is None or known.ancestry != ancestry:
            raise self._broken(path, "the ancestry of an image has changed")
        return known

    def _fetch(self, name: str, ancestry: tuple[str, ...]) -> None:
        image_id = ancestry[0]
        remote = self._client.image(name, image_id)
        self._check_json(remote.json, ancestry)
        with self._download(name, image_id) as upload:
            try:
                with upload.open_reader() as file:
                    layer = inspect_layer(file, remote.json)
            except (Invalid, TooLarge) as error:
                raise self._broken(image_id, str(error)) from error
            if remote.checksum not in ("", layer.checksum):
                raise self._broken(image_id, "the checksum does not match")
            blob = upload.commit()
        digest = Digest("sha256", blob.digest)
        record = ImageRecord(
            actor="",
            ancestry=ancestry,
            layer=Descriptor(layer.media_type, digest, blob.size),
            diff_id=layer.diff_id,
            checksum=layer.checksum,
            is_complete=True,
        )
        self._save(name, record, digest, blob, store_bytes(self._blobs, remote.json))

    def _save(
        self, name: str, record: ImageRecord, digest: Digest, blob: StoredBlob, json: StoredBlob
    ) -> None:
        with self._content.brief_waits(), self._content.transaction(blob, json):
            self._content.save_asset(new_blob(name, digest, blob))
            self._content.save_asset(record.asset(name, json))
        self._cache.negative.discard(blob_path(name, digest))
        self._cache.make_room()

    def _check_json(self, json: bytes, ancestry: tuple[str, ...]) -> None:
        try:
            fields = parse_fields(json)
        except BrokenJson as error:
            raise self._broken(ancestry[0], str(error)) from error
        expected = (ancestry[0], ancestry[1] if len(ancestry) > 1 else None)
        if (fields.get("id"), fields.get("parent") or None) != expected:
            raise self._broken(ancestry[0], "the JSON belongs to another image")

    def _download(self, name: str, image_id: str) -> BlobUpload:
        """Download a whole layer; an interrupted download is resumed."""
        upload = BlobUpload(self._blobs)
        try:
            for number in range(1, ATTEMPTS_MAX + 1):
                try:
                    return self._append(name, image_id, upload)
                except UpstreamUnavailable:
                    if number == ATTEMPTS_MAX:
                        raise
        except BaseException:
            upload.close()
            raise
        return upload

    def _append(self, name: str, image_id: str, upload: BlobUpload) -> BlobUpload:
        with closing(self._client.open_layer(name, image_id, upload.size)) as response:
            # A remote without ranges starts again: skip the bytes that are here already.
            known = 0 if response.status == PARTIAL else upload.size
            while data := response.read():
                upload.write(data[known:])
                known = max(0, known - len(data))
        return upload

    def _broken(self, what: str, why: str) -> UpstreamUnavailable:
        return UpstreamUnavailable(
            f"The remote {self._client.remote} sent an invalid {what}: {why}."
        )
