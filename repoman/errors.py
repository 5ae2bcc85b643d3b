"""The errors of the core: what went wrong, in words for people, neutral to any protocol.

::

    RepomanError
    ├── NotFound              no such repository, asset, upload session, user
    ├── Conflict              it exists already, or somebody else is at it
    ├── Invalid               bad input; ``field`` names the setting's path
    │   └── RangeInvalid      bytes out of order; carries the true ``offset``
    ├── TooLarge              a limit that is a setting was passed
    ├── Unauthenticated       nobody, or a wrong password
    ├── Denied                somebody, but without the right
    ├── Unsupported           this repository type does not do that
    ├── ReadOnly              the write policy refuses
    ├── TooManyRequests       not so fast: wrong passwords, one after the other
    ├── Unavailable           not now: offline, format not installed, blob store gone
    ├── StorageFull           no space left
    └── UpstreamError         the remote of a proxy did not give what was asked for
        ├── UpstreamUnavailable   no connection, a broken one, or an error of its own
        │   └── UpstreamTimeout   no answer in time
        ├── UpstreamBlocked       it is not asked at present: by the administrator or after failures
        │   └── UpstreamBusy          too many requests wait for it
        ├── UpstreamRefused       it does not let us: wrong credentials, or nothing of this name
        └── UpstreamRateLimited   too many requests; ``retry_after`` seconds to wait, if it said so

``repoman.http.errors`` maps each class to an HTTP status; each format renders its own body.
"""

from collections.abc import Mapping


class RepomanError(Exception):
    """An expected failure. ``str(error)`` is a sentence that an end user may read.

    Attributes:
        retry_after: seconds after which it may go better, as far as that is known.
    """

    retry_after: int | None = None


class NotFound(RepomanError):
    """What was asked for is not there, or the actor must not know that it is."""


class Conflict(RepomanError):
    """The request collides with the present state: a name or port taken, a session in use."""


class Invalid(RepomanError):
    """The input is wrong.

    Attributes:
        field: the dotted path of the setting at fault (``storage.blob_store``), or None.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class RangeInvalid(Invalid):
    """Bytes were sent for another position than the one expected.

    Attributes:
        offset: how many bytes are stored, in bytes; the next byte expected.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class TooLarge(RepomanError):
    """A body or header is larger than a limit set by the administrator."""


class Unauthenticated(RepomanError):
    """A login is needed, or the one given is wrong."""


class Denied(RepomanError):
    """The actor is known and has no right to do this."""


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
    """The service cannot answer now, for a reason an administrator can mend."""


class StorageFull(RepomanError):
    """The disk or the quota behind a blob store or the database is full."""


class UpstreamError(RepomanError):
    """The remote of a proxy did not give what was asked for. The text names the host that failed.

    Attributes:
        host: the host that failed, with its port, if it is not the remote's own.
        is_unreachable: whether nothing can be asked of that host, whatever the address.
    """

    host: str = ""
    is_unreachable: bool = False


class UpstreamUnavailable(UpstreamError):
    """The remote cannot be reached, or failed."""


class UpstreamTimeout(UpstreamUnavailable):
    """The remote is too slow."""


class UpstreamBlocked(UpstreamError):
    """The remote is not asked at present."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamBusy(UpstreamBlocked):
    """So many requests wait for the remote that no further one may."""


class UpstreamRefused(UpstreamError):
    """The remote answered 401 or 403 to this server; for its administrator to mend."""


class UpstreamRateLimited(UpstreamError):
    """The remote has had enough of our requests; ``headers`` are those of its answer."""

    def __init__(
        self,
        message: str,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.headers: Mapping[str, str] = headers or {}
