"""How far a request walks: the files of ours that it enters, and the calls of our own functions.

``python -m benchmarks.calls`` starts a server in this process, profiles all of its threads, and
prints a table. These are counts, so a busy machine does not change them, and a test holds them as
upper bounds. Threads that work at intervals do not count. A request is counted several times, and
the shortest walk is what it takes: now and then a thread does something else beside it.
"""

import hashlib
import http.client
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from repoman.config import Settings
from repoman.server.process import serve
from repoman.threads import Periodic
from tests.live import free_port

ROOT = Path(__file__).parents[1]
OURS = tuple(f"{ROOT / each}/" for each in ("repoman", "repoman_docker", "web", "formats"))
ROUNDS = 30  # How often each request is counted.
QUIET_S = 0.02  # A request has ended when no function of ours was called for so long.
CHUNK = 400_000  # bytes of a PATCH and of a blob
IMAGE = "team/app"


@dataclass
class Walk:
    """What one request enters.

    Attributes:
        calls: how often each function was called, by thread, file and name.
    """

    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """The number of calls."""
        return self.calls.total()

    @property
    def files(self) -> set[str]:
        """The files that were entered."""
        return {file for _, file, _ in self.calls}

    def by_thread(self) -> Iterator[tuple[str, int, int]]:
        """Yield for each thread its name, the files that it entered, and its calls."""
        for thread in sorted({each for each, _, _ in self.calls}):
            mine = {key: number for key, number in self.calls.items() if key[0] == thread}
            yield thread, len({file for _, file, _ in mine}), sum(mine.values())


class Profiler:
    """Counts calls in all threads that start after :meth:`install`, and in the current one."""

    def __init__(self) -> None:
        self._walk: Walk | None = None

    def install(self) -> None:
        """Begin to watch."""
        threading.setprofile(self._enter)
        sys.setprofile(self._note)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> None:
        """Decide, at the first call of a thread, whether it is watched."""
        target = getattr(threading.current_thread(), "_target", None)
        is_periodic = isinstance(getattr(target, "__self__", None), Periodic)
        sys.setprofile(None if is_periodic else self._note)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        walk, code = self._walk, frame.f_code
        if walk is None or event != "call" or not code.co_filename.startswith(OURS):
            return
        file = os.path.relpath(code.co_filename, ROOT)
        walk.calls[threading.current_thread().name, file, code.co_qualname] += 1

    def count(self, request: Callable[[], object]) -> Walk:
        """Return what a request enters, up to the last thing that the server does for it."""
        walk = self._walk = Walk()
        request()
        seen = -1
        while seen != walk.count:
            seen = walk.count
            time.sleep(QUIET_S)
        self._walk = None
        return walk


class Client:
    """Sends requests over one connection."""

    def __init__(self, port: int, login: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        encoded = b64encode(login.encode()).decode()
        self._login = {"Authorization": f"Basic {encoded}"} if login else {}

    def ask(
        self, method: str, path: str, status: int, body: bytes = b"", headers: Any = None
    ) -> http.client.HTTPResponse:
        """Return the response, whose body has been read."""
        self._connection.request(method, path, body or None, {**self._login, **(headers or {})})
        response = self._connection.getresponse()
        response.read()
        if response.status != status:
            raise RuntimeError(f"{method} {path}: {response.status}")
        return response

    def start_upload(self) -> str:
        """Return the address of a new upload."""
        response = self.ask("POST", f"/v2/{IMAGE}/blobs/uploads/", 202)
        return str(response.headers["Location"])

    def push(self, data: bytes) -> str:
        """Push a blob and return its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.ask("PUT", f"{self.start_upload()}?digest={digest}", 201, data)
        return digest


def measure(port: int, login: str, profiler: Profiler) -> dict[str, Walk]:
    """Return the shortest walk of each kind of request, by its name."""
    client, nobody = Client(port, login), Client(port)
    blob = client.push(secrets.token_bytes(CHUNK))
    config, media_type = client.push(b"{}"), "application/vnd.oci.image.manifest.v1+json"
    parts = [
        {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob, "size": CHUNK},
    ]
    body = {"schemaVersion": 2, "mediaType": media_type, "config": parts[0], "layers": parts[1:]}
    manifest, kind = json.dumps(body).encode(), {"Content-Type": media_type}
    client.ask("PUT", f"/v2/{IMAGE}/manifests/1", 201, manifest, kind)
    uploads = iter([client.start_upload() for _ in range(ROUNDS + 1)])
    number = iter(range(10**6))

    def get_manifest() -> None:  # a header that differs: the server answers nothing from memory
        client.ask("GET", f"/v2/{IMAGE}/manifests/1", 200, headers={"X-Number": str(next(number))})

    requests: dict[str, Callable[[], object]] = {
        "blob GET": lambda: nobody.ask("GET", f"/v2/{IMAGE}/blobs/{blob}", 200),
        "blob GET with a login": lambda: client.ask("GET", f"/v2/{IMAGE}/blobs/{blob}", 200),
        "manifest GET": get_manifest,
        "manifest GET, repeated": lambda: client.ask("GET", f"/v2/{IMAGE}/manifests/1", 200),
        "PATCH of 400 kB": lambda: client.ask("PATCH", next(uploads), 202, bytes(CHUNK)),
    }
    return {name: _shortest(profiler, request) for name, request in requests.items()}


def _shortest(profiler: Profiler, request: Callable[[], object]) -> Walk:
    request()
    return min(
        (profiler.count(request) for _ in range(ROUNDS)),
        key=lambda walk: (len(walk.files), walk.count),
    )


@contextmanager
def _settings(port: int, main_port: int) -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="calls-") as directory:
        yield Settings(
            data=Path(directory, "data"),
            server={"port": main_port},
            bootstrap={
                "repositories": [
                    {
                        "name": "docker-hosted",
                        "recipe": "docker-hosted",
                        "settings": {
                            "docker": {"http_port": port},
                            "access": {"anonymous": True},
                        },
                    }
                ]
            },
        )


def run() -> dict[str, Walk]:
    """Start a server in this thread, measure, stop it, and return the walks."""
    profiler, port = Profiler(), free_port()
    found: dict[str, Walk] = {}

    with _settings(port, free_port()) as settings:

        def drive() -> None:
            sys.setprofile(None)  # of the thread of the client
            try:
                password = Path(settings.data, "admin.password").read_text(encoding="utf-8")
                found.update(measure(port, f"admin:{password.strip()}", profiler))
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        profiler.install()
        serve(settings, lambda _: threading.Thread(target=drive, daemon=True).start())
        threading.setprofile(None)
        sys.setprofile(None)
    return found


def main() -> None:
    """Print the walks; as JSON with ``--json``, and with each call with ``--calls``."""
    walks = run()
    if "--json" in sys.argv:
        figures = {name: {"files": len(w.files), "calls": w.count} for name, w in walks.items()}
        print(json.dumps(figures))
        return
    print(f"{'request':<26}{'thread':<14}{'files':>6}{'calls':>7}")
    for name, walk in walks.items():
        print(f"{name:<26}{'all':<14}{len(walk.files):>6}{walk.count:>7}")
        for thread, files, calls in walk.by_thread():
            print(f"{'':<26}{thread:<14}{files:>6}{calls:>7}")
        if "--calls" in sys.argv:
            for (thread, file, function), count in sorted(walk.calls.items()):
                print(f"    {count:>3} {thread:<12} {file}: {function}")


if __name__ == "__main__":
    main()
