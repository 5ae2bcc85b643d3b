import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.reference import (
    Digest,
    Tag,
    parse_name,
    parse_reference,
    parse_tag,
    referrers_tag,
)
from tests.clock import cpu_limit

# the grammar as the distribution-spec writes it; too slow for bad names, right for short ones
SPEC_NAME = re.compile(
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII
)
SPEC_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)
COMPONENTS = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,3}", fullmatch=True)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "0",
        "library/nginx",
        "a__b",
        "a---b",
        "a.b_c-d/e",
        "v2/blobs/uploads/tags/list",
        "x" * 255,
    ],
)
def test_image_names_are_accepted(name):
    assert parse_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "A",
        "a\n",
        "a b",
        "a___b",
        "a..b",
        "a._b",
        "-a",
        "a-",
        "_catalog",
        "é",
        "a/../b",
        "a:b",
        "²",
        "x" * 256,
    ],
)
def test_other_names_are_refused(name):
    with pytest.raises(RegistryError) as caught:
        parse_name(name)
    assert (caught.value.code, caught.value.status) == (ErrorCode.NAME_INVALID, 400)


@given(st.lists(COMPONENTS, min_size=1, max_size=8).map("/".join))
def test_names_made_by_the_grammar_are_accepted(name):
    assert parse_name(name) == name


@given(st.text(alphabet="ab0._-/A\n", max_size=12))
def test_names_are_judged_as_the_specification_does(text):
    assert _is_accepted(parse_name, text) == bool(SPEC_NAME.fullmatch(text))


@pytest.mark.parametrize("text", ["a" * 100_000 + "!", "a-" * 50_000, "-" * 100_000, "a/" * 50_000])
@pytest.mark.parametrize("parse", [parse_name, parse_tag, parse_reference, Digest.parse])
def test_evil_texts_are_refused_at_once(parse, text):
    with cpu_limit(1):
        for evil in (text, text[:254] + "!"):
            with pytest.raises(RegistryError):
                parse(evil)


@pytest.mark.parametrize("tag", ["latest", "_", "1.0", "V-1_2.x", "a" * 128, "sha256-" + "0" * 64])
def test_tags_are_accepted(tag):
    assert parse_tag(tag) == tag
    assert isinstance(parse_reference(tag), Tag)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a" * 129, "a\n", "a/b", "a b", "é", "a+b"])
def test_other_tags_are_refused(tag):
    with pytest.raises(RegistryError) as caught:
        parse_reference(tag)
    assert (caught.value.code, caught.value.status) == (ErrorCode.TAG_INVALID, 400)


@given(st.text(alphabet=string.ascii_letters + "0._-\n+", max_size=6))
def test_tags_are_judged_as_the_specification_does(text):
    assert _is_accepted(parse_tag, text) == bool(SPEC_TAG.fullmatch(text))


def test_a_reference_with_a_colon_is_a_digest():
    text = "sha256:" + "b" * 64
    assert parse_reference(text) == Digest("sha256", "b" * 64)
    with pytest.raises(RegistryError) as caught:
        parse_reference("sha256:baddigeststring")
    assert caught.value.code is ErrorCode.DIGEST_INVALID


@pytest.mark.parametrize(
    ("digest", "tag"),
    [
        ("sha256:" + "a" * 64, "sha256-" + "a" * 64),
        ("sha512:" + "b" * 128, "sha512-" + "b" * 64),
        ("x+y:a=b", "x-y-a-b"),
        ("a" * 40 + ":z", "a" * 32 + "-z"),
    ],
)
def test_the_fallback_tag_of_referrers(digest, tag):
    assert referrers_tag(Digest.parse(digest)) == tag


@given(st.from_regex(r"[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+", fullmatch=True))
def test_the_fallback_tag_is_a_tag(text):
    if _is_accepted(Digest.parse, text):
        tag = referrers_tag(Digest.parse(text))
        assert parse_tag(tag) == tag


@given(st.text())
def test_any_text_is_parsed_or_a_registry_error(text):
    for parse in (parse_name, parse_tag, parse_reference):
        _is_accepted(parse, text)


def _is_accepted(parse, text):
    try:
        parse(text)
    except RegistryError:
        return False
    return True
