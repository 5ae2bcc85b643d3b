"""The HTTP client of a remote: pooled, patient, and careful with what it is told.

Bodies are read raw, as they are on the wire: what is stored must be what the digest is of. The only
module that knows ``requests``.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urljoin

import requests
import urllib3
from requests.utils import get_environ_proxies, select_proxy

from repoman import __version__
from repoman.errors import (
    UpstreamBlocked,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from repoman.proxy.connections import PATIENCE, make_session
from repoman.proxy.counts import parse_count
from repoman.proxy.failures import TIMEOUTS, explain, is_unreachable, place_of, without_secrets
from repoman.proxy.gate import Gate
from repoman.proxy.status import OWN, UpstreamStatus
from repoman.proxy.targets import Targets, origin_of
from repoman.proxy.trust import Trust

REDIRECTS = 10
BACKOFF = 0.2  # seconds before the first further try; each next one waits twice as long
LONGEST_BACKOFF = 5.0
CHUNK = 1 << 20  # most bytes taken at a time
LITTLE = 4096  # bytes of a body that is read for the sake of its connection, or its words
MOMENT = 2.0  # seconds for that
MESSAGE = 300  # characters of a remote's own words that are passed on

USUAL_PORTS = {80, 443}  # A remote that turns from HTTP to HTTPS there is the same host.
IDEMPOTENT = ("GET", "HEAD")
_TRANSPORT = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)

# What servers with TLS answer to plain HTTP: those in Go, nginx, Apache.
_TLS_WANTED = re.compile(
    r"HTTP request (?:was sent )?to (?:an )?HTTPS|speaking plain HTTP to an SSL", re.IGNORECASE
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a remote is asked; ``timeout`` in seconds. See HttpClientSection.

    ``probe`` is the path below the remote that tells whether it is well.
    """

    retries: int = 2
    timeout: float = 20.0
    user_agent_suffix: str = ""
    ca_bundle: str = ""
    allow_private: bool = False
    probe: str = ""


