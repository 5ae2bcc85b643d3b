"""A request to the server by its external address, which shows what a proxy in front refuses.

It announces a large body and sends none: who limits bodies refuses it by its length at once
(413), and who does not asks for the body (100) or passes the request on. The answer of this server
is a proof that it came here.
"""

import hmac
import http.client
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from cryptography import x509

PATH = "/api/v1/doctor/probe"
BODY_BYTES = 1 << 40  # The length of the body that is announced, more than any layer has.
NONCE_CHARS = 43  # The length of the text that the proof belongs to.
TIMEOUT_S = 4.0  # Seconds for each step.
ANSWER_MAX_BYTES = 1_000  # Bytes of an answer that are read.


def proof_of(key: str, nonce: str) -> str:
    """Return what this server, which has the key, answers to a probe."""
    return hmac.new(key.encode(), f"probe {nonce}".encode(), "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What became of a probe.

    Attributes:
        status: of the answer; 100: the body was asked for, 0: there was no answer.
        text: the answer, or why there was none.
        ends_at: when the certificate in front ends; None: there is none, or none was seen.
    """

    status: int
    text: str
    ends_at: datetime | None = None


def send_probe(url: str, nonce: str) -> ProbeAnswer:
    """Announce a large body at an address, and return what came of it.

    The certificate is not verified: nothing secret is sent.
    """
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as plain:
            if not is_tls:
                return _ask(plain, parts.netloc, parts.path, nonce)
            with _unverified().wrap_socket(plain, server_hostname=host) as tls:
                answer = _ask(tls, parts.netloc, parts.path, nonce)
                return ProbeAnswer(answer.status, answer.text, _end_of(tls))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return ProbeAnswer(0, str(error) or type(error).__name__)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _end_of(tls: ssl.SSLSocket) -> datetime | None:
    der = tls.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).not_valid_after_utc.astimezone(UTC) if der else None


def _ask(connection: socket.socket, host: str, prefix: str, nonce: str) -> ProbeAnswer:
    target = f"{prefix.rstrip('/')}{PATH}?{urlencode({'nonce': nonce})}"
    lines = (
        f"POST {target} HTTP/1.1",
        f"Host: {host}",
        f"Content-Length: {BODY_BYTES}",
        "Content-Type: application/octet-stream",
        "Expect: 100-continue",
        "Connection: close",
    )
    connection.sendall("\r\n".join((*lines, "", "")).encode("ascii"))
    with http.client.HTTPResponse(connection, method="POST") as response:
        if response.fp.peek()[9:12] == b"100":  # Else its reader would wait for the next one.
            return ProbeAnswer(HTTPStatus.CONTINUE, "")
        response.begin()
        return ProbeAnswer(
            response.status, response.read(ANSWER_MAX_BYTES).decode("ascii", "replace").strip()
        )
