"""The core sees the content of Docker repositories by the paths of the registry API."""

import pytest

from repoman.plugin import Coordinate
from repoman_docker.layout import (
    BLOB,
    LIST,
    MANIFEST,
    TAG,
    blob_path,
    image,
    manifest_path,
    tag_list_path,
    tag_path,
    tagged,
)
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.rules import RULES

DIGEST = Digest.of("sha256", b"x")


def test_assets_and_components_have_the_paths_that_clients_ask_for():
    name, tag = "team/app", Tag("1.0")
    paths = [
        RULES.asset_path(TAG, tag_path(name, tag)),
        RULES.asset_path(MANIFEST, manifest_path(name, DIGEST)),
        RULES.asset_path(BLOB, blob_path(name, DIGEST)),
        RULES.component_path(tagged(name, tag)),
        RULES.component_path(image(name)),
    ]
    assert paths == [
        "/v2/team/app/manifests/1.0",
        f"/v2/team/app/manifests/{DIGEST}",
        f"/v2/team/app/blobs/{DIGEST}",
        "/v2/team/app/manifests/1.0",
        "/v2/team/app/tags/list",
    ]
    assert {RULES.name_of(path) for path in paths} == {name}
    assert RULES.asset_path(LIST, tag_list_path(name)) == "", "nobody asks for what is cached so"


NAMES = ["a", "team", "team-x", "team/app", "team/app/manifests/x", "team/apple", "teams", "z"]
TAGS = ["1.0", "latest"]


@pytest.mark.parametrize(
    "beginning",
    [
        "",
        "/",
        "/v2/",
        "/v2/team",
        "/v2/team/",
        "/v2/team/app",
        "/v2/team/app/",
        "/v2/team/app/man",
        "/v2/team/app/manifests",
        "/v2/team/app/manifests/1",
        "/v2/team/app/manifests/x/tags/l",
        "/v2/team/tags/list",
        "/v2/z",
        "/other",
    ],
)
def test_the_range_of_names_holds_all_whose_paths_begin_so(beginning):
    low, high = RULES.names_below(beginning)
    for name in NAMES:
        paths = [RULES.component_path(Coordinate("tag", name, tag)) for tag in TAGS]
        paths.append(RULES.component_path(image(name)))
        if any(path.startswith(beginning) for path in paths):
            assert low <= name < high
    if beginning.startswith("/v2/team/"):
        assert not low <= "teams" < high
