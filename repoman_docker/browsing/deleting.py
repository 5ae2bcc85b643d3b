"""Deletions of tags and manifests: what goes with them, what stays and why, and how much it frees.

The plan is worked out anew when it is carried out, so what was pushed after somebody had looked at
it stays. A crash in the middle leaves manifests without a tag, which are listed as such.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from repoman.plugin import (
    Action,
    AssetKey,
    Conflict,
    HostedStorageSection,
    Invalid,
    NotFound,
    RepositoryView,
    StoredAsset,
    Unsupported,
    WritePolicy,
)
from repoman_docker.browsing.kinds import LEGACY_SUFFIXES
from repoman_docker.browsing.loading import legacy_path
from repoman_docker.browsing.reading import READER
from repoman_docker.layout import (
    BLOB,
    CHILD,
    SUBJECT,
    TAG,
    blob_path,
    manifest_path,
    reference_path,
    tagged,
)
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.reference import Digest, Tag, parse_reference
from repoman_docker.service import DockerRepository

REFERENCES_MAX = 200
"""The tags and digests of one deletion."""
REFERRERS_MAX = 5_000
USES_MAX = 100  # Uses of one blob that are looked at; with more, it counts as shared.
BLOBS_MAX = 2_000  # Blobs whose uses are looked at; the others count as shared.


@dataclass(frozen=True, slots=True)
class ReferenceDeletion:
    """What becomes of a tag, or of a manifest that is named by its digest.

    Attributes:
        stays_because: a sentence; empty: it goes.
        image_goes: whether the image goes with it.
        other_tags: those by which the image stays, as far as the viewer may see them.
        is_tagged_elsewhere: whether there are any.
        is_listed: whether the image stays since an index that stays lists it.
    """

    reference: str
    digest: str
    pulled_at: float
    stays_because: str = ""
    image_goes: bool = False
    other_tags: tuple[str, ...] = ()
    is_tagged_elsewhere: bool = False
    is_listed: bool = False

    @property
    def is_digest(self) -> bool:
        """Return whether a manifest was asked for by its digest, and not a tag."""
        return ":" in self.reference


@dataclass(frozen=True, slots=True)
class DeletionPlan:
    """What a deletion does; sizes are in bytes.

    Attributes:
        rows: the tags and digests that were asked for.
        images: the digests of the manifests that go, with the children of indexes.
        attachments: those of what is attached to them, which goes as well.
        size: of all blobs of these.
        freed_size: of those that nothing else uses.
    """

    name: str
    rows: tuple[ReferenceDeletion, ...]
    images: tuple[str, ...]
    attachments: tuple[str, ...]
    size: int
    freed_size: int

    @property
    def going(self) -> tuple[ReferenceDeletion, ...]:
        """Return what goes of what was asked for."""
        return tuple(each for each in self.rows if not each.stays_because)


def plan_deletion(view: RepositoryView, name: str, references: Iterable[str]) -> DeletionPlan:
    """Return what deleting these tags and digests of an image would do; changes nothing.

    Raises:
        Invalid: there are none, or too many.
        NotFound: none of them is there, or the viewer may not see them.
        Unsupported: nothing can be deleted from this repository.
    """
    return _Planner(view, name, _check(view, references)).plan()


def delete_references(view: RepositoryView, name: str, references: Iterable[str]) -> DeletionPlan:
    """Delete tags and digests of an image, and return what was done; errors as of planning.

    Raises:
        ReadOnly: the write policy refuses it.
        Conflict: a tag was set to one of the images in the meantime.
    """
    plan = plan_deletion(view, name, references)
    for each in plan.going:
        if not each.image_goes:
            _delete_tag(view, name, each.reference)
    named = {each.digest for each in plan.rows}
    for digest in (*plan.images, *plan.attachments):
        if digest in named or digest in plan.attachments:
            _delete_manifest(view, plan, digest)
        else:
            _delete_child(view, name, digest)
    return plan


def _delete_tag(view: RepositoryView, name: str, tag: str) -> None:
    delete = view.repository.capabilities.delete_component
    if delete is not None:
        with suppress(NotFound):  # Somebody else has deleted it.
            delete(tagged(name, Tag(tag)))


def _delete_manifest(view: RepositoryView, plan: DeletionPlan, digest: str) -> None:
    """Delete a manifest with its tags, unless it got others or an index lists it since."""
    delete = view.repository.capabilities.delete_asset
    if delete is None:
        return
    name, rules = plan.name, view.repository.rules
    tags = {rules.component_path(tagged(name, Tag(each.reference))) for each in plan.going}
    going = [manifest_path(name, Digest.parse(each)) for each in plan.images]
    path = manifest_path(name, Digest.parse(digest))
    keys = [(repository_id, path) for repository_id in view.scopes]

    def check(tag: str) -> None:
        if tag not in tags and not tag.endswith(tuple(LEGACY_SUFFIXES)):
            raise Conflict(f"{tag} was pushed in the meantime. Look again at what would go.")
        if view.named(keys, (CHILD,), besides=going):
            raise Conflict(f"An index that lists {path} was pushed in the meantime. Look again.")

    with suppress(NotFound):
        delete(path, check)


def _delete_child(view: RepositoryView, name: str, digest: str) -> None:
    """Delete an image of an index, unless it got a tag or another index since."""
    service = view.repository.service
    if isinstance(service, DockerRepository) and service.delete_unneeded is not None:
        service.delete_unneeded(name, Digest.parse(digest))


def _check(view: RepositoryView, references: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(references))
    if not found:
        raise Invalid("Choose at least one tag.")
    if len(found) > REFERENCES_MAX:
        raise Invalid(f"At most {REFERENCES_MAX} tags can be deleted at once.")
    check_deletable(view)
    return found


def check_deletable(view: RepositoryView) -> None:
    """Return if a repository is of a type from which something can be deleted (Unsupported)."""
    if view.repository.capabilities.delete_component is None:
        raise Unsupported(
            f"Nothing can be deleted from {view.repository.name}. Delete it in the repository that "
            "stores it."
        )


def refusal_of(view: RepositoryView) -> str:
    """Return why nothing may be deleted from a repository at all; empty: it may."""
    storage = view.repository.config.sections.get("storage")
    if isinstance(storage, HostedStorageSection) and storage.write_policy is WritePolicy.DENY:
        return f"{view.repository.name} is read-only."
    return ""


def protection_of(view: RepositoryView, name: str, tag: str) -> str:
    """Return why a tag stays in any case, such as that it is immutable; empty: it may go."""
    protection = view.repository.capabilities.protection
    return protection(tagged(name, Tag(tag))) if protection is not None else ""


@dataclass(slots=True)
class _Planner:
    """Works out one plan, for one repository that stores its content."""

    view: RepositoryView
    name: str
    references: list[str]
    _repository: int = field(init=False)
    _going: set[AssetKey] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._repository = next(iter(self.view.scopes), 0)

    def plan(self) -> DeletionPlan:
        """Return the plan."""
        entries = self._entries()
        digests = {each: str(stored.attributes["digest"]) for each, stored in entries.items()}
        tags = self._tags_of(digests.values())
        rows = [self._judge(each, entries[each], tags[digests[each]]) for each in entries]
        staying = {each.reference for each in rows if each.stays_because}
        rows = [self._with_image(each, tags[each.digest], staying) for each in rows]
        rows = self._keep_listed(rows)
        images = self._with_children({each.digest for each in rows if each.image_goes})
        attachments = self._attachments(images)
        size, freed = self._sizes([*images, *attachments])
        return DeletionPlan(self.name, tuple(rows), tuple(images), tuple(attachments), size, freed)

    def _key(self, digest: str) -> AssetKey:
        return self._repository, manifest_path(self.name, Digest.parse(digest))

    def _entries(self) -> dict[str, StoredAsset]:
        """Return what is stored of what was asked for."""
        keys: dict[AssetKey, str] = {}
        for each in self.references:
            with suppress(RegistryError):
                path = reference_path(self.name, parse_reference(each))
                if self.view.sees(self._repository, tagged(self.name, Tag(each))):
                    keys[self._repository, path] = each
        found = self.view.stored(keys)
        if not found:
            raise NotFound(f"None of these tags of {self.name} exists any more.")
        return {each: found[key] for key, each in keys.items() if key in found}

    def _tags_of(self, digests: Iterable[str]) -> Mapping[str, set[str]]:
        """Return all tags of manifests, by digest."""
        found: dict[str, set[str]] = defaultdict(set)
        keys = [self._key(each) for each in digests]
        for each in self.view.referrers(keys, (TAG,), REFERRERS_MAX):
            found[each.key[1].rpartition("/")[2]].add(each.source.rpartition("/")[2])
        return found

    def _judge(self, reference: str, stored: StoredAsset, tags: set[str]) -> ReferenceDeletion:
        reason = refusal_of(self.view)
        if not reason and not self.view.may(Action.DELETE, tagged(self.name, Tag(reference))):
            reason = "You may not delete it."
        digest = str(stored.attributes["digest"])
        if not reason:
            reason = (
                self._protection(reference)
                if stored.kind == TAG
                else self._why_named(tags) or self._protection_above(digest)
            )
        return ReferenceDeletion(reference, digest, stored.downloaded_at, reason)

    def _why_named(self, tags: set[str]) -> str:
        """Return why a manifest with these tags stays; empty: it has none."""
        names = ", ".join(sorted(self._seen(tags))[:3]) or "you may not see them"
        return f"It has tags: {names}. Delete these instead." if tags else ""

    def _protection_above(self, digest: str) -> str:
        """Return why a tag stays in any case that leads to an index with a manifest, or empty."""
        if self.view.repository.capabilities.protection is None:
            return ""
        indexes: set[AssetKey] = set()
        new = {self._key(digest)}
        while new:
            found = self.view.referrers(new, (CHILD,), REFERRERS_MAX)
            new = {(self._repository, each.source) for each in found} - indexes
            indexes |= new
        tags = self.view.referrers(indexes, (TAG,), REFERRERS_MAX)
        reasons = (self._protection(each.source.rpartition("/")[2]) for each in tags)
        return next(filter(None, reasons), "")

    def _protection(self, tag: str) -> str:
        return protection_of(self.view, self.name, tag)

    def _with_image(
        self, row: ReferenceDeletion, tags: set[str], staying: set[str]
    ) -> ReferenceDeletion:
        """Return a row with what becomes of its image."""
        others = {each for each in tags if each in staying or each not in self.references}
        may = self.view.may(Action.DELETE, tagged(self.name, Tag(row.digest)))
        return ReferenceDeletion(
            row.reference,
            row.digest,
            row.pulled_at,
            row.stays_because,
            image_goes=not row.stays_because and not others and may,
            other_tags=tuple(sorted(self._seen(others - {row.reference}))),
            is_tagged_elsewhere=bool(others - {row.reference}),
        )

    def _keep_listed(self, rows: list[ReferenceDeletion]) -> list[ReferenceDeletion]:
        """Return the rows, where tags leave the images that an index lists which stays."""
        while True:
            going = {self._key(each.digest) for each in rows if each.image_goes}
            listed = self.view.named(going, (CHILD,), besides=(path for _, path in going))
            kept = [
                replace(each, image_goes=False, is_listed=True)
                if each.image_goes and not each.is_digest and self._key(each.digest) in listed
                else each
                for each in rows
            ]
            if kept == rows:
                return rows
            rows = kept  # An index among them may stay now.

    def _seen(self, tags: set[str]) -> set[str]:
        """Return those of the tags that the viewer may know of."""
        sees = self.view.sees
        return {each for each in tags if sees(self._repository, tagged(self.name, Tag(each)))}

    def _with_children(self, digests: set[str]) -> list[str]:
        """Return the digests with those of the children of indexes that nothing else names."""
        found = self.view.stored(map(self._key, digests))
        children = {
            str(child.digest)
            for stored in found.values()
            for child in READER.manifest(self.view, stored).child_manifests()
        } - digests
        stored = self.view.stored(map(self._key, children))
        named = self.view.named(stored, (TAG, CHILD), besides=(path for _, path in found))
        free = [str(each.attributes["digest"]) for key, each in stored.items() if key not in named]
        may = self.view.may
        return [
            *sorted(digests),
            *(each for each in sorted(free) if may(Action.DELETE, tagged(self.name, Tag(each)))),
        ]

    def _attachments(self, digests: list[str]) -> list[str]:
        """Return the digests of what is attached to manifests that go."""
        keys = [self._key(each) for each in digests]
        found = {
            each.source.rpartition("/")[2]
            for each in self.view.referrers(keys, (SUBJECT,), REFERRERS_MAX)
        }
        legacy = [
            (self._repository, legacy_path(self.name, Digest.parse(each), suffix))
            for each in digests
            for suffix in LEGACY_SUFFIXES
        ]
        found |= {str(each.attributes["digest"]) for each in self.view.stored(legacy).values()}
        found -= set(digests)
        tags = self._tags_of(found)
        besides = (path for _, path in keys)
        listed = self.view.named(map(self._key, found), (CHILD,), besides)
        return [
            each
            for each in sorted(found)
            if self._key(each) not in listed
            and all(tag.endswith(tuple(LEGACY_SUFFIXES)) for tag in tags[each])
            and not any(map(self._protection, tags[each]))
            and self.view.may(Action.DELETE, tagged(self.name, Tag(each)))
        ]

    def _sizes(self, digests: list[str]) -> tuple[int, int]:
        """Return the bytes of all blobs of manifests, and of those that nothing else uses."""
        going = {self._key(each) for each in digests}
        manifests = self.view.stored(going)
        keys = {
            (self._repository, blob_path(self.name, each.digest))
            for stored in manifests.values()
            for each in READER.manifest(self.view, stored).required_blobs()
        }
        blobs = {each.digest: each.size for each in self.view.stored(keys).values()}
        asked = list(blobs)[:BLOBS_MAX]
        uses = self.view.uses(asked, (BLOB, TAG, CHILD), USES_MAX)
        own = sum(each.size for each in manifests.values())
        freed = own + sum(
            blobs[digest]
            for digest in asked
            if len(uses[digest]) < USES_MAX
            and all((each.repository_id, each.user) in going for each in uses[digest])
        )
        return own + sum(blobs.values()), freed
