"""The HTTP client of a remote: pooled, patient, and careful with what it is told.

Redirects are followed here, each host with its own login.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from repoman import __version__
from repoman.errors import (
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from repoman.proxy.connections import TARGET, judged_pools, verbatim_pools
from repoman.proxy.counts import parse_count
from repoman.proxy.gate import Gate
from repoman.proxy.redirects import (
    REDIRECTS_MAX,
    Authorize,
    RemoteRequest,
    describe_host,
    next_address,
    shares_login,
    split_address,
)
from repoman.proxy.response import TIMEOUTS, TRANSPORT, UpstreamResponse, let_go, words_of
from repoman.proxy.status import UpstreamStatus
from repoman.proxy.targets import Targets

BACKOFF = 0.2  # seconds before the first further try; each next one waits twice as long
LONGEST_BACKOFF = 5.0
CONNECTIONS = 64  # kept open per remote host

IDEMPOTENT = ("GET", "HEAD")
_FAILURES = (HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,)

_QUERY = re.compile(r"\?\S*")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a remote is asked; ``timeout`` in seconds. See HttpClientSection."""

    retries: int = 2
    timeout: float = 20.0
    user_agent_suffix: str = ""
    ca_bundle: str = ""
    allow_private: bool = False


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
        self._session = _make_session(self.targets)

    def address(self, path: str) -> str:
        """Return the address of a path at the remote; an address stays as it is."""
        return path if "://" in path else f"{self.remote}/{path.lstrip('/')}"

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
            UpstreamBlocked: the remote is not to be asked, or too many wait for it already.
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
            None if the remote broke off, kept silent or answered with an error of its own.
        """
        request = RemoteRequest(method, self.address(path), dict(headers or {}), authorize)
        with self.gate.passed():
            self.status.check()
            try:
                response = self._try_once(request)
            except UpstreamRateLimited as error:
                self.status.note_success()
                self.status.note_limit(error.retry_after)
                raise
            except UpstreamUnavailable as error:
                self.status.end_trial()
                if _is_unreachable(error):
                    return self._open(request)
                _log.info("%s %s failed: %s", method, _without_query(request.url), error)
                return None
            self.status.note_success()
            return response

    def _open(self, request: RemoteRequest) -> UpstreamResponse:
        self.status.check()
        try:
            response = self._try_often(request)
        except UpstreamRateLimited as error:
            self.status.note_success()
            self.status.note_limit(error.retry_after)
            raise
        except UpstreamError as error:
            self.status.note_failure(error)
            raise
        self.status.note_success()
        return response

    def probe(self) -> None:
        """Ask the remote whether it is back, and tell the status; raises nothing."""
        if not self.status.begin_trial():
            return
        try:
            self._try_once(RemoteRequest("HEAD", self.remote + "/", {})).close()
        except UpstreamRateLimited:
            self.status.note_success()
        except UpstreamError as error:
            self.status.note_failure(error)
        else:
            self.status.note_success()

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _try_often(self, request: RemoteRequest) -> UpstreamResponse:
        tries = 1 + (self._options.retries if request.method in IDEMPOTENT else 0)
        end = time.monotonic() + self._options.timeout
        for number in range(1, tries):
            try:
                return self._try_once(request)
            except UpstreamUnavailable as error:
                if time.monotonic() >= end:
                    raise  # whoever asked has waited for long enough
                _log.debug("Try %s of %s failed: %s", number, request, error)
            self._sleep(min(BACKOFF * 2 ** (number - 1), LONGEST_BACKOFF))
        return self._try_once(request)

    def _try_once(self, request: RemoteRequest) -> UpstreamResponse:
        """Send the request, follow where it leads, and judge the answer."""
        url, was_elsewhere = request.url, False
        for _ in range(REDIRECTS_MAX + 1):
            response = self._send(request, url, request.headers_for(url, was_elsewhere))
            target = response.headers.get("Location") if response.is_redirect else None
            if target is None or request.method not in IDEMPOTENT:
                return self._judge(response, url)
            let_go(response)
            target = next_address(url, target)
            self.targets.check(target, url)
            was_elsewhere = was_elsewhere or not shares_login(request.url, target)
            url = target
        raise UpstreamUnavailable(f"The remote {self.remote} redirects without an end.")

    def _send(
        self, request: RemoteRequest, url: str, headers: Mapping[str, str]
    ) -> requests.Response:
        own = {"User-Agent": self._agent, "Accept-Encoding": "identity"}
        root, target = split_address(url)
        try:
            prepared = self._session.prepare_request(
                requests.Request(
                    request.method, root, headers={**own, **headers}, data=request.body
                )
            )
            prepared.headers[TARGET] = target
            # The session's own send would read and parse a redirect that is followed here.
            return self._session.get_adapter(root).send(
                prepared,
                stream=True,
                timeout=self._options.timeout,
                verify=self._options.ca_bundle or True,
                proxies=get_environ_proxies(url),
            )
        except TRANSPORT as error:
            told = _QUERY.sub("?…", str(error))  # a query may be what lets somebody in
            _log.info("%s %s failed: %s", request.method, _without_query(url), told)
            kind = UpstreamTimeout if isinstance(error, TIMEOUTS) else UpstreamUnavailable
            raise kind(
                f"{describe_host(self.remote, url)} cannot be reached: {self._reason(error)}."
            ) from error

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TIMEOUTS):
            return f"no answer within {self._options.timeout:g} s"
        if isinstance(error, requests.exceptions.SSLError):
            return "its certificate is not trusted"
        bundle = self._options.ca_bundle
        if bundle and not Path(bundle).exists():
            return f"there is no {bundle}, which http_client.ca_bundle names"
        return "the connection failed"

    def _judge(self, response: requests.Response, url: str) -> UpstreamResponse:
        status = response.status_code
        host = describe_host(self.remote, url)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            text = f"{host} has limited our requests. {words_of(response)}"
            wait = _retry_after(response.headers.get("Retry-After"))
            raise UpstreamRateLimited(f"{text.rstrip('. ')}.", wait, response.headers)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _FAILURES:
            let_go(response)
            raise UpstreamUnavailable(f"{host} answered with the error {status}.")
        return UpstreamResponse(self.remote, response, url, self._options.timeout)


class _Adapter(HTTPAdapter):
    """Connects to the addresses that were judged, without a second question to a name server."""

    def __init__(self, targets: Targets, **options: Any) -> None:
        self._targets = targets
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of connections; those to an HTTP proxy are made elsewhere."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = judged_pools(self._targets)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools of connections to an HTTP proxy."""
        is_new = proxy not in self.proxy_manager
        manager: Any = super().proxy_manager_for(proxy, **options)
        if is_new:
            manager.pool_classes_by_scheme = verbatim_pools(manager.pool_classes_by_scheme)
        return manager


def _make_session(targets: Targets) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no passwords from ~/.netrc
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(targets, pool_maxsize=CONNECTIONS, max_retries=0))
    return session


def _is_unreachable(error: UpstreamError) -> bool:
    """Return whether no connection was made, so that nothing else can be asked either."""
    cause: object = error.__cause__
    reason = getattr(next(iter(getattr(cause, "args", ())), None), "reason", cause)
    return isinstance(cause, requests.exceptions.SSLError | requests.ConnectTimeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


def _without_query(url: str) -> str:
    return url.partition("?")[0]


def _retry_after(text: str | None) -> int | None:
    """Return the seconds that a header Retry-After asks to wait (RFC 9110, 10.2.3)."""
    seconds = parse_count(text)
    if text is None or seconds is not None:
        return seconds
    with suppress(ValueError, TypeError):
        return max(0, int(parsedate_to_datetime(text).timestamp() - time.time()))
    return None
