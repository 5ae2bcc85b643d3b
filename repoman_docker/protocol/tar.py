"""The entries of a tar archive, read from a stream without trusting it.

Contents are skipped, not kept; names and extended headers have limits, so that no archive takes
more memory than a few of them. Only what a list of files needs is understood.

Source: POSIX.1-2017, pax; the GNU tar manual, Basic Tar Format.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

BLOCK_BYTES = 512
EXTENDED_MAX_BYTES = 1 << 20
"""A longer name or extended header is not read: the archive ends there."""
CHUNK_BYTES = 1 << 18  # Bytes of contents that are skipped at once.

Read = Callable[[int], bytes]


class NotAnArchive(Exception):
    """What was read is no tar archive, or is not one any more."""


class EntryKind(StrEnum):
    """What an entry makes."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    HARD_LINK = "hard link"
    DEVICE = "device"
    PIPE = "pipe"
    OTHER = "other"


_KINDS: Mapping[bytes, EntryKind] = {
    b"\0": EntryKind.FILE,
    b"0": EntryKind.FILE,
    b"7": EntryKind.FILE,
    b"S": EntryKind.FILE,
    b"1": EntryKind.HARD_LINK,
    b"2": EntryKind.LINK,
    b"3": EntryKind.DEVICE,
    b"4": EntryKind.DEVICE,
    b"5": EntryKind.FOLDER,
    b"6": EntryKind.PIPE,
}
_WITH_CONTENT = frozenset({EntryKind.FILE, EntryKind.OTHER})
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL_PAX = b"L", b"K", frozenset(b"xX"), b"g"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry; names are bytes as they are written.

    Attributes:
        mode: the bits of the permissions, as in ``0o644``.
        size: in bytes, unpacked; 0 where there is no content.
        changed_at: in seconds since the epoch.
        target: of a link.
    """

    name: bytes
    kind: EntryKind
    mode: int
    owner: int
    group: int
    size: int
    changed_at: int
    target: bytes = b""


def read_entries(read: Read) -> Iterator[Entry]:
    """Yield the entries of an archive; ``read`` returns up to so many bytes, none at the end.

    Raises:
        NotAnArchive: the next header is none, or too long.
    """
    extended: dict[bytes, bytes] = {}
    while True:
        header = _read_all(read, BLOCK_BYTES)
        if not header.strip(b"\0"):
            return  # The end, also where the archive was cut before it.
        _check(header)
        size, flag = _number(header[124:136]), header[156:157]
        if flag in (_LONG_NAME, _LONG_LINK):
            key = b"path" if flag == _LONG_NAME else b"linkpath"
            extended[key] = _read_extended(read, size).rstrip(b"\0")
        elif flag[0] in _PAX:
            extended |= _parse_pax(_read_extended(read, size))
        elif flag == _GLOBAL_PAX:
            _read_extended(read, size)
        else:
            entry = _entry(header, flag, extended, size)
            extended = {}
            yield entry
            if entry.kind in _WITH_CONTENT:
                _skip(read, entry.size)


def _entry(header: bytes, flag: bytes, extended: Mapping[bytes, bytes], size: int) -> Entry:
    kind = _KINDS.get(flag, EntryKind.OTHER)
    name = extended.get(b"path") or _name(header)
    if kind is EntryKind.FILE and name.endswith(b"/"):
        kind = EntryKind.FOLDER
    size = _decimal(extended.get(b"size", b""), size)
    return Entry(
        name=name,
        kind=kind,
        mode=_number(header[100:108]) & 0o7777,
        owner=_decimal(extended.get(b"uid", b""), _number(header[108:116])),
        group=_decimal(extended.get(b"gid", b""), _number(header[116:124])),
        size=size if kind in _WITH_CONTENT else 0,
        changed_at=_decimal(extended.get(b"mtime", b""), _number(header[136:148])),
        target=extended.get(b"linkpath") or _text(header[157:257]),
    )


def _name(header: bytes) -> bytes:
    name = _text(header[0:100])
    is_posix = header[257:263] == b"ustar\0"
    prefix = _text(header[345:500]) if is_posix else b""
    return prefix + b"/" + name if prefix else name


def _check(header: bytes) -> None:
    if len(header) < BLOCK_BYTES:
        raise NotAnArchive("The archive ends in the middle of a header.")
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if _number(header[148:156]) != total:
        raise NotAnArchive("What should be a header is none.")


def _number(field: bytes) -> int:
    """Return a number in octal, or in base 256 as GNU tar writes large ones; 0 if it is none."""
    if field[0] & 0x80:
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == 0x80 and value < 1 << 63 else 0
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return 0


def _decimal(text: bytes, otherwise: int) -> int:
    whole = text.partition(b".")[0]
    return int(whole) if whole.isdigit() and len(whole) < 19 else otherwise


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _parse_pax(body: bytes) -> dict[bytes, bytes]:
    """Return the records ``LENGTH KEY=VALUE`` of an extended header, as far as they are valid."""
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(body):
        digits, _, _ = body[start : start + 20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = body[start + len(digits) + 1 : start + length]
        if length <= len(digits) or not record.endswith(b"\n"):
            break
        key, _, value = record[:-1].partition(b"=")
        found[key] = value
        start += length
    return found


def _read_extended(read: Read, size: int) -> bytes:
    if size > EXTENDED_MAX_BYTES:
        raise NotAnArchive("A name or an extended header is too long.")
    return _read_all(read, _padded(size))[:size]


def _read_all(read: Read, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _skip(read: Read, size: int) -> None:
    left = _padded(size)
    while left > 0 and (piece := read(min(left, CHUNK_BYTES))):
        left -= len(piece)


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
