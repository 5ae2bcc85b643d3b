"""Upload sessions: one writer at a time, true offsets, and what survives a restart."""

import errno
import hashlib
import os
import threading
import time

import peewee
import pytest

from repoman.blobs.file_writer import KEPT_OPEN_BYTES
from repoman.content import ContentStore, NewAsset
from repoman.db.models import UploadRecord
from repoman.errors import Conflict, NotFound, RangeInvalid, StorageFull, Unavailable
from repoman.events.event import Coordinate
from repoman.repositories.repository_records import delete_row
from repoman.testing import Clock
from repoman.upload_records import open_upload_ids
from repoman.uploads import KNOWN_S, UploadSessions
from tests.clock import wait_until
from tests.disk import file_store, room_for
from tests.statements import executed_statements

DATA = b"0123456789" * 1000
LARGE = bytes(KEPT_OPEN_BYTES + 1)  # Its file does not stay open between two requests.


@pytest.fixture
def repository(make_repository):
    return make_repository("files")


@pytest.fixture
def open_sessions(database, tmp_path, repository):
    """The sessions of the repository, as another process or a later start sees them."""
    return lambda: UploadSessions(database, repository, "default", file_store(tmp_path / "blobs"))


@pytest.fixture
def sessions(open_sessions):
    return open_sessions()


@pytest.fixture
def uploaded(tmp_path):
    """The files of all uploads."""
    return lambda: sorted(path.name for path in (tmp_path / "blobs/uploads").iterdir())


def append(sessions, upload, data, start=None):
    with sessions.open_sink(upload, start) as sink:
        sink.write(data)


def finish(sessions, upload, database):
    with sessions.open_sink(upload) as sink:
        blob = sink.commit()
        with database.transaction():
            sessions.forget(upload)
    return blob


# --- In order ------------------------------------------------------------------------------------


def test_a_body_may_come_in_pieces(sessions, database):
    upload = sessions.create("app", "ann")
    assert sessions.offset(upload) == 0
    append(sessions, upload, DATA[:3000])
    assert sessions.offset(upload) == 3000
    append(sessions, upload, DATA[3000:])
    assert finish(sessions, upload, database).digest == hashlib.sha256(DATA).hexdigest()


def test_a_push_uses_no_query_builder(sessions, database, repository, tmp_path, monkeypatch):
    """It takes longer than the rest of a small push."""
    content = ContentStore(database, repository, "default", file_store(tmp_path / "blobs"))

    def build(*_):
        raise AssertionError("a query was built")

    monkeypatch.setattr(peewee.Context, "sql", build)
    assert content.find_asset("a") is None
    upload = sessions.create("app", "ann")
    append(sessions, sessions.get(upload.id, "app", "ann"), DATA)
    with sessions.open_sink(upload) as sink, database.transaction():
        asset = NewAsset("a", "file", sink.commit(), "text/plain", component=Coordinate("x", "y"))
        content.save_asset(asset)
        sessions.forget(upload)
    assert list(content.existing(["a"])) == ["a"]
    assert content.referring("a", "needs") == []


def test_a_session_is_not_looked_for_in_each_request(sessions, open_sessions, monkeypatch):
    monkeypatch.setattr("repoman.uploads.KNOWN_S", 3600.0)  # however slow this machine is
    upload = sessions.create("app", "ann")
    with executed_statements() as statements:
        assert sessions.get(upload.id, "app", "ann") == upload
    assert statements == []


def test_another_process_may_end_a_session(sessions, open_sessions):
    upload = sessions.create("app", "ann")
    open_sessions().cancel(upload)
    wait_until(
        lambda: sessions._live[upload.id].known(sessions._users()) is None, what="a new look"
    )
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "ann")


def test_a_client_that_never_rests_notices_it_too(sessions, open_sessions, monkeypatch):
    clock = Clock(1000.0)
    monkeypatch.setattr("repoman.uploads.time.monotonic", clock)
    upload = sessions.create("app", "ann")
    open_sessions().cancel(upload)
    clock.jump(KNOWN_S * 0.75)
    assert sessions.get(upload.id, "app", "ann") == upload
    clock.jump(KNOWN_S * 0.75)
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "ann")
    assert sessions._live == {}


def test_a_session_that_another_process_ended_is_cancelled_once(sessions, open_sessions):
    upload = sessions.create("app", "ann")
    open_sessions().cancel(upload)
    with pytest.raises(NotFound):
        sessions.cancel(upload)
    assert sessions._live == {}


