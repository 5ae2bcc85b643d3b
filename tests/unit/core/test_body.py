"""Request bodies: asked for in the route, admitted before they are read."""

import hashlib
import io

import pytest
from werkzeug.exceptions import ClientDisconnected
from werkzeug.test import EnvironBuilder

from repoman.errors import Denied, StorageFull, TooLarge
from repoman.http.body import (
    ADMISSION,
    BODY_ERROR,
    RECEIVED,
    BodyWanted,
    read_body,
    receive_body,
)
from repoman.http.router import create_application
from repoman.testing import HttpClient

DATA = bytes(range(256)) * 4096


class Sink:
    """Keeps what it gets; fails when it has ``room`` for no more."""

    def __init__(self, room=1 << 30):
        self.data = b""
        self.closed = 0
        self._room = room

    def check_room(self, size):
        if size > self._room:
            raise StorageFull("no room")

    def write(self, data):
        if len(self.data) + len(data) > self._room:
            raise StorageFull("no room")
        self.data += data

    def close(self):
        self.closed += 1


def environ(body=b"", length=None, **values):
    return {
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body) if length is None else length),
        **values,
    }


# --- Into a sink ---------------------------------------------------------------------------------


def test_a_body_is_read_in_place_under_any_server():
    sink = receive_body(environ(DATA), Sink)
    assert (sink.data, sink.closed) == (DATA, 0)


@pytest.mark.parametrize("values", [{}, {ADMISSION: True}])
def test_a_body_known_not_to_fit_is_refused_before_its_first_byte(values):
    sink = Sink(room=len(DATA) - 1)
    wanted = environ(DATA, **values)
    with pytest.raises(StorageFull):
        receive_body(wanted, lambda: sink)
    assert (sink.data, sink.closed) == (b"", 1)
    assert wanted["wsgi.input"].tell() == 0


def test_a_body_without_a_length_is_read_to_its_end():
    chunked = environ(DATA, **{"wsgi.input_terminated": True})
    del chunked["CONTENT_LENGTH"]
    assert receive_body(chunked, Sink).data == DATA


def test_a_body_that_is_cut_off_closes_the_sink():
    sink = Sink()
    with pytest.raises(ClientDisconnected):
        receive_body(environ(DATA, length=len(DATA) + 1), lambda: sink)
    assert sink.closed == 1


def test_a_sink_that_fails_is_closed():
    sink = Sink(room=10)
    with pytest.raises(StorageFull):
        receive_body(environ(DATA), lambda: sink)
    assert sink.closed == 1


def test_during_admission_the_route_ends_where_it_asks_for_the_body():
    sink = Sink()
    with pytest.raises(BodyWanted) as caught:
        receive_body(environ(DATA, **{ADMISSION: True}), lambda: sink)
    assert caught.value.sink is sink
    assert sink.data == b""


def test_no_error_handler_takes_that_for_a_failure():
    assert not issubclass(BodyWanted, Exception)


def test_a_refusal_during_admission_is_the_answer():
    def refuse():
        raise Denied("no")

    with pytest.raises(Denied):
        receive_body(environ(DATA, **{ADMISSION: True}), refuse)


def test_after_admission_the_route_gets_the_sink_that_the_server_filled():
    filled, again = Sink(), []
    received = receive_body(environ(**{RECEIVED: filled}), lambda: again.append(1))
    assert received is filled
    assert again == []


def test_a_body_that_the_server_could_not_take_fails_in_the_route():
    filled = Sink()
    failed = environ(**{RECEIVED: filled, BODY_ERROR: StorageFull("no room")})
    with pytest.raises(StorageFull):
        receive_body(failed, Sink)
    assert filled.closed == 1


# --- Into memory ---------------------------------------------------------------------------------


def test_a_small_body_is_bytes():
    assert read_body(environ(b"0123456789"), limit=10) == b"0123456789"


@pytest.mark.parametrize("length", [None, 11])
def test_a_body_over_the_limit_is_refused(length):
    with pytest.raises(TooLarge, match="10 bytes"):
        read_body(environ(b"01234567890", length=length), limit=10)


def test_a_body_without_a_length_is_refused_when_it_passes_the_limit():
    chunked = environ(DATA, **{"wsgi.input_terminated": True})
    del chunked["CONTENT_LENGTH"]
    with pytest.raises(TooLarge):
        read_body(chunked, limit=10)


def test_a_length_over_the_limit_is_refused_during_admission():
    with pytest.raises(TooLarge):
        read_body(environ(length=11, **{ADMISSION: True}), limit=10)


def test_during_admission_a_small_body_is_asked_for_with_its_limit():
    with pytest.raises(BodyWanted) as caught:
        read_body(environ(b"hello", **{ADMISSION: True}), limit=10)
    assert (caught.value.sink, caught.value.limit) == (None, 10)


def test_a_small_body_that_the_server_could_not_take_fails_in_the_route():
    with pytest.raises(StorageFull):
        read_body(environ(**{BODY_ERROR: StorageFull("no room")}), limit=10)


# --- Through the whole application ---------------------------------------------------------------


@pytest.mark.parametrize("admission", [True, False])
def test_a_route_is_written_once_for_both_kinds_of_server(repoman, admission):
    client = HttpClient(repoman, admission=admission)
    stored = client.put("/repository/Team/stored", DATA)
    assert stored.text == hashlib.sha256(DATA).hexdigest()
    assert client.put("/repository/Team/small", b"hello").data == b"hello"
    assert client.put("/repository/Team/small", b"x" * 11).status_code == 413


@pytest.mark.parametrize("admission", [True, False])
def test_a_refused_request_is_answered_before_its_body_is_read(repoman, admission):
    class Unread(io.BytesIO):
        def read(self, *_):
            raise AssertionError("the body was read")

        readinto = readline = read

    client = HttpClient(repoman, admission=admission)
    for options in ({"login": False}, {"auth": ("admin", "guess")}):
        answer = client.request(
            "PUT",
            "/repository/Team/stored",
            input_stream=Unread(DATA),
            **options,
        )
        assert answer.status_code == 401


def test_a_body_that_is_refused_late_is_let_go_before_the_answer_leaves(repoman):
    class Sink:
        closed = 0

        def check_room(self, size):
            raise AssertionError("nothing is asked any more")

        write = check_room

        def close(self):
            self.closed += 1

    sink = Sink()
    wsgi = EnvironBuilder("/repository/Team/stored", method="PUT").get_environ()
    answer = []
    create_application(repoman)({**wsgi, RECEIVED: sink}, lambda status, *_: answer.append(status))
    assert (answer, sink.closed) == (["401 UNAUTHORIZED"], 1)
