import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repoman_docker.protocol.conditional import etag_matches
from repoman_docker.protocol.digest import Digest

DIGEST = Digest("sha256", "a" * 64)
OTHER = Digest("sha256", "b" * 64)


@pytest.mark.parametrize(
    "header",
    [
        f'"{DIGEST}"',
        f"{DIGEST}",
        f'W/"{DIGEST}"',
        f"W/{DIGEST}",
        f'"{OTHER}", "{DIGEST}"',
        f'"{OTHER}",W/"{DIGEST}",',
        "*",
        " * ",
        f'"{OTHER}", *',
    ],
)
def test_the_client_has_it(header):
    assert etag_matches(header, DIGEST)
    assert etag_matches(header, str(DIGEST))


@pytest.mark.parametrize(
    "header", [None, "", '""', ",", "W/", f'"{OTHER}"', f'"{DIGEST}x"', '"*"', f"{DIGEST} {OTHER}"]
)
def test_the_client_has_it_not(header):
    assert not etag_matches(header, DIGEST)


@given(st.none() | st.text(alphabet='W/",* ') | st.text())
@example(",W/" * 100_000)
def test_any_header_is_answered(header):
    assert etag_matches(header, DIGEST) in (True, False)