class UpstreamResponse(AbstractContextManager["UpstreamResponse"]):
    """An answer of a remote whose body is still on its way; to be closed."""

    def __init__(self, name: str, host: str, response: requests.Response, timeout: float) -> None:
        self._name = name
        self._host = host
        self._timeout = timeout
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = str(response.url)

    @property
    def length(self) -> int | None:
        """Bytes of the body as announced, if they were."""
        return parse_count(self.headers.get("Content-Length"))

    def read(self, amount: int = CHUNK) -> bytes:
        """Return the next bytes that are there, at most ``amount``; none at the end.

        Raises:
            UpstreamUnavailable: the connection ended before the body.
            UpstreamTimeout: nothing more came.
        """
        return self._read(self._response.raw.read1, amount)

    def _read(self, read: Callable[..., bytes], amount: int) -> bytes:
        try:
            return read(amount, decode_content=False)
        except TIMEOUTS as error:
            text = f"{self._name} sent nothing more for {self._timeout:g} s."
            raise _failed(UpstreamTimeout, text, self._host) from error
        except _TRANSPORT as error:
            text = f"{self._name} stopped in the middle of its answer."
            raise _failed(UpstreamUnavailable, text, self._host) from error

    def read_all(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            UpstreamUnavailable: it is longer than ``limit`` bytes, or cut off.
            UpstreamTimeout: it comes by drops.
        """
        parts: list[bytes] = []
        size = 0
        end = time.monotonic() + PATIENCE * self._timeout
        while data := self._read(self._response.raw.read1, CHUNK):
            size += len(data)
            if time.monotonic() > end:
                text = f"{self._name} takes too long to answer."
                raise _failed(UpstreamTimeout, text, self._host)
            if size > limit:
                text = f"{self._name} sent more than the {limit} bytes allowed."
                raise _failed(UpstreamUnavailable, text, self._host)
            parts.append(data)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the connection."""
        _let_go(self._response)

    def __exit__(self, *_: object) -> None:
        self.close()


class UpstreamClient:
    """Asks one remote; thread safe.

    Args:
        remote: its address; paths are relative to it.
        options: how to ask.
        status: whether it is to be asked at all; learns how it went.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        remote: str,
        options: ClientOptions,
        status: UpstreamStatus,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.remote = remote
        self.targets = Targets(remote, allow_private=options.allow_private)
        self.status = status
        self.gate = Gate(remote)
        self._options = options
        self._sleep = sleep
        self._agent = f"repoman/{__version__} {options.user_agent_suffix}".strip()
        self._session = make_session(self.targets, Trust(options.ca_bundle))
        self._origin = origin_of(remote)

    def address(self, path: str) -> str:
        """Return the address of a path at the remote; an address stays as it is."""
        return path if "://" in path else f"{self.remote}/{path.lstrip('/')}"

    def open(
        self, method: str, path: str, headers: Mapping[str, str] | None = None
    ) -> UpstreamResponse:
        """Send a request and return the answer, after redirects and further tries.

        ``path`` may be a whole address; Authorization goes only where the first request goes.

        Raises:
            UpstreamBlocked: the remote is not to be asked, or too many wait for it already.
            UpstreamUnavailable: it could not be reached, or answered with an error of its own.
            UpstreamTimeout: it did not answer in time.
            UpstreamRateLimited: it answered 429.
        """
        with self.gate.passed():
            return self._open(method, self.address(path), dict(headers or {}))

    def _open(self, method: str, url: str, headers: dict[str, str]) -> UpstreamResponse:
        self.status.check(url)
        try:
            response = self._try_often(method, url, headers)
        except UpstreamBlocked:
            raise  # a host that the remote refers to, which is known to fail
        except UpstreamRateLimited as error:
            self.status.note_success(error.host)
            self.status.note_limit(error.retry_after, url)
            raise
        except UpstreamError as error:
            if error.host != OWN and self._host_of(url) == OWN:
                self.status.note_success()  # it has referred us to that host
            self.status.note_failure(error, url)
            raise
        if self._host_of(url) == OWN:
            self.status.note_success()
        return response

    def probe(self) -> None:
        """Ask the remote whether it is back, and tell the status; raises nothing."""
        if self.status.begin_trial():
            self.examine()

    def examine(self) -> None:
        """Ask the remote how it is, now, and tell the status; raises nothing."""
        try:
            self._try_once("GET", self.address(self._options.probe), {}).close()
        except (UpstreamBlocked, UpstreamRateLimited):
            self.status.note_success()
        except UpstreamError as error:
            if error.host != OWN:
                self.status.note_success()
            self.status.note_failure(error, is_probe=error.host == OWN)
        else:
            self.status.note_success()

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _try_often(self, method: str, url: str, headers: dict[str, str]) -> UpstreamResponse:
        tries = 1 + (self._options.retries if method in IDEMPOTENT else 0)
        end = time.monotonic() + self._options.timeout
        for number in range(1, tries):
            try:
                return self._try_once(method, url, headers)
            except UpstreamUnavailable as error:
                if time.monotonic() >= end or self.status.is_retired:
                    raise  # whoever asked has waited for long enough
                if error.retry_after is not None or (error.host and error.is_unreachable):
                    raise  # it said when to ask again, or is to be blocked
            self._sleep(min(BACKOFF * 2 ** (number - 1), LONGEST_BACKOFF))
        return self._try_once(method, url, headers)

    def _try_once(self, method: str, url: str, headers: dict[str, str]) -> UpstreamResponse:
        """Send the request, follow where it leads, and judge the answer."""
        first = origin_of(url)
        for _ in range(REDIRECTS + 1):
            response = self._send(method, url, headers)
            target = response.headers.get("Location") if response.is_redirect else None
            if target is None or method not in IDEMPOTENT:
                return self._judge(response)
            _let_go(response)
            target = urljoin(url, target)
            self.targets.check(target, url)
            if origin_of(target) != first:
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            url = target
        raise UpstreamUnavailable(f"The remote {self.remote} redirects without an end.")

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> requests.Response:
        own = {"User-Agent": self._agent, "Accept-Encoding": "identity"}
        host = self._host_of(url)
        if host != OWN:
            self.status.check_host(host)
        proxies = get_environ_proxies(url)
        try:
            response = self._session.send(
                self._session.prepare_request(
                    requests.Request(method, url, headers={**own, **headers})
                ),
                stream=True,
                allow_redirects=False,
                timeout=self._options.timeout,
                proxies=proxies,
            )
        except _TRANSPORT as error:
            raise self._unreached(error, method, url, select_proxy(url, proxies) or "") from error
        if host != OWN:
            self.status.note_success(host)
        return response

    def _unreached(
        self, error: Exception, method: str, url: str, http_proxy: str
    ) -> UpstreamUnavailable:
        """Return the error for a request without an answer, and log it."""
        reason = explain(error, url, self._options.timeout, http_proxy)
        _log.info("%s %s failed: %s.", method, without_secrets(url), reason)
        kind = UpstreamTimeout if isinstance(error, TIMEOUTS) else UpstreamUnavailable
        text = f"{self._name(url)} cannot be reached: {reason}."
        failed = _failed(kind, text, self._host_of(url))
        failed.is_unreachable = is_unreachable(error)
        return failed

    def _host_of(self, url: str) -> str:
        """Return host and port of an address, or ``OWN`` if they are the remote's."""
        _, host, port = origin_of(url)
        _, own_host, own_port = self._origin
        is_own = host == own_host and (port == own_port or {port, own_port} == USUAL_PORTS)
        return OWN if is_own else place_of(url)

    def _name(self, url: str) -> str:
        """Return who an address belongs to, for the beginning of a sentence."""
        if self._host_of(url) == OWN:
            return f"The remote {self.remote}"
        return f"The host {place_of(url)}, to which the remote {self.remote} refers,"

    def _judge(self, response: requests.Response) -> UpstreamResponse:
        status, url = response.status_code, str(response.url)
        name, host = self._name(url), self._host_of(url)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            text = f"{name} has limited our requests. {_words(response)}"
            wait = _retry_after(response.headers.get("Retry-After"))
            limited = UpstreamRateLimited(f"{text.rstrip('. ')}.", wait, response.headers)
            limited.host = host
            raise limited
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait = _retry_after(response.headers.get("Retry-After"))
            _let_go(response)
            failed = _failed(UpstreamUnavailable, f"{name} answered with the error {status}.", host)
            failed.retry_after = wait
            raise failed
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            _let_go(response)
            text = f"{name} cannot be reached: the HTTP proxy wants a login (407)."
            raise _unusable(text, host)
        if status == HTTPStatus.BAD_REQUEST and _wants_tls(response):
            text = f"{name} cannot be reached: it speaks TLS, and was asked in plain HTTP; "
            raise _unusable(f"{text}use https://.", host)
        return UpstreamResponse(name, host, response, self._options.timeout)


def _failed(kind: type[UpstreamUnavailable], text: str, host: str) -> UpstreamUnavailable:
    error = kind(text)
    error.host = host
    return error


def _unusable(text: str, host: str) -> UpstreamUnavailable:
    error = _failed(UpstreamUnavailable, text, host)
    error.is_unreachable = True
    return error


def _words(response: requests.Response) -> str:
    """Return what the remote said, as far as it is a short text, and let go of the answer."""
    text = _read_little(response, LITTLE).decode("utf-8", "replace")
    response.close()
    in_json = re.search(r'"message"\s*:\s*"([^"]*)"', text)
    words = " ".join((in_json[1] if in_json else text).split())
    return "".join(filter(str.isprintable, words))[:MESSAGE]  # it may end in somebody's terminal


def _wants_tls(response: requests.Response) -> bool:
    """Return whether a 400 to plain HTTP says that the server speaks TLS; only such are read."""
    if not str(response.url).startswith("http:"):
        return False
    is_text = response.headers.get("Content-Type", "text/plain").startswith("text/")
    return (
        is_text and _TLS_WANTED.search(_read_little(response, LITTLE).decode("latin-1")) is not None
    )


def _let_go(response: requests.Response) -> None:
    """Close an answer; its connection is used again if next to nothing is left of the body."""
    length = parse_count(response.headers.get("Content-Length"))
    if response.request.method == "HEAD" or (length is not None and length <= LITTLE):
        _read_little(response, LITTLE + 1)
    response.close()


def _read_little(response: requests.Response, limit: int) -> bytes:
    """Return at most so many bytes of a body, and those alone that come within a moment."""
    data, end = b"", time.monotonic() + MOMENT
    with suppress(*_TRANSPORT):
        sock = getattr(response.raw.connection, "sock", None)
        if sock is not None:
            sock.settimeout(MOMENT)  # the next request sets its own
        while len(data) < limit and time.monotonic() < end:
            more: bytes = response.raw.read1(limit - len(data), decode_content=False)
            if not more:
                break
            data += more
    return data


def _retry_after(text: str | None) -> int | None:
    """Return the seconds that a header Retry-After asks to wait (RFC 9110, 10.2.3)."""
    seconds = parse_count(text)
    if text is None or seconds is not None:
        return seconds
    with suppress(ValueError, TypeError):
        return max(0, int(parsedate_to_datetime(text).timestamp() - time.time()))
    return None