def test_a_session_being_written_to_is_not_let_go_of(sessions, database, monkeypatch):
    upload = sessions.create("app", "ann")
    monkeypatch.setattr("repoman.uploads.find_upload", lambda *_: None)
    sessions._live[upload.id].known_until = 0.0
    with sessions.open_sink(upload) as sink:
        with pytest.raises(NotFound):
            sessions.get(upload.id, "app", "ann")
        sink.write(DATA)
    assert finish(sessions, upload, database).size == len(DATA)


def test_a_sink_tells_the_bytes_of_the_session_and_of_the_request(sessions):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA[:3000])
    with sessions.open_sink(upload) as sink:
        assert (sink.offset, sink.received) == (3000, 0)
        sink.write(DATA[:17])
        assert (sink.offset, sink.received) == (3017, 17)


def test_a_finished_session_is_gone(sessions, database, uploaded):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA)
    finish(sessions, upload, database)
    assert uploaded() == []
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "ann")


def test_the_algorithms_asked_for_are_hashed_on_the_way(sessions, tmp_path):
    upload = sessions.create("app", "ann", ("sha512",))
    append(sessions, upload, DATA)
    (tmp_path / "blobs/uploads" / upload.id).write_bytes(b"")  # so it is not read from there
    with sessions.open_sink(upload) as sink:
        assert sink.hexdigest("sha512") == hashlib.sha512(DATA).hexdigest()


# --- Whose session -------------------------------------------------------------------------------


def test_a_session_is_found_by_those_who_began_it_where_they_began_it(sessions, make_repository):
    upload = sessions.create("app", "ann")
    assert sessions.get(upload.id, "app", "ann") == upload
    for wrong in (
        ("0" * 32, "app", "ann"),
        (upload.id, "other", "ann"),
        (upload.id, "app", "bob"),
        ("../" + upload.id, "app", "ann"),
    ):
        with pytest.raises(NotFound):
            sessions.get(*wrong)


def test_a_session_belongs_to_its_repository(sessions, database, blobs, make_repository):
    upload = sessions.create("app", "ann")
    other = UploadSessions(database, make_repository("other"), "default", blobs)
    with pytest.raises(NotFound):
        other.get(upload.id, "app", "ann")


def test_ids_cannot_be_guessed(sessions):
    ids = {sessions.create("app", "ann").id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(bytes.fromhex(upload_id)) == 16 for upload_id in ids)


# --- One request at a time -----------------------------------------------------------------------


def test_a_second_request_has_to_wait(sessions):
    upload = sessions.create("app", "ann")
    with sessions.open_sink(upload) as sink:
        for attempt in (sessions.open_sink, sessions.cancel):
            with pytest.raises(Conflict):
                attempt(upload)
        sink.write(DATA)
    assert sessions.offset(upload) == len(DATA)


def test_a_sink_may_be_closed_twice_without_harm_to_the_next(sessions):
    upload = sessions.create("app", "ann")
    first = sessions.open_sink(upload)
    first.close()
    with sessions.open_sink(upload):
        first.close()
        with pytest.raises(Conflict):
            sessions.open_sink(upload)


def test_of_many_requests_at_once_one_gets_the_session(sessions):
    upload = sessions.create("app", "ann")
    start = threading.Barrier(8)
    won, refused = [], []

    def attempt():
        start.wait()
        try:
            won.append(sessions.open_sink(upload))
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 7)
    won[0].close()


@pytest.mark.parametrize("start", [0, 2999, 3001, 10**12])
def test_bytes_for_another_place_are_refused_with_the_true_one(sessions, start):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA[:3000])
    with pytest.raises(RangeInvalid) as caught:
        sessions.open_sink(upload, start)
    assert caught.value.offset == 3000
    append(sessions, upload, DATA[3000:], start=3000)
    assert sessions.offset(upload) == len(DATA)


# --- Ends ----------------------------------------------------------------------------------------


def test_a_cancelled_session_leaves_nothing(sessions, uploaded):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA)
    sessions.cancel(upload)
    assert uploaded() == []
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "ann")


def test_a_session_that_ended_since_it_was_looked_up_takes_no_bytes(sessions, uploaded):
    upload = sessions.create("app", "ann")
    looked_up = sessions.get(upload.id, "app", "ann")
    sessions.cancel(upload)
    with pytest.raises(NotFound):
        append(sessions, looked_up, DATA)
    with pytest.raises(NotFound):
        sessions.cancel(looked_up)
    assert uploaded() == []


def test_a_session_without_a_byte_may_be_cancelled_or_finished(sessions, database):
    sessions.cancel(sessions.create("app", "ann"))
    blob = finish(sessions, sessions.create("app", "ann"), database)
    assert (blob.digest, blob.size) == (hashlib.sha256(b"").hexdigest(), 0)


def test_a_session_that_fills_the_disk_ends_and_gives_the_room_back(sessions, uploaded):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA[:1000])
    with sessions.open_sink(upload) as sink, room_for(3000):
        with pytest.raises(StorageFull):
            sink.write(DATA)
        assert sink.offset == 3000
    assert uploaded() == []
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "ann")


