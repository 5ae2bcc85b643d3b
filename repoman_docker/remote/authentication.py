"""How a proxy authenticates at hosts: anonymously, with Basic, or with a token for each scope.

The remote and every host to which it redirects have a login each, learned from their own
challenges. Only the remote gets the credentials of the proxy.
"""

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from threading import Lock
from urllib.parse import unquote, urljoin, urlsplit

from repoman.plugin import (
    RemoteCredentials,
    UpstreamClient,
    UpstreamError,
    UpstreamRefused,
    UpstreamResponse,
    UpstreamUnavailable,
    is_same_server,
)
from repoman_docker.protocol.challenge import CATALOG, Challenge, image_scope, parse_challenges
from repoman_docker.remote.tokens import Token, TokenService, TokenStore, refusal_of

REPEATS_MAX = 5
"""A request is repeated at most this many times to authenticate."""

HOSTS_MAX = 100
"""The logins of this many hosts to which the remote redirects are remembered."""

SCOPE_MAX_CHARS = 1000
"""A scope in a challenge is ignored if it is longer."""

REFUSALS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
    }
)
"""The statuses that may mean that another login is required."""

_IMAGE = re.compile(r".*/v2/(.+)/(?:manifests|blobs|tags|referrers)/[^/]+")
_SCOPE = re.compile(r"[!#-\[\]-~ ]*")

_log = logging.getLogger(__name__)


class _Plain(Enum):
    NOBODY = "nobody"
    BASIC = "Basic"


Method = _Plain | TokenService
NOBODY, BASIC = _Plain.NOBODY, _Plain.BASIC


class HostLogin:
    """The login at one host, as far as it has been learned; thread safe.

    Args:
        client: sends requests to the host and its token services.
        root: the address of the host, to which ``/v2/`` is added.
        credentials: the credentials of the proxy at this host.
        ticks: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        client: UpstreamClient,
        root: str,
        credentials: RemoteCredentials,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self.root = root
        self.credentials = credentials
        self.tokens = TokenStore(client, credentials, ticks)
        self.method: Method = NOBODY
        self.was_asked = False  # whether the host has ever offered a method

    def offers(self, challenges: list[Challenge], url: str, scope: str) -> list[Method]:
        """Return the usable methods among the challenges of ``url``, the best first."""
        services: list[Method] = []
        for each in challenges:
            realm = each.parameters.get("realm", "")
            if each.scheme == "bearer" and realm:
                service = each.parameters.get("service", "")
                services.append(TokenService(urljoin(url, realm), service, _other(each, scope)))
        is_basic = any(each.scheme == "basic" for each in challenges)
        return services + ([BASIC] if is_basic and self.credentials.basic else [])

    def ask(self, scope: str) -> list[Method]:
        """Return the methods that ``/v2/`` of the host offers, if its responses name none."""
        self.was_asked = True
        url = f"{self.root}/v2/"
        response = self._client.attempt("GET", url)
        if response is None:
            return []
        response.close()
        return self.offers(_challenges(response), url, scope)

    def learn(self, method: Method) -> None:
        """Start with this method from now on."""
        self.was_asked = True
        if isinstance(method, TokenService):
            method = TokenService(method.realm, method.service)
        self.method = method


class RemoteAuthentication:
    """The logins at a remote and at the hosts to which it redirects; thread safe.

    Args:
        client: sends requests to the remote.
        credentials: of this proxy.
    """

    def __init__(self, client: UpstreamClient, credentials: RemoteCredentials) -> None:
        self._client = client
        self.own = HostLogin(client, client.remote, credentials)
        self._others: OrderedDict[str, HostLogin] = OrderedDict()
        self._lock = Lock()

    def begin(self, name: str) -> "Dialogue":
        """Return the dialogue of a request for an image; an empty name means the catalog."""
        return Dialogue(self, str(image_scope(name, "pull") if name else CATALOG))

    def begin_login(self) -> "Dialogue":
        """Return the dialogue of a request that requires a login but no right."""
        return Dialogue(self, "")

    @property
    def has_login(self) -> bool:
        """Whether this proxy has credentials."""
        return bool(self.own.credentials.headers)

    @property
    def refusal(self) -> str:
        """The message for the administrator if the credentials are wrong."""
        return refusal_of(self._client.remote)

    def is_own(self, url: str) -> bool:
        """Return whether an address is the remote's."""
        return is_same_server(self._client.remote, url)

    def find(self, url: str) -> HostLogin | None:
        """Return the login at the host of an address; None if it has never requested one."""
        return self.own if self.is_own(url) else self._others.get(_root(url))

    def make(self, url: str) -> HostLogin:
        """Return the login at the host of an address; anonymous at hosts other than the remote."""
        found = self.find(url)
        if found is None:
            root = _root(url)
            with self._lock:
                found = HostLogin(self._client, root, RemoteCredentials())
                self._others[root] = found
                if len(self._others) > HOSTS_MAX:
                    self._others.popitem(last=False)
        return found


