"""Work that a kill or a failing disk may meet at any step, and what has to hold then.

Each is done in a server that :meth:`Work.fill` has filled, can be done again from the beginning,
and then comes to the end that it would have come to at once.
"""

import time
from typing import ClassVar

from repoman.cleanup.cleaner import Cleaner
from repoman.clocks import DAY_S
from repoman.collection import CollectionOptions, collect
from repoman.compaction import Compactor, Unwatched
from repoman.core import Repoman
from repoman.errors import RepomanError
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.stores.moves import Moves
from repoman.testing import ADMIN, HttpClient
from repoman_docker.browsing.deleting import delete_references
from repoman_docker.browsing.restoring import Past, restore_tags
from tests.functional.docker.browsed import artifact, built, index, tar_of
from tests.functional.docker.driver import Answer, Refused, Registry
from tests.functional.docker.images import Image, digest_of, index_of, make_image
from tests.functional.docker.test_browsing import push_index
from tests.functional.docker.test_collection import Watcher
from tests.functional.docker.wholeness import FAST, FUTURE, later, rows
from tests.functional.docker.wires import InProcess

GRACE_S = DAY_S
Settings = dict[str, dict[str, object]]
SHARED = b"a layer that all images have"
OLD, NEW, OTHER = (make_image(SHARED, text) for text in (b"old", b"new", b"other"))


def expect(answer: Answer, *statuses: int) -> Answer:
    """Return an answer that has one of these statuses."""
    if answer.status not in statuses:
        raise Refused("work", answer)
    return answer


class Work:
    """Something that changes content.

    Attributes:
        acknowledged: paths of assets that a client was told to be stored.
    """

    settings: ClassVar[Settings] = {}  # of the repository

    def __init__(self) -> None:
        self.acknowledged: list[str] = []

    def fill(self, repoman: Repoman) -> None:
        """Make the repository, with an image that stays as it is."""
        self.create(repoman, "images", self.settings)
        self.registry(repoman).push("app", "old", OLD)

    def do(self, repoman: Repoman) -> None:
        """Do it, or what is left of it."""
        raise NotImplementedError

    def check(self, repoman: Repoman) -> None:
        """Fail if it is half done in a way that anybody could see."""

    def check_done(self, repoman: Repoman) -> None:
        """Fail unless it is done."""

    def check_kept(self, repoman: Repoman) -> None:
        """Fail unless the image that stays is there."""
        assert self.registry(repoman).pull("app", "old") == OLD.manifest

    @staticmethod
    def create(repoman: Repoman, name: str, settings: Settings) -> None:
        """Make a repository, unless it is there."""
        if repoman.repositories.find(name) is None:
            repoman.repositories.create(name, "docker-hosted", settings)

    @staticmethod
    def registry(repoman: Repoman, repository: str = "images") -> Registry:
        """A repository as a client sees it."""
        return Registry(InProcess(HttpClient(repoman)), f"/repository/{repository}", ADMIN)

    @staticmethod
    def view(repoman: Repoman) -> object:
        """The repository as its administrator sees it."""
        return repoman.views.open(repoman.repositories.get("images"), None)

    def is_there(self, repoman: Repoman, reference: str) -> bool:
        """Whether there is a manifest; what is there is whole."""
        registry = self.registry(repoman)
        answer = registry.get(f"app/manifests/{reference}")
        expect(answer, 200, 404)
        if answer.status == 200:
            registry.pull("app", reference)
        return answer.status == 200


