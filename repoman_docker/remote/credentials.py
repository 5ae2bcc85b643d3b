"""How a remote registry is shown who asks: Basic, or a token for each scope.

Source: docker's token authentication specification; OCI distribution-spec has none of its own.
"""

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode

from repoman.plugin import (
    SingleFlight,
    UpstreamClient,
    UpstreamRefused,
    UpstreamResponse,
    UpstreamUnavailable,
)
from repoman_docker.protocol.challenge import parse_challenges

SHORTEST = 60  # seconds that a token lives at least, whatever the answer says
MARGIN = 20.0  # seconds before its end at which a token is not used any more
ANSWER_LIMIT = 1 << 20  # bytes
REMEMBERED = 10_000  # tokens


@dataclass(frozen=True, slots=True)
class RemoteCredentials:
    """What is known to a remote: a user, or a token of his; all empty for nobody."""

    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str | None:
        """The Authorization header with user name and password."""
        if not self.username:
            return None
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {b64encode(pair).decode('ascii')}"

    @property
    def headers(self) -> Mapping[str, str]:
        """What to send where no challenge comes first."""
        header = f"Bearer {self.bearer_token}" if self.bearer_token else self.basic
        return {} if header is None else {"Authorization": header}


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Service:
    """The token service that a challenge named."""

    realm: str
    service: str


class RemoteAuthentication:
    """Makes Authorization headers for one remote and learns from its challenges; thread safe.

    Args:
        client: asks the remote and its token service.
        credentials: of this proxy; they go to the remote, and to a token service of its owner.
        ticks: seconds that never run backwards.
    """

    def __init__(
        self,
        client: UpstreamClient,
        credentials: RemoteCredentials,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._ticks = ticks
        self._lock = threading.Lock()
        self._flights: SingleFlight[_Token] = SingleFlight()
        self._tokens: dict[str, _Token] = {}
        self._service: _Service | None = None
        self._is_basic = False

    @property
    def has_login(self) -> bool:
        """Whether this proxy has credentials at all."""
        return bool(self._credentials.headers)

    @property
    def refusal(self) -> str:
        """What to tell the administrator whose login is wrong."""
        return (
            f"The remote {self._client.remote}, or its token service, refused the login of this "
            "proxy."
        )

    def note_refusal(self) -> None:
        """The remote answered 401 all the same: tell its status if that means the login itself.

        A token may lack a right; what is sent as it was set lacks none that another request has.
        """
        if self._credentials.bearer_token or (self._is_basic and self._credentials.basic):
            self._client.status.note_login(self.refusal)

    def header(self, scope: str) -> str | None:
        """Return the header for a request that needs ``scope``; None where nothing is known.

        Raises:
            UpstreamError: the token service did not give a token.
        """
        if self._credentials.bearer_token:
            return f"Bearer {self._credentials.bearer_token}"
        if self._is_basic:
            return self._credentials.basic
        if self._service is None:
            return None
        return self._get_token(scope)

    def learn(self, response: UpstreamResponse, scope: str, sent: str | None) -> bool:
        """Take over what a 401 says; return whether it is worth asking once more."""
        if self._credentials.bearer_token:
            return False
        for challenge in parse_challenges(response.headers.get("WWW-Authenticate", "")):
            realm = challenge.parameters.get("realm", "")
            if challenge.scheme == "bearer" and realm:
                self._service = _Service(realm, challenge.parameters.get("service", ""))
                self._forget(scope, sent)
                return True
            if challenge.scheme == "basic":
                is_new = not self._is_basic and self._credentials.basic is not None
                self._is_basic = self._is_basic or is_new
                return is_new
        return False

    def _forget(self, scope: str, sent: str | None) -> None:
        """Drop the token that was refused, unless another thread has a new one already."""
        with self._lock:
            token = self._tokens.get(scope)
            if token is not None and token.header == sent:
                del self._tokens[scope]

    def _get_token(self, scope: str) -> str:
        token = self._find_token(scope)
        if token is None:
            with self._client.gate.passed():
                token = self._flights.run(scope, lambda: self._renew(scope))
        return token.header

    def _find_token(self, scope: str) -> _Token | None:
        token = self._tokens.get(scope)
        return None if token is None or token.expires_at <= self._ticks() else token

    def _renew(self, scope: str) -> _Token:
        token = self._find_token(scope)  # somebody may have been faster
        if token is None:
            token = self._fetch_token(scope)
            self._remember(scope, token)
        return token

    def _remember(self, scope: str, token: _Token) -> None:
        with self._lock:
            if len(self._tokens) >= REMEMBERED:
                now = self._ticks()
                self._tokens = {k: v for k, v in self._tokens.items() if v.expires_at > now}
            self._tokens[scope] = token

    def _fetch_token(self, scope: str) -> _Token:
        service = self._service
        if service is None:
            raise UpstreamRefused(f"The remote {self._client.remote} wants a login.")
        self._client.targets.check(service.realm, self._client.remote)
        headers = {}
        basic = self._credentials.basic
        if basic is not None and self._client.targets.may_have_credentials(service.realm):
            headers["Authorization"] = basic
        asked = {"service": service.service, "scope": scope}
        query = urlencode({key: value for key, value in asked.items() if value})
        address = f"{service.realm}{'&' if '?' in service.realm else '?'}{query}"
        begun = self._ticks()
        with self._client.open("GET", address, headers) as response:
            if response.status != HTTPStatus.OK:
                self._note_token_refusal(response.status, headers)
                raise UpstreamRefused(
                    f"The token service of the remote {self._client.remote} refused a token "
                    f"for {scope} with the status {response.status}."
                )
            token = self._parse_token(response.read_all(ANSWER_LIMIT), begun)
        if headers:
            self._client.status.note_login()
        return token

    def _note_token_refusal(self, status: int, headers: Mapping[str, str]) -> None:
        if headers and status == HTTPStatus.UNAUTHORIZED:
            self._client.status.note_login(self.refusal)

    def _parse_token(self, body: bytes, begun: float) -> _Token:
        try:
            answer = json.loads(body)
            text = answer.get("token") or answer["access_token"]
            lifetime = max(int(answer.get("expires_in") or SHORTEST), SHORTEST)
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
            raise UpstreamUnavailable(
                f"The token service of the remote {self._client.remote} sent no token."
            ) from error
        return _Token(f"Bearer {text}", begun + lifetime - MARGIN)
