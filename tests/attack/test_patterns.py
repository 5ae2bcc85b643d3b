"""No expression of an administrator and no name of a client keeps the server busy."""

import pytest

from repoman.errors import Invalid
from repoman.patterns import EXPRESSIONS_MAX, PATTERN_MAX_CHARS
from repoman.repositories.routing_records import RoutingMode, RoutingRule
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


def whitelist(expressions):
    """The settings of a proxy that has these expressions."""
    section = {"foreign_layer_url_whitelist": expressions}
    return {"proxy": {"remote_url": "http://127.0.0.1:9"}, "docker_proxy": section}


def test_a_list_of_expressions_takes_little_time_however_long_it_is(repoman):
    many = [f"a{{1000}}{number}" for number in range(20_000)]
    with cpu_limit(10):  # all of them take a minute
        with pytest.raises(Invalid, match=f"at most {EXPRESSIONS_MAX}"):
            repoman.repositories.create("refused", "docker-proxy", whitelist(many))
        rule = RoutingRule("long", RoutingMode.ALLOW, tuple(many))
        with pytest.raises(Invalid, match=f"more than {EXPRESSIONS_MAX}"):
            repoman.routing_rules.create(rule)
    most = tuple(f"/{number}" for number in range(EXPRESSIONS_MAX))
    repoman.routing_rules.create(RoutingRule("most", RoutingMode.ALLOW, most))
    assert repoman.repositories.find("refused") is None


def test_an_expression_is_not_given_back_however_long_it_is(repoman):
    long = ["[a-z]" * 100_000]
    with pytest.raises(Invalid, match=f"more than {PATTERN_MAX_CHARS} characters") as refused:
        repoman.repositories.create("refused", "docker-proxy", whitelist(long))
    assert len(str(refused.value)) < 1000
    longest = "a" * PATTERN_MAX_CHARS
    repoman.repositories.create("longest", "docker-proxy", whitelist([longest]))
