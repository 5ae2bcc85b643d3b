"""The errors of the core: what went wrong, neutral to any protocol.

::

    RepomanError
    ├── NotFound              no such repository, asset, upload session, user
    ├── Conflict              it exists already, or is in use
    ├── PreconditionFailed    it is not in the state that the client expects
    ├── Invalid               bad input; ``field`` names the setting's path
    │   ├── RangeInvalid      bytes out of order; carries the true ``offset``
    │   ├── PageKeyInvalid    the position in a list is not one of this list
    │   ├── ExpressionInvalid  a mistake in an expression; says where: ``at``
    │   └── Unprocessable     an identifier is malformed, or is missing
    ├── TooLarge              a configured limit was exceeded
    ├── Unauthenticated       no credentials, or wrong ones
    ├── Denied                authenticated, but not allowed
    ├── Unsupported           not offered by this type of repository
    ├── ReadOnly              the write policy refuses
    ├── TooManyRequests       too many failed logins
    ├── Unavailable           offline, format not installed, blob store missing
    │   └── Frozen            the whole server is in read-only mode
    ├── StorageFull           no space left
    │   └── QuotaExceeded     a hard quota leaves no space
    └── UpstreamError         the remote of a proxy did not give what was asked for
        ├── UpstreamUnavailable   no connection, a broken one, or a server error
        │   └── UpstreamTimeout   no answer in time
        ├── UpstreamBlocked       blocked by the administrator, or after failures
        │   └── UpstreamBusy          too many requests wait for it
        ├── UpstreamRefused       wrong credentials, or nothing of this name
        └── UpstreamRateLimited   too many requests; ``retry_after`` seconds to wait, if it said so

``repoman.http.errors`` maps each class to an HTTP status; each format renders its own body.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_log = logging.getLogger(__name__)


class RepomanError(Exception):
    """An expected failure. ``str(error)`` is a sentence that an end user may read.

    Attributes:
        retry_after: seconds after which to try again, if known.
    """

    retry_after: int | None = None


class NotFound(RepomanError):
    """The object does not exist, or the actor must not know that it does."""


class Conflict(RepomanError):
    """The request conflicts with the current state: a name or port is taken, a session in use.

    Attributes:
        field: the dotted path of the setting at fault (``raw.http_port``), or None.
        owner: the repository that has what is taken; empty if that is nothing to hide.
    """

    def __init__(self, message: str, field: str | None = None, owner: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.owner = owner


class PreconditionFailed(RepomanError):
    """What the client wants to read or change is not in the state that it expects."""


class Invalid(RepomanError):
    """The input is wrong.

    Attributes:
        field: the dotted path of the setting at fault (``storage.blob_store``), or None.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class RangeInvalid(Invalid):
    """Bytes were sent for a different offset than expected.

    Attributes:
        offset: how many bytes are stored, in bytes; the next byte expected.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class PageKeyInvalid(Invalid):
    """The position at which a list should continue is not one that this list has given out."""


class ExpressionInvalid(Invalid):
    """An expression is not written as it must be.

    Attributes:
        at: the index of the character where it goes wrong.
    """

    def __init__(self, text: str, at: int) -> None:
        super().__init__(text, field="expression")
        self.at = at


class Unprocessable(Invalid):
    """What the request is about cannot be told: an identifier is malformed, or is missing."""


class TooLarge(RepomanError):
    """A body or header is larger than a limit set by the administrator."""


class Unauthenticated(RepomanError):
    """Credentials are missing or wrong."""


class Denied(RepomanError):
    """The actor is authenticated, but not allowed to do this."""


class Unsupported(RepomanError):
    """This type of repository does not offer the operation."""


class ReadOnly(RepomanError):
    """The write policy of the repository refuses the change."""


class TooManyRequests(RepomanError):
    """The client has to wait for ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(RepomanError):
    """The service cannot answer now, for a reason that an administrator can fix."""


class Frozen(Unavailable):
    """The server is in read-only mode: an administrator has to end it."""

    retry_after = 60


class StorageFull(RepomanError):
    """The disk or the quota behind a blob store or the database is full."""


class QuotaExceeded(StorageFull):
    """The hard quota of a repository or a blob store leaves no space: trying again is in vain."""


class UpstreamError(RepomanError):
    """The remote of a proxy did not give what was asked for. The text names the host that failed.

    Attributes:
        host: the host that failed, with its port, if it is not the remote's own.
        is_unreachable: whether no request can reach that host, whatever its path.
    """

    host: str = ""
    is_unreachable: bool = False


class UpstreamUnavailable(UpstreamError):
    """The remote cannot be reached, or failed."""


class UpstreamTimeout(UpstreamUnavailable):
    """The remote is too slow."""


class UpstreamBlocked(UpstreamError):
    """The remote is blocked, so it is not contacted."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamBusy(UpstreamBlocked):
    """Too many requests already wait for the remote."""


class UpstreamRefused(UpstreamError):
    """The remote answered 401 or 403; the administrator has to fix the credentials."""


class UpstreamRateLimited(UpstreamError):
    """The remote limits the rate of our requests; ``headers`` are those of its response."""

    def __init__(
        self,
        message: str,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.headers: Mapping[str, str] = headers or {}


class Attempts:
    """Several attempts, each of which is made even if others fail.

    ::

        attempts = Attempts()
        for name in names:
            with attempts.attempt():
                compact(name)
        attempts.check()
    """

    def __init__(self) -> None:
        self._error: RepomanError | None = None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Return a context whose expected failure is kept; if an earlier one is, it is logged."""
        try:
            yield
        except RepomanError as error:
            if self._error is not None:
                _log.warning("Another attempt failed: %s", error)
            self._error = self._error or error

    def check(self) -> None:
        """Raise the first failure (RepomanError), if there was any."""
        if self._error is not None:
            raise self._error