class Push(Work):
    """An image and an index, by all ways in which blobs come."""

    image = make_image(SHARED, b"in pieces", b"in one request", b"as docker does it")
    index = index_of(image.manifest)

    def do(self, repoman: Repoman) -> None:
        """Push."""
        registry = self.registry(repoman)
        shared, pieces, one, docker = self.image.layers
        mounted = registry.start("app", mount=digest_of(shared), **{"from": "app"})
        expect(mounted, 201)
        location = registry.begin("app")
        location = expect(registry.append(location, pieces[:3]), 202).headers["Location"]
        location = expect(registry.append(location, pieces[3:], 3), 202).headers["Location"]
        self.note(registry.finish(location, digest_of(pieces)), f"blobs/{digest_of(pieces)}/app")
        query = {"digest": digest_of(one)}
        answer = registry.send("POST", "app/blobs/uploads/", one, query=query)
        self.note(answer, f"blobs/{digest_of(one)}/app")
        for each in (docker, self.image.config):
            answer = registry.finish(registry.begin("app"), digest_of(each), each)
            self.note(answer, f"blobs/{digest_of(each)}/app")
        by_digest = f"manifests/app/{self.image.digest}"
        self.note(registry.put_manifest("app", self.image.digest, self.image.manifest), by_digest)
        self.note(registry.put_manifest("app", "new", self.index), "tags/app/new")

    def note(self, answer: object, path: str) -> None:
        """Note what was acknowledged."""
        expect(answer, 201)
        self.acknowledged.append(path)

    def check(self, repoman: Repoman) -> None:
        """The tag has its index, and this has its image."""
        self.is_there(repoman, "new")

    def check_done(self, repoman: Repoman) -> None:
        """It can be pulled."""
        assert self.registry(repoman).pull("app", "new") == self.index


class TagMove(Work):
    """A tag that goes from one image to another."""

    def fill(self, repoman: Repoman) -> None:
        """Push both."""
        super().fill(repoman)
        self.registry(repoman).push("app", "moved", OTHER)
        self.registry(repoman).push("app", NEW.digest, NEW)

    def do(self, repoman: Repoman) -> None:
        """Move the tag."""
        self.registry(repoman).push_manifest("app", "moved", NEW.manifest)

    def check(self, repoman: Repoman) -> None:
        """The tag is at one of them, as its history says; both are there."""
        found = digest_of(self.registry(repoman).pull("app", "moved"))
        [*_, (last,)] = rows("SELECT new_digest FROM content_event WHERE path = 'tags/app/moved'")
        assert last == found.removeprefix("sha256:") or last == found
        assert self.is_there(repoman, OTHER.digest)
        assert self.is_there(repoman, NEW.digest)

    def check_done(self, repoman: Repoman) -> None:
        """It is at the new one."""
        assert self.registry(repoman).pull("app", "moved") == NEW.manifest


class Deletion(Work):
    """A tag with its image, a manifest by its digest, and a blob."""

    loose = b"a blob that no manifest names"

    def fill(self, repoman: Repoman) -> None:
        """Push them."""
        super().fill(repoman)
        registry = self.registry(repoman)
        registry.push("app", "tag", NEW)
        registry.push("app", "digest", OTHER)
        registry.push_blob("app", self.loose)

    def do(self, repoman: Repoman) -> None:
        """Delete them."""
        if self.is_there(repoman, "tag"):
            delete_references(self.view(repoman), "app", ["tag"])
        registry = self.registry(repoman)
        for path in (f"manifests/{OTHER.digest}", f"blobs/{digest_of(self.loose)}"):
            expect(registry.delete(f"app/{path}"), 202, 404)

    def check(self, repoman: Repoman) -> None:
        """A tag without its manifest is nowhere."""
        for each in ("tag", "digest", NEW.digest, OTHER.digest):
            self.is_there(repoman, each)
        assert set(self.registry(repoman).tags("app")) <= {"old", "tag", "digest"}

    def check_done(self, repoman: Repoman) -> None:
        """They are gone."""
        assert self.registry(repoman).tags("app") == ["old"]
        for each in (NEW.digest, OTHER.digest):
            assert not self.is_there(repoman, each)


