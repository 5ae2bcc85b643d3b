"""Search in a proxy: its cached images, and the results of its index."""

import logging
from dataclasses import dataclass, replace

from repoman.plugin import LruCache, MemberPool, SingleFlight, UpstreamError, waiting
from repoman_docker.hosted.lists import HostedSearch
from repoman_docker.proxy.site import ProxySite
from repoman_docker.search import (
    INDEX_TIMEOUT_S,
    SEARCH_MAX_IMAGES,
    SEARCH_TIMEOUT_S,
    Filter,
    ImageHit,
    ImageIndex,
    IndexAnswer,
    SearchResult,
    collect,
)

ANSWER_AGE_MAX_S = 300.0  # maximum seconds for which the answer of an index is cached
FILTERED_RESULTS = 300  # results requested from an index if not all may be shown
INDEX_PAUSE_S = 30.0  # seconds for which a failed index is not contacted

_log = logging.getLogger(__name__)


class ProxySearch:
    """Implements :class:`repoman_docker.search.ImageSearch`.

    Cached images come first, with the details from the index; then its other results.
    """

    def __init__(self, site: ProxySite, index: ImageIndex) -> None:
        self._site = site
        self._local = HostedSearch(site.content)
        self._index = _RememberingIndex(site, index)

    def find(
        self, term: str, first: int, is_visible: Filter | None, patience: float = SEARCH_TIMEOUT_S
    ) -> SearchResult:
        """See :class:`repoman_docker.search.ImageSearch`."""
        local = self._find_cached(term, is_visible)
        is_whole = is_visible is None and not self._site.routing.is_restricted
        wanted = first if is_whole else max(first, FILTERED_RESULTS)
        try:
            answer = self._index.search(
                term, min(wanted, SEARCH_MAX_IMAGES), min(INDEX_TIMEOUT_S, patience)
            )
        except UpstreamError as error:
            _log.warning("The proxy %s searched only its cache: %s", self._site.name, error)
            return collect(local, (self._site.name,))
        told = {each.name: each for each in answer.hits}
        hits = [replace(told.get(each.name, each), is_stored=True) for each in local]
        hits += [each for each in answer.hits if self._may_show(each.name, is_visible)]
        # The number of further images would reveal some that must not be seen.
        return collect(hits, (), answer.total if is_whole else 0)

    def _find_cached(self, term: str, is_visible: Filter | None) -> list[ImageHit]:
        shown = self._site.short_name

        def may_show(name: str) -> bool:
            return self._may_show(shown(name), is_visible)

        found = self._local.find(term, SEARCH_MAX_IMAGES, may_show).hits
        return [replace(each, name=shown(each.name)) for each in found]

    def _may_show(self, name: str, is_visible: Filter | None) -> bool:
        return self._site.serves(name) and (is_visible is None or is_visible(name))


@dataclass(frozen=True, slots=True)
class _Remembered:
    answer: IndexAnswer
    limit: int
    at: float


class _RememberingIndex:
    """Sends equal concurrent searches to an index only once."""

    def __init__(self, site: ProxySite, index: ImageIndex) -> None:
        self._site = site
        self._index = index
        self._pool = MemberPool(Exception)  # the strategy may come from a plugin
        self._flights: SingleFlight[IndexAnswer] = SingleFlight()
        self._answers: LruCache[_Remembered] = LruCache()
        self._failure: tuple[float, UpstreamError] | None = None

    def search(self, term: str, limit: int, timeout: float) -> IndexAnswer:
        """Return at least ``limit`` images, if there are that many (UpstreamError)."""
        if (known := self._known(term, limit)) is not None:
            return known
        key = f"search {limit} {term}"
        with waiting():  # for the index, not for the remote: pulls need all places in front of that
            return self._flights.run(key, lambda: self._ask(term, limit, timeout))

    def _known(self, term: str, limit: int) -> IndexAnswer | None:
        remembered = self._answers.find(term)
        if remembered is None or not self._is_good(remembered, limit):
            return None
        return remembered.answer

    def _is_good(self, remembered: _Remembered, limit: int) -> bool:
        is_enough = limit <= remembered.limit or remembered.answer.total <= remembered.limit
        is_young = 0 <= self._site.cache.clock() - remembered.at < ANSWER_AGE_MAX_S
        return is_enough and is_young and self._site.cache.metadata.is_fresh(remembered.at)

    def _check_rest(self) -> None:
        failure = self._failure
        if failure is not None and 0 <= self._site.cache.clock() - failure[0] < INDEX_PAUSE_S:
            raise failure[1]

    def _ask(self, term: str, limit: int, timeout: float) -> IndexAnswer:
        if (known := self._known(term, limit)) is not None:
            return known  # another thread was faster
        self._check_rest()
        at = self._site.cache.clock()
        asked = [(self._site.name, self._index)]
        found = self._pool.collect(asked, lambda index: index.search(term, limit), timeout)
        for _, error in found.failures:
            failure = error if isinstance(error, UpstreamError) else self._unexpected(error)
            self._failure = (at, failure)
            raise failure
        self._failure = None
        [answer] = found.answers
        self._answers.save(term, _Remembered(answer, limit, at))
        return answer

    def _unexpected(self, error: Exception) -> UpstreamError:
        name = self._site.name
        _log.error("The index of the proxy %s failed unexpectedly.", name, exc_info=error)
        return UpstreamError(f"The index of {name} failed. The server log has the details.")
