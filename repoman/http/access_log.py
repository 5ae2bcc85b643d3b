"""One line per request: who requested what from which repository, and the result.

The lines of a server go into a ring in memory, and one thread writes them out. The logging module
makes a record, takes locks and wakes a thread for each line; at the rate of cached responses that
took more time than the responses. The lines look the same.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any, TextIO

from repoman.http.body import WSGI, Environ
from repoman.http.current import ACTOR, CACHEABLE, REPOSITORY, SOURCE, Validity
from repoman.http.health import UNLOGGED, is_health_check
from repoman.metrics import Sample
from repoman.printable import without_secrets
from repoman.threads import Periodic

NAME_MAX_CHARS = 200  # Longer names of users and repositories are cut.
TEXT_MAX_CHARS = 1000  # Longer addresses and other texts are cut.
RING_MAX_LINES = 50_000  # Lines that may wait, some 20 MB; beyond that the oldest are lost.
WRITE_INTERVAL_S = 0.1  # How often the lines are written.
BATCH_MAX_LINES = 2_000  # Lines written at a time, so that other threads get their turn.

ACCESS = logging.getLogger("repoman.access")

Write = Callable[[str], object]  # takes a line without its time
Note = Callable[[Sample], object]  # takes what is counted of a request


def _count_nothing(sample: Sample) -> None:
    """Take what is counted of a request, where nobody counts."""


class AccessLog:
    """WSGI middleware; the line is written, and the request counted, when the response begins.

    The bytes of a download leave after that, so the line tells the length announced. Health checks
    have no line and do not count.
    """

    def __init__(self, app: WSGI, write: Write = ACCESS.info, note: Note = _count_nothing) -> None:
        self._app = app
        self._write = write
        self._note = note

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve the request and log it."""
        if environ["PATH_INFO"] in UNLOGGED and is_health_check(environ):
            return self._app(environ, start_response)
        begin = time.perf_counter()
        answer: dict[str, str] = {}

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer["status"] = status[:3]
            for key, value in headers:
                if key.lower() == "content-length":
                    answer["length"] = value
            return start_response(status, headers, exc_info)

        # A request that only asks for its body (BodyWanted) leaves here and is logged later.
        response = self._app(environ, start)
        line = _Line(environ, answer, self._write, self._note)
        line.write(environ.get("REMOTE_ADDR", "-"), time.perf_counter() - begin)
        validity: Validity | None = environ.get(CACHEABLE)
        if validity is not None:
            validity.note = line.write_again
        return response


class _Line:
    """The line of a request, assembled once."""

    def __init__(self, environ: Environ, answer: dict[str, str], write: Write, note: Note) -> None:
        self._write = write
        self._note = note
        repository = environ.get(REPOSITORY)
        actor = environ.get(ACTOR)
        where = repository.config.name if repository else "-"
        who = actor.name if actor else "-"
        target = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if query := environ.get("QUERY_STRING"):
            target = f"{target}?{query}"
        if "rpm_" in target:  # Few lines have any, and each request has one.
            target = without_secrets(target)
        agent = environ.get("HTTP_USER_AGENT", "-")
        if not _are_harmless(f"{where}{who}", f"{target}{agent}"):
            where, who = _word(where), _word(who)
            target, agent = _printable(target), _printable(agent)
        method, status = environ["REQUEST_METHOD"], answer.get("status", "-")
        length, source = answer.get("length", "-"), environ.get(SOURCE, "-")
        self._text = f' {where} {who} "{method} {target}" {status} {length} {source}'
        self._what = method, status
        self._how = length, environ.get("CONTENT_LENGTH", ""), source
        self._agent = agent
        self._again: tuple[str, Sample] | None = None

    def write(self, address: str, seconds: float) -> None:
        """Log the line, and count the request."""
        self._write(f'{address}{self._text} {seconds * 1000:.1f} ms "{self._agent}"')
        self._note((*self._what, seconds, *self._how, False))

    def write_again(self, address: str) -> None:
        """Log the line for a response that was repeated from memory, in no time."""
        if self._again is None:
            line = f'{self._text} 0.0 ms "{self._agent}"'
            self._again = line, (*self._what, 0.0, *self._how, True)
        line, sample = self._again
        self._write(address + line)
        self._note(sample)


def _are_harmless(words: str, texts: str) -> bool:
    """Return whether names and texts can be logged as they are; most can."""
    both = words + texts
    is_short = len(words) <= NAME_MAX_CHARS and len(texts) <= TEXT_MAX_CHARS
    return is_short and both.isprintable() and '"' not in both and " " not in words


def _word(text: str) -> str:
    """Return a name as one word, or it could pass for several."""
    return _printable(text[:NAME_MAX_CHARS]).replace(" ", "?")


def _printable(text: str) -> str:
    """Return the text without breaks, quotes and control characters, which could forge a line."""
    text = text[:TEXT_MAX_CHARS]
    if text.isprintable() and '"' not in text:
        return text
    return "".join(each if each.isprintable() and each != '"' else "?" for each in text)


class AccessRing:
    """Takes lines from any thread without waiting, and writes them soon.

    Lines that cannot be written, on a full disk or into a broken pipe, are lost.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[tuple[float, str]] = deque(maxlen=RING_MAX_LINES)
        self.thread = Periodic("access log", self._write_all, WRITE_INTERVAL_S)

    def write(self, line: str) -> None:
        """Have a line written, with the present time."""
        self._lines.append((time.time(), line))

    def __enter__(self) -> "AccessRing":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left."""
        self.thread.stop()
        self._write_all()

    def _write_all(self) -> None:
        while self._lines:
            self._write_some()

    def _write_some(self) -> None:
        lines = self._lines
        taken = [lines.popleft() for _ in range(min(BATCH_MAX_LINES, len(lines)))]
        with suppress(OSError):  # telling of it would go the same way; later lines may do better
            self._stream.write("".join(map(_render, taken)))
            self._stream.flush()


def _render(entry: tuple[float, str]) -> str:
    moment, line = entry
    return f"{_second(int(moment))},{int(moment % 1 * 1000):03d} INFO repoman.access: {line}\n"


@lru_cache(maxsize=2)
def _second(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