class Collection(Work):
    """Of what a cleanup policy untagged and of blobs without a manifest; their bytes are freed."""

    settings: ClassVar[Settings] = {"docker": {"undo_days": 0}}
    index = index_of(NEW.manifest, OLD.manifest)

    def fill(self, repoman: Repoman) -> None:
        """Push what goes: an index with an image, and blobs."""
        super().fill(repoman)
        registry = self.registry(repoman)
        registry.push("app", NEW.digest, NEW)
        registry.push_manifest("app", "gone", self.index)
        registry.push_blobs("other", OTHER)
        with acting_by("cleanup"):
            delete = repoman.repositories.get("images").capabilities.delete_component
            delete(Coordinate("tag", "app", "gone"))

    def do(self, repoman: Repoman) -> None:
        """Collect, then compact."""
        collector = repoman.repositories.get("images").capabilities.collector
        options = CollectionOptions(time.time() + 3 * DAY_S, GRACE_S)
        assert collect([("images", collector)], options, Watcher(), 60.0).is_complete
        Compactor(repoman.database, repoman.blob_stores, lambda: FUTURE).compact()

    def check(self, repoman: Repoman) -> None:
        """What is there of the others is whole."""
        self.is_there(repoman, NEW.digest)
        self.is_there(repoman, digest_of(self.index))

    def check_done(self, repoman: Repoman) -> None:
        """There is nothing but the image that stays."""
        paths = {path for (path,) in rows("SELECT path FROM asset")}
        blobs = (f"blobs/{digest_of(each)}/app" for each in OLD.blobs)
        assert paths == {"tags/app/old", f"manifests/app/{OLD.digest}", *blobs}


class Cleanup(Work):
    """Of all tags but the newest, and of all files."""

    tags = tuple(f"1.{number}" for number in range(4))
    files = ("a", "b")

    def fill(self, repoman: Repoman) -> None:
        """Make repositories whose policies choose these."""
        repoman.cleanup_policies.create(CleanupPolicy("old", last_updated_days=3, retain=1))
        repoman.cleanup_policies.create(CleanupPolicy("files", last_updated_days=3))
        self.create(repoman, "images", {"cleanup": {"policy_names": ["old"]}})
        settings = {"cleanup": {"policy_names": ["files"]}}
        repoman.repositories.create("files", "raw-hosted", settings)
        for each in self.tags:
            self.registry(repoman).push("app", each, make_image(SHARED, each.encode()))
        for each in self.files:
            answer = HttpClient(repoman).put(f"/repository/files/{each}", each.encode())
            assert answer.status_code == 201

    def do(self, repoman: Repoman) -> None:
        """Clean up, as in a week."""
        cleaner: Cleaner = repoman.cleaner
        cleaner._clock = cleaner._confirmed = lambda: time.time() + 7 * DAY_S
        removed = cleaner.run(Watcher())
        if removed.failed or removed.skipped:
            raise CleanupFailed(str(removed))

    def check(self, repoman: Repoman) -> None:
        """Each component has its asset; what is gone has its event."""
        versions = {tag for (tag,) in rows("SELECT version FROM component WHERE kind = 'tag'")}
        assert set(self.registry(repoman).tags("app")) == versions
        gone = "SELECT path FROM content_event WHERE source = 'cleanup' AND new_digest IS NULL"
        told = {path for (path,) in rows(gone)}
        files = {name for (name,) in rows("SELECT name FROM component WHERE kind = 'file'")}
        left = {f"tags/app/{each}" for each in set(self.tags) - versions}
        assert {path for path in told if path.startswith("tags/")} == left
        assert {path.rpartition("/")[2] for path in told - left} == set(self.files) - files

    def check_kept(self, repoman: Repoman) -> None:
        """The newest is there."""
        assert self.is_there(repoman, self.tags[-1])

    def check_done(self, repoman: Repoman) -> None:
        """Only the newest is there."""
        assert self.registry(repoman).tags("app") == [self.tags[-1]]
        assert rows("SELECT 1 FROM component WHERE kind = 'file'") == []


