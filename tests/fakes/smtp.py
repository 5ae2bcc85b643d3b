"""A mail server on loopback that keeps what it is sent; with TLS and logins if a test wants."""

import socketserver
import ssl
import threading
from base64 import b64decode
from contextlib import suppress
from typing import Any


class MailServer:
    """Takes messages.

    Args:
        tls: the context of STARTTLS, or of all connections; None: no TLS.
        from_start: whether connections begin with TLS.
        password: that of the user ``robot``; None: no login is offered.
        refusal: the answer to each recipient, such as ``550 No such user``.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        from_start: bool = False,
        password: str | None = None,
        refusal: str = "",
    ) -> None:
        self.messages: list[str] = []
        self.tls, self.from_start, self.password, self.refusal = tls, from_start, password, refusal
        self.secured = 0
        handler = type("Handler", (_Handler,), {"mail": self})
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(socketserver.StreamRequestHandler):
    mail: MailServer
    timeout = 30

    def handle(self) -> None:
        """Speak SMTP until the client leaves."""
        try:
            if self.mail.from_start:
                self._secure()
            self._say("220 mail")
            while (line := self.rfile.readline().decode().strip()) and self._answer(line):
                pass
        except (OSError, ValueError):
            pass
        finally:
            for each in (self.wfile, self.rfile, self.request):
                with suppress(OSError, ValueError):
                    each.close()

    def _secure(self) -> None:
        assert self.mail.tls is not None
        self.request = self.mail.tls.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")
        self.mail.secured += 1

    def _say(self, *lines: Any) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
        self.wfile.flush()

    def _extensions(self) -> list[str]:
        offers_tls = self.mail.tls is not None and not self.mail.from_start
        offers_login = self.mail.password is not None
        return ["250-STARTTLS"] * offers_tls + ["250-AUTH PLAIN"] * offers_login

    def _log_in(self, given: str) -> None:
        _, name, password = b64decode(given).decode().split("\0")
        is_right = (name, password) == ("robot", self.mail.password)
        self._say("235 ok" if is_right else "535 Wrong password")

    def _take(self) -> None:
        self._say("354 go")
        self.mail.messages.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
        self._say("250 ok")

    def _answer(self, line: str) -> bool:
        verb = line.split(" ")[0].split(":")[0].upper()
        if verb == "EHLO":
            self._say("250-mail", *self._extensions(), "250 8BITMIME")
        elif verb == "STARTTLS":
            self._say("220 go")
            self._secure()
        elif verb == "AUTH":
            self._log_in(line.split(" ")[2])
        elif verb == "RCPT" and self.mail.refusal:
            self._say(self.mail.refusal)
        elif verb == "DATA":
            self._take()
        elif verb == "QUIT":
            self._say("221 bye")
            return False
        else:
            self._say("250 ok")
        return True
