"""Kills, and a failing disk, at each step of whatever changes content."""

import errno
import hashlib
import os
import random
from itertools import product
from pathlib import Path

import pytest

import repoman_docker.plugin
import repoman_raw.plugin
from repoman.durable import PRIVATE_FILE_MODE
from repoman.errors import Unavailable
from repoman.http import router
from repoman.stores import moves
from repoman.testing import RepomanFactory
from tests.examples import IS_SEARCH
from tests.functional.docker.driver import Refused
from tests.functional.docker.wholeness import check_nothing_left, check_whole, rows
from tests.functional.docker.works import WORKS, CleanupFailed
from tests.system_calls import LEFT_OUT, SYNCS, seen_calls

WITHIN_A_FILE = ("write", "pwrite64", "ftruncate", *SYNCS)
PLUGINS = {"docker": repoman_docker.plugin, "raw": repoman_raw.plugin}
# What is looked at of each work, unless one searches.
CHOSEN_STATES = 25
CHOSEN_CALLS = 6  # Besides one of each kind.


@pytest.fixture(params=WORKS, ids=lambda each: each.__name__)
def work(request):
    return request.param()


# --- Kills ----------------------------------------------------------------------------------------


class States:
    """The files as a kill at each step would leave them, each of these states once."""

    def __init__(self, root, work):
        self.root, self.work = root, work
        self.found, self.calls = {}, 0
        self._files = {}  # Contents and digests, by path.
        self._contents = {}  # Each content once.
        self._last = ("", root)

    def see(self, call, path):
        """Note the files as they are before a call."""
        self.calls += 1
        if self._last[0] in WITHIN_A_FILE:
            self._read(self._last[1])
        else:
            self._read_all()
        self._read(path)  # What gets into a file through a buffer is seen when it is synced.
        state = hashlib.blake2b(str(len(self.work.acknowledged)).encode())
        for each, (_, digest) in sorted(self._files.items()):
            state.update(str(each).encode() + digest)
        self._last = (call, path)
        if state.digest() not in self.found:
            told = f"before call {self.calls}: {call} {path.relative_to(self.root)}"
            files = {each: content for each, (content, _) in self._files.items()}
            self.found[state.digest()] = (told, files, set(self.work.acknowledged))

    def _read_all(self):
        self._files = {}
        for directory, _, names in os.walk(self.root):
            for each in names:
                self._read(Path(directory, each))

    def _read(self, path):
        if path.is_file() and not path.name.endswith(LEFT_OUT):
            content = path.read_bytes()
            digest = hashlib.blake2b(content).digest()
            self._files[path] = (self._contents.setdefault(digest, content), digest)

    def choose(self):
        """All states if one searches, otherwise some, with the first and the last one."""
        found = list(self.found.values())
        if IS_SEARCH or len(found) <= CHOSEN_STATES:
            return found
        return [found[0], *random.sample(found[1:-1], CHOSEN_STATES - 2), found[-1]]


def read(root):
    """All files, with their contents."""
    files = (each for each in root.rglob("*") if each.is_file())
    return {each: each.read_bytes() for each in files if not each.name.endswith(LEFT_OUT)}


def restore(root, files):
    """Bring files back."""
    for directory, _, names in os.walk(root):
        for each in names:
            Path(directory, each).unlink()
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(PRIVATE_FILE_MODE)


def check(work, repoman, acknowledged):
    """What holds after a kill: at once, after the work was done again, and when all can go."""
    paths = {path for (path,) in rows("SELECT path FROM asset")}
    assert acknowledged <= paths
    repoman.sweep()
    for look in (check_whole, work.check, work.check_kept):
        look(repoman)
    work.do(repoman)
    for look in (check_whole, work.check_done, check_nothing_left, work.check_kept):
        look(repoman)
    work.check_done(repoman)


@pytest.fixture
def factory(tmp_path, monkeypatch):
    """Starts servers without pages, which take longer to make than all the rest."""
    monkeypatch.setattr(moves, "BATCH_ASSETS", 2)
    monkeypatch.setattr(router, "create_admin_app", lambda *_: None)
    factory = RepomanFactory(tmp_path / "data")
    yield factory
    factory.stop()


@pytest.fixture
def calls(tmp_path):
    """Who sees the calls; before the first server starts."""
    with seen_calls(tmp_path) as calls:
        yield calls


@pytest.mark.slow
def test_a_kill_at_any_step_loses_nothing_and_leaves_nothing(work, calls, factory):
    work.fill(factory(PLUGINS))
    states = States(factory.data, work)
    repoman = factory(PLUGINS)
    calls.see = states.see
    work.do(repoman)
    calls.see = None
    states.see("the end", states.root)
    for told, files, acknowledged in states.choose():
        factory.stop()
        restore(factory.data, files)
        try:
            check(work, factory(PLUGINS), acknowledged)
        except BaseException as error:
            error.add_note(f"killed {told}")
            raise


# --- A disk that fails ----------------------------------------------------------------------------


class Disk:
    """Fails in one call, or from this one on until it is mended.

    Attributes:
        calls: what was called, and the kind of its file.
    """

    def __init__(self, root, fails_at=-1, *, lasts=False):
        self.root, self.fails_at, self.lasts = root, fails_at, lasts
        self.calls = []

    def see(self, call, path):
        """Fail if it is time to."""
        number = len(self.calls)
        kind = path.relative_to(self.root).parts[:3]
        self.calls.append((call, kind))
        if number == self.fails_at or (self.lasts and number > self.fails_at):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def choose(self):
        """All calls if one searches, otherwise some: one of each kind, and more."""
        found = list(product(range(len(self.calls)), (False, True)))
        if IS_SEARCH:
            return found
        firsts = {self.calls.index(each) for each in set(self.calls)}
        of_each_kind = product(firsts, (False, True))
        return sorted({*of_each_kind, *random.sample(found, CHOSEN_CALLS)})


def attempt(work, repoman):
    """Do the work; who asked for it is told if the disk failed."""
    try:
        work.do(repoman)
    except Refused as refused:
        if refused.answer.status != 503:
            raise
    except (Unavailable, CleanupFailed):
        pass


@pytest.mark.slow
def test_a_disk_that_fails_at_any_step_harms_nothing(work, calls, factory):
    work.fill(factory(PLUGINS))
    factory.stop()
    filled = read(factory.data)
    repoman, disk = factory(PLUGINS), Disk(factory.data)
    calls.see = disk.see
    work.do(repoman)
    calls.see = None
    for number, lasts in disk.choose():
        factory.stop()
        restore(factory.data, filled)
        repoman = factory(PLUGINS)
        try:
            calls.see = Disk(factory.data, number, lasts=lasts).see
            attempt(work, repoman)
            calls.see = None
            check(work, repoman, set())
        except BaseException as error:
            error.add_note(f"failed at call {number}, {disk.calls[number]}, {lasts=}")
            raise
