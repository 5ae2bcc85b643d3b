"""The connector manager: what is listened for follows what is wanted, whatever goes wrong."""

import threading
from types import SimpleNamespace

import pytest

from repoman.config import Settings, TlsSettings
from repoman.errors import Conflict, Invalid, Unavailable
from repoman.repositories.model import Connector
from repoman.server import connectors
from repoman.server.connectors import ConnectorManager
from repoman.server.tls_contexts import Certificates
from tests.clock import LONG_S, WAIT_S
from tests.server.certificates import Certificate
from tests.server.conftest import eventually


class Listeners:
    """Remembers what is open."""

    def __init__(self):
        self.open = {}

    def add_listener(self, connector, host, port, tls=None):
        self.open[connector] = tls

    def remove_listener(self, connector):
        del self.open[connector]

    def swap_tls(self, connector, context):
        self.open[connector] = context


class Repoman:
    """What the connector manager sees of the core; ``on_refresh`` is called at each look."""

    def __init__(self):
        self.settings = Settings()
        self.repositories = self
        self.wanted = []
        self.looks = 0
        self.on_refresh = bool

    def subscribe(self, observer):
        self.observer = observer

    def revision(self):
        return 1

    def connectors(self):
        return list(self.wanted)

    def refresh(self):
        self.looks += 1
        self.on_refresh()


def connector(name, scheme="http"):
    return Connector(name, scheme, "127.0.0.1", 5000)


@pytest.fixture
def files(tmp_path):
    """The settings of a certificate that is there, in a directory of its own."""
    directory = tmp_path / "tls"
    directory.mkdir()
    made = Certificate(directory, "localhost")
    return TlsSettings(certificate=made.path, private_key=made.key_path)


@pytest.fixture
def parts(files, tmp_path, monkeypatch):
    """A watching connector manager with its surroundings."""
    monkeypatch.setattr(connectors, "POLL_S", 0.01)
    listeners, repoman = Listeners(), Repoman()
    manager = ConnectorManager(listeners, repoman, Certificates(files, tmp_path), lambda *_: None)
    manager.start()
    yield SimpleNamespace(manager=manager, listeners=listeners, repoman=repoman)
    manager.stop()


def wait_for_looks(repoman, count=3):
    seen = repoman.looks
    eventually(lambda: repoman.looks >= seen + count)


def test_a_failure_of_any_kind_does_not_end_the_watch_and_is_told_once(parts, caplog):
    def fail():
        raise ZeroDivisionError("of a plugin")

    parts.repoman.on_refresh = fail
    wait_for_looks(parts.repoman)
    assert (
        caplog.text.count("'connectors' failed and continues: ZeroDivisionError: of a plugin") == 1
    )
    assert "Traceback" in caplog.text
    parts.repoman.wanted = [connector("team")]  # nobody is told of it
    parts.repoman.on_refresh = bool
    eventually(lambda: parts.listeners.open == {"team:http": None})


def test_an_expected_failure_is_told_without_a_traceback(parts, caplog):
    def fail():
        raise Unavailable("The database is locked.")

    parts.repoman.on_refresh = fail
    wait_for_looks(parts.repoman)
    assert caplog.text.count("'connectors' could not do its work: The database is locked.") == 1
    assert "Traceback" not in caplog.text


def test_certificates_that_go_and_come_back_in_every_way(parts, files, caplog):
    parts.repoman.wanted = [connector("team", "https")]
    parts.manager.reconcile()
    first = parts.listeners.open["team:https"]
    directory = files.certificate.parent
    away = directory.with_name("away")
    for obstacle in (
        lambda: directory.write_text("no directory"),  # ENOTDIR
        lambda: directory.symlink_to(directory),  # ELOOP
        lambda: (directory.mkdir(), files.certificate.mkdir()),  # EISDIR
    ):
        directory.rename(away)
        obstacle()
        wait_for_looks(parts.repoman)
        assert parts.listeners.open["team:https"] is not None
        files.certificate.rmdir() if directory.is_dir() else None
        directory.rmdir() if directory.is_dir() else directory.unlink()
        away.rename(directory)
    eventually(lambda: parts.listeners.open["team:https"] is not first)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("name", ["missing", "file/below", "x" * 300, "loop/x"])
def test_a_certificate_that_cannot_be_looked_at_is_invalid(tmp_path, name):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    certificates = Certificates(TlsSettings(certificate=name, private_key=name), tmp_path)
    with pytest.raises(Invalid, match=r"(?i)TLS certificate"):
        certificates.load()
    assert not certificates.have_changed()


def test_of_two_changes_at_once_the_later_one_stays(parts):
    """The first asks what is wanted, and is overtaken before it opens anything."""
    listeners, repoman = parts.listeners, parts.repoman
    repoman.wanted = [connector("old")]
    parts.manager.reconcile()
    entered, go_on = threading.Event(), threading.Event()

    def connectors_of_then():
        found = list(repoman.wanted)
        if threading.current_thread() is slow:
            entered.set()
            assert go_on.wait(LONG_S)
        return found

    repoman.connectors = connectors_of_then
    slow = threading.Thread(target=parts.manager.reconcile)
    slow.start()
    assert entered.wait(WAIT_S)
    repoman.wanted = [connector("new")]
    fast = threading.Thread(target=parts.manager.reconcile)
    fast.start()
    fast.join(0.1)  # it may have to wait for the first
    go_on.set()
    slow.join(WAIT_S)
    fast.join(WAIT_S)
    assert listeners.open == {"new:http": None}


def test_a_reload_without_certificates_in_use_is_no_trouble(parts, files, caplog):
    files.certificate.unlink()
    parts.manager.reload()
    wait_for_looks(parts.repoman)
    assert "certificate" not in caplog.text
    assert parts.manager.thread.failure == ""


def test_a_connector_that_cannot_be_opened_is_named_with_its_repository(parts):
    def refuse(*_):
        raise Conflict("Port 5000 at 127.0.0.1 is in use by another program.")

    open_listener, parts.listeners.add_listener = parts.listeners.add_listener, refuse
    parts.repoman.wanted = [connector("team")]
    parts.manager.reconcile()
    assert parts.manager.problem == (
        "The connector http://127.0.0.1:5000/ of the repository team could not be opened: "
        "Port 5000 at 127.0.0.1 is in use by another program."
    )
    parts.listeners.add_listener = open_listener
    eventually(lambda: parts.manager.problem == "")