def test_a_session_that_cannot_become_whole_ends_before_its_next_byte(sessions, uploaded):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA[:1000])
    with sessions.open_sink(upload) as sink:
        sink.check_room(1000)
        with pytest.raises(StorageFull):
            sink.check_room(1 << 60)
    assert uploaded() == []
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "ann")


def commit_and_forget(sessions, upload, database):
    finish(sessions, upload, database)


def append_more(sessions, upload, _):
    append(sessions, upload, LARGE)


@pytest.mark.parametrize("way", [append_more, commit_and_forget])
def test_a_session_whose_sync_failed_ends_with_its_bytes(
    sessions, database, uploaded, monkeypatch, way
):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(Unavailable):
            way(sessions, upload, database)
    assert uploaded() == []
    for again in (
        lambda: sessions.get(upload.id, "app", "ann"),
        lambda: finish(sessions, upload, database),
    ):
        with pytest.raises(NotFound):
            again()
    assert sessions._live == {}


def fail(*_, **__):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_sync_that_fails_after_the_client_has_gone_ends_the_session_too(
    sessions, uploaded, monkeypatch, caplog
):
    upload = sessions.create("app", "ann")
    sink = sessions.open_sink(upload)
    sink.write(LARGE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        sink.close()
    assert "Input/output error" in caplog.text
    assert uploaded() == []
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "ann")


def test_a_session_ends_whose_blob_cannot_be_recorded(sessions, database, uploaded):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA)

    def commit_in_vain():
        with sessions.open_sink(upload) as sink:
            sink.commit()
            with database.transaction():
                sessions.forget(upload)
                raise Unavailable("The database is busy. Try again.")

    with pytest.raises(Unavailable):
        commit_in_vain()
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "ann")
    assert (uploaded(), sessions._live) == ([], {})


def test_a_failed_session_that_cannot_be_removed_is_gone_all_the_same(
    sessions, database, monkeypatch
):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA)
    with monkeypatch.context() as patch:
        for name in ("fsync", "unlink"):
            patch.setattr(os, name, fail)
        patch.setattr(type(database), "transaction", fail_to_write)
        with pytest.raises(Unavailable):
            append(sessions, upload, LARGE)
    for again in (
        lambda: sessions.get(upload.id, "app", "ann"),
        lambda: append(sessions, upload, DATA),
    ):
        with pytest.raises(NotFound):
            again()


def fail_to_write(_):
    raise Unavailable("The database can only be read.")


def test_a_session_cannot_begin_in_a_repository_that_is_gone(sessions, repository):
    delete_row(repository)
    with pytest.raises(Conflict, match="deleted"):
        sessions.create("app", "ann")


# --- Restart -------------------------------------------------------------------------------------


def test_a_session_goes_on_after_a_restart(sessions, open_sessions, database):
    upload = sessions.create("app", "ann", ("sha512",))
    append(sessions, upload, DATA[:3000])
    later = open_sessions()
    found = later.get(upload.id, "app", "ann")
    assert found == upload
    assert later.offset(found) == 3000
    append(later, found, DATA[3000:], start=3000)
    with later.open_sink(found) as sink:
        assert sink.hexdigest("sha512") == hashlib.sha512(DATA).hexdigest()
    assert finish(later, found, database).digest == hashlib.sha256(DATA).hexdigest()


def test_a_session_may_be_cancelled_after_a_restart(sessions, open_sessions, uploaded):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA)
    open_sessions().cancel(upload)
    assert uploaded() == []


def test_nothing_of_a_session_that_ended_stays_in_memory(sessions, database):
    finished, cancelled = sessions.create("app", "ann"), sessions.create("app", "ann")
    append(sessions, finished, DATA)
    finish(sessions, finished, database)
    sessions.cancel(cancelled)
    with pytest.raises(NotFound):
        sessions.open_sink(finished)
    assert sessions._live == {}


def test_of_very_many_sessions_the_oldest_are_not_kept_in_memory(sessions, database, monkeypatch):
    monkeypatch.setattr("repoman.uploads.LIVE_MAX", 20)
    first, held = sessions.create("app", "ann", ("sha512",)), sessions.create("app", "ann")
    append(sessions, first, DATA[:3000])
    with sessions.open_sink(held) as sink:
        sink.write(DATA[:3000])
        others = [sessions.create("app", "ann") for _ in range(100)]
        assert len(sessions._live) <= 20
        sink.write(DATA[3000:])
    assert finish(sessions, held, database).digest == hashlib.sha256(DATA).hexdigest()
    append(sessions, sessions.get(first.id, "app", "ann"), DATA[3000:], start=3000)
    assert finish(sessions, first, database).digest == hashlib.sha256(DATA).hexdigest()
    for each in others:
        sessions.cancel(each)
    assert sessions._live == {}


