"""What was acknowledged survives a power cut at any time, and no row names bytes that are lost."""

import hashlib
import itertools
import os
import shutil
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from repoman.db.database import FILE
from repoman.testing import HttpClient
from repoman_docker import plugin
from tests.functional.docker.images import digest_of, make_image, media_type_of

CLIENTS = 4
IMAGES = 2  # of each client
RESERVE = "repoman.reserve"  # Large, and of no matter here.


class Disk:
    """A disk that has the files and the directories as they were synced; a power cut leaves that.

    Attributes:
        before_sync: called before each fsync and fdatasync.
    """

    def __init__(self, root: Path, monkeypatch) -> None:
        self.before_sync = lambda: None
        self._root = root
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)  # Of the looks, in their order.
        self._stored: dict[int, int] = {}  # The look that the disk has, by inode.
        self._files: dict[int, bytes] = {}
        self._directories: dict[int, dict[str, int]] = {}
        for directory, _, names in os.walk(root):
            self._note(Path(directory))
            for name in {*names} - {RESERVE}:
                self._note(Path(directory, name))
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._wrap(getattr(os, name)))

    def _wrap(self, real):
        def sync(fd):
            # What is written while the sync runs may be on the disk afterwards, or not.
            seen = self._look(Path(f"/proc/self/fd/{fd}"))
            self.before_sync()
            real(fd)
            self._store(*seen)

        return sync

    def _note(self, path: Path) -> None:
        self._store(*self._look(path))

    def _look(self, path: Path) -> tuple[int, int, bytes | dict[str, int]]:
        """Return the number of this look, the inode, and what is there."""
        with self._lock:
            number, found = next(self._numbers), path.stat()
            if stat.S_ISDIR(found.st_mode):
                with os.scandir(path) as entries:
                    return number, found.st_ino, {each.name: each.inode() for each in entries}
            content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
            return number, found.st_ino, content

    def _store(self, number: int, inode: int, state: bytes | dict[str, int]) -> None:
        """Have the disk keep what was seen, unless it has what was seen later."""
        with self._lock:
            if self._stored.get(inode, 0) > number:
                return
            self._stored[inode] = number
            if isinstance(state, dict):
                self._directories[inode] = state
            else:
                self._files[inode] = state

    def restore(self, target: Path) -> None:
        """Write what a power cut leaves; a file that was never synced is empty."""
        with self._lock:
            self._restore(self._root.stat().st_ino, target)

    def _restore(self, inode: int, target: Path) -> None:
        if inode not in self._directories:
            target.write_bytes(self._files.get(inode, b""))
            return
        target.mkdir()
        for name, each in self._directories[inode].items():
            if name != RESERVE:
                self._restore(each, target / name)


class Cuts:
    """Power cuts, and what is wrong after them."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self.acknowledged: list[str] = []
        self.problems: list[str] = []
        self.count = 0
        self._disk = disk
        self._directory = directory
        self._lock = threading.Lock()

    def cut(self) -> None:
        """Look at what would be left if the power failed now."""
        with self._lock:
            known = set(self.acknowledged)
            self.count += 1
            data = self._directory / f"cut{self.count}"
            self._disk.restore(data)
            self.problems += self._check(data, known)
            shutil.rmtree(data)

    @staticmethod
    def _check(data: Path, known: set[str]) -> list[str]:
        (data / f"{FILE}-shm").unlink(missing_ok=True)
        with closing(sqlite3.connect(data / FILE)) as connection:
            paths = {path for (path,) in connection.execute("SELECT path FROM asset")}
            digests = [digest for (digest,) in connection.execute("SELECT digest FROM blob")]
        lost = [f"{path} was acknowledged and is lost" for path in known - paths]
        for digest in digests:
            file = data / "blobs/default/sha256" / digest[:2] / digest
            content = file.read_bytes() if file.exists() else b"gone"
            if hashlib.sha256(content).hexdigest() != digest:
                lost.append(f"a row names {digest}, whose bytes are {content[:20]!r}")
        return lost


@pytest.fixture
def repoman(repoman_factory):
    started = repoman_factory({"docker": plugin})
    started.repositories.create("images", "docker-hosted", {})
    return started


def push(client: HttpClient, name: str, cuts: Cuts) -> None:
    """Push an image, with uploads in one request and in several."""
    image = make_image()
    for number, blob in enumerate(image.blobs):
        uploads, digest = f"/v2/{name}/blobs/uploads/", digest_of(blob)
        if number:
            answer = client.request("POST", f"{uploads}?digest={digest}", data=blob)
        else:
            location = client.request("POST", uploads).headers["Location"]
            location = client.request("PATCH", location, data=blob).headers["Location"]
            mark = "&" if "?" in location else "?"
            answer = client.request("PUT", f"{location}{mark}digest={digest}")
        assert answer.status_code == 201, answer.data
        cuts.acknowledged.append(f"blobs/{digest}/{name}")
    answer = client.request(
        "PUT",
        f"/v2/{name}/manifests/1",
        data=image.manifest,
        headers={"Content-Type": media_type_of(image.manifest)},
    )
    assert answer.status_code == 201, answer.data
    cuts.acknowledged += [f"manifests/{name}/{image.digest}", f"tags/{name}/1"]


def test_a_power_cut_at_any_time_loses_nothing_that_was_acknowledged(
    repoman, tmp_path_factory, monkeypatch
):
    data = repoman.data
    repoman.database.checkpoint()
    database = (data / FILE).read_bytes()
    disk = Disk(data, monkeypatch)
    cuts = Cuts(disk, tmp_path_factory.mktemp("cuts"))
    disk.before_sync = cuts.cut

    def work(number: int) -> None:
        client = HttpClient(repoman, connector="images")
        for image in range(IMAGES):
            push(client, f"team{number}/app{image}", cuts)
        repoman.database.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))
    cuts.cut()
    assert cuts.problems == []
    assert len(cuts.acknowledged) == CLIENTS * IMAGES * 5
    assert cuts.count > len(cuts.acknowledged)
    # SQLite itself, whose syncs are not seen here, has written nothing into the database.
    assert (data / FILE).read_bytes() == database
