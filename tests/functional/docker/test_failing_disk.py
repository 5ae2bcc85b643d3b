"""A disk that fails once: the client begins anew, and no later success hides the loss."""

import errno
import os
import secrets

import pytest

from repoman.blobs.file_writer import KEPT_OPEN_BYTES
from repoman.testing import RepomanFactory
from repoman_docker import plugin
from tests.functional.docker.images import digest_of
from tests.functional.docker.sites import InProcessSite


@pytest.fixture
def site(tmp_path):
    """A Repoman whose blob store the test may take apart."""
    factory = RepomanFactory(tmp_path / "data")
    yield InProcessSite(factory({"docker": plugin}))
    factory.stop()


@pytest.fixture
def registry(site):
    """Its hosted repository."""
    return site.registry


@pytest.fixture
def data() -> bytes:
    """Bytes of a blob."""
    return secrets.token_bytes(KEPT_OPEN_BYTES + 1)  # Each request syncs what is so large.


@pytest.fixture
def failing(monkeypatch, site):
    """Have the next call of a function of ``os`` fail, as the disk does, and then no more.

    Looks at the free space of the disk of the database do not count.
    """

    def failing(name):
        real, calls = getattr(os, name), []

        def call(*arguments, **options):
            is_other = name == "statvfs" and str(arguments[0]) == str(site.data)
            if not is_other:
                calls.append(arguments)
            if not is_other and len(calls) == 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    return failing


def assert_unavailable(answer):
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")


def append(registry, location, data):
    return registry.append(location, data)


def finish(registry, location, data):
    return registry.finish(location, digest_of(b"first" + data), data)


@pytest.mark.parametrize("call", ["statvfs", "write", "fsync"])
@pytest.mark.parametrize("way", [append, finish])
def test_a_session_on_a_disk_that_failed_ends(registry, name, data, failing, way, call):
    location = registry.begin(name)
    registry.append(location, b"first")
    failing(call)
    assert_unavailable(way(registry, location, data))
    for answer in (
        registry.get(location),
        registry.append(location, data),
        registry.finish(location, digest_of(b"first" + data)),
    ):
        assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert not registry.has_blob(name, digest_of(data))
    registry.push_blob(name, data)
    assert registry.get(f"{name}/blobs/{digest_of(data)}").body == data


@pytest.mark.parametrize("call", ["statvfs", "write", "fsync", "rename"])
def test_a_blob_in_one_request_is_refused_and_leaves_nothing(
    registry, site, name, data, failing, call
):
    failing(call)
    digest = digest_of(data)
    query = {"digest": digest}
    answer = registry.send("POST", f"{name}/blobs/uploads/", data, query=query)
    assert_unavailable(answer)
    assert list((site.data / "blobs/default/uploads").iterdir()) == []
    assert not registry.has_blob(name, digest)
    answer = registry.send("POST", f"{name}/blobs/uploads/", data, query=query)
    assert (answer.status, registry.has_blob(name, digest)) == (201, True)


@pytest.mark.parametrize("gone", [".", "uploads", "sha256", "sha256/{prefix}"])
@pytest.mark.parametrize("is_file", [False, True])
def test_a_directory_that_is_gone_is_an_outage_and_no_absence(
    registry, site, name, data, gone, is_file, caplog
):
    kept = registry.push_blob(name, data)
    store = site.data / "blobs/default"
    path = store / gone.format(prefix=kept.removeprefix("sha256:")[:2])
    path.rename(site.data / "away")
    if is_file:
        path.write_text("a file")
    answers = [registry.send("POST", f"{name}/blobs/uploads/", data, query={"digest": kept})]
    if gone != "uploads":
        answers += [registry.get(f"{name}/blobs/{kept}")]
        assert registry.head(f"{name}/blobs/{kept}").status == 503
    for answer in answers:
        assert_unavailable(answer)
        assert str(site.data) not in answer.message
    if is_file:
        path.unlink()
    (site.data / "away").rename(path)
    assert registry.get(f"{name}/blobs/{kept}").body == data
    assert "Traceback" not in caplog.text
