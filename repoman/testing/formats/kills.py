"""What hosted repositories of every format keep when the server is killed, or stopped."""

import hashlib
from pathlib import Path

from repoman.durable import PRIVATE_FILE_MODE
from repoman.testing.formats.base import FormatTests
from repoman.testing.formats.disk import seen_writes
from repoman.testing.processes import run_in_process

NAME = "killed"
STATES_MAX = 8  # So many states are looked at: each is a start of the server.
RESERVE = "repoman.reserve"
LEFT_OUT = ("-shm", RESERVE)  # What nobody reads after a kill.
Files = dict[Path, bytes]


class KillTests(FormatTests):
    """Tests of kills and restarts."""

    def test_kills_leave_a_file_whole_or_not_at_all(self, tmp_path: Path) -> None:
        assert run_in_process(self.store_and_look_at_each_step, tmp_path) == ""

    def store_and_look_at_each_step(self, directory: Path) -> None:
        """Store a file, and start with what a kill at each step of it would leave."""
        site = self.start(directory)
        first, second, _ = self.samples()
        client = site.client(site.create(f"{self.name}-hosted", name=NAME))
        self.store(client, first)
        states = States(site.repoman.data)
        with seen_writes(site.repoman.data, states.take):
            self.store(client, second)
        states.take("the end")
        rows = site.rows(NAME)
        site.repoman.stop()
        chosen = states.choose()
        for told, files in chosen:
            states.restore(files)
            try:
                self._check_after_kill(directory, rows, is_done=files is chosen[-1][1])
            except BaseException as error:
                error.add_note(f"killed before {told}")
                raise

    def _check_after_kill(self, directory: Path, rows: int, *, is_done: bool) -> None:
        site = self.start(directory)
        site.repoman.sweep()
        client = site.client(NAME)
        first, second, _ = self.samples()
        assert self.is_named(client, first)
        is_there = self.is_named(client, second)
        assert is_there or not is_done, "the client was told that it is stored"
        digests = {each["checksum"]["sha256"] for each in site.assets(NAME)}
        assert (hashlib.sha256(second.data).hexdigest() in digests) == is_there
        assert all(map(site.has_blob, digests))
        if not is_there:
            self.store(client, second)
        assert self.is_named(client, second)
        assert (site.rows(NAME), site.unfinished()) == (rows, [])
        site.repoman.stop()

    def test_kills_or_not_all_is_there_after_a_restart(self, tmp_path: Path) -> None:
        assert run_in_process(self.store_and_stop, tmp_path) == ""
        assert run_in_process(self.read_after_the_restart, tmp_path) == ""

    def store_and_stop(self, directory: Path) -> None:
        """Store files and stop."""
        site = self.start(directory)
        site.create(f"{self.name}-hosted", name="kept")
        self.store(site.client("kept"), *self.samples())
        site.repoman.stop()

    def read_after_the_restart(self, directory: Path) -> None:
        """Check that the files are there."""
        client = self.start(directory).client("kept")
        assert all(self.is_named(client, each) for each in self.samples())


class States:
    """The files of a data directory as they were at each step, each of these states once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: list[tuple[str, Files]] = []

    def take(self, told: str) -> None:
        """Keep the files as they are, unless they are as before."""
        files = {each: each.read_bytes() for each in self._files()}
        if not self._found or files != self._found[-1][1]:
            self._found.append((told, files))

    def choose(self) -> list[tuple[str, Files]]:
        """Return the states before and after each change of the database, and of the upload."""
        last = len(self._found) - 1
        assert last >= len(("open", "write", "rename", "fsync")), "what is written is seen"
        rows = [self._database(files) for _, files in self._found]
        moves = [step for step in range(last) if rows[step] != rows[step + 1]]
        steps = sorted({1, *moves, *(step + 1 for step in moves), last})
        count = min(len(steps), STATES_MAX)
        return [self._found[steps[-1 - each * len(steps) // count]] for each in range(count)][::-1]

    def _database(self, files: Files) -> Files:
        return {path: data for path, data in files.items() if path.parent == self._root}

    def restore(self, files: Files) -> None:
        """Bring files back."""
        for each in [*self._root.rglob("*")]:
            if each.is_file() and each.name != RESERVE:
                each.unlink()
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(PRIVATE_FILE_MODE)

    def _files(self) -> list[Path]:
        found = (each for each in self._root.rglob("*") if not each.name.endswith(LEFT_OUT))
        return [each for each in found if each.is_file()]
