"""Registries as products and their usual installations answer, as far as it matters to a proxy.

Each has its own way to let pullers in, to send blobs and to page lists; all of them are pulled from
in the same way.
"""

import gzip
from dataclasses import dataclass, replace

import pytest

from tests.fakes.scripted import Asked, Reply, reply
from tests.functional.docker_proxy.shapes import BASIC, LOGIN, NAME, check_all, make_image, serve


@dataclass(frozen=True)
class Product:
    """How a registry differs from the plainest one.

    Args:
        prefix: path of the registry at its host.
        challenge: answered with 401; ``{url}`` is the server, ``{scope}`` the image's scope.
        token: where tokens are given, and how they are called in the answer.
        blobs: what a blob's path is redirected to; ``{cdn}`` is another server.
        link: of lists, ``{path}`` without the prefix.
        heads: status of HEAD for manifests.
        tells_digest: whether answers have Docker-Content-Digest.
        login: what the proxy is set to.
        is_compressed: whether a web server before it compresses JSON.
    """

    prefix: str = ""
    challenge: str = ""
    token: tuple[str, str] = ("/token", "token")
    blobs: str = ""
    link: str = '<{prefix}{path}>; rel="next"'
    heads: int = 200
    tells_digest: bool = True
    login: bool = False
    is_compressed: bool = False


PRODUCTS = {
    "distribution": Product(),
    "distribution with htpasswd": Product(challenge='Basic realm="Registry Realm"', login=True),
    "Docker Hub": Product(
        challenge='Bearer realm="{url}/token",service="registry.docker.io",scope="{scope}"',
        blobs="{cdn}/registry-v2/docker/registry/v2/blobs/sha256/ab/data?Expires=1&Signature=a~b%2F",
    ),
    "GHCR": Product(
        challenge='Bearer realm="{url}/token",service="ghcr.io",scope="{scope}"',
        blobs="{cdn}/ghcr1/blobs/x?se=2024-01-01T00%3A00%3A00Z&sig=a%2Bb%3D&sp=r&sv=2019-12-12",
    ),
    "Quay": Product(
        challenge='Bearer realm="{url}/v2/auth",service="quay.io",scope="{scope}"',
        token=("/v2/auth", "token"),
        link='<{path}&next_page=gAAAAABm%3D%3D>; rel="next"',
        blobs="{cdn}/quayio-production-s3/sha256/ab/x?X-Amz-Signature=1&X-Amz-Expires=600",
    ),
    "ECR": Product(challenge='Basic realm="{url}/",service="ecr.amazonaws.com"', login=True),
    "ECR public": Product(
        challenge='Bearer realm="{url}/token/",service="public.ecr.aws",scope="aws"',
        token=("/token/", "token"),
    ),
    "Google Artifact Registry": Product(
        challenge='Bearer realm="{url}/v2/token"',
        token=("/v2/token", "token"),
        blobs="/artifacts-downloads/namespaces/x/AF2z%2f?sig=|~",
    ),
    "Google Container Registry": Product(
        challenge='Bearer realm="{url}/v2/token",service="gcr.io"', token=("/v2/token", "token")
    ),
    "Azure": Product(
        challenge='Bearer realm="{url}/oauth2/token",service="x.azurecr.io",scope="{scope}"',
        token=("/oauth2/token", "access_token"),
        login=True,
        link='<{path}&orderby=>; rel="next"',
    ),
    "Harbor": Product(
        challenge='Bearer realm="{url}/service/token",service="harbor-registry",scope="{scope}"',
        token=("/service/token", "token"),
        login=True,
        is_compressed=True,
    ),
    "GitLab": Product(
        challenge='Bearer realm="{url}/jwt/auth",service="container_registry",scope="{scope}",'
        'error="invalid_token"',
        token=("/jwt/auth", "token"),
        login=True,
    ),
    "Gitea": Product(
        challenge='Bearer realm="{url}/v2/token",service="container_registry",scope="*"',
        token=("/v2/token", "token"),
    ),
    "Artifactory by path": Product(
        prefix="/artifactory/api/docker/docker-remote",
        challenge='Bearer realm="{url}/artifactory/api/docker/docker-remote/v2/token",'
        'service="host"',
        token=("/artifactory/api/docker/docker-remote/v2/token", "access_token"),
        link='<{path}>; rel="next"',
        login=True,
    ),
    "Artifactory, virtual": Product(
        challenge='Basic realm="Artifactory Realm"', login=True, heads=404, tells_digest=False
    ),
    "Nexus": Product(
        challenge='BASIC realm="Sonatype Nexus Repository Manager"', login=True, heads=404
    ),
    "Nexus by path": Product(
        prefix="/repository/docker",
        challenge='Bearer realm="{url}/repository/docker/v2/token",service="{url}/v2/token"',
        token=("/repository/docker/v2/token", "token"),
    ),
    "zot": Product(
        challenge='Bearer realm="{url}/zot/auth/token"', token=("/zot/auth/token", "token")
    ),
    "zot with two ways in": Product(
        challenge='Basic realm="zot", Bearer realm="{url}/token",service="zot",scope="{scope}"',
        login=True,
    ),
    "Pulp": Product(
        challenge='Bearer realm="{url}/token/",service="pulp",scope="{scope}"',
        token=("/token/", "token"),
        blobs="/pulp/container/x/blobs/sha256:ab?validate_token=1:a%3a",
        link='<http://pulp-api:24817{path}>; rel="next"',
    ),
    "Red Hat": Product(
        challenge='Bearer realm="{url}/auth/realms/rhcc/protocol/redhat-docker-v2/auth",'
        'service="docker-registry"',
        token=("/auth/realms/rhcc/protocol/redhat-docker-v2/auth", "token"),
        blobs="{cdn}/sha256/ab/x?akamaihd=exp=1~hmac=2",
    ),
    "behind IIS": Product(challenge='Negotiate, NTLM, Basic realm="x"', login=True, heads=405),
    "behind nginx that compresses": Product(is_compressed=True, tells_digest=False, heads=403),
    "behind a proxy that ends TLS": Product(link='<http://registry:5000{path}>; rel="next"'),
}


