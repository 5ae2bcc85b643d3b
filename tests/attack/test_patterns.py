"""No expression of an administrator and no name of a client keeps the server busy."""

import pytest

from repoman.errors import Invalid
from repoman.testing import HttpClient
from repoman_docker import plugin as docker
from tests.clock import cpu_limit

EVIL = ["(a+)+b", "(a|a)*c", "(.*a){20}", "([a-z]+)*0", "a*a*a*a*a*a*a*a*d", "(a?){25}a{25}e"]
NAME = "a" * 250


@pytest.fixture(scope="module")
def repoman(module_factory):
    return module_factory({"docker": docker})


def test_a_routing_rule_takes_no_time_whatever_it_is(repoman):
    repoman.repositories.create("member", "docker-hosted", {})
    repoman.repositories.create(
        "routed",
        "docker-group",
        {"group": {"members": ["member"]}, "routing": {"mode": "block", "matchers": EVIL}},
    )
    client = HttpClient(repoman, connector="routed")
    with cpu_limit(10):  # the usual way takes longer than the universe has
        for path in ("manifests/1", "tags/list", "blobs/sha256:" + "0" * 64):
            assert client.get(f"/v2/{NAME}/{path}").status_code in (403, 404)


@pytest.mark.parametrize("expression", ["(", r"(a)\1", "a(?=b)", "(?i)a", "a{2000}", "[z-a]"])
@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("docker-group", lambda text: {"routing": {"matchers": [text]}}),
        ("docker-proxy", lambda text: {"routing": {"matchers": [text]}}),
        (
            "docker-proxy",
            lambda text: {"docker_proxy": {"foreign_layer_url_whitelist": [text]}},
        ),
    ],
)
def test_what_would_need_another_way_is_refused(repoman, expression, recipe, settings):
    sections = settings(expression)
    if recipe == "docker-proxy":
        sections["proxy"] = {"remote_url": "http://127.0.0.1:9"}
    else:
        sections["group"] = {"members": ["member"]}
    with pytest.raises(Invalid, match="is not a valid regular expression"):
        repoman.repositories.create("refused", recipe, sections)
