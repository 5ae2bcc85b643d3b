"""The cache of one proxy: its remote, what is known of it, and how to fetch once for many.

It knows no protocol: a format decides what is asked for, and what an answer means.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TypeVar

from repoman.blobs.store import BlobTarget, StoredBlob
from repoman.content import Asset, ContentStore
from repoman.errors import NotFound, RepomanError, Unavailable, UpstreamError, UpstreamRefused
from repoman.events.origin import Origin, acting_as, acting_by
from repoman.printable import render_size
from repoman.proxy.cache_records import CacheRecords
from repoman.proxy.download import STORAGE_ERRORS, Download
from repoman.proxy.failures import ascii_host_of
from repoman.proxy.fetching import Body, FetchRequest
from repoman.proxy.freshness import Ages, NegativeCache
from repoman.proxy.remote_health import Condition, RemoteHealth, RemoteState
from repoman.proxy.services import ProxyServices, Trimmed
from repoman.proxy.upstream import ClientOptions, UpstreamClient

FETCH = "fetch"  # the source of what a proxy stores
CLEANUP = Origin("system", source="cleanup")  # who removes what is too much

TRIM_BATCH = 50  # Assets that are looked at together when room is needed.
# The limit that the remote told of is saved, and the cache is trimmed, so long after a fetch.
SETTLE_DELAY_S = 60.0
STATE_DELAY_S = 1.0  # A change of the remote's state is saved after this time.
DISK_FULL_PAUSE_S = 60.0  # Nothing is cached for this time after the disk was full.

Value = TypeVar("Value")

_log = logging.getLogger(__name__)


class Source(StrEnum):
    """The source of a response, as shown in ``X-Repoman-Cache`` and the access log."""

    HIT = "HIT"
    MISS = "MISS"
    STALE = "STALE"
    REVALIDATED = "REVALIDATED"


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The settings of a cache; ages in minutes (-1: forever), ``limit`` in bytes (0: none).

    ``kinds`` of assets go when there are more bytes than the limit.
    """

    repository_id: int
    name: str
    remote: str
    content_max_age: int
    metadata_max_age: int
    not_found_age: int
    limit: int
    kinds: tuple[str, ...]
    is_blocked: bool
    auto_block: bool
    client: ClientOptions


