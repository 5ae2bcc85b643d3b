"""The files in a layer: their names and sizes, never what is in them."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from repoman.plugin import (
    Action,
    Invalid,
    LruCache,
    NotFound,
    RepositoryView,
    StoredAsset,
    Unavailable,
    waiting,
)
from repoman_docker.browsing.archives import OutOfTime, UnpackedLayer
from repoman_docker.layout import blob_path, tagged
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.protocol.tar import Entry, EntryKind, NotAnArchive, read_entries

ENTRIES_MAX = 20_000
NAME_MAX_BYTES = 4096  # Of one name or target, as they are shown.
NAMES_MAX_BYTES = 4 << 20
"""Of the names and targets of all entries: one entry may have a megabyte of them."""
SECONDS_MAX = 5.0
LISTINGS_AT_ONCE = 2
"""Layers that are read at the same time; others wait."""
WAIT_S = 10.0  # How long they wait.

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class Truncation(StrEnum):
    """Why a list of files ends before the layer does; the text is a sentence for people."""

    NOT = ""
    MANY = "The layer has more entries than are shown."
    SLOW = "The layer takes longer to read than is allowed; this is what was found in time."
    DAMAGED = "The layer is damaged or is not a tar archive; this is what was found before."


@dataclass(frozen=True, slots=True)
class LayerFile:
    """An entry of a layer, with names that are safe to show.

    Attributes:
        mode: as ``ls`` writes it, such as ``-rwxr-xr-x``.
        owner: numbers of user and group, such as ``0:0``.
        size: in bytes, unpacked.
        changed_at: in seconds since the epoch.
        target: of a link.
        is_removed: whether the layer removes this path of the layers below it.
    """

    path: str
    kind: EntryKind
    mode: str
    owner: str
    size: int
    changed_at: int
    target: str
    is_removed: bool


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """The files of a layer, by path; ``unpacked_size`` is of what was read, in bytes."""

    files: tuple[LayerFile, ...]
    packing: str
    unpacked_size: int
    cut: Truncation


class LayerLists:
    """Lists layers and remembers what was found by digest; thread safe."""

    def __init__(self) -> None:
        self._kept: LruCache[LayerFiles] = LruCache()
        self._turns = threading.BoundedSemaphore(LISTINGS_AT_ONCE)

    def get(self, view: RepositoryView, stored: StoredAsset) -> LayerFiles:
        """Return the files of a stored layer.

        Raises:
            Invalid: it is encrypted, or no archive at all.
            NotFound: its bytes are lost.
            Unavailable: too many layers are being read.
        """
        found = self._kept.find(stored.digest)
        if found is not None:
            return found
        with waiting():
            is_ours = self._turns.acquire(timeout=WAIT_S)
        if not is_ours:
            raise Unavailable("Other layers are being read at the moment. Try again in a minute.")
        try:
            return self._kept.get(stored.digest, lambda: _list(view, stored))
        finally:
            self._turns.release()


LISTS = LayerLists()
"""Those of the process: what is remembered is named by digests, so it is true everywhere."""


def find_layer(view: RepositoryView, name: str, digest: str) -> StoredAsset:
    """Return a blob of an image.

    Raises:
        NotFound: it is not stored, or the viewer may not see the image.
    """
    absent = NotFound(f"The layer {digest} of {name} is not stored in {view.repository.name}.")
    try:
        path = blob_path(name, Digest.parse(digest))
    except RegistryError as error:
        raise absent from error
    coordinate = tagged(name, Tag(digest))
    if not view.may(Action.READ, coordinate):
        raise absent
    keys = [(each, path) for each in view.scopes if view.sees(each, coordinate)]
    for stored in view.stored(keys).values():
        return stored
    raise absent


def check_readable(media_type: str) -> None:
    """Return if layers of this type can be listed (Invalid)."""
    if media_type.endswith("+encrypted"):
        raise Invalid("This layer is encrypted and cannot be listed.")


def _list(view: RepositoryView, stored: StoredAsset) -> LayerFiles:
    with view.open(stored) as file:
        layer = UnpackedLayer(file, SECONDS_MAX)
        found, cut = collect(layer)
    if cut is Truncation.DAMAGED and not found:
        raise Invalid("This is not an archive of files, so there is nothing to list.")
    files = tuple(sorted(map(_shown, found), key=lambda each: each.path))
    return LayerFiles(files, layer.packing, layer.size, cut)


def collect(layer: UnpackedLayer, limit: int = ENTRIES_MAX) -> tuple[list[Entry], Truncation]:
    """Return the entries of a layer, and why they are not all."""
    found: list[Entry] = []
    room = NAMES_MAX_BYTES
    try:
        for each in read_entries(layer.read):
            room -= len(each.name) + len(each.target)
            if len(found) == limit or room < 0:
                return found, Truncation.MANY
            found.append(each)
    except OutOfTime:
        return found, Truncation.SLOW
    except (NotAnArchive, Invalid):
        return found, Truncation.DAMAGED
    return found, Truncation.NOT


def _shown(entry: Entry) -> LayerFile:
    path = safe_text(entry.name).removeprefix("./")
    folder, _, last = path.rstrip("/").rpartition("/")
    above = f"{folder}/" if folder else ""
    is_removed = last.startswith(_WHITEOUT)
    if last == _OPAQUE:
        path = f"{above}*"
    elif is_removed:
        path = above + last.removeprefix(_WHITEOUT)
    elif entry.kind is EntryKind.FOLDER and path and not path.endswith("/"):
        path += "/"
    return LayerFile(
        path=path or "/",
        kind=entry.kind,
        mode=render_mode(entry.kind, entry.mode),
        owner=f"{entry.owner}:{entry.group}",
        size=entry.size,
        changed_at=entry.changed_at,
        target=safe_text(entry.target),
        is_removed=is_removed,
    )


def safe_text(text: bytes) -> str:
    """Return a name as people can read it: what cannot be printed is written as its code."""
    return "".join(_safe_characters(text[:NAME_MAX_BYTES].decode("utf-8", "backslashreplace")))


def _safe_characters(text: str) -> Iterable[str]:
    for each in text:
        yield each if each.isprintable() else each.encode("unicode_escape").decode()


_LETTERS = {
    EntryKind.FOLDER: "d",
    EntryKind.LINK: "l",
    EntryKind.DEVICE: "c",
    EntryKind.PIPE: "p",
}


def render_mode(kind: EntryKind, mode: int) -> str:
    """Return a mode as ``ls`` writes it."""
    text = [letter if mode >> (8 - index) & 1 else "-" for index, letter in enumerate("rwxrwxrwx")]
    for bit, index, letter in ((0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")):
        if mode & bit:
            text[index] = letter if text[index] == "x" else letter.upper()
    return _LETTERS.get(kind, "-") + "".join(text)