class Installation:
    """A running product with one image."""

    def __init__(self, product, image, url, cdn):
        self.product = product
        self.url = url
        self.cdn = cdn
        self.serve = serve(image, product.prefix)
        self.image = image

    def __call__(self, asked: Asked) -> Reply:
        found = self.answer(asked)
        is_json = found.body.startswith(b"{") and "/blobs/" not in asked.path
        if self.product.is_compressed and is_json:
            headers = (*found.headers, ("Content-Encoding", "gzip"))
            return replace(found, body=gzip.compress(found.body), headers=headers, is_chunked=True)
        return found

    def answer(self, asked: Asked) -> Reply:
        product = self.product
        path, key = product.token
        if asked.path == path:
            is_good = asked.authorization == (BASIC if product.login else None)
            return reply(200 if is_good else 401, {key: "T", "expires_in": 300} if is_good else {})
        if asked.path.startswith(f"{product.prefix}/v2/") and not self.is_in(asked):
            scope = f"repository:{NAME}:pull"
            challenge = product.challenge.format(url=self.url(), scope=scope)
            return reply(401, {}, WWW_Authenticate=challenge)
        if asked.method == "HEAD" and "/manifests/" in asked.path and product.heads != 200:
            return reply(product.heads)
        if "/blobs/" in asked.path and product.blobs and "sig" not in asked.query:
            return self.redirect(asked)
        if asked.path.endswith("/tags/list"):
            return self.page(asked)
        return self.strip(self.serve(asked))

    def is_in(self, asked: Asked) -> bool:
        if not self.product.challenge:
            return True
        wanted = "Bearer T" if "Bearer" in self.product.challenge else BASIC
        return asked.authorization == wanted

    def redirect(self, asked: Asked) -> Reply:
        target = self.product.blobs.format(cdn=self.cdn.url)
        self.cdn.waiting[target.removeprefix(self.cdn.url)] = self.serve(asked)
        return reply(307, Location=target)

    def page(self, asked: Asked) -> Reply:
        """One tag, on the second page."""
        if "last" in asked.query:
            return self.serve(asked)
        path = f"/v2/{NAME}/tags/list?last=0&n=1"
        link = self.product.link.format(prefix=self.product.prefix, path=path)
        return reply(200, {"name": NAME, "tags": []}, Link=link)

    def strip(self, found: Reply) -> Reply:
        if self.product.tells_digest:
            return found
        kept = tuple(each for each in found.headers if each[0] != "Docker-Content-Digest")
        return replace(found, headers=kept)


@pytest.fixture
def cdn(script):
    """Another host that knows signed addresses alone, and refuses every login."""

    def answer(asked):
        found = server.waiting.get(asked.target)
        return reply(400) if asked.authorization or found is None else found

    server = script(answer)
    server.waiting = {}
    return server


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_registry_of(make_proxy, script, cdn, name):
    product, image = PRODUCTS[name], make_image()
    installation = Installation(product, image, lambda: server.url, cdn)

    def answer(asked):
        if asked.target in cdn.waiting:  # a redirect to the same host
            return cdn.waiting[asked.target]
        return installation(asked)

    server = script(answer)
    login = LOGIN if product.login else {}
    proxy = make_proxy(server.url + product.prefix, http_client__auto_block=True, **login)
    check_all(proxy, image)
    check_all(proxy, image)
    assert proxy.get(f"{NAME}/manifests/none").status == 404
    assert all(each.authorization is None for each in cdn.log)
