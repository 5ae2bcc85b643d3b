"""What an image says of itself is found wherever it stands, and made one line."""

import json

import pytest

from repoman_docker.protocol.media_types import DOCKER_CONFIG, OCI_CONFIG
from repoman_docker.protocol.texts import (
    CONFIGS,
    DESCRIPTION_KEYS,
    DESCRIPTION_MAX_CHARS,
    description_of,
    labels_of,
)

DESCRIPTION, TITLE, OLD = DESCRIPTION_KEYS


def test_a_better_key_goes_before_a_better_source():
    assert description_of({TITLE: "title"}, {DESCRIPTION: "description"}) == "description"
    assert description_of({DESCRIPTION: "first"}, {DESCRIPTION: "second"}) == "first"
    assert description_of({OLD: "old"}, {TITLE: "title"}) == "title"
    assert description_of({OLD: "old"}) == "old"


@pytest.mark.parametrize("value", [None, 7, [], {}, "", " \n\t "])
def test_what_is_no_text_does_not_count(value):
    assert description_of({DESCRIPTION: value}) == ""
    assert description_of({DESCRIPTION: value}, {TITLE: "title"}) == "title"


def test_it_is_one_line_and_not_endless():
    assert description_of({DESCRIPTION: " a\r\nb\t c "}) == "a b c"
    assert description_of({DESCRIPTION: "x" * 5000}) == "x" * DESCRIPTION_MAX_CHARS
    assert description_of() == ""


def test_labels_are_read_from_a_config():
    config = {"config": {"Labels": {TITLE: "title", "other": "x"}}}
    assert labels_of(json.dumps(config).encode()) == {TITLE: "title", "other": "x"}
    assert {OCI_CONFIG, DOCKER_CONFIG} == CONFIGS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"\xff",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b'{"config": null}',
        b'{"config": {}}',
        b'{"config": {"Labels": null}}',
        b'{"config": {"Labels": []}}',
        b'{"config": {"Labels": "text"}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_config_has_no_labels(body):
    assert labels_of(body) == {}
