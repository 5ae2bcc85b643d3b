"""The steps of a build as histories tell of them, and what else a config says."""

import pytest

from repoman_docker.protocol.image_config import Step, parse_config, parse_step, parse_time


@pytest.mark.parametrize(
    ("told", "verb", "text"),
    [
        ("/bin/sh -c #(nop) ADD file:4b1f in / ", "ADD", "file:4b1f in /"),
        ('/bin/sh -c #(nop)  CMD ["bash"]', "CMD", '["bash"]'),
        ("/bin/sh -c apt-get update", "RUN", "apt-get update"),
        ("/bin/bash -o pipefail -c make | tee log", "RUN", "make | tee log"),
        ("|2 A=1 B=2 /bin/sh -c make", "RUN", "make"),
        ("RUN /bin/sh -c make install # buildkit", "RUN", "make install"),
        ("RUN |1 V=1 /bin/sh -c make # buildkit", "RUN", "make"),
        ("COPY --from=build /app /app # buildkit", "COPY", "--from=build /app /app"),
        ("bazel build //app", "", "bazel build //app"),
        ("", "", ""),
    ],
)
def test_steps_are_told_as_they_were_written(told, verb, text):
    assert parse_step(told) == Step(verb, text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T01:00:10+01:00", 10),
        ("1970-01-01T00:00:10.123456789Z", 10.123456),
        ("1970-01-01T00:00:10", 10),
        ("1970-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        (12, None),
    ],
)
def test_times_that_mean_something_are_read(text, seconds):
    assert parse_time(text) == (None if seconds is None else pytest.approx(seconds))


def test_a_config_that_is_none_says_nothing():
    for body in (b"", b"1", b"[]", b"\xff", b"[" * 100_000):
        assert parse_config(body) is None


def test_steps_of_any_number_are_bounded():
    many = b'{"history": [' + b",".join([b'{"created_by": "RUN x"}'] * 3000) + b"]}"
    config = parse_config(many)
    assert config is not None
    assert len(config.steps) == 2000
