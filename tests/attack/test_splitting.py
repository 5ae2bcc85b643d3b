"""No parameter of a request gets a header of its own into the response."""

import pytest

from tests.e2e.registry import Registry

EVIL = (
    "%0d%0aX-Evil:%201",
    "%0aX-Evil:%201",
    "%0d%0a%0d%0aX-Evil:%201",
    "%E5%98%8A%E5%98%8DX-Evil:1",  # whose last bytes are those of a line end
)
IMAGE = "/repository/docker-hosted/v2/image"
ASKED = (
    ("GET", "/repository/docker-hosted/v2/{}/tags/list"),
    ("GET", "/repository/{}/v2/"),
    ("GET", "/{}"),
    ("GET", f"{IMAGE}/manifests/{{}}"),
    ("GET", f"{IMAGE}/blobs/{{}}"),
    ("GET", f"{IMAGE}/tags/list?n=1&last={{}}"),
    ("GET", "/repository/docker-hosted/v2/_catalog?n=1&last={}"),
    ("GET", f"{IMAGE}/manifests/1?ns={{}}"),
    ("GET", "/repository/all/v2/image/manifests/1?ns={}"),
    ("GET", f"{IMAGE}/referrers/sha256:{'0' * 64}?artifactType={{}}"),
    ("GET", "/repository/docker-hosted/v2/token?service={0}&scope={0}"),
    ("GET", "/repository/docker-hosted/v2/token?scope=repository:{}:pull"),
    ("POST", f"{IMAGE}/blobs/uploads/?mount=sha256:{'0' * 64}&from={{}}"),
    ("POST", f"{IMAGE}/blobs/uploads/?digest={{}}"),
    ("POST", "/repository/docker-hosted/v2/{}/blobs/uploads/"),
    ("PUT", f"{IMAGE}/manifests/1?tag={{}}"),
    ("GET", "/repository/docker-hosted/v1/repositories/{}/images"),
    ("GET", "/repository/docker-hosted/v1/search?q={}"),
    ("GET", "/repository/files/{}"),
    ("PUT", "/repository/files/{}"),
    ("GET", "/login?next={}"),
    ("GET", "/account?next={}"),
)
TOKEN = ("Authorization: Bearer x.y.z", "X-Docker-Token: true")


@pytest.fixture(scope="module", autouse=True)
def image(victim):
    """Two images, so that lists have further pages."""
    registry = Registry(f"http://{victim.registry}", victim.admin)
    for name in ("image", "image2"):
        for tag in ("1", "2"):
            registry.push_image(name, tag, b"a layer")


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
@pytest.mark.parametrize(("method", "target"), ASKED)
def test_no_parameter_is_a_header(attack, method, target, evil):
    for more in ({}, {"login": None}):
        body = b"{}" if method != "GET" else None
        answer = attack(method, target.format(evil), *(TOKEN if more else ()), body=body, **more)
        head = answer.raw.partition(b"\r\n\r\n")[0]
        lines = head.replace(b"\r", b"\n").split(b"\n")
        assert not [line for line in lines if line.lower().startswith(b"x-evil")]
        assert answer.raw.count(b"HTTP/1.1 ") == 1
