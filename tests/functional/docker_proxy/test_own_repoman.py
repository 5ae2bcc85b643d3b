"""Proxies of a Repoman that a test starts itself.

They are apart from the others: one Repoman runs in a process at a time, and the modules beside this
one keep theirs from their first test to the last.
"""

import pytest

from repoman.plugin import hookimpl
from repoman.testing import Clock
from repoman_docker import plugin
from repoman_docker.search import ImageHit, IndexAnswer
from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import Proxies, name_of

NAME = "team/app"


@pytest.mark.parametrize("cdn", [True, False])
def test_the_cache_lives_over_a_restart(tmp_path, repoman_factory, upstream, cdn):
    upstream.cdn = cdn
    image = make_image()
    upstream.put(NAME, "1", image)
    make = Proxies(repoman_factory({"docker": plugin}), Clock())
    proxy = make(upstream.url)
    proxy.pull(NAME, "1")
    upstream.stop()
    make = Proxies(repoman_factory({"docker": plugin}), Clock())
    again = make.reach(proxy.prefix.rpartition("/")[2])
    assert again.pull(NAME, "1") == image.manifest


def test_hook_repoman_docker_index_strategies(repoman_factory, upstream):
    class Fixed:
        def search(self, term, limit):
            return IndexAnswer([ImageHit(f"{term}-{number}") for number in range(limit)], 9)

    class Strategies:
        @hookimpl
        def repoman_docker_index_strategies(self):
            return {"fixed": lambda place: Fixed()}

    repoman = repoman_factory({"docker": plugin, "fixed": Strategies()})
    proxy = Proxies(repoman, Clock())(upstream.url, docker_proxy__index_type="fixed")
    service = repoman.repositories.get(name_of(proxy)).service
    found = service.search.find("a", 2, None)
    assert [each.name for each in found.hits] == ["a-0", "a-1"]
    assert found.total == 9
