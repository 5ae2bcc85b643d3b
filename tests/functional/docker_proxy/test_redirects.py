"""Upstreams that redirect: to another registry, to HTTPS, to signed addresses."""

import ssl

import pytest

from repoman.security.certificates import CertificateFiles, create_certificate
from tests.fakes.scripted import reply
from tests.functional.docker_proxy.shapes import (
    BASIC,
    LOGIN,
    NAME,
    TAG,
    by_token,
    check_all,
    digests,
    guarded,
    make_image,
    serve,
)


def basic_only(asked):
    if asked.authorization != BASIC:
        return reply(401, {}, WWW_Authenticate='Basic realm="x"')
    return None


def redirecting(url, status=307):
    return lambda asked: reply(status, Location=url() + asked.target)


# --- To another registry -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_registry_that_is_elsewhere_and_wants_tokens_of_its_own(
    make_proxy, script, image, status
):
    second = script(guarded(by_token(lambda: second.url), serve(image)))
    first = script(redirecting(lambda: second.url, status))
    check_all(make_proxy(first.url), image)


def test_each_registry_sees_its_own_login_alone(make_proxy, script, image):
    second = script(guarded(by_token(lambda: second.url), serve(image)))
    first = script(guarded(basic_only, redirecting(lambda: second.url)))
    check_all(make_proxy(first.url, **LOGIN), image)
    assert {each.authorization for each in second.log} == {None, "Bearer T"}
    assert all(each.authorization is None for each in second.asked("/token"))
    assert {each.authorization for each in first.log} == {None, BASIC}


def test_the_token_of_another_registry_is_remembered(make_proxy, script, image):
    second = script(guarded(by_token(lambda: second.url), serve(image)))
    first = script(redirecting(lambda: second.url))
    check_all(make_proxy(first.url), image)
    assert len(second.asked("/token")) == 1
    assert sum(each.authorization is None for each in second.asked("/v2/")) == 1


def test_another_registry_that_wants_basic_gets_nothing(make_proxy, script, image):
    second = script(guarded(basic_only, serve(image)))
    first = script(redirecting(lambda: second.url))
    answer = make_proxy(first.url, **LOGIN).get(TAG)
    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
    assert f"127.0.0.1:{second.port}" in answer.message
    assert {each.authorization for each in second.log} == {None}


def test_another_registry_calls_the_image_otherwise(make_proxy, script, image):
    second = script(guarded(by_token(lambda: second.url), serve(image, name="mirror/team/app")))

    def answer(asked):
        return reply(307, Location=second.url + asked.target.replace("/v2/", "/v2/mirror/"))

    check_all(make_proxy(script(answer).url), image)
    [token] = second.asked("/token")
    assert token.query["scope"] == ["repository:mirror/team/app:pull"]


def test_a_registry_that_sends_us_back_does_not_read_with_our_login(make_proxy, script, image):
    second = script(lambda asked: reply(307, Location=f"{first.url}/v2/secret/app/manifests/1"))
    secret = make_image()

    def answer(asked):
        if "secret" in asked.path:
            return serve(secret, name="secret/app")(asked)
        return reply(307, Location=second.url)

    first = script(guarded(basic_only, answer))
    assert make_proxy(first.url, **LOGIN).get(TAG).status == 404
    assert all(each.authorization is None for each in first.asked("/v2/secret"))


def test_an_object_store_that_refuses_a_login_beside_a_signature(make_proxy, script, image):
    """It asks for a login where the signature is missing, and refuses both together."""

    def store(asked):
        if asked.path == "/token":
            return reply(200, {"token": "T"})
        if "sig" in asked.query:
            return reply(400 if asked.authorization else 200, layer)
        if asked.authorization:
            return serve(image)(asked)
        return reply(401, {}, WWW_Authenticate=f'Bearer realm="{second.url}/token"')

    (digest, layer), *_ = digests(image).items()
    second = script(store)
    first = script(
        lambda asked: reply(
            307, Location=second.url + asked.target + ("?sig=1" if digest in asked.path else "")
        )
    )
    proxy = make_proxy(first.url)
    assert proxy.get(TAG).body == image.manifest
    assert proxy.get(f"{NAME}/blobs/{digest}").body == layer


def test_the_host_that_failed_is_named(make_proxy, script, image):
    cdn = script(lambda asked: reply(503))
    first = script(
        lambda asked: (
            reply(307, Location=cdn.url) if "/blobs/" in asked.path else serve(image)(asked)
        )
    )
    digest = next(iter(digests(image)))
    answer = make_proxy(first.url).get(f"{NAME}/blobs/{digest}")
    assert answer.status == 502
    assert (
        f"The host 127.0.0.1:{cdn.port}, to which the remote {first.url} refers" in answer.message
    )
    cdn.stop()
    answer = make_proxy(first.url).get(f"{NAME}/blobs/{digest}")
    assert (
        f"The host 127.0.0.1:{cdn.port}, to which the remote {first.url} refers" in answer.message
    )


# --- To HTTPS ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    files = CertificateFiles.below(tmp_path_factory.mktemp("tls"))
    create_certificate(files, ["127.0.0.1"], 2)
    return files


