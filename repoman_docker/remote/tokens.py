"""Bearer tokens: requests to a token service, and its answers.

Source: Docker's token authentication specification, and its OAuth2 form for services that accept
only POST; the OCI distribution-spec does not specify tokens.
"""

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from repoman.plugin import (
    RemoteCredentials,
    SingleFlight,
    UpstreamClient,
    UpstreamRefused,
    UpstreamResponse,
    UpstreamUnavailable,
)

LIFETIME_MIN_S = 60
"""The minimum lifetime of a token in seconds, whatever the answer states."""

LIFETIME_MAX_S = 366 * 86_400
"""The maximum lifetime of a token in seconds, whatever the answer states."""

MARGIN_S = 20.0
"""A token is no longer used this many seconds before it expires."""

ANSWER_MAX_BYTES = 1 << 20
"""The maximum size of the answer of a token service, in bytes."""

TOKENS_MAX = 10_000
"""The maximum number of tokens remembered for one host."""

CLIENT_ID = "repoman"
"""The client id of this program in the OAuth2 form."""

_POST_ALONE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class TokenService:
    """The token service in a challenge, and its scope if it differs from ours."""

    realm: str
    service: str
    scope: str = ""

    @property
    def host(self) -> str:
        """Its host, for messages."""
        return urlsplit(self.realm).netloc.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is sent; its times in seconds of the monotonic clock."""

    header: str = field(repr=False)
    fetched_at: float
    expires_at: float


class TokenStore:
    """The tokens for one host, fetched once for concurrent requests; thread safe.

    Args:
        client: sends requests to the token services.
        credentials: are sent only to token services of the remote's owner.
        ticks: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        client: UpstreamClient,
        credentials: RemoteCredentials,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self.ticks = ticks
        self._lock = threading.Lock()
        self._flights: SingleFlight[Token] = SingleFlight()
        self._tokens: dict[tuple[str, str, str], Token] = {}

    def get(self, service: TokenService, scope: str) -> Token:
        """Return a token for a scope.

        Raises:
            UpstreamError: the token service did not issue one.
        """
        token = self.find(service, scope)
        if token is None:
            with self._client.gate.passed():
                token = self._flights.run(f"{service} {scope}", lambda: self._renew(service, scope))
        return token

    def forget(self, header: str) -> None:
        """Drop a token that was refused, unless another thread has a new one already."""
        with self._lock:
            self._tokens = {k: v for k, v in self._tokens.items() if v.header != header}

    def find(self, service: TokenService, scope: str) -> Token | None:
        """Return a cached token that has not expired."""
        token = self._tokens.get((service.realm, service.service, scope))
        return None if token is None or token.expires_at <= self.ticks() else token

    def _renew(self, service: TokenService, scope: str) -> Token:
        token = self.find(service, scope)  # another thread may have been faster
        if token is None:
            token = self._fetch(service, scope)
            self._remember(service, scope, token)
        return token

    def _remember(self, service: TokenService, scope: str, token: Token) -> None:
        with self._lock:
            if len(self._tokens) >= TOKENS_MAX:
                now = self.ticks()
                self._tokens = {k: v for k, v in self._tokens.items() if v.expires_at > now}
            if len(self._tokens) >= TOKENS_MAX:
                del self._tokens[next(iter(self._tokens))]  # the oldest
            self._tokens[service.realm, service.service, scope] = token

    # The token service --------------------------------------------------------------------------

    def _fetch(self, service: TokenService, scope: str) -> Token:
        self._client.targets.check(service.realm, self._client.remote)
        login = self._credentials
        if not self._client.targets.may_have_credentials(service.realm):
            login = RemoteCredentials()
        query = [("service", service.service)] if service.service else []
        query += [("scope", each) for each in (scope, service.scope) if each]
        begun = self.ticks()
        with self._ask(service, query, login) as response:
            if response.status != HTTPStatus.OK:
                if login.basic and response.status == HTTPStatus.UNAUTHORIZED:
                    self._client.status.note_login(refusal_of(self._client.remote))
                raise UpstreamRefused(
                    f"The token service {service.host} of the remote {self._client.remote} "
                    f"refused a token for {scope} with the status {response.status}."
                )
            token = self._parse(service, response.read_all(ANSWER_MAX_BYTES), begun)
        if login.basic:
            self._client.status.note_login()
        return token

    def _ask(
        self, service: TokenService, query: list[tuple[str, str]], login: RemoteCredentials
    ) -> UpstreamResponse:
        realm = service.realm.partition("#")[0]
        address = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        headers = {} if login.basic is None else {"Authorization": login.basic}
        response = self._client.open("GET", address, headers)
        if response.status not in _POST_ALONE or login.basic is None:
            return response
        response.close()
        return self._client.open(
            "POST",
            realm,
            {"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode([*_oauth_form(query), *_password_grant(login)]).encode(),
        )

    def _parse(self, service: TokenService, body: bytes, begun: float) -> Token:
        try:
            answer = json.loads(body)
            text = answer.get("token") or answer["access_token"]
            if not isinstance(text, str) or not _TOKEN.fullmatch(text := text.strip()):
                raise ValueError("not a token that fits into a header")
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise UpstreamUnavailable(
                f"The token service {service.host} of the remote {self._client.remote} "
                "sent no valid token."
            ) from error
        lifetime = _seconds(answer.get("expires_in"))
        return Token(f"Bearer {text}", begun, begun + lifetime - MARGIN_S)


def refusal_of(remote: str) -> str:
    """Return the message for the administrator if the credentials are wrong."""
    return f"The remote {remote}, or its token service, refused the credentials of this proxy."


def _seconds(told: object) -> float:
    """Return the lifetime of a token, which services state as a number, a text, or not at all."""
    try:
        seconds = float(told) if isinstance(told, int | float | str) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if math.isnan(seconds):
        return LIFETIME_MIN_S
    return min(max(seconds, LIFETIME_MIN_S), LIFETIME_MAX_S)


def _oauth_form(query: list[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Yield the fields of a query for the OAuth2 form: one scope, separated by spaces."""
    yield from (each for each in query if each[0] != "scope")
    yield "scope", " ".join(value for key, value in query if key == "scope")


def _password_grant(login: RemoteCredentials) -> Iterable[tuple[str, str]]:
    yield "grant_type", "password"
    yield "client_id", CLIENT_ID
    yield "username", login.username
    yield "password", login.password