def test_a_session_that_was_let_go_of_meanwhile_has_one_writer(sessions, database, monkeypatch):
    upload = sessions.create("app", "ann")
    find_live = sessions._find_live

    def find(upload):
        monkeypatch.setattr(sessions, "_find_live", find_live)
        found = find_live(upload)
        del sessions._live[upload.id]
        append(sessions, upload, DATA[:3000])
        return found

    monkeypatch.setattr(sessions, "_find_live", find)
    append(sessions, upload, DATA[3000:], start=3000)
    assert finish(sessions, upload, database).digest == hashlib.sha256(DATA).hexdigest()


def test_at_the_start_the_open_sessions_of_a_store_are_known(
    sessions, database, blobs, make_repository
):
    other = UploadSessions(database, make_repository("other"), "default", blobs)
    elsewhere = UploadSessions(database, make_repository("elsewhere"), "tape", blobs)
    ended = sessions.create("app", "ann")
    expected = {sessions.create("app", "ann").id, other.create("app", "ann").id}
    elsewhere.create("app", "ann")
    sessions.cancel(ended)
    assert open_upload_ids("default") == expected


def test_while_the_reserve_is_spent_a_session_can_only_be_cancelled(sessions, database):
    upload = sessions.create("app", "admin")
    database.reserve.is_spent = True
    for attempt in (lambda: sessions.create("app", "admin"), lambda: sessions.open_sink(upload)):
        with pytest.raises(StorageFull):
            attempt()
    sessions.cancel(upload)
    with pytest.raises(NotFound):
        sessions.get(upload.id, "app", "admin")


# --- Idle sessions -------------------------------------------------------------------------------


@pytest.fixture
def age(tmp_path):
    """Let the beginning of a session, and its last bytes, be so many seconds ago."""

    def age(upload, begun, written=None):
        begun_at = time.time() - begun
        UploadRecord.update(started_at=begun_at).where(UploadRecord.id == upload.id).execute()
        if written is not None:
            at = time.time() - written
            os.utime(tmp_path / "blobs/uploads" / upload.id, (at, at))

    return age


def end_idle(sessions, stop=lambda: None):
    return sessions.end_idle(time.time() - 100, stop)


def test_a_session_without_activity_ends(sessions, uploaded, age):
    idle, empty, young, busy = (sessions.create("app", "ann") for _ in range(4))
    for each in (idle, young, busy):
        append(sessions, each, DATA)
    age(idle, 200, 150)
    age(empty, 200)
    age(busy, 200, 50)
    assert end_idle(sessions) == 2
    assert uploaded() == sorted([young.id, busy.id])
    for each in (idle, empty):
        with pytest.raises(NotFound):
            sessions.get(each.id, "app", "ann")
    append(sessions, busy, DATA, len(DATA))
    assert end_idle(sessions) == 0


def test_a_session_of_before_a_restart_ends_too(sessions, open_sessions, uploaded, age):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA)
    age(upload, 200, 150)
    assert end_idle(open_sessions()) == 1
    assert uploaded() == []


def test_what_is_being_written_never_ends(sessions, age, database):
    upload = sessions.create("app", "ann")
    with sessions.open_sink(upload) as sink:
        sink.write(DATA)
        age(upload, 200_000, 150_000)  # as if the request had waited for its next bytes for days
        assert end_idle(sessions) == 0
        sink.write(DATA)
    assert finish(sessions, upload, database).size == 2 * len(DATA)


def test_a_session_that_is_written_to_in_between_stays(sessions, age, monkeypatch):
    upload = sessions.create("app", "ann")
    append(sessions, upload, DATA)
    age(upload, 200, 150)
    hold = sessions._hold

    def hold_late(*args):
        append(sessions, upload, DATA)
        monkeypatch.setattr(sessions, "_hold", hold)
        return hold(*args)

    monkeypatch.setattr(sessions, "_hold", hold_late)
    monkeypatch.setattr(sessions, "open_sink", lambda each, _: hold(each))
    assert end_idle(sessions) == 0
    assert sessions.offset(upload) == 2 * len(DATA)


def test_many_idle_sessions_end_in_batches(sessions, open_sessions, age, monkeypatch):
    monkeypatch.setattr("repoman.uploads.LISTED_SESSIONS", 2)
    for _ in range(5):
        age(sessions.create("app", "ann"), 200)
    looks = []
    assert end_idle(open_sessions(), lambda: looks.append(1)) == len(looks) == 5
    assert UploadRecord.select().count() == 0