class ProxyCache:
    """What the parts of a proxy share; thread safe.

    Attributes:
        client: the client of the remote.
        status: whether the remote may be contacted.
        negative: what it does not have.
        contents: judges the age of content.
        metadata: judges the age of lists and movable names.
        absences: judges the age of answers that there is nothing.
    """

    def __init__(
        self,
        options: CacheOptions,
        content: ContentStore,
        blobs: BlobTarget,
        services: ProxyServices,
    ) -> None:
        self.options = options
        self.clock = services.clock
        self._host = ascii_host_of(options.remote)
        self._content = content
        self._blobs = blobs
        self._services = services
        self._full_until = 0.0
        self.records = CacheRecords(services.database, options.repository_id)
        self.negative = NegativeCache(self.clock, options.not_found_age, self.records.renewals)
        self.contents = Ages(self.clock, options.content_max_age, self.records.invalidated_at)
        self.metadata = Ages(self.clock, options.metadata_max_age, self.records.invalidated_at)
        self.absences = Ages(self.clock, options.not_found_age, self.records.invalidated_at)
        self.status = RemoteHealth(
            options.remote,
            services.ticks,
            is_blocked=options.is_blocked,
            auto_block=options.auto_block,
            on_block=self._probe_later,
            on_doubt=self._examine_soon,
            on_change=self._tell_later,
        )
        self._check_login: Callable[[], object] = lambda: None
        self._checks = self.records.checks()
        self._told: RemoteState | None = None
        self._is_telling = False
        self.client = UpstreamClient(options.remote, options.client, self.status)
        self._is_settling = False
        self._trimming = threading.Lock()
        self._has_grown = False  # Since the last trimming began.
        services.enter(options.repository_id, self)
        if options.limit:
            self._settle_later()  # the limit may be lower than before

    # Content -------------------------------------------------------------------------------------

    def find(self, path: str) -> Asset | None:
        """Return the cached asset at a path; None if its bytes are missing: it is fetched again.

        It stays in the database until then, since a missing disk may come back.
        """
        asset = self._content.find_asset(path)
        if asset is None:
            return None
        try:
            if self._content.has_bytes(asset):
                return asset
            _log.error(
                "The file of %s in the proxy %s is missing. It is fetched again.",
                path,
                self.options.name,
            )
        except Unavailable as error:
            _log.error("Cannot read %s of the proxy %s: %s", path, self.options.name, error)
        return None

    def keep(self, what: str, write: Callable[[], object]) -> bool:
        """Write to the cache and return whether that succeeded.

        Clients are served even if the disk is full or not writable, and they do not wait for other
        writers.
        """
        try:
            with self._content.brief_waits():
                write()
        except STORAGE_ERRORS as error:
            _log.warning("Cannot store %s in the proxy %s: %s", what, self.options.name, error)
            return False
        return True

    def touch(self, asset: Asset, at: float) -> Asset:
        """Note that the remote still has an asset as it is, and return the asset so."""
        self.keep(asset.path, lambda: self.records.mark_checked(asset.path, at))
        return replace(asset, checked_at=at)

    @contextmanager
    def absence(self, what: str, fail: Callable[[str], RepomanError] = NotFound) -> Iterator[None]:
        """Convert absence at the remote, and its refusals, into the error that ``fail`` makes.

        A refusal is never passed on as 401: the client would try to log in to this server.
        """
        try:
            yield
        except NotFound as error:
            raise fail(f"The remote {self.options.remote} does not have {what}.") from error
        except UpstreamRefused as error:
            raise fail(f"The proxy cannot read {what}: {error}") from error

    def headers(self, source: Source, asset: Asset | None = None) -> Mapping[str, str]:
        """Return the headers with the source and the age of a response."""
        headers = {"X-Repoman-Cache": source.value, "X-Repoman-Upstream": self._host}
        if asset is not None:
            headers["Age"] = str(self.metadata.age(asset.checked_at))
        return headers

    def once(self, key: str, work: Callable[[], Value]) -> Value:
        """Return what ``work`` returns; callers with the same key share one call.

        Raises:
            UpstreamBusy: too many wait for the remote already.
        """

        def fetch() -> Value:
            self._settle_later()
            with acting_by(FETCH):
                return work()

        with self.client.gate.passed(key):
            value: Value = self._services.flights.run((self.options.repository_id, key), fetch)
        return value

    def download(self, path: str, make: Callable[[], FetchRequest | None]) -> Download | None:
        """Return the download of ``path`` that runs, or begin it; None if ``make`` says so.

        Raises:
            StorageFull, Unavailable: there is no room, or there was none a moment ago.
        """

        def request() -> FetchRequest | None:
            made = make()
            return None if made is None else self._complete(made)

        return self._services.downloads.follow(
            self.options.repository_id, (self.options.remote, path), self._blobs, request
        )

    def open_client(self, address: str, timeout: float | None) -> UpstreamClient:
        """Return a client for another host that this proxy asks: it is tried once, in a hurry."""
        options = replace(self.options.client, timeout=timeout, retries=0)
        status = RemoteHealth(
            address, self._services.ticks, is_blocked=self.options.is_blocked, auto_block=False
        )
        return UpstreamClient(address, options, status)

    def has_room(self) -> bool:
        """Return whether it is worth trying to keep something."""
        return self._services.ticks() >= self._full_until

    def note_full(self) -> None:
        """The disk is full or fails: let a while pass before trying again to keep something."""
        self._full_until = self._services.ticks() + DISK_FULL_PAUSE_S

    def make_room(self) -> int:
        """Remove what nobody has used for longest, if the cache has grown beyond its limit.

        Returns how many assets were removed; 0 also if another thread is doing it, which then does
        it once more.
        """
        if not self.options.limit:
            return 0
        count, self._has_grown = 0, True
        while self._has_grown and self._trimming.acquire(blocking=False):
            try:
                self._has_grown = False
                count += self._trim()
            finally:
                self._trimming.release()
        return count

    def invalidate(self) -> None:
        """Invalidate everything that can change, and everything that was not found.

        Every process learns of it, as of :meth:`refresh`.
        """
        with self._content.transaction():
            self.records.invalidate(self.clock())
            self.records.renew()

    def refresh(self, places: Iterable[tuple[str, str]]) -> None:
        """The same, for the paths that begin and end with one of these pairs, and what lacked."""
        for prefix, suffix in places:
            self.records.forget_checks(prefix, suffix)
        self.records.renew()

    @property
    def state(self) -> RemoteState:
        """How the remote is."""
        status, now, left = self.status, self.clock(), self.status.blocked_for
        until = None if left is None else now + left
        return RemoteState(status.condition, status.reason, status.budget, now, until)

    def on_check(self, check_login: Callable[[], object]) -> None:
        """Have ``check_login`` tell the status at each check if the remote takes the login."""
        self._check_login = check_login

    def check(self) -> RemoteState:
        """Forget failures, test the remote now, and return its state; every process does so."""
        self._checks = self.records.note_check()
        self._check()
        return self.state

    def examine(self) -> RemoteState:
        """Test the remote and the login at it, and return how it is, without a word to others."""
        self.client.examine()
        if self.status.condition is Condition.AVAILABLE:
            self._check_login()
        return self.state

    def notice_check(self) -> None:
        """Do the same, in the background, if another process has done it."""
        checks = self.records.checks()
        if checks != self._checks:
            self._checks = checks
            self._services.fetchers.submit("probes", self._check)

    def retire(self) -> None:
        """Send no further requests to the remote."""
        self.status.retire()

    def _complete(self, request: FetchRequest) -> FetchRequest:
        """Return the request with what every download does here."""
        keep = request.keep

        def open_for_readers(start: int) -> Body:
            with self.client.gate.waited_for():
                return request.open(start)

        def keep_and_trim(blob: StoredBlob) -> None:
            with acting_by(FETCH):
                keep(blob)
            self._settle_later()
            self.make_room()

        return replace(
            request,
            open=open_for_readers,
            keep=keep_and_trim,
            note_failure=self._note_failure,
            waiting=partial(self.client.gate.passed, request.title),
        )

    def _note_failure(self, error: RepomanError) -> None:
        if isinstance(error, STORAGE_ERRORS):
            self.note_full()
        elif isinstance(error, UpstreamError):
            self.status.note_failure(error)

    def _trim(self) -> int:
        options = self.options
        try:
            if self.records.sizes()[0] <= options.limit:
                return 0
            with self._content.brief_waits(), acting_as(CLEANUP):
                self._services.pulls.flush()
                trimmed = trim(self.records, self._content, options.kinds, options.limit)
        except RepomanError as error:
            _log.warning("The cache of %s could not be trimmed: %s", options.name, error)
            return 0
        if trimmed.files:
            limit = render_size(options.limit)
            _log.info("The cache of %s exceeded its %s: removed %s.", options.name, limit, trimmed)
            self._services.note_trimmed(options.name, trimmed)
        return trimmed.files

    def _settle_later(self) -> None:
        if not self._is_settling:
            self._is_settling = True
            self._services.alarm.call_later(SETTLE_DELAY_S, self._settle)

    def _settle(self) -> None:
        self._is_settling = False
        if self._is_current():
            self._tell()
            self.make_room()

    def _tell_later(self) -> None:
        if not self._is_telling:
            self._is_telling = True
            self._services.alarm.call_later(STATE_DELAY_S, self._tell)

    def _tell(self) -> None:
        """Save the state of the remote, for other processes, if it has changed."""
        self._is_telling = False
        state = self.state
        if self._is_current() and (self._told is None or _differ(self._told, state)):
            try:
                self.records.save_state(state)
                self._told = state
            except RepomanError as error:
                _log.warning(
                    "The state of the remote %s could not be saved: %s", self.options.remote, error
                )
                self._services.alarm.call_later(SETTLE_DELAY_S, self._tell)

    def _check(self) -> None:
        self.status.reset()
        if not self.status.is_blocked:
            self.examine()
        self._told = None
        self._tell()

    def _examine_soon(self) -> None:
        if self._is_current():
            self._services.fetchers.submit("probes", self.client.examine)

    def _probe_later(self, pause: float) -> None:
        self._services.alarm.call_later(pause, self._probe)

    def _probe(self) -> None:
        if self._is_current():
            # Not in the thread of the alarm, for which others wait.
            self._services.fetchers.submit("probes", self.client.probe)

    def _is_current(self) -> bool:
        """Return whether the settings are still these: a change makes another cache."""
        return self._services.current(self.options.repository_id) is self


