"""A proxy whose own storage fails it: no room, a disk that is broken, bytes that are gone."""

import secrets

import pytest

from repoman.blobs.file import FileBlobStore
from repoman.compaction import Unwatched
from repoman.db.models import database_proxy
from repoman.errors import StorageFull, Unavailable
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker_proxy.proxies import DAY, HOUR, name_of
from tests.live import wait_until

NAME = "team/app"
TAG = f"{NAME}/manifests/1"
TAGS = f"{NAME}/tags/list"


@pytest.fixture
def image(upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    return image


def site_of(make_proxy, proxy):
    return make_proxy.repoman.repositories.get(name_of(proxy)).service.blobs._site


def store_of(make_proxy):
    return make_proxy.repoman.blob_stores.get("default")


def source(answer):
    return answer.headers["X-Repoman-Cache"]


# --- Nothing can be kept -------------------------------------------------------------------------


@pytest.fixture(params=[StorageFull, Unavailable], ids=["full", "broken"])
def no_room(request, monkeypatch):
    """A blob store that takes nothing."""

    def refuse(*_):
        raise request.param("The disk takes nothing.")

    monkeypatch.setattr(FileBlobStore, "open_writer", refuse)


@pytest.fixture
def no_writes():
    """A database that can only be read."""
    database_proxy.writer.execute("pragma query_only = 1")
    yield
    database_proxy.writer.execute("pragma query_only = 0")


def test_an_image_is_pulled_though_nothing_can_be_kept(proxy, upstream, image, no_room):
    for _ in range(2):
        assert proxy.pull(NAME, "1") == image.manifest
        assert proxy.get(TAG).body == image.manifest
        assert proxy.get(TAGS).json()["tags"] == ["1"]
        assert proxy.get(f"{NAME}/referrers/{image.digest}").status == 200


def test_a_group_passes_on_what_its_proxy_cannot_keep(make_proxy, proxy, image, no_room):
    group = make_proxy.group(make_proxy.hosted(), proxy)
    assert group.pull(NAME, "1") == image.manifest


def test_an_image_is_pulled_though_the_database_takes_nothing(
    proxy, upstream, image, no_writes, caplog
):
    assert proxy.get(TAG).body == image.manifest
    assert proxy.get(TAGS).json()["tags"] == ["1"]
    assert proxy.head(f"{NAME}/blobs/{digest_of(image.config)}").status == 200
    assert "Cannot store" in caplog.text


def test_a_tag_over_its_age_is_served_though_nothing_can_be_kept(
    proxy, upstream, image, clock, request, caplog
):
    proxy.pull(NAME, "1")
    clock.jump(2 * DAY)
    request.getfixturevalue("no_writes")
    for _ in range(2):
        answer = proxy.get(TAG)
        assert (answer.body, source(answer)) == (image.manifest, "REVALIDATED")
    new = make_image()
    upstream.put(NAME, "1", new)
    for _ in range(2):
        assert proxy.get(TAG).body == new.manifest
    upstream.stop()
    answer = proxy.get(TAG)
    assert (answer.body, source(answer)) == (image.manifest, "STALE")
    assert "Cannot store" in caplog.text


def test_a_young_tag_is_held_back_though_that_cannot_be_noted(
    make_proxy, upstream, image, clock, request
):
    proxy = make_proxy(upstream.url, proxy__minimum_age=48, proxy__metadata_max_age=60)
    proxy.pull(NAME, "1")
    clock.jump(2 * HOUR)
    upstream.put(NAME, "1", make_image())
    request.getfixturevalue("no_writes")
    assert proxy.get(TAG).body == image.manifest


@pytest.fixture
def unmounted(make_proxy, proxy):
    """Take the directory of the blob store away, and bring it back."""
    directory = store_of(make_proxy).directory
    away = directory.with_name("away")

    class Unmounted:
        def __enter__(self):
            directory.rename(away)

        def __exit__(self, *_):
            away.rename(directory)

    return Unmounted()


def test_while_the_blob_store_is_gone_images_come_from_the_remote(
    proxy, upstream, image, unmounted
):
    cold = make_image()
    upstream.put(NAME, "cold", cold)
    proxy.pull(NAME, "1")
    with unmounted:
        for _ in range(2):
            assert proxy.pull(NAME, "1") == image.manifest
            assert proxy.pull(NAME, "cold") == cold.manifest
    upstream.stop()
    assert proxy.pull(NAME, "1") == image.manifest


# --- Bytes that are gone -------------------------------------------------------------------------


def lose(make_proxy, proxy, data):
    store_of(make_proxy)._path(digest_of(data).removeprefix("sha256:")).unlink()


def test_lost_manifests_are_fetched_again(make_proxy, proxy, upstream, image, caplog):
    proxy.pull(NAME, "1")
    lose(make_proxy, proxy, image.manifest)
    answer = proxy.get(f"{NAME}/manifests/{image.digest}")
    assert (answer.body, source(answer)) == (image.manifest, "MISS")
    assert "is missing. It is fetched again." in caplog.text
    lose(make_proxy, proxy, image.manifest)
    assert proxy.get(TAG).body == image.manifest
    upstream.stop()
    assert proxy.pull(NAME, "1") == image.manifest


def test_lost_manifests_of_a_tag_over_its_age(make_proxy, proxy, upstream, image, clock):
    proxy.pull(NAME, "1")
    lose(make_proxy, proxy, image.manifest)
    clock.jump(2 * DAY)
    assert proxy.get(TAG).body == image.manifest


def test_lost_bytes_that_cannot_be_fetched_are_an_outage(make_proxy, proxy, upstream, image):
    proxy.pull(NAME, "1")
    lose(make_proxy, proxy, image.manifest)
    upstream.stop()
    assert proxy.get(TAG).status == 502
    upstream.start()
    assert proxy.get(TAG).body == image.manifest


def test_lost_blobs_are_fetched_again(make_proxy, proxy, upstream, image):
    proxy.pull(NAME, "1")
    lose(make_proxy, proxy, image.layers[0])
    answer = proxy.get(f"{NAME}/blobs/{digest_of(image.layers[0])}")
    assert (answer.body, source(answer)) == (image.layers[0], "MISS")


def test_damaged_blobs_are_fetched_again_and_leave_the_list(make_proxy, proxy, upstream):
    repoman, data = make_proxy.repoman, secrets.token_bytes(100_000)  # too large for the memory
    path = f"{NAME}/blobs/{upstream.put_blob(NAME, data)}"
    assert proxy.get(path).body == data
    file = store_of(make_proxy)._path(digest_of(data).removeprefix("sha256:"))
    file.write_bytes(bytes(100_000))
    assert repoman.verifier.run(["default"], bool, Unwatched()).bad == 1
    [found] = repoman.verifier.damages("default")
    assert found.places[0].repository == name_of(proxy)
    answer = proxy.get(path)
    assert (answer.body, source(answer)) == (data, "MISS")
    wait_until(lambda: repoman.verifier.damages("default") == [])
    assert source(proxy.get(path)) == "HIT"


def test_a_proxy_moves_to_another_blob_store(make_proxy, proxy, upstream, image):
    repoman, name = make_proxy.repoman, name_of(proxy)
    repoman.stores.create("other", "other")
    proxy.pull(NAME, "1")
    repoman.moves.begin(name, "other")
    later = make_image()
    upstream.put(NAME, "2", later)
    proxy.pull(NAME, "2")
    repoman.moves.run(Unwatched(), bool, 1 << 40)
    used = database_proxy.execute_sql(
        "SELECT DISTINCT b.store FROM asset a JOIN blob b ON b.id = a.blob_id "
        "JOIN repository r ON r.id = a.repository_id WHERE r.name = ?",
        (name,),
    )
    assert used.fetchall() == [("other",)]
    upstream.stop()
    assert proxy.pull(NAME, "1") == image.manifest
    assert proxy.pull(NAME, "2") == later.manifest


def test_lost_blobs_are_not_shared(make_proxy, proxy, upstream, image):
    proxy.pull(NAME, "1")
    upstream.put("other/app", "1", image)
    lose(make_proxy, proxy, image.layers[0])
    assert proxy.pull("other/app", "1") == image.manifest


def test_lost_lists_are_fetched_again(make_proxy, proxy, upstream, image):
    proxy.get(TAGS)
    lose(make_proxy, proxy, b'["1"]')
    assert proxy.get(TAGS).json()["tags"] == ["1"]


# --- Room is made meanwhile ----------------------------------------------------------------------


def test_a_blob_that_goes_while_the_remote_is_asked_is_served(make_proxy, proxy, upstream):
    data = secrets.token_bytes(5000)
    digest = upstream.put_blob(NAME, data)
    upstream.put_blob("other/app", data)
    proxy.get(f"{NAME}/blobs/{digest}")
    site = site_of(make_proxy, proxy)
    ask = site.registry.blob_size

    def ask_and_trim(*what):
        size = ask(*what)
        site.content.delete_assets([f"blobs/{digest}/{NAME}"])
        return size

    site.registry.blob_size = ask_and_trim
    assert proxy.get(f"other/app/blobs/{digest}").body == data


def test_a_blob_that_goes_once_it_is_shared_is_served(make_proxy, proxy, upstream):
    data = secrets.token_bytes(5000)
    digest = upstream.put_blob(NAME, data)
    upstream.put_blob("other/app", data)
    proxy.get(f"{NAME}/blobs/{digest}")
    content = site_of(make_proxy, proxy).content
    save = content.save_asset

    def save_and_trim(new):
        save(new)
        content.delete_assets([new.path])

    content.save_asset = save_and_trim
    assert proxy.get(f"other/app/blobs/{digest}").body == data
    content.save_asset = save
    assert proxy.get(f"other/app/blobs/{digest}").body == data


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def put_directory(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [cut, put_directory])
def test_what_is_not_whole_any_more_is_fetched_again(make_proxy, proxy, upstream, image, harm):
    proxy.pull(NAME, "1")
    store = store_of(make_proxy)
    for data in (image.manifest, image.config, *image.layers):
        harm(store._path(digest_of(data).removeprefix("sha256:")))
    assert proxy.pull(NAME, "1") == image.manifest
    wait_until(lambda: all(map(store.stat, digests_of(image))), what="the blobs")
    upstream.stop()
    assert proxy.pull(NAME, "1") == image.manifest


def digests_of(image):
    return [digest_of(data).removeprefix("sha256:") for data in (image.config, *image.layers)]
