"""The HTTP client of a remote: pooled, patient, and careful with what it is told.

Redirects are followed here, each host with its own login.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
from requests.utils import select_proxy

from repoman import __version__
from repoman.errors import (
    UpstreamBlocked,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from repoman.proxy.connections import TARGET, Trust, environment_proxies, make_session
from repoman.proxy.failures import (
    TIMEOUT_ERRORS,
    explain,
    host_of,
    is_unreachable,
    without_secrets,
)
from repoman.proxy.network import Network
from repoman.proxy.redirects import (
    REDIRECTS_MAX,
    Authorize,
    RemoteRequest,
    Targets,
    is_same_server,
    next_address,
    split_address,
)
from repoman.proxy.remote_health import OWN, RemoteGate, RemoteHealth
from repoman.proxy.response import (
    DRAIN_MAX_BYTES,
    TRANSPORT_ERRORS,
    UpstreamResponse,
    failed,
    let_go,
    parse_count,
    read_little,
    words_of,
)

RETRIES = 2  # Retries after a failure, unless the settings say otherwise.
TIMEOUT_S = 20.0  # The timeout for a response, unless the settings say otherwise.
BACKOFF_S = 0.2  # seconds before the first further try; each next one waits twice as long
BACKOFF_MAX_S = 5.0

IDEMPOTENT = ("GET", "HEAD")

# What servers with TLS answer to plain HTTP: those in Go, nginx, Apache.
_TLS_WANTED = re.compile(
    r"HTTP request (?:was sent )?to (?:an )?HTTPS|speaking plain HTTP to an SSL", re.IGNORECASE
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How to contact a remote; ``timeout`` in seconds, None: as for all. See HttpClientSection.

    ``probe`` is the path below the remote to test whether it works, ``network`` what holds for all
    remotes.
    """

    retries: int | None = None
    timeout: float | None = None
    user_agent_suffix: str = ""
    ca_bundle: str = ""
    use_trust_store: bool = False
    allow_private: bool = False
    probe: str = ""
    network: Network = field(default_factory=Network)