class Dialogue:
    """One request and its repetitions: the login sent to each host, and the outcome."""

    def __init__(self, authentication: RemoteAuthentication, scope: str) -> None:
        self._authentication = authentication
        self._scope = scope
        self._turns: dict[HostLogin, _Turn] = {}
        self._left = REPEATS_MAX

    @property
    def error(self) -> UpstreamError | None:
        """Why a required login failed."""
        return next((each.error for each in self._turns.values() if each.error), None)

    @property
    def has_shown_login(self) -> bool:
        """Whether the last request sent a login to the remote."""
        turn = self._turns.get(self._authentication.own)
        return turn is not None and turn.shown is not None

    @property
    def was_login_refused(self) -> bool:
        """Whether the remote refused the credentials themselves, not a token without rights."""
        turn = self._turns.get(self._authentication.own)
        return turn is not None and turn.was_login_refused

    def prepare(self) -> None:
        """Fetch the tokens that the next request needs, as far as known (UpstreamError)."""
        own = self._authentication.own
        self._turn(own, own.root)
        for turn in self._turns.values():
            turn.prepare()

    def authorize(self, url: str) -> str | None:
        """Return the Authorization header for an address; fetches nothing."""
        login = self._authentication.find(url)
        if login is None:
            return None
        turn = self._turns.get(login) or self._turn(login, url).use_known_token()
        return turn.shown

    def learn(self, response: UpstreamResponse) -> bool:
        """Return whether to repeat a refused request.

        Raises:
            UpstreamError: the host offers a login, but it failed.
        """
        self._left -= 1
        if self._left < 0:
            return False
        is_own = self._authentication.is_own(response.url)
        if response.status == HTTPStatus.UNAUTHORIZED:
            login = self._authentication.make(response.url)
            return self._turn(login, response.url).refuse(response)
        found = self._authentication.find(response.url)
        if found is None or response.status not in REFUSALS:
            return False
        if is_own:
            return (
                response.status != HTTPStatus.BAD_REQUEST
                and self._turn(found, response.url).ask_once()
            )
        # Object stores refuse a login in addition to the signature in the URL.
        return self._turn(found, response.url).withdraw()

    def _turn(self, login: HostLogin, url: str) -> "_Turn":
        turn = self._turns.get(login)
        if turn is None:
            is_own = login is self._authentication.own
            turn = _Turn(login, self._scope if is_own else _scope_at(url, self._scope))
            self._turns[login] = turn
        return turn