@dataclass(frozen=True, slots=True)
class CacheRemote:
    """The remote of a cache, as administrators see it: the ``remote`` of its capabilities.

    Attributes:
        places: returns the beginnings and ends of all paths that belong to a name of the format.
    """

    cache: ProxyCache
    places: Callable[[str], Iterable[tuple[str, str]]]

    @property
    def state(self) -> RemoteState:
        """How it is now, as far as this process knows."""
        return self.cache.state

    def check(self) -> RemoteState:
        """Ask it now, and return how it is."""
        return self.cache.check()

    def examine(self) -> RemoteState:
        """Ask it now, without a word to other processes."""
        return self.cache.examine()

    def invalidate(self) -> None:
        """Have it asked again for all that can change."""
        self.cache.invalidate()

    def refresh(self, name: str) -> None:
        """The same, for all that the cache has under one name, and for what it lacked."""
        self.cache.refresh(self.places(name))


def trim(
    records: CacheRecords, content: ContentStore, kinds: tuple[str, ...], limit: int
) -> Trimmed:
    """Remove assets of these kinds until the cache holds at most ``limit`` bytes.

    The least recently downloaded content is removed first. Compaction frees its bytes a while
    later, so that content that is being read stays readable. Returns what was removed.
    """
    trimmed = Trimmed()
    while (excess := (before := records.sizes())[0] - limit) > 0:
        paths, times = [], []
        for path, size, used_at in records.longest_unused(kinds, TRIM_BATCH):
            paths.append(path)
            times.append(used_at)
            excess -= size
            if excess <= 0:
                break
        if not paths:
            break
        count = content.delete_assets(paths)
        # What was fetched in between may make up for it.
        size, own_size = (
            max(0, was - now) for was, now in zip(before, records.sizes(), strict=True)
        )
        trimmed += Trimmed(count, size, own_size, times[0], times[-1])
    return trimmed


def _differ(told: RemoteState, state: RemoteState) -> bool:
    """Return whether there is something new to tell; the end of a block is known to a second."""
    was, will = told.blocked_until or 0.0, state.blocked_until or 0.0
    same = replace(told, at=state.at, blocked_until=state.blocked_until)
    return same != state or abs(was - will) > 1
