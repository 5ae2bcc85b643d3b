"""A server process on data that are wrong or strange: a sentence at the start, and nothing lost."""

import os
import shutil
import stat

import pytest

from tests.functional.docker.driver import Registry
from tests.functional.docker.images import make_image
from tests.functional.docker.wires import Socket
from tests.live import LiveServer


@pytest.fixture
def server(tmp_path):
    """A server that the test starts."""
    server = LiveServer(tmp_path / "server")
    yield server
    server.end()


@pytest.fixture
def image():
    return make_image()


@pytest.fixture
def filled(server, image):
    """Its data, with one image in it."""
    server.start()
    registry_of(server).push("app", "1", image)
    server.stop()
    return server.data


def registry_of(server):
    return Registry(Socket(server.connector_port), "", server.admin)


def blobs_of(data):
    return {path: path.read_bytes() for path in (data / "blobs/default/sha256").glob("*/*")}


def lose_database(data):
    for path in data.glob("repoman.db*"):
        path.unlink()


def test_no_command_touches_blobs_that_the_database_does_not_know(server, filled, image):
    before, password = blobs_of(filled), (filled / "admin.password").read_text()
    good = filled.with_name("good")
    shutil.copytree(filled, good)
    lose_database(filled)
    for words in (("serve",), ("init",), ("repo", "list"), ("blob", "verify"), ("user", "list")):
        done = server.cli(*words, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "--adopt" in done.stderr or "There is no data" in done.stderr
        assert (filled / "admin.password").read_text() == password
        assert blobs_of(filled) == before
    for path in good.glob("repoman.db*"):  # as the text says
        shutil.copy(path, filled)
    server.start()
    assert registry_of(server).pull("app", "1") == image.manifest


def test_a_disk_that_is_not_mounted_is_refused_and_nothing_is_made_in_its_place(
    server, filled, image
):
    away = filled / "blobs/away"
    (filled / "blobs/default").rename(away)
    done = server.cli("serve", check=False)
    assert done.returncode == 1
    assert "Is its disk mounted?" in done.stderr
    assert not (filled / "blobs/default").exists()
    away.rename(filled / "blobs/default")
    server.start()
    assert registry_of(server).pull("app", "1") == image.manifest


def test_adopted_blobs_are_of_use_to_a_new_database(server, filled, image):
    lose_database(filled)
    assert server.cli("init", "--adopt").returncode == 0
    server.start()
    registry = registry_of(server)
    registry.push("app", "1", image)
    assert registry.pull("app", "1") == image.manifest


STRANGE = ["spool", "blobs/default/uploads", "blobs/default/sha256", "blobs/default/sha256/00"]


@pytest.mark.parametrize("path", STRANGE)
def test_a_file_in_the_place_of_a_directory_is_a_sentence_at_the_start(server, filled, path):
    (filled / path).rename(filled / "away")
    (filled / path).touch()
    done = server.cli("serve", check=False)
    assert done.returncode == 1
    assert str(filled / path) in done.stderr
    assert "Not a directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", ["spool", "blobs/default/uploads", "blobs/default/sha256/00"])
def test_a_directory_that_is_missing_or_has_others_in_it_is_no_reason_not_to_start(
    server, filled, image, path
):
    shutil.move(filled / path, filled / "away")
    server.start()
    server.stop()
    (filled / path / "lost+found").mkdir()
    server.start()
    assert registry_of(server).push("app", "2", image)
    assert (filled / path / "lost+found").is_dir()
    assert "Traceback" not in server.log


def test_a_body_for_which_there_is_no_spool_is_an_outage(server, filled):
    server.start()
    (server.data / "spool").rmdir()
    body = b'{"x": "%s"}' % (b"a" * 600_000)
    answer = registry_of(server).put_manifest("app", "2", body, "application/vnd.x+json")
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert "Traceback" not in server.log


def test_nothing_is_writable_for_others_whatever_the_umask(tmp_path, image):
    server = LiveServer(
        tmp_path / "server",
        settings={"audit": {"file": "logs/audit.jsonl"}},
        wrapper=("sh", "-c", 'umask 0; exec "$@"', "sh"),
    )
    try:
        server.start()
        registry_of(server).push("app", "1", image)
        mask = os.umask(0)
        try:
            server.cli("cert", "create", "localhost")
        finally:
            os.umask(mask)
        loose = [
            path
            for path in [server.data, *server.data.rglob("*")]
            if not path.is_symlink() and path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        ]
        assert loose == []
    finally:
        server.end()