class _Turn:
    """The login that one host got in a dialogue."""

    def __init__(self, login: HostLogin, scope: str) -> None:
        self._login = login
        self._scope = scope
        self._begun = login.tokens.ticks()
        self._method = login.method
        self._offered: list[Method] = []
        self._refused: set[Method] = set()
        self._token: Token | None = None
        self._is_prepared = False
        self.shown: str | None = None
        self.error: UpstreamError | None = None

    def prepare(self) -> None:
        """Set ``shown``; a method that does not work is skipped in favor of the next one."""
        while not self._is_prepared:
            try:
                self.shown = self._make_header()
                self._is_prepared = True
            except (UpstreamRefused, UpstreamUnavailable) as error:
                _log.info("Cannot authenticate by %s: %s", self._method, error)
                self.error = self.error or error
                self._refused.add(self._method)
                if not self._choose(self._offered or [NOBODY]):
                    raise self.error from error

    @property
    def was_login_refused(self) -> bool:
        """Whether the host refused the credentials themselves."""
        return bool(self._login.credentials.bearer_token) or BASIC in self._refused

    def use_known_token(self) -> "_Turn":
        """Set ``shown`` to a cached token, or to nothing, and return it."""
        if isinstance(self._method, TokenService):
            self._token = self._login.tokens.find(self._method, self._scope)
        if self._token is None:
            self._method = NOBODY
        else:
            self.shown = self._token.header
        self._is_prepared = True
        return self

    def _make_header(self) -> str | None:
        self._token = None
        credentials = self._login.credentials
        if credentials.bearer_token:
            return f"Bearer {credentials.bearer_token}"
        if isinstance(self._method, TokenService):
            self._token = self._login.tokens.get(self._method, self._scope)
            return self._token.header
        return credentials.basic if self._method is BASIC else None

    def refuse(self, response: UpstreamResponse) -> bool:
        """Learn from a 401; return whether there is another login to try."""
        if self._login.credentials.bearer_token:
            return False  # set by the administrator: nothing replaces it
        offered = self._login.offers(_challenges(response), response.url, self._scope)
        self._give_up()
        if not offered and self._method is NOBODY:
            offered = self._login.ask(self._scope)
        if not offered:  # it names no method: try a new token, or else learn the methods again
            return self._choose([self._method, *self._offered, NOBODY])
        self._offered = offered
        self._login.learn(offered[0])
        return self._choose(offered)

    def ask_once(self) -> bool:
        """Ask how to log in where anonymous requests get 404; return whether there is a way."""
        login = self._login
        if login.was_asked or login.credentials.basic is None or self._method is not NOBODY:
            return False
        self._offered = login.ask(self._scope)
        if self._offered:
            login.learn(self._offered[0])
        return self._choose(self._offered)

    def withdraw(self) -> bool:
        """Stop sending a login to a host that refuses it; return whether one was sent."""
        if self._method is NOBODY:
            return False
        self._refused.add(self._method)
        self._login.learn(NOBODY)
        return self._choose([NOBODY])

    def _give_up(self) -> None:
        """Note what was refused; an old token may only have expired early."""
        token = self._token
        if token is not None:
            self._login.tokens.forget(token.header)
        if token is None or token.fetched_at >= self._begun:
            self._refused.add(self._method)

    def _choose(self, methods: list[Method]) -> bool:
        found = next((each for each in methods if each not in self._refused), None)
        if found is None:
            return False
        self._method = found
        self._is_prepared = False
        if found is BASIC:
            self._login.learn(found)
        return True


def _challenges(response: UpstreamResponse) -> list[Challenge]:
    return parse_challenges(response.headers.get("WWW-Authenticate", ""))


def _other(challenge: Challenge, scope: str) -> str:
    """Return the scope in a challenge, if it differs from ours and can be requested."""
    found = challenge.parameters.get("scope", "").strip()
    is_good = len(found) <= SCOPE_MAX_CHARS and _SCOPE.fullmatch(found)
    return found if is_good and found != scope else ""


def _root(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _scope_at(url: str, scope: str) -> str:
    """Return the scope of an image at another host, where its name may differ."""
    found = _IMAGE.fullmatch(unquote(urlsplit(url).path))
    return scope if found is None else str(image_scope(found[1], "pull"))