class UpstreamClient:
    """Asks one remote; thread safe.

    Args:
        remote: its address; paths are relative to it.
        options: how to contact it.
        status: whether it may be contacted; is told the outcome.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        remote: str,
        options: ClientOptions,
        status: RemoteHealth,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.remote = remote
        self.targets = Targets(remote, allow_private=options.allow_private)
        self.status = status
        self.gate = RemoteGate(remote)
        self._options = options
        self._sleep = sleep
        self._network = options.network
        trusted = self._network.trusted if options.use_trust_store else str
        self._session = make_session(self.targets, Trust(options.ca_bundle, trusted))

    def address(self, path: str) -> str:
        """Return the address of a path at the remote; an address stays as it is."""
        return path if _ADDRESS.match(path) else f"{self.remote}/{path.lstrip('/')}"

    def open(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        authorize: Authorize | None = None,
        body: bytes | None = None,
    ) -> UpstreamResponse:
        """Send a request and return the answer, after redirects and further tries.

        Args:
            method: GET and HEAD follow redirects and are tried again.
            path: at the remote, or a whole address.
            headers: Authorization among them goes only where the first request goes, and from
                HTTP up to HTTPS of the same host.
            authorize: makes the header Authorization, for the address asked and for each one
                that a redirect leads to.
            body: of a POST.

        Raises:
            UpstreamBlocked: the remote is blocked, or too many requests wait for it already.
            UpstreamUnavailable: it could not be reached, or answered with an error of its own.
            UpstreamTimeout: it did not answer in time.
            UpstreamRateLimited: it answered 429.
        """
        request = RemoteRequest(method, self.address(path), dict(headers or {}), authorize, body)
        with self.gate.passed():
            return self._open(request)

    def attempt(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        authorize: Authorize | None = None,
    ) -> UpstreamResponse | None:
        """Send a request that the remote may refuse in any way, and which another can replace.

        It is sent once, and how it goes says nothing of the remote's health, unless no connection
        is made: then this is :meth:`open`, with its errors.

        Returns:
            None if the remote closed the connection, did not respond, or sent a server error.
        """
        request = RemoteRequest(method, self.address(path), dict(headers or {}), authorize)
        with self.gate.passed():
            self.status.check(request.url)
            try:
                response = self._try_once(request)
            except UpstreamRateLimited as error:
                self.status.note_success(error.host)
                self.status.note_limit(error, request.url)
                raise
            except UpstreamBlocked:
                self.status.end_trial()
                raise
            except UpstreamUnavailable as error:
                self.status.end_trial()
                if error.retry_after is not None:
                    self.status.note_failure(error, request.url)
                    raise  # it said when to ask again, whatever the method
                if error.is_unreachable:
                    return self._open(request)
                _log.info("%s %s failed: %s", method, without_secrets(request.url), error)
                return None
            if self._host_of(request.url) == OWN:
                self.status.note_success()
            return response

    def _open(self, request: RemoteRequest) -> UpstreamResponse:
        url = request.url
        self.status.check(url)
        try:
            response = self._try_often(request)
        except UpstreamBlocked:
            if self._host_of(url) == OWN:
                self.status.note_success()  # it has referred us to a host that is known to fail
            raise
        except UpstreamRateLimited as error:
            self.status.note_success(error.host)
            self.status.note_limit(error, url)
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
        """Test whether the remote is back, and update the status; raises nothing."""
        if self.status.begin_trial():
            self.examine()

    def examine(self) -> None:
        """Test the remote now, and update the status; raises nothing."""
        try:
            self._try_once(RemoteRequest("GET", self.address(self._options.probe), {})).close()
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

    def _try_often(self, request: RemoteRequest) -> UpstreamResponse:
        tries = 1 + (self._retries() if request.method in IDEMPOTENT else 0)
        end = time.monotonic() + self._timeout()
        for number in range(1, tries):
            try:
                return self._try_once(request)
            except UpstreamUnavailable as error:
                if time.monotonic() >= end or self.status.is_retired:
                    raise  # anybody who asked has waited for long enough
                if error.retry_after is not None or (error.host and error.is_unreachable):
                    raise  # it said when to ask again, or is to be blocked
            self._sleep(min(BACKOFF_S * 2 ** (number - 1), BACKOFF_MAX_S))
        return self._try_once(request)

    def _try_once(self, request: RemoteRequest) -> UpstreamResponse:
        """Send the request, follow where it leads, and judge the answer."""
        url, was_elsewhere = request.url, False
        for _ in range(REDIRECTS_MAX + 1):
            response = self._send(
                request, url, request.headers_for(url, self.remote, was_elsewhere=was_elsewhere)
            )
            target = response.headers.get("Location") if response.is_redirect else None
            if target is None or request.method not in IDEMPOTENT:
                return self._judge(response, url)
            let_go(response)
            target = next_address(url, target)
            self.targets.check(target, url)
            was_elsewhere = was_elsewhere or not is_same_server(request.url, target)
            url = target
        raise UpstreamUnavailable(f"The remote {self.remote} redirects in a loop or too often.")

    def _send(
        self, request: RemoteRequest, url: str, headers: Mapping[str, str]
    ) -> requests.Response:
        own = {"User-Agent": self._agent(), "Accept-Encoding": "identity"}
        host = self._host_of(url)
        if host != OWN:
            self.status.check_host(host)
        root, target = split_address(url)
        proxies = self._network.http_proxies().find(url)
        if proxies is None:
            proxies = environment_proxies(root)
        try:
            # The session has nothing to add, and takes as long as the rest to find that out.
            prepared = requests.PreparedRequest()
            prepared.prepare(request.method, root, {**own, **headers}, data=request.body)
            prepared.headers[TARGET] = target
            # The session's own send would read and parse a redirect that is followed here.
            response = self._session.get_adapter(root).send(
                prepared, stream=True, timeout=self._timeout(), proxies=proxies
            )
        except TRANSPORT_ERRORS as error:
            http_proxy = select_proxy(url, proxies) or ""
            raise self._unreached(error, request.method, url, http_proxy) from error
        if host != OWN:
            self.status.note_success(host)
        return response

    def _timeout(self) -> float:
        own = self._options.timeout
        return (self._network.timeout() or TIMEOUT_S) if own is None else own

    def _retries(self) -> int:
        for number in (self._options.retries, self._network.retries()):
            if number is not None:
                return number
        return RETRIES

    def _agent(self) -> str:
        suffixes = (self._network.user_agent(), self._options.user_agent_suffix)
        return " ".join([f"repoman/{__version__}", *filter(None, suffixes)])

    def _unreached(
        self, error: Exception, method: str, url: str, http_proxy: str
    ) -> UpstreamUnavailable:
        """Return the error for a request without an answer, and log it."""
        reason = explain(error, url, self._timeout(), http_proxy)
        _log.info("%s %s failed: %s.", method, without_secrets(url), reason)
        kind = UpstreamTimeout if isinstance(error, TIMEOUT_ERRORS) else UpstreamUnavailable
        text = f"{self._name(url)} cannot be reached: {reason}."
        made = failed(kind, text, self._host_of(url))
        made.is_unreachable = is_unreachable(error)
        return made

    def _host_of(self, url: str) -> str:
        """Return host and port of an address, or ``OWN`` if they are the remote's."""
        return OWN if is_same_server(self.remote, url) else host_of(url)

    def _name(self, url: str) -> str:
        """Return who an address belongs to, for the beginning of a sentence."""
        if self._host_of(url) == OWN:
            return f"The remote {self.remote}"
        return f"The host {host_of(url)}, to which the remote {self.remote} refers,"

    def _judge(self, response: requests.Response, url: str) -> UpstreamResponse:
        status, name, host = response.status_code, self._name(url), self._host_of(url)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            text = f"{name} limits the rate of our requests. {words_of(response)}"
            wait = _retry_after(response.headers.get("Retry-After"))
            limited = UpstreamRateLimited(f"{text.rstrip('. ')}.", wait, response.headers)
            limited.host = host
            raise limited
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
            wait = _retry_after(response.headers.get("Retry-After"))
            let_go(response)
            error = failed(UpstreamUnavailable, f"{name} answered with the error {status}.", host)
            error.retry_after = wait
            raise error
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            let_go(response)
            text = f"{name} cannot be reached: the HTTP proxy requires authentication (407)."
            raise _unusable(text, host)
        if status == HTTPStatus.BAD_REQUEST and _wants_tls(response):
            text = f"{name} cannot be reached: it requires TLS, but was contacted with plain HTTP; "
            raise _unusable(f"{text}use https://.", host)
        return UpstreamResponse(name, host, response, url, self._timeout())


def _unusable(text: str, host: str) -> UpstreamUnavailable:
    error = failed(UpstreamUnavailable, text, host)
    error.is_unreachable = True
    return error


def _wants_tls(response: requests.Response) -> bool:
    """Return whether a 400 to plain HTTP says that the server speaks TLS; only such are read."""
    if not str(response.url).startswith("http:"):
        return False
    is_text = response.headers.get("Content-Type", "text/plain").startswith("text/")
    return (
        is_text
        and _TLS_WANTED.search(read_little(response, DRAIN_MAX_BYTES).decode("latin-1")) is not None
    )


def _retry_after(text: str | None) -> int | None:
    """Return the seconds that a header Retry-After asks to wait (RFC 9110, 10.2.3); None: none."""
    seconds = parse_count(text)
    if text is not None and seconds is None:
        with suppress(ValueError, TypeError, OverflowError):
            seconds = max(0, int(parsedate_to_datetime(text).timestamp() - time.time()))
    return seconds or None