class CleanupFailed(RepomanError):
    """A cleanup has left something for the next one, as its log says."""


class Restoration(Work):
    """Of a tag with an index, its two images, and a signature."""

    amd, arm = built(tar_of("amd")), built(tar_of("arm"), architecture="arm64")
    index = index((amd.manifest, "linux/amd64"), (arm.manifest, "linux/arm64"))
    signature = artifact(amd.manifest, "application/vnd.cncf.notary.signature", b"signed")

    def fill(self, repoman: Repoman) -> None:
        """Push them, and delete the tag."""
        super().fill(repoman)
        registry = self.registry(repoman)
        push_index(registry, "app", "1", self.index, self.amd, self.arm)
        registry.push_blobs("app", self.signature)
        registry.push_manifest("app", digest_of(self.signature.manifest), self.signature.manifest)
        delete_references(self.view(repoman), "app", ["1"])

    def do(self, repoman: Repoman) -> None:
        """Restore the tag."""
        past = Past("app", "1", digest=digest_of(self.index))
        [change] = restore_tags(self.view(repoman), past).changes
        assert change.refusal in ("", "It is so already."), change

    def check(self, repoman: Repoman) -> None:
        """The tag is there or not, also once a collection has run; what can be had is whole."""
        collector = repoman.repositories.get("images").capabilities.collector
        options = CollectionOptions(time.time() + 3 * DAY_S, GRACE_S)
        collect([("images", collector)], options, Watcher(), 60.0)
        for each in ("1", *map(digest_of, self.manifests)):
            self.is_there(repoman, each)

    def check_done(self, repoman: Repoman) -> None:
        """All of it is back."""
        registry = self.registry(repoman)
        assert registry.pull("app", "1") == self.index
        for each in self.manifests:
            assert registry.get(f"app/manifests/{digest_of(each)}").body == each
        for image in self.images:
            for blob in image.blobs:
                assert registry.get(f"app/blobs/{digest_of(blob)}").body == blob

    @property
    def images(self) -> tuple[Image, ...]:
        """All that have blobs."""
        return self.amd, self.arm, self.signature

    @property
    def manifests(self) -> tuple[bytes, ...]:
        """All manifests."""
        return self.index, *(each.manifest for each in self.images)


class StoreMove(Work):
    """Of a repository to another blob store; another repository shares its blobs."""

    def fill(self, repoman: Repoman) -> None:
        """Make both repositories, and the store."""
        super().fill(repoman)
        repoman.stores.create("other", "other")
        self.registry(repoman).push("app", "new", NEW)
        self.create(repoman, "second", {})
        self.registry(repoman, "second").push("app", "old", OLD)

    def do(self, repoman: Repoman) -> None:
        """Move, then free what nobody needs in the old store."""
        repoman.repositories.refresh()
        if repoman.repositories.get("images").blob_store != "other":
            repoman.moves.begin("images", "other")
        work = Moves(repoman.database, repoman.repositories, repoman.blob_stores, later)
        work.run(Unwatched(), bool, FAST)
        Compactor(repoman.database, repoman.blob_stores, lambda: FUTURE).compact()

    def check(self, repoman: Repoman) -> None:
        """All is there, in both."""
        assert self.registry(repoman).pull("app", "new") == NEW.manifest
        assert self.registry(repoman, "second").pull("app", "old") == OLD.manifest

    def check_done(self, repoman: Repoman) -> None:
        """The bytes are where they should be."""
        sql = "SELECT r.name, b.store FROM asset a JOIN blob b ON b.id = a.blob_id "
        found = rows(sql + "JOIN repository r ON r.id = a.repository_id GROUP BY 1, 2")
        assert set(found) == {("images", "other"), ("second", "default")}


WORKS = (Push, TagMove, Deletion, Collection, Cleanup, Restoration, StoreMove)
