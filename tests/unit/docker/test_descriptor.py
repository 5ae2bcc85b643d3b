import pytest

from repoman_docker.protocol.descriptor import Descriptor, Platform, parse_descriptor
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.reference import Digest
from repoman_docker.protocol.strict_json import JsonObject

DIGEST = "sha256:" + "a" * 64
LEAST = {"mediaType": "a/b", "digest": DIGEST, "size": 3}


def test_the_least_descriptor():
    descriptor = parse_descriptor(JsonObject(LEAST))
    assert descriptor == Descriptor("a/b", Digest("sha256", "a" * 64), 3)
    assert descriptor.platform is None


def test_the_whole_descriptor():
    descriptor = parse_descriptor(
        JsonObject(
            LEAST
            | {
                "annotations": {"k": "v"},
                "artifactType": "x/y",
                "data": "e30=",
                "urls": ["https://h/blob", "http://h:1/?a=b"],
                "platform": {
                    "os": "windows",
                    "architecture": "arm64",
                    "variant": "v8",
                    "os.version": "10",
                    "os.features": ["win32k"],
                    "features": ["ignored"],
                },
                "custom": 1,
            }
        )
    )
    assert descriptor.annotations == {"k": "v"}
    assert descriptor.artifact_type == "x/y"
    assert descriptor.urls == ("https://h/blob", "http://h:1/?a=b")
    assert descriptor.platform == Platform("windows", "arm64", "v8")


def test_a_platform_reads_as_docker_writes_it():
    assert str(Platform("linux", "arm64", "v8")) == "linux/arm64/v8"
    assert str(Platform("linux", "amd64")) == "linux/amd64"
    assert str(Platform("", "")) == ""


def test_a_digest_of_an_unknown_algorithm_is_a_digest():
    assert not parse_descriptor(JsonObject(LEAST | {"digest": "x:y"})).digest.is_supported


def test_content_may_be_empty_and_fields_null():
    nothing = dict.fromkeys(["annotations", "data", "urls", "platform", "artifactType"])
    assert parse_descriptor(JsonObject(LEAST | nothing | {"size": 0})).size == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mediaType": None}, "mediaType' is missing"),
        ({"mediaType": ""}, "mediaType' is missing"),
        ({"mediaType": 1}, "mediaType' must be a string"),
        ({"digest": None}, "digest' is not valid"),
        ({"digest": 1}, "digest' must be a string"),
        ({"digest": "sha256:a"}, "digest' is not valid: 'sha256:a' is not a valid digest"),
        ({"size": None}, "size' must be a number of bytes"),
        ({"size": -1}, "size' must be a number of bytes"),
        ({"size": "3"}, "size' must be an integer"),
        ({"data": {}}, "data' must be a string"),
        ({"annotations": {"a": 1}}, "annotations.a' must be a string"),
        ({"artifactType": 1}, "artifactType' must be a string"),
        ({"platform": "linux"}, "platform' must be an object"),
        ({"platform": {"os": 1}}, "platform.os' must be a string"),
        ({"urls": "https://h"}, "urls' must be a list"),
        ({"Digest": DIGEST}, "Digest' must be written digest"),
    ],
)
def test_what_is_wrong_is_named(change, words):
    with pytest.raises(RegistryError) as caught:
        parse_descriptor(JsonObject(LEAST | change))
    assert caught.value.code is ErrorCode.MANIFEST_INVALID
    assert words in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://h/x",
        "file:///etc/passwd",
        "https:/x",
        "//h/x",
        "https://h/x#y",
        "https://h/x#",
        "http://[",
        "javascript:alert(1)",
    ],
)
def test_urls_of_other_kinds_are_refused(url):
    with pytest.raises(RegistryError, match="must hold http or https URLs"):
        parse_descriptor(JsonObject(LEAST | {"urls": [url]}))
