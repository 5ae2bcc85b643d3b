"""The connector manager: keeps the listeners in step with the settings of the repositories."""

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from repoman.core import Repoman
from repoman.errors import RepomanError
from repoman.http.current import MAIN
from repoman.repositories.model import Connector
from repoman.repositories.repository_records import ConnectorState
from repoman.server.tls_contexts import Certificates
from repoman.threads import Periodic

# A change by another process is seen after this time at the latest.
POLL_S = 0.5

# Takes how the connectors are, and the revision of the repositories that this belongs to.
Report = Callable[[int, Sequence[ConnectorState]], None]

_log = logging.getLogger(__name__)


class Listeners(Protocol):
    """What the manager needs of the server: listeners that come and go while it runs."""

    def add_listener(
        self, connector: str, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> object:
        """Open a listener, with TLS where there is a context.

        Raises:
            RepomanError: the port cannot be used.
        """

    def remove_listener(self, connector: str) -> object:
        """Close a listener; running requests on it are finished."""

    def swap_tls(self, connector: str, context: ssl.SSLContext) -> None:
        """Use another TLS context for new connections."""


class ConnectorManager:
    """Opens and closes connectors as repositories are created, changed and deleted.

    A change in this process is applied before it returns; one by another process is seen by
    polling. A port that cannot be opened is logged once and retried until it can. ``report`` is
    called with the states of the connectors whenever they may have changed.
    """

    def __init__(
        self,
        listeners: Listeners,
        repoman: Repoman,
        certificates: Certificates,
        report: Report,
    ) -> None:
        self._report = report
        self._is_reported = True
        self._reported: tuple[int, list[ConnectorState]] | None = None
        self._revision = -1
        self._wanted: dict[str, Connector] = {}
        self._listeners = listeners
        self._certificates = certificates
        self._tls: ssl.SSLContext | None = None
        self._repoman = repoman
        self._repositories = repoman.repositories
        self._open: dict[str, Connector] = {}
        self._problems: dict[str, str] = {}
        self._is_reload_wanted = False
        self._lock = threading.Lock()
        self.thread = Periodic("connectors", self._follow, POLL_S)

    def start(self) -> None:
        """Open all connectors and watch for changes."""
        self._repositories.subscribe(self.reconcile)
        self.reconcile()
        with suppress(RepomanError):  # the thread tries again, and logs it
            self._report_states()
        self.thread.start()

    def stop(self) -> None:
        """Watch no longer; the listeners are the server's to close."""
        self.thread.stop()

    def reload(self) -> None:
        """Load the certificates again soon, changed or not; safe in a signal handler."""
        self._is_reload_wanted = True

    @property
    def problem(self) -> str:
        """Which connectors are not open, and why; empty if all are."""
        return " ".join(explain(state) for state in self._states() if state.problem)

    def open_connectors(self) -> list[Connector]:
        """Return the connectors that are open."""
        return list(self._open.values())

    def reconcile(self) -> None:
        """Close and open listeners to match the settings of the repositories."""
        with self._lock:
            # Asked for with the lock held: what is wanted later must not be overtaken. The revision
            # first: what is listed may be newer, but not older.
            self._revision = self._repositories.revision()
            wanted = {
                each.key: each
                for each in [*self._main_connectors(), *self._repositories.connectors()]
            }
            for key in [key for key, each in self._open.items() if wanted.get(key) != each]:
                del self._open[key]
                self._listeners.remove_listener(key)
                _log.info("The connector %s is closed.", key)
            self._problems = {key: text for key, text in self._problems.items() if key in wanted}
            for key, connector in wanted.items():
                if key not in self._open:
                    self._try_open(key, connector)
            self._wanted = wanted
            self._is_reported = False

    def _try_open(self, key: str, connector: Connector) -> None:
        try:
            tls = self._context() if connector.scheme == "https" else None
            self._listeners.add_listener(key, connector.host, connector.port, tls)
        except RepomanError as error:
            if self._problems.get(key) != str(error):
                self._problems[key] = str(error)
                _log.error("The connector of %s cannot be opened: %s", connector.repository, error)
            return
        self._problems.pop(key, None)
        self._open[key] = connector
        _log.info("The connector %s listens on %s", key, connector.url)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = self._certificates.load()
        return self._tls

    def _main_connectors(self) -> list[Connector]:
        server = self._repoman.settings.server
        if not server.https_port:
            return []
        return [Connector(MAIN, "https", server.host, server.https_port)]

    def _follow(self) -> None:
        self._repoman.refresh()
        if self._is_reload_wanted or self._certificates.have_changed():
            self._is_reload_wanted = False
            self._take_over_certificates()
        if self._problems or self.thread.failure:
            self.reconcile()
        self._report_states()

    def _report_states(self) -> None:
        """Report the states of the connectors, if they have changed since the last report."""
        with self._lock:
            if self._is_reported:
                return
            revision, states = self._revision, self._states()
            self._is_reported = True
        if (revision, states) == self._reported:
            return
        try:
            self._report(revision, states)
        except RepomanError:
            self._is_reported = False  # The next look tries again.
            raise
        self._reported = (revision, states)

    def _states(self) -> list[ConnectorState]:
        return [
            ConnectorState(key, each.repository, each.url, self._problems.get(key, ""))
            for key, each in self._wanted.items()
        ]

    def _take_over_certificates(self) -> None:
        if self._tls is None:  # nothing uses any; a connector that wants them loads them itself
            return
        context = self._certificates.load()
        with self._lock:
            self._tls = context
            for key, connector in self._open.items():
                if connector.scheme == "https":
                    self._listeners.swap_tls(key, context)
        _log.info("Loaded the changed TLS certificates.")


def explain(state: ConnectorState) -> str:
    """Return the sentence that tells an administrator of a connector that is not open."""
    whose = "the main port" if state.repository == MAIN else f"the repository {state.repository}"
    return f"The connector {state.url} of {whose} could not be opened: {state.problem}"
