"""The doctor makes its checks side by side, and each of them finds what it is for."""

import re
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from repoman import doctor as package
from repoman.cli import cli
from repoman.config import DoctorSettings, ServerSettings, Settings, TlsSettings
from repoman.disk_space import MinFree
from repoman.doctor import machine_checks
from repoman.doctor.content_checks import upstream_check
from repoman.doctor.machine_checks import TIME_ERROR, clock_check, disk_check, files_check
from repoman.doctor.model import DoctorCheck, FindingState, Fix, bad, good, unchecked, warn
from repoman.doctor.network_checks import (
    _failed,
    body_check,
    certificate_check,
    proxy_check,
)
from repoman.doctor.probe import proof_of
from repoman.doctor.service import Doctor
from repoman.doctor.sightings import FORGOTTEN_S, ProxySightings
from repoman.errors import Conflict, NotFound, Unavailable
from repoman.proxy.remote_health import Condition, RemoteState
from repoman.repositories.ports import free_ports
from repoman.repositories.repository_records import ConnectorState, save_states
from repoman.security.certificates import CertificateFiles, create_certificate
from repoman.testing import Clock, RepomanFactory
from repoman_raw import plugin as raw


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw})


def make_doctor(repoman, *checks, clock=lambda: 1000.0, **settings) -> Doctor:
    doctor = Doctor(
        repoman.database, DoctorSettings(**settings), checks, repoman.repositories.all, clock
    )
    doctor.load()
    return doctor


def check(id_, *findings, **options) -> DoctorCheck:
    return DoctorCheck(id_, id_.title(), lambda _: findings, **options)


def states(findings) -> list[str]:
    return [each.state.value for each in findings]


# --- The service ----------------------------------------------------------------------------------


def test_results_are_kept_the_most_urgent_first(repoman):
    fire = bad("Fire", "It burns.", Fix("Run", "run"), repository="x")
    rain = warn("Rain", "", Fix("Wait"))
    checks = check("sun", good("shines")), check("rain", rain), check("fire", fire)
    doctor = make_doctor(repoman, *checks)
    assert doctor.results() == []
    found = doctor.examine()
    assert [each.check for each in found] == ["fire", "rain", "sun"]
    assert [each.title for each in doctor.problems()] == ["Fire", "Rain"]
    # Another process, or the next start.
    assert make_doctor(repoman, *checks).results() == found
    # A check that is gone (its plugin was removed) is forgotten.
    assert [each.check for each in make_doctor(repoman, checks[0]).examine()] == ["sun"]
    assert [each.check for each in make_doctor(repoman, *checks).results()] == ["sun"]


def test_one_check_can_be_made_alone(repoman):
    seen = []
    one, other = (
        DoctorCheck(id_, id_, lambda _, id_=id_: [good(str(seen.append(id_)))]) for id_ in "ab"
    )
    doctor = make_doctor(repoman, one, other)
    doctor.examine("b")
    assert seen == ["b"]
    with pytest.raises(NotFound, match="a, b"):
        doctor.examine("c")


def test_whatever_a_check_raises_is_a_finding(repoman, caplog):
    def break_down(_):
        raise ZeroDivisionError

    def refuse(_):
        raise Conflict("Two of them.")

    doctor = make_doctor(
        repoman,
        DoctorCheck("a", "A", break_down),
        DoctorCheck("b", "B", refuse),
        check("c", good("")),
    )
    a, b, c = sorted(doctor.examine(), key=lambda each: each.check)
    assert (a.state, b.state, c.state) == ("warn", "warn", "good")
    assert "Two of them." in b.findings[0].text
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1


def test_a_check_that_hangs_delays_nobody_and_takes_one_thread(repoman):
    release, begun = threading.Event(), []

    def hang(_):
        begun.append(threading.current_thread())
        assert release.wait(30)
        return [good("at last")]

    doctor = make_doctor(
        repoman, DoctorCheck("slow", "Slow", hang), check("a", good("")), timeout=0.1
    )
    for _ in range(3):
        found = {each.check: each for each in doctor.examine()}
        assert found["slow"].state == "warn"
        assert "has not ended" in found["slow"].findings[0].text
        assert found["a"].state == "good"
    assert len(begun) == 1
    release.set()
    doctor._running["slow"][1].result(30)
    assert {each.check: each.state for each in doctor.examine()}["slow"] == "good"