@pytest.fixture
def tls(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


def test_the_login_goes_up_to_https_at_the_same_host(make_proxy, script, image, files, tls):
    secure = script(guarded(basic_only, serve(image)), tls)
    plain = script(redirecting(lambda: secure.url))
    check_all(make_proxy(plain.url, http_client__ca_bundle=str(files.authority), **LOGIN), image)


def test_a_token_service_goes_up_to_https_at_the_same_host(make_proxy, script, image, files, tls):
    secure = script(lambda asked: basic_only(asked) or reply(200, {"token": "T"}), tls)

    def guard(asked):
        if asked.path == "/token":
            return reply(308, Location=secure.url + asked.target)
        return by_token(lambda: plain.url)(asked)

    plain = script(guarded(guard, serve(image)))
    check_all(make_proxy(plain.url, http_client__ca_bundle=str(files.authority), **LOGIN), image)
    assert {each.authorization for each in secure.log} == {BASIC}


def test_nothing_goes_down_to_http(make_proxy, script, image, files, tls):
    plain = script(serve(image))
    secure = script(redirecting(lambda: plain.url), tls)
    proxy = make_proxy(secure.url, http_client__ca_bundle=str(files.authority), **LOGIN)
    answer = proxy.get(TAG)
    assert answer.status == 502
    assert "without TLS, which is refused" in answer.message
    assert plain.log == []


# --- To signed addresses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("{cdn}/d/x?sig=a%2Fb%3D%3D", "/d/x?sig=a%2Fb%3D%3D"),
        ("{cdn}/d/%7Eu/x?sig=%7E%2D%2Dabc", "/d/%7Eu/x?sig=%7E%2D%2Dabc"),
        ("{cdn}/d/x?sig=%e2%82%ac%2f", "/d/x?sig=%e2%82%ac%2f"),
        ('{cdn}/d/x?sig=a|b&c={{d}}^`"<>\\', '/d/x?sig=a|b&c={d}^`"<>\\'),
        ("{cdn}/d//a/../x/./y?sig=1", "/d//a/../x/./y?sig=1"),
        ("{cdn}//d//x", "//d//x"),
        ("{cdn}/d;a=1/x;b=2?sig=1;2", "/d;a=1/x;b=2?sig=1;2"),
        ("{cdn}/d/x?a+b=c%20d&&e=", "/d/x?a+b=c%20d&&e="),
        ("{cdn}/d/x?", "/d/x?"),
        ("{cdn}?sig=1", "/?sig=1"),
        ("{cdn}/d/100%/x?sig=%zz", "/d/100%/x?sig=%zz"),
        ("{cdn}/d/x?u=http://h/p?q", "/d/x?u=http://h/p?q"),
        ("{cdn}/d/x y?sig=a b", "/d/x%20y?sig=a%20b"),
        ("{cdn}/d/\xe9?sig=\xe9", "/d/%E9?sig=%E9"),
        ("{cdn}/d/x?sig=1#part", "/d/x?sig=1"),
        ("  {cdn}/d/x?sig=1  ", "/d/x?sig=1"),
        ("//{host}/d/%7e?sig=%2f", "/d/%7e?sig=%2f"),
    ],
)
def test_a_signed_address_is_asked_for_byte_by_byte(make_proxy, script, image, location, expected):
    digest, layer = list(digests(image).items())[-1]
    cdn = script(lambda asked: reply(200, layer))
    target = location.format(cdn=cdn.url, host=f"127.0.0.1:{cdn.port}")
    first = script(
        lambda asked: (
            reply(307, Location=target) if "/blobs/" in asked.path else serve(image)(asked)
        )
    )
    assert make_proxy(first.url).get(f"{NAME}/blobs/{digest}").body == layer
    assert [each.target for each in cdn.log] == [expected]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/cdn/%7ex?sig=%2f", "/cdn/%7ex?sig=%2f"),
        ("../../x?sig=a|b", "/v2/team/x?sig=a|b"),
        ("x/./y", "/v2/team/app/blobs/x/y"),
        ("?sig=%7e", "/v2/team/app/blobs/{digest}?sig=%7e"),
    ],
)
def test_a_relative_address_is_resolved(make_proxy, script, image, location, expected):
    digest, layer = list(digests(image).items())[-1]

    def answer(asked):
        if asked.target.endswith(f"/blobs/{digest}"):
            return reply(307, Location=location)
        return reply(200, layer)

    first = script(answer)
    assert make_proxy(first.url).get(f"{NAME}/blobs/{digest}").body == layer
    assert first.log[-1].target == expected.format(digest=digest)


def test_a_signed_address_is_kept_by_an_http_proxy(make_proxy, script, image, monkeypatch):
    digest, layer = list(digests(image).items())[-1]
    relay = script(
        lambda asked: (
            reply(200, layer)
            if "cdn.example" in asked.target
            else reply(307, Location="http://cdn.example/d/%7e//x?sig=%2f|")
        )
    )
    monkeypatch.setenv("http_proxy", relay.url)
    monkeypatch.setenv("no_proxy", "")
    proxy = make_proxy("http://registry.example", http_client__allow_private=True)
    assert proxy.get(f"{NAME}/blobs/{digest}").body == layer
    assert relay.log[-1].target == "http://cdn.example/d/%7e//x?sig=%2f|"
