"""Whether a port is free for a connector or in use: by a repository, this server or a program."""

import errno
import os
import socket

from repoman.errors import Conflict, Invalid


def check_port_is_free(host: str, port: int, field: str) -> None:
    """Return if a listener could be opened on the port now, or if only the server can tell.

    The server may have a right that this process lacks, such as that to a port below 1024.

    Raises:
        Conflict: another program listens there.
        Invalid: the system lets nobody listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Conflict(f"{field}: another program listens on port {port}.") from error
            if error.errno in (errno.EACCES, errno.EPERM):
                return
            reason = os.strerror(error.errno or 0)
            raise Invalid(f"{field}: cannot listen on {host}:{port}: {reason}.", field) from error
