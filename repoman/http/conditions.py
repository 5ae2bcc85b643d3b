"""What a request demands of what is at its address (RFC 9110, section 13)."""

from dataclasses import dataclass
from typing import Any

from werkzeug.http import parse_date

from repoman.errors import PreconditionFailed


@dataclass(frozen=True, slots=True)
class Precondition:
    """The headers of a request that say in which state it may be carried out; None: not sent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_unmodified_since: str | None = None

    def check(self, etag: str, last_modified: float | None) -> None:
        """Return if a write may change what is there; an empty ``etag``: nothing is there.

        Raises:
            PreconditionFailed: the client did not expect it so.
        """
        self.check_read(etag, last_modified)
        if self.if_none_match is not None and is_named(etag, self.if_none_match):
            raise PreconditionFailed("There is one already: If-None-Match does not allow it.")

    def check_read(self, etag: str, last_modified: float | None) -> None:
        """As above for a read, to which If-None-Match is no obstacle: it then sends no bytes."""
        if self.if_match is not None:
            if not is_named(etag, self.if_match, is_strong=True):
                raise PreconditionFailed("What is there, if anything, is not what If-Match names.")
        elif self._is_newer(last_modified):
            raise PreconditionFailed("It has changed since the time in If-Unmodified-Since.")

    def _is_newer(self, last_modified: float | None) -> bool:
        since = parse_date(self.if_unmodified_since)
        return since is not None and (last_modified or 0) >= since.timestamp() + 1


NO_PRECONDITION = Precondition()


def precondition_of(environ: dict[str, Any]) -> Precondition:
    """Return the precondition of a request."""
    return Precondition(
        environ.get("HTTP_IF_MATCH"),
        environ.get("HTTP_IF_NONE_MATCH"),
        environ.get("HTTP_IF_UNMODIFIED_SINCE"),
    )


def is_named(etag: str, header: str, *, is_strong: bool = False) -> bool:
    """Return whether a list of validators names one; a strong comparison takes no weak ones."""
    if not etag:
        return False
    tags = [tag.strip() for tag in header.split(",")]
    if not is_strong:
        tags = [tag.removeprefix("W/") for tag in tags]
    # Some clients send the validator without its quotes.
    return "*" in tags or etag in [tag.strip('"') for tag in tags]