def test_a_start_asks_nobody_and_each_hour_all_checks_are_made(repoman):
    clock = Clock(1_000.0)
    seen = []
    checks = (
        DoctorCheck("own", "", lambda _: [good(str(seen.append("own")))]),
        DoctorCheck("far", "", lambda _: [good(str(seen.append("far")))], asks_others=True),
    )
    doctor = make_doctor(repoman, *checks, clock=clock, interval=3600)
    for seconds in (0, 10, 20, 10, 3550):
        clock.jump(seconds)
        doctor.look()
    assert seen == ["own"]
    clock.jump(10)
    doctor.look()
    doctor.look()
    assert seen[1:] == ["own", "far"] or seen[1:] == ["far", "own"]
    # After a start the hour goes on.
    again = make_doctor(repoman, *checks, clock=clock, interval=3600)
    clock.jump(30)
    again.look()
    assert seen[3:] == ["own"]
    clock.jump(3600)
    again.look()
    assert sorted(seen[4:]) == ["far", "own"]


def test_other_processes_keep_nothing_and_tell_what_the_server_saw(repoman):
    checks = (check("a", good("x")), check("b", bad("B", "seen"), needs_server=True))
    command = make_doctor(repoman, *checks)
    found = {each.check: each for each in command.examine(is_server=False)}
    assert found["b"].state == "unchecked"
    assert make_doctor(repoman, *checks).results() == []
    make_doctor(repoman, *checks).examine()
    found = {each.check: each for each in make_doctor(repoman, *checks).examine(is_server=False)}
    assert found["b"].findings[0].text == "seen"


def test_results_are_kept_in_read_only_mode(repoman):
    repoman.database.freeze("ann")
    doctor = make_doctor(repoman, check("a", good("x")))
    found = doctor.examine()
    assert make_doctor(repoman, check("a")).results() == found != []


def test_all_checks_of_the_product_work_and_have_titles(repoman):
    found = repoman.doctor.examine()
    assert all(each.title for each in found)
    assert not [each for result in found for each in result.findings if "not checked" in each.title]
    checks = {each.id: each for each in repoman.doctor._checks.values()}
    assert set(checks) == set(re.findall(r"`([a-z-]+)`", documented_checks()))


def documented_checks() -> str:
    text = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")
    table = text.partition("| check | what is looked at |")[2].partition("\n\n")[0]
    return "\n".join(line.split("|")[1] for line in table.splitlines()[2:]).replace(
        "`docker-hub`", ""
    )


