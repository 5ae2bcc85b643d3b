import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.reference import ALGORITHMS, Digest, parse_algorithm

SHA256 = "sha256:" + "a" * 64
SHA512 = "sha512:" + "0" * 128


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_digests_of_supported_algorithms_are_parsed(text):
    digest = Digest.parse(text)
    assert str(digest) == text
    assert digest.is_supported
    assert Digest.parse_supported(text) == digest


@pytest.mark.parametrize("text", ["blake3:abc", "md5:ABC=", "a.b+c_d-e:x_-=", "sha256+b64:a"])
def test_well_formed_digests_of_other_algorithms_are_parsed_but_not_supported(text):
    digest = Digest.parse(text)
    assert str(digest) == text
    assert not digest.is_supported
    with pytest.raises(RegistryError, match="Use sha256 or sha512") as caught:
        Digest.parse_supported(text)
    assert caught.value.code is ErrorCode.DIGEST_INVALID


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        ":" + "a" * 64,
        "sha256:baddigeststring",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha512:" + "a" * 64,
        SHA256 + "\n",
        " " + SHA256,
        SHA256 + ":" + "a" * 64,
        "SHA256:" + "a" * 64,
        "+sha:a",
        "sha-:a",
        "sha..2:a",
        "x:é",
        "sha256:" + "٣" * 64,
    ],
)
def test_malformed_digests_are_refused(text):
    with pytest.raises(RegistryError) as caught:
        Digest.parse(text)
    assert (caught.value.code, caught.value.status) == (ErrorCode.DIGEST_INVALID, 400)


@given(st.binary(), st.sampled_from(ALGORITHMS))
def test_the_digest_of_data_is_its_hash_and_survives_the_wire(data, algorithm):
    digest = Digest.of(algorithm, data)
    assert digest.encoded == hashlib.new(algorithm, data).hexdigest()
    assert Digest.parse(str(digest)) == digest


def test_digests_can_be_keys_and_sorted():
    assert {Digest.parse(SHA256)} == {Digest.parse(SHA256)}
    assert sorted([Digest("b", "1"), Digest("a", "2")])[0] == Digest("a", "2")


@pytest.mark.parametrize("algorithm", ["", "md5", "SHA256", "shake_128", "sha256 "])
def test_algorithms_that_are_not_supported_are_refused(algorithm):
    for use in (parse_algorithm, lambda name: Digest.of(name, b"")):
        with pytest.raises(RegistryError) as caught:
            use(algorithm)
        assert caught.value.code is ErrorCode.DIGEST_INVALID


@given(st.text() | st.from_regex(r"[a-z0-9+._-]*:[a-zA-Z0-9=_-]*"))
@example("a" * 100_000 + "-" * 100_000 + ":")
def test_any_text_is_a_digest_or_a_registry_error(text):
    try:
        digest = Digest.parse(text)
    except RegistryError:
        return
    assert str(digest) == text
