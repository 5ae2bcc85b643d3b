"""The tags of an image, a page at a time, with all that is said of each; and what has no tag."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from repoman.plugin import (
    LAST_CHARACTER,
    NAME_KEYS,
    VERSION_KEYS,
    AssetKey,
    ComponentQuery,
    ComponentView,
    ListOrder,
    ListPage,
    ListRequest,
    Referrer,
    RepositoryView,
    StoredAsset,
)
from repoman_docker.browsing.kinds import ArtifactKind, AttachmentIcon, kind_of, referrer_type
from repoman_docker.browsing.platforms import (
    PlatformImage,
    child_keys,
    choose,
    images_of,
    platform_images,
)
from repoman_docker.browsing.reading import READER
from repoman_docker.layout import (
    CHILD,
    MANIFEST,
    SUBJECT,
    TAG,
    blob_path,
    manifest_path,
    manifest_prefixes,
    tag_path,
    tagged,
)
from repoman_docker.protocol.manifest import Kind, Manifest
from repoman_docker.protocol.reference import Digest, Tag, referrers_tag

PAGE_TAGS = 50
NAMES = "names:"  # Before the key of a page that is behind all versions.
PULL_DAYS = 30
REFERRERS_MAX = 2_000  # Tags and other referrers that one page looks at.
SIGNATURE_SUFFIX = ".sig"
NAMING = (TAG, CHILD)  # The references that lead to a manifest.
EXAMINED_MAX = 500  # Tags that a page looks into, which shows those for one platform.


class TagOrder(StrEnum):
    """What tags are sorted by: the name, or, descending, the last push, the version, the size."""

    NEWEST = "newest"
    VERSION = "version"
    NAME = "name"
    SIZE = "size"


_ORDERS = {
    TagOrder.NEWEST: ListOrder.UPDATED,
    TagOrder.VERSION: ListOrder.VERSION,
    TagOrder.NAME: ListOrder.NAME,
    TagOrder.SIZE: ListOrder.SIZE,
}


@dataclass(frozen=True, slots=True)
class TagQuery:
    """Selects tags of an image: those that match a pattern with ``*``, and have a platform."""

    pattern: str = ""
    platform: str = ""
    order: TagOrder = TagOrder.NEWEST


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag in a list; sizes are in bytes, times in seconds since the epoch.

    Attributes:
        member: the repository that has it, if a group shows it; else that repository itself.
        form: what it leads to.
        platforms: of an index, or of the image; in the usual order.
        size: what a client of the usual platform downloads; None: not known.
        total_size: of all platforms that are stored.
        also: other tags of the same manifest.
        is_signed: whether somebody has attached a signature, which nobody has verified.
        pulled_at: 0: never.
        pulls: within the last ``PULL_DAYS``.
    """

    tag: str
    member: str
    digest: str
    media_type: str
    kind: ArtifactKind
    platforms: tuple[str, ...]
    size: int | None
    total_size: int
    also: tuple[str, ...]
    is_signed: bool
    pushed_at: float
    pushed_by: str
    pulled_at: float
    pulls: int


