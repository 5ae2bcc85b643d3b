"""Answers that need no worker: the seam for a table of ready responses."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repoman.server.parser import Parser

if TYPE_CHECKING:
    from repoman.server.channel import Channel

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FastRequest:
    """A GET or HEAD by HTTP/1.1, without a body, on a connection that stays.

    Attributes:
        connector: key of the connector it came by.
        scheme: ``http`` or ``https``.
        path: decoded as in ``PATH_INFO``.
        headers: by name in capitals with underscores, as in ``HTTP_…`` but without that; not to be
            changed.
        client: address of the client.
    """

    connector: str
    scheme: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    client: str


# Returns the complete response, header and body, or None to leave the request to a worker. Runs on
# the main loop, where everything else waits for it: it may look into tables in memory, but not
# touch disk, database or log, nor compute for longer than some microseconds.
FastAnswer = Callable[[FastRequest], bytes | None]


def find_fast_answer(answer: FastAnswer, channel: "Channel", request: Parser) -> bytes | None:
    """Return the response to the request if it can be given at once."""
    if (
        request.error is not None
        or request.has_body
        or request.version != "1.1"
        or request.command not in ("GET", "HEAD")
        or "CONNECTION" in request.headers
        or channel.draining
    ):
        return None
    listener = channel.server
    fast_request = FastRequest(
        listener.connector,
        request.url_scheme,
        request.command,
        request.path,
        request.query,
        request.headers,
        channel.addr[0],
    )
    try:
        return answer(fast_request)
    except Exception:
        log.exception("The fast answer to %s failed; a worker takes over", request.path)
        return None
