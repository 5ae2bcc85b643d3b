import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman_docker.protocol.reference import Resource, Route, match

DIGEST = "sha256:" + "a" * 64
# names that are made of the words of the grammar itself
NAMES = st.lists(
    st.sampled_from(["blobs", "uploads", "manifests", "tags", "list", "referrers", "v2", "a"]),
    min_size=1,
    max_size=6,
).map("/".join)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("", Route(Resource.BASE)),
        ("_catalog", Route(Resource.CATALOG)),
        (f"a/b/blobs/{DIGEST}", Route(Resource.BLOB, "a/b", DIGEST)),
        ("a/blobs/uploads/", Route(Resource.UPLOAD_START, "a")),
        ("a/blobs/uploads", Route(Resource.UPLOAD_START, "a")),
        ("a/blobs/uploads/1-2", Route(Resource.UPLOAD, "a", "1-2")),
        ("a/manifests/latest", Route(Resource.MANIFEST, "a", "latest")),
        ("a/tags/list", Route(Resource.TAGS, "a")),
        (f"a/referrers/{DIGEST}", Route(Resource.REFERRERS, "a", DIGEST)),
        # the grammar's words within names and references
        ("blobs/uploads/manifests/tags", Route(Resource.MANIFEST, "blobs/uploads", "tags")),
        ("a/manifests/tags/list", Route(Resource.TAGS, "a/manifests")),
        ("tags/list/tags/list", Route(Resource.TAGS, "tags/list")),
        ("a/manifests/list", Route(Resource.MANIFEST, "a", "list")),
        ("a/manifests/uploads", Route(Resource.MANIFEST, "a", "uploads")),
        ("a/blobs/uploads/uploads", Route(Resource.UPLOAD, "a", "uploads")),
        ("a/blobs/uploads/blobs/uploads", Route(Resource.UPLOAD_START, "a/blobs/uploads")),
        ("a/blobs/blobs/uploads/", Route(Resource.UPLOAD_START, "a/blobs")),
        ("v2/blobs/x", Route(Resource.BLOB, "v2", "x")),
        # a name that is none is found too, so that the answer can say so
        ("/blobs/x", Route(Resource.BLOB, "", "x")),
        ("A B/tags/list", Route(Resource.TAGS, "A B")),
    ],
)
def test_paths_name_resources(path, route):
    assert match(path) == route


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b/c",
        "/",
        "_catalog/",
        "blobs/x",
        "tags/list",
        "blobs/uploads",
        "blobs/uploads/",
        "blobs/uploads/x",
        "a/tags",
        "a/tags/other",
        "a/tags/list/",
        "a/manifests/",
        "a/blobs/",
        "a/manifests/x/",
        "a/manifests/x\n/y",
        "a/uploads/x",
        "xblobs/uploads/y",
    ],
)
def test_other_paths_name_nothing(path):
    assert match(path) is None


def test_resources_compare_with_their_text():
    assert Resource.UPLOAD_START == "upload_start"


@given(NAMES, st.sampled_from(["latest", "tags", "list", "uploads", "manifests", DIGEST]))
def test_any_name_is_found_again_whatever_its_components(name, reference):
    assert match(f"{name}/manifests/{reference}") == Route(Resource.MANIFEST, name, reference)
    assert match(f"{name}/referrers/{reference}") == Route(Resource.REFERRERS, name, reference)
    assert match(f"{name}/blobs/{DIGEST}") == Route(Resource.BLOB, name, DIGEST)
    assert match(f"{name}/blobs/uploads/{reference}") == Route(Resource.UPLOAD, name, reference)
    assert match(f"{name}/blobs/uploads/") == Route(Resource.UPLOAD_START, name)
    assert match(f"{name}/tags/list") == Route(Resource.TAGS, name)


@given(st.text(alphabet="a/\n") | st.text())
def test_any_path_is_matched_or_not(path):
    route = match(path)
    assert route is None or isinstance(route, Route)
