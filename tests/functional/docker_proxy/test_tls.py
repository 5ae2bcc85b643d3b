"""Upstreams with HTTPS: whom a proxy trusts, and that it never goes on without."""

import ssl

import pytest

from repoman.security.certificates import CertificateFiles, create_certificate
from tests.functional.docker.images import make_image

NAME = "team/app"
TAG = f"{NAME}/manifests/1"


@pytest.fixture(scope="module")
def make_files(tmp_path_factory):
    """Make certificates by authorities of their own."""

    def make(name):
        files = CertificateFiles.below(tmp_path_factory.mktemp("tls"))
        create_certificate(files, [name], 2)
        return files

    return make


@pytest.fixture(scope="module")
def files(make_files):
    return make_files("127.0.0.1")


@pytest.fixture
def make_secure(make_upstream):
    def make(files, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        registry = make_upstream(tls=context, **options)
        registry.put(NAME, "1", make_image())
        return registry

    return make


@pytest.fixture
def make_trusting(make_proxy, files):
    """Make proxies that trust the authority of ``files``, too."""

    def make(registry, **settings):
        bundle = str(files.authority)
        return make_proxy(
            registry.url, http_client__ca_bundle=bundle, http_client__retries=0, **settings
        )

    return make


@pytest.mark.parametrize("cdn", [True, False])
def test_an_authority_of_ones_own_is_trusted_if_it_is_named(make_secure, make_trusting, files, cdn):
    make_trusting(make_secure(files, cdn=cdn, auth="token")).pull(NAME, "1")


def test_an_authority_that_is_not_named_is_not_trusted(make_secure, make_proxy, files):
    registry = make_secure(files)
    answer = make_proxy(registry.url, http_client__retries=0).get(TAG)
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    assert "its certificate is signed by an unknown authority" in answer.message
    assert registry.log == []


def test_the_certificate_of_another_host_is_not_trusted(make_secure, make_proxy, make_files):
    files = make_files("registry.example.com")
    bundle = str(files.authority)
    proxy = make_proxy(
        make_secure(files).url, http_client__ca_bundle=bundle, http_client__retries=0
    )
    assert "its certificate is not valid for the host 127.0.0.1" in proxy.get(TAG).message


def test_a_redirect_away_from_tls_is_refused(make_secure, make_trusting, files, upstream):
    registry = make_secure(files)
    digest = registry.put_blob(NAME, b"data")
    upstream.put_blob(NAME, b"data")
    registry.redirect = lambda _: f"{upstream.url}/v2/{NAME}/blobs/{digest}"
    answer = make_trusting(registry).get(f"{NAME}/blobs/{digest}")
    assert answer.status == 502
    assert "127.0.0.1 without TLS, which is refused" in answer.message
    assert upstream.log == []


def test_a_token_service_without_tls_is_not_asked(make_secure, make_trusting, files, upstream):
    registry = make_secure(files, auth="token")
    registry.realm = f"{upstream.url}/token"
    login = {"http_client__username": "puller", "http_client__password": "secret"}
    answer = make_trusting(registry, **login).get(TAG)
    assert answer.status == 502
    assert "127.0.0.1 without TLS, which is refused" in answer.message
    assert upstream.log == []
