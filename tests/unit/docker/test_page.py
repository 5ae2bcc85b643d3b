"""The page about Docker repositories names every address, method and error code."""

import re
from pathlib import Path

import pytest

from repoman.plugin import WritePolicy
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.patterns import TagChoice
from repoman_docker.protocol.reference import Digest, Resource
from repoman_docker.routes.v2 import HANDLERS
from repoman_docker.service import RegistryFailure

PAGE = (Path(__file__).parents[3] / "docs/docker.md").read_text(encoding="utf-8")
ADDRESSES = {
    Resource.BASE: "",
    Resource.CATALOG: "_catalog",
    Resource.BLOB: "<name>/blobs/<digest>",
    Resource.UPLOAD_START: "<name>/blobs/uploads/",
    Resource.UPLOAD: "<name>/blobs/uploads/<id>",
    Resource.MANIFEST: "<name>/manifests/<reference>",
    Resource.TAGS: "<name>/tags/list",
    Resource.REFERRERS: "<name>/referrers/<digest>",
}


@pytest.mark.parametrize(
    ("method", "resource"),
    [(method, resource) for resource, handlers in HANDLERS.items() for method in handlers],
)
def test_an_address_has_a_row_for_each_of_its_methods(method, resource):
    path = re.escape(ADDRESSES[resource])
    assert re.search(rf"^\| `{method} /v2/{path}(\?[^`]*)?` \| ", PAGE, re.MULTILINE)


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_has_a_row_with_its_usual_status(code):
    assert re.search(rf"^\| `{code}` \| (\d+, )*{code.status}\b", PAGE, re.MULTILINE)


def make_policy(repository, policy):
    return DeploymentPolicy(repository, policy, redeploy_latest=False, immutable=TagChoice())


def move_a_tag():
    policy = make_policy("releases", WritePolicy.ALLOW_ONCE)
    policy.check_tag("app", "1", "sha256:a", Digest.of("sha256", b""))


def write():
    make_policy("archive", WritePolicy.DENY).check_write()


@pytest.mark.parametrize("attempt", [move_a_tag, write])
def test_the_texts_of_refusals_are_as_they_are(attempt):
    with pytest.raises(RegistryFailure) as refused:
        attempt()
    assert f"`{refused.value.error.message}`" in PAGE
    assert f"`denied: {refused.value.error.message}`" in PAGE