def list_tags(
    view: RepositoryView,
    name: str,
    query: TagQuery,
    after: str = "",
    size: int = PAGE_TAGS,
) -> ListPage[TagRow]:
    """Return a page of the tags of an image; of few statements, however many tags there are.

    A page for one platform may be short even if there are more: it looks at ``EXAMINED_MAX`` tags.

    Raises:
        Invalid: ``after`` does not belong to this list, or the pattern is not valid.
    """
    asked = ComponentQuery(
        kind=TAG,
        name=name,
        version=_pattern(query.pattern),
        order=_ORDERS[query.order],
        is_descending=query.order is not TagOrder.NAME,
    )
    if not query.platform:
        page = _read(view, asked, after, size)
        return ListPage(_TagPage(view, name, page.items).rows(), page.next)
    found: list[TagRow] = []
    for _ in range(EXAMINED_MAX // size):
        page = _read(view, asked, after, size - len(found))
        rows = _TagPage(view, name, page.items).rows()
        found += [each for each in rows if query.platform in each.platforms]
        after = page.next or ""
        if len(found) == size or not after:
            break
    return ListPage(found, after or None)


def newest_tag(view: RepositoryView, name: str) -> str:
    """Return the tag that is to be shown first: the newest version; empty: there is no tag.

    Where no tag is a version, it is the last one that was pushed; pre-releases do not count.
    """
    releases = ComponentQuery(
        kind=TAG,
        name=name,
        order=ListOrder.VERSION,
        is_descending=True,
        is_prerelease=False,
        version_keys=VERSION_KEYS,
    )
    pushed = ComponentQuery(kind=TAG, name=name, order=ListOrder.UPDATED, is_descending=True)
    for asked in (releases, pushed):
        page = view.components(asked, ListRequest(1))
        if page.items:
            return page.items[0].version
    return ""


def _read(
    view: RepositoryView, asked: ComponentQuery, after: str, size: int
) -> ListPage[ComponentView]:
    """Return a page of components; the versions first, then the names that are none."""
    if asked.order is not ListOrder.VERSION:
        return view.components(asked, ListRequest(size, after))
    found: list[ComponentView] = []
    if not after.startswith(NAMES):
        page = view.components(replace(asked, version_keys=VERSION_KEYS), ListRequest(size, after))
        if page.next is not None:
            return page
        found, after = page.items, NAMES
    if len(found) == size:
        return ListPage(found, after)
    names = replace(asked, version_keys=NAME_KEYS)
    page = view.components(names, ListRequest(size - len(found), after.removeprefix(NAMES)))
    return ListPage([*found, *page.items], page.next and NAMES + page.next)


def _pattern(text: str) -> str | None:
    text = text.strip()
    if not text:
        return None
    return text if set(text) & {*"*?"} else f"*{text}*"


# What is said of each -----------------------------------------------------------------------------


class _TagPage:
    """What is asked for all tags of a page at once."""

    def __init__(self, view: RepositoryView, name: str, found: list[ComponentView]) -> None:
        self._view = view
        self._name = name
        self._found = {
            (each.repository_id, tag_path(name, Tag(each.version))): each for each in found
        }
        self._tags = view.stored(self._found)
        self._manifests = {key: READER.manifest(view, each) for key, each in self._tags.items()}
        self._parts = view.stored(self._part_keys())
        keys = [self._manifest_key(each) for each in self._tags.values()]
        self._names: dict[AssetKey, list[str]] = defaultdict(list)
        self._signed: set[AssetKey] = set()
        for each in view.referrers(keys, (TAG, SUBJECT), REFERRERS_MAX):
            if each.kind == TAG:
                self._names[each.key].append(each.source.rpartition("/")[2])
            elif is_signature(each):
                self._signed.add(each.key)
        self._seen = {key: self._seen_names(key) for key in self._names}
        self._pulls = view.pulls(self._tags, PULL_DAYS)

    def rows(self) -> list[TagRow]:
        """Return the tags that are still there, in order."""
        return [self._row(key, each) for key, each in self._found.items() if key in self._tags]

    def _row(self, key: AssetKey, found: ComponentView) -> TagRow:
        tag, manifest = self._tags[key], self._manifests[key]
        own = self._manifest_key(tag)
        images = self._images(tag, manifest)
        shown = choose(images)
        sizes = [each.size for each in images if each.size is not None]
        return TagRow(
            tag=found.version,
            member=found.repository,
            digest=str(tag.attributes["digest"]),
            media_type=tag.media_type,
            kind=kind_of(manifest),
            platforms=tuple(each.platform for each in images if each.platform),
            size=None if shown is None else shown.size,
            total_size=sum(sizes),
            also=tuple(each for each in self._seen.get(own, ()) if each != found.version),
            is_signed=own in self._signed or signature_key(self._name, tag) in self._parts,
            pushed_at=found.updated_at,
            pushed_by=tag.uploader,
            pulled_at=found.downloaded_at,
            pulls=self._pulls.get(key, 0),
        )

    def _seen_names(self, manifest: AssetKey) -> list[str]:
        """Return the tags of a manifest that the viewer may see, sorted."""
        sees, repository = self._view.sees, manifest[0]
        return [
            each
            for each in sorted(self._names[manifest])
            if sees(repository, tagged(self._name, Tag(each)))
        ]

    def _manifest_key(self, tag: StoredAsset) -> AssetKey:
        digest = Digest.parse(tag.attributes["digest"])
        return tag.key[0], manifest_path(self._name, digest)

    def _part_keys(self) -> Iterator[AssetKey]:
        """Yield where the children of indexes, the configs of images and signatures may be."""
        for (repository, _), manifest in self._manifests.items():
            yield from child_keys(repository, self._name, images_of(manifest))
            if has_platform(manifest) and manifest.config is not None:
                yield repository, blob_path(self._name, manifest.config.digest)
        for each in self._tags.values():
            yield signature_key(self._name, each)

    def _images(self, tag: StoredAsset, manifest: Manifest) -> tuple[PlatformImage, ...]:
        repository = tag.key[0]
        if manifest.kind is Kind.INDEX and kind_of(manifest) is ArtifactKind.INDEX:
            return platform_images(manifest, repository, self._name, self._parts)
        platform, digest = "", Digest.parse(tag.attributes["digest"])
        if has_platform(manifest) and manifest.config is not None:
            config = self._parts.get((repository, blob_path(self._name, manifest.config.digest)))
            if config is not None:
                platform = str(READER.config(self._view, config).platform)
        return (PlatformImage(platform, digest, tag),)


def has_platform(manifest: Manifest) -> bool:
    """Return whether the config of a manifest says for which platform it is."""
    return kind_of(manifest) is ArtifactKind.IMAGE


def is_signature(referrer: Referrer) -> bool:
    """Return whether what has an image as its subject is a signature."""
    return referrer_type(referrer).icon is AttachmentIcon.SIGNATURE


def signature_key(name: str, tag: StoredAsset) -> AssetKey:
    """Return where cosign stores the signature of what a tag leads to, unless by its subject."""
    digest = Digest.parse(tag.attributes["digest"])
    return tag.key[0], tag_path(name, Tag(f"{referrers_tag(digest)}{SIGNATURE_SUFFIX}"))


# What has no tag ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UntaggedRow:
    """A manifest that no tag and no index leads to, and that is attached to nothing."""

    digest: str
    member: str
    media_type: str
    kind: ArtifactKind
    size: int
    pushed_at: float
    pushed_by: str


def list_untagged(
    view: RepositoryView, name: str, after: str = "", size: int = PAGE_TAGS
) -> ListPage[UntaggedRow]:
    """Return a page of manifests without a tag, by member and digest.

    It looks at ``EXAMINED_MAX`` manifests, so it may be short, or empty, even if there are more.
    """
    found: list[UntaggedRow] = []
    left = EXAMINED_MAX
    for repository, prefix, start in _spans(view, name, after):
        end = prefix + LAST_CHARACTER
        for stored, is_named in view.below(repository, MANIFEST, (start, end), NAMING, left):
            left -= 1
            digest = stored.key[1].rpartition("/")[2]
            if not is_named and _is_shown(view, name, stored):
                found.append(_untagged(view, stored, digest))
            if len(found) == size or not left:
                return ListPage(found, f"{repository}@{digest}")
    return ListPage(found, None)


def _spans(view: RepositoryView, name: str, after: str) -> Iterator[tuple[int, str, str]]:
    """Yield where manifests are: a repository, the prefix of their paths, and where to start."""
    member, _, digest = after.partition("@")
    is_begun = not after
    for repository in view.scopes:
        for prefix in manifest_prefixes(name):
            path = f"manifests/{name}/{digest}"
            if is_begun:
                yield repository, prefix, prefix
            elif str(repository) == member and path.startswith(prefix):
                is_begun = True
                yield repository, prefix, path


def _is_shown(view: RepositoryView, name: str, stored: StoredAsset) -> bool:
    digest = stored.key[1].rpartition("/")[2]
    is_attached = "artifact_type" in stored.attributes
    return not is_attached and view.sees(stored.key[0], tagged(name, Tag(digest)))


def _untagged(view: RepositoryView, stored: StoredAsset, digest: str) -> UntaggedRow:
    return UntaggedRow(
        digest,
        view.scopes[stored.key[0]].name,
        stored.media_type,
        kind_of(READER.manifest(view, stored)),
        stored.transfer_size,
        stored.updated_at,
        stored.uploader,
    )