def test_commands_that_mend_exist():
    """Each ``repoman …`` that the doctor proposes is a command of the command line."""
    root = Path(package.__file__).parents[2]
    sources = [*(root / "repoman/doctor").glob("*.py"), root / "repoman_docker/doctor.py"]
    commands = [
        found
        for source in sources
        for found in re.findall(r'"(repoman [a-z][^"]*)"', source.read_text(encoding="utf-8"))
        if found != "repoman authority"
    ]
    assert len(commands) > 12
    for command in commands:
        found, context = cli, click.Context(cli)
        words = command.split()[1:]
        while isinstance(found, click.Group):
            word = words.pop(0)
            found = found.get_command(context, word)
            assert found is not None, command
        options = {name for each in found.params for name in (*each.opts, *each.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= options, command


# --- Proxies in front -----------------------------------------------------------------------------


def test_proxies_in_front():
    clock = Clock(0.0)
    sightings = ProxySightings(clock)
    plain, known = (
        ServerSettings(trusted_proxies=["10.0.0.1"]),
        ServerSettings(external_url="https://x"),
    )
    assert states(proxy_check(plain, sightings).run([])) == ["good"]
    sightings.note("10.0.0.5", is_trusted=False, has_scheme=True)
    sightings.note("203.0.113.9", is_trusted=False, has_scheme=True)  # anybody can say so
    sightings.note("10.0.0.1", is_trusted=True, has_scheme=False)
    untrusted, silent, _ = proxy_check(plain, sightings).run([])
    assert "10.0.0.5" in untrusted.title
    assert '"10.0.0.1/32", "10.0.0.5"' in untrusted.fixes[0].code
    assert "10.0.0.1" in silent.text
    assert "X-Forwarded-Proto" in silent.fixes[0].code
    # With an external address the scheme does not matter.
    assert states(proxy_check(known, sightings).run([])) == ["warn", "good"]
    clock.jump(FORGOTTEN_S)
    assert states(proxy_check(plain, sightings).run([])) == ["good"]


# --- The size of bodies ---------------------------------------------------------------------------


class Front:
    """Listens as a proxy in front would, and answers each request with what ``answer`` returns."""

    def __init__(self, answer) -> None:
        self.requests = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            self.requests.append(request)
            connection.sendall(self._answer(request))

    def close(self) -> None:
        self._thread.join(10)
        self._socket.close()


def nonce_of(request: bytes) -> str:
    return re.search(rb"nonce=(\S+)", request)[1].decode()


@pytest.mark.parametrize(
    ("answer", "state", "title"),
    [
        (lambda _: b"HTTP/1.1 100 Continue\r\n\r\n", "good", ""),
        (lambda _: b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", "bad", "refuses large"),
        (lambda _: b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!", "bad", "elsewhere"),
        (
            lambda request: (
                b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"
                + proof_of("key", nonce_of(request)).encode()
            ),
            "good",
            "",
        ),
        (
            lambda request: (
                b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"
                + proof_of("another", nonce_of(request)).encode()
            ),
            "bad",
            "elsewhere",
        ),
        (lambda _: b"SSH-2.0-x\r\n", "warn", "does not answer"),
    ],
)
def test_a_probe_tells_what_is_in_front(answer, state, title):
    front = Front(answer)
    (found,) = body_check(front.url, lambda: "key").run([])
    front.close()
    assert found.state == state
    assert title in found.title
    head, _, body = front.requests[0].partition(b"\r\n\r\n")
    assert body == b""
    assert b"Content-Length: 1099511627776" in head


def test_without_an_external_address_there_is_no_probe():
    (found,) = body_check("", lambda: "key").run([])
    assert found.state == "unchecked"


# --- Connectors and certificates ------------------------------------------------------------------


def test_a_connector_that_failed_is_told_with_free_ports(repoman):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        state = ConnectorState("a:http", "a", f"http://127.0.0.1:{port}/", "It is in use.")
        fine = ConnectorState("*:https", "*", "https://127.0.0.1:8443/", "")
        save_states(repoman.database, 1, [state, fine])
        found = {each.check: each for each in repoman.doctor.examine("connectors")}["connectors"]
        finding, rest = found.findings
        assert (finding.state, finding.repository) == ("bad", "a")
        assert f"Port {port} of a" in finding.title
        assert "It is in use." in finding.text
        assert rest.text == "1 of 2 connectors open"
        free = free_ports("127.0.0.1", port - 1, ())
        assert free
        assert port not in free
    assert "the main port" in _failed(fine, ()).title


def test_certificates(tmp_path):
    settings, used = TlsSettings(), [False]
    run = certificate_check(settings, DoctorSettings(), tmp_path, lambda: used[0]).run
    assert states(run([])) == []  # Nothing listens with TLS.
    used[0] = True
    (missing,) = run([])
    assert missing.state == "bad"
    for days, state in ((90, "good"), (20, "warn"), (3, "bad"), (-0.01, "bad")):
        create_certificate(CertificateFiles.below(tmp_path / "tls"), ["repo.example.com"], days)
        (found,) = run([])
        assert found.state == state, found
        if state != "good":
            assert found.fixes[0].code == "repoman cert create repo.example.com"
    assert "has expired" in found.title


# --- Rights ---------------------------------------------------------------------------------------


def test_anonymous_access_is_told_and_changing_without_a_login_is_bad(repoman):
    repoman.repositories.create("files", "raw-hosted", {})

    def found():
        results = {each.check: each for each in repoman.doctor.examine("anonymous")}
        return results["anonymous"].findings

    assert found() == (good("off; 0 repositories can be read without a login"),)
    repoman.options.update("anonymous", {"enabled": True})
    assert found() == (good("on; 1 repository can be read without a login"),)
    repoman.options.update("anonymous", {"roles": ["nx-admin"]})
    assert states(found()) == ["bad", "bad", "bad", "good"]
    assert "files" in found()[0].text


def test_the_first_password(tmp_path):
    factory = RepomanFactory(tmp_path / "data")
    repoman = factory({})
    assert {each.check: each.state for each in repoman.doctor.examine("first-password")} == {
        "first-password": FindingState.GOOD
    }
    (tmp_path / "data/admin.password").write_text("x")
    (result,) = repoman.doctor.examine("first-password")
    assert result.state == "bad"
    repoman.users.set_password("admin", "another password")
    factory.stop()
    assert repoman.doctor.problems() == [], "it was looked at again"


# --- Upstreams ------------------------------------------------------------------------------------


class FakeRemote:
    def __init__(self, condition, *, at=0.0, then=Condition.AVAILABLE, error=None) -> None:
        self.state = RemoteState(condition, "It said no.", None, at)
        self.asked = 0
        self._then, self._error = then, error

    def check(self) -> RemoteState:
        self.asked += 1
        if self._error is not None:
            raise self._error
        return RemoteState(self._then, "It said no.", None, 1000.0)


def proxied(**remotes):
    return [
        SimpleNamespace(
            name=name,
            capabilities=SimpleNamespace(remote=remote),
            config=SimpleNamespace(is_online=True),
        )
        for name, remote in remotes.items()
    ]


def test_upstreams_in_doubt_are_asked():
    remotes = {
        "well": FakeRemote(Condition.AVAILABLE, at=990.0),
        "old": FakeRemote(Condition.AVAILABLE, at=-9000.0),
        "new": FakeRemote(Condition.READY),
        "down": FakeRemote(Condition.READY, then=Condition.AUTO_BLOCKED),
        "locked": FakeRemote(Condition.READY, then=Condition.LOGIN_REFUSED),
        "resting": FakeRemote(Condition.BLOCKED),
        "lost": FakeRemote(Condition.UNAVAILABLE, error=Unavailable("x")),
    }
    found = list(upstream_check(lambda: 1000.0).run(proxied(**remotes)))
    assert {each.repository: each.state.value for each in found[:-1]} == {
        "down": "warn", "locked": "bad", "lost": "warn"
    }  # fmt: skip
    assert found[-1].text == "3 of 7 upstreams answering"
    asked = [name for name, each in remotes.items() if each.asked]
    assert asked == ["old", "new", "down", "locked", "lost"]


def test_upstreams_of_which_none_answers_are_not_fine():
    def found(**remotes):
        return list(upstream_check(lambda: 1000.0).run(proxied(**remotes)))

    down = FakeRemote(Condition.READY, then=Condition.AUTO_BLOCKED)
    resting = FakeRemote(Condition.BLOCKED)
    assert states(found(down=down, resting=resting)) == ["warn"]
    assert found(resting=resting) == [good("1 upstream, blocked by the settings")]


# --- The machine ----------------------------------------------------------------------------------


def test_the_clock():
    assert states(clock_check(lambda: TIME_ERROR).run([])) == ["unchecked"]
    assert states(clock_check(lambda: -1).run([])) == ["unchecked"]
    assert states(clock_check(lambda: 0).run([])) == ["good"]


def test_a_disk_that_is_nearly_full(repoman):
    free = Settings(doctor={"free_space": 1}).doctor
    none = Settings(doctor={"free_space": 1 << 60}).doctor
    assert states(disk_check(free, repoman.data, repoman.stores).run([])) == ["good"]
    assert states(disk_check(none, repoman.data, repoman.stores).run([])) == ["warn"]


def test_quotas_that_are_used_up(repoman):
    check = repoman.doctor._checks["quotas"]

    def found():
        return [(each.state, each.title) for each in check.run([]) if each.is_problem]

    assert found() == []
    repoman.repositories.create("some", "raw-hosted", {"quota": {"limit": 0}})
    repoman.stores.limit("default", 0)
    assert found() == [
        ("bad", "Nothing new is stored in the repository some"),
        ("bad", "Nothing new is stored in the blob store default"),
    ]


def test_a_disk_that_must_not_become_fuller(repoman, monkeypatch):
    monkeypatch.setattr(repoman.database.reserve, "min_free", MinFree(1 << 60, 99.99))
    (found, *_) = repoman.doctor._checks["quotas"].run([])
    assert (found.state, found.title) == ("bad", "Nothing new is stored")
    assert "that must stay free" in found.text


def test_open_files():
    assert states(files_check(1).run([])) == ["good"]
    (found,) = files_check(1 << 40).run([])
    assert found.state == "warn"
    assert "LimitNOFILE" in found.fixes[0].code


def test_a_large_database_is_not_read(repoman, monkeypatch):
    def result():
        (found,) = repoman.doctor._checks["database"].run([])
        return found.state

    assert result() == "good"
    monkeypatch.setattr(machine_checks, "DATABASE_MAX_BYTES", 0)
    assert result() == "unchecked"


def test_the_kinds_of_findings():
    assert [each.is_problem for each in (bad("", ""), warn("", ""), good(""), unchecked(""))] == [
        True, True, False, False
    ]  # fmt: skip
