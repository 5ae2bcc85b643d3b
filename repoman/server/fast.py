"""Answers that need no worker: the seam for a table of ready responses."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repoman.server.connection import Connection

log = logging.getLogger(__name__)

RAW_REQUEST = "repoman.raw_request"  # environ: a request without a body, byte for byte

# Takes the key of the connector, what arrived by it up to an empty line, and the address of the
# client. Returns the complete response, header and body, or None to leave it to the parser and a
# worker. Nobody has looked at those bytes: they may be no request, or one with a body to come. Runs
# on the main loop, where everything else waits for it: it may look into tables in memory, but not
# touch disk, database or log, nor compute for longer than some microseconds.
FastAnswer = Callable[[str, bytes, str], bytes | None]


def find_fast_answer(answer: FastAnswer, connection: "Connection", raw: bytes) -> bytes | None:
    """Return the response to the request if it can be given at once."""
    if connection.draining:
        return None
    try:
        return answer(connection.server.connector, raw, connection.addr[0])
    except Exception:
        log.exception("The fast path failed; a worker handles the request")
        return None
