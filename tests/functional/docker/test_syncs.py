"""What a push waits for at the disk: only for what must be there, and nobody waits with it."""

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from repoman.db.database import FILE
from repoman.testing import HttpClient
from repoman_docker import plugin
from tests.clock import WAIT_S
from tests.functional.docker.images import digest_of

UPLOADS = "/v2/app/blobs/uploads/"


@pytest.fixture
def repoman(repoman_factory):
    started = repoman_factory({"docker": plugin})
    started.repositories.create("images", "docker-hosted", {})
    return started


@pytest.fixture
def client(repoman):
    return HttpClient(repoman, connector="images")


@pytest.fixture
def syncs(repoman, monkeypatch):
    """What is synced; while the blob store does it, another thread writes to the database."""
    found = []
    database, blobs = repoman.database, repoman.data / "blobs"

    def write():
        with closing(database), database.transaction(touches=()):
            pass  # It holds the lock of writers now.

    def watched(real, pool):
        def sync(fd):
            path = Path(f"/proc/self/fd/{fd}").readlink()
            found.append(path.relative_to(repoman.data).parts[0])
            if path.is_relative_to(blobs):
                assert not database.in_transaction()
                pool.submit(write).result(WAIT_S)
            real(fd)

        return sync

    with ThreadPoolExecutor() as pool:
        monkeypatch.setattr(os, "fsync", watched(os.fsync, pool))
        monkeypatch.setattr(os, "fdatasync", watched(os.fdatasync, pool))
        yield found


def test_beginning_an_upload_waits_for_no_sync(client, syncs):
    assert client.request("POST", UPLOADS).status_code == 202
    assert syncs == []


@pytest.mark.parametrize("is_one_request", [True, False])
def test_others_write_while_a_blob_is_synced(client, syncs, is_one_request):
    data = secrets.token_bytes(1000)
    if is_one_request:
        answer = client.request("POST", f"{UPLOADS}?digest={digest_of(data)}", data=data)
    else:
        place = client.request("POST", UPLOADS).headers["Location"]
        answer = client.request("PUT", f"{place}?digest={digest_of(data)}", data=data)
    assert answer.status_code == 201, answer.data
    assert syncs == ["blobs", "blobs", f"{FILE}-wal"], "the file, its directory, then its row"
