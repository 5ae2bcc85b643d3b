"""The blob stores that come with the core, registered like any plugin's."""

import pluggy

from repoman.blobs.manager import BlobStoreFactory, make_file_store
from repoman.hookspecs import PROJECT

hookimpl = pluggy.HookimplMarker(PROJECT)


class FileStorePlugin:
    """Brings the type ``file``."""

    @hookimpl
    def repoman_register_blob_stores(self) -> dict[str, BlobStoreFactory]:
        """Return the factory of file blob stores."""
        return {"file": make_file_store}
