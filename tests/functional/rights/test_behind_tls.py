"""Bearer tokens where a proxy in front does TLS."""

from repoman.testing import HttpClient
from repoman_docker import plugin


def test_behind_a_proxy_that_does_tls_a_token_is_fetched_by_tls(repoman_factory):
    repoman = repoman_factory({"docker": plugin}, server={"trusted_proxies": ["127.0.0.1"]})
    repoman.repositories.create("images", "docker-hosted", {"access": {"anonymous": True}})
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "registry.example"}
    base = "/repository/images/v2"

    def get(path, **headers):
        client = HttpClient(repoman)
        return client.get(base + path, login=False, headers={**forwarded, **headers})

    realm = f"https://registry.example{base}/token"
    assert get("/").headers["WWW-Authenticate"] == f'Bearer realm="{realm}",service="images"'
    token = get("/token?service=images").json["token"]
    assert get("/", Authorization=f"Bearer {token}").status_code == 200
