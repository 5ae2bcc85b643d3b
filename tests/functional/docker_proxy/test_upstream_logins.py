"""What upstreams make of logins: tokens that die early, odd challenges, odd token services."""

import gzip
import json

import pytest

from tests.fakes.scripted import Reply, reply
from tests.functional.docker_proxy.shapes import (
    BASIC,
    LOGIN,
    NAME,
    TAG,
    by_token,
    check_all,
    digests,
    guarded,
    serve,
)

SCOPE = f"repository:{NAME}:pull"


class Door:
    """Lets in who has the right login, and challenges the others; tests change all of it."""

    def __init__(self):
        self.url = ""
        self.wanted = "Bearer T1"
        self.count = 0
        self.challenges = ['Bearer realm="{url}/token",service="s"']
        self.is_bare_for = lambda sent: sent is not None
        self.token_status = 200

    def __call__(self, asked):
        if asked.path == "/token":
            self.count += 1
            return reply(self.token_status, {"token": f"T{self.count}", "expires_in": 3600})
        if asked.authorization == self.wanted:
            return None
        if self.is_bare_for(asked.authorization):
            return reply(401, {})
        each = tuple(("WWW-Authenticate", text.format(url=self.url)) for text in self.challenges)
        return Reply(401, b"{}", each)


@pytest.fixture
def door():
    return Door()


@pytest.fixture
def upstream(script, image, door):
    server = script(guarded(door, serve(image)))
    door.url = server.url
    return server


@pytest.fixture
def blobs(image):
    """The paths of some blobs, so that something is not cached."""
    return [f"{NAME}/blobs/{digest}" for digest in digests(image)]


# --- Before their time ---------------------------------------------------------------------------


def test_a_token_that_is_refused_without_a_challenge_is_renewed(make_proxy, upstream, door, blobs):
    proxy = make_proxy(upstream.url)
    assert proxy.get(TAG).status == 200
    door.wanted = "Bearer T2"
    assert [proxy.get(each).status for each in blobs] == [200] * len(blobs)
    assert door.count == 2


def test_a_new_token_that_is_refused_too_is_not_kept(make_proxy, upstream, door, blobs):
    proxy = make_proxy(upstream.url)
    assert proxy.get(TAG).status == 200
    door.wanted = "Bearer T3"
    assert proxy.get(blobs[0]).status == 404  # T2
    assert proxy.get(blobs[0]).status == 200


def test_a_registry_that_wants_no_login_any_more(make_proxy, upstream, door, blobs):
    proxy = make_proxy(upstream.url)
    assert proxy.get(TAG).status == 200
    door.wanted, door.token_status = None, 404
    assert proxy.get(blobs[0]).status == 200


def test_a_token_service_that_has_moved(make_proxy, upstream, door, blobs, script):
    proxy = make_proxy(upstream.url)
    assert proxy.get(TAG).status == 200
    other = script(lambda asked: reply(200, {"token": "other"}))
    door.wanted, door.token_status = "Bearer other", 404
    door.challenges = [f'Bearer realm="{other.url}/auth"']
    assert proxy.get(blobs[0]).status == 200


@pytest.mark.parametrize("is_bare", [True, False])
def test_an_upstream_turns_from_basic_to_tokens_and_back(
    make_proxy, upstream, door, blobs, is_bare
):
    door.is_bare_for = lambda sent: is_bare and sent is not None
    proxy = make_proxy(upstream.url, **LOGIN)
    bearer, basic = door.challenges, ['Basic realm="x"']
    door.wanted, door.challenges = BASIC, basic
    assert proxy.get(TAG).status == 200
    door.wanted, door.challenges = "Bearer T1", bearer
    assert proxy.get(blobs[0]).status == 200
    door.wanted, door.challenges = BASIC, basic
    assert proxy.get(blobs[1]).status == 200


# --- Challenges ----------------------------------------------------------------------------------

BEARER = 'Bearer realm="{url}/token",service="s"'


@pytest.mark.parametrize(
    "challenges",
    [
        ["Negotiate", BEARER],
        [BEARER, "Negotiate"],
        ["Negotiate YII+a/b==", 'Basic realm="x"', BEARER],
        [f'Basic realm="x", {BEARER}'],
        [f'{BEARER}, Basic realm="x"'],
        [f'Digest realm="a, b", qop="auth", nonce="=,", NTLM, {BEARER}'],
        ["Bearer", BEARER],
        ['Bearer realm=""', BEARER],
        ["@@@ ???, ", BEARER],
        ['BEARER Realm = "{url}/token" , SERVICE=s'],
        ["Bearer realm={url}/token,service=s"],
        ['Bearer realm="/token"'],
        ['Bearer realm="{url}/token?a=b"'],
        ['Bearer realm="{url}/token",service="",scope=""'],
        ['Bearer realm="{url}/nothing"', BEARER],
    ],
)
def test_the_challenge_that_can_be_used_is_used(make_proxy, upstream, door, image, challenges):
    door.challenges = challenges
    door.wanted = "Bearer T1"
    check_all(make_proxy(upstream.url), image)


@pytest.mark.parametrize(
    "challenges",
    [
        ['Basic realm="x"'],
        ["BASIC realm=x"],
        ["Basic"],
        ["Negotiate", 'Basic realm="x"'],
        ['Bearer realm="{url}/nothing"', 'Basic realm="x"'],
        ['Bearer realm="{url}/token"', 'Basic realm="x"'],
        ['Bearer realm="http://10.0.0.1/token", Basic realm="x"'],
    ],
)
def test_basic_is_used_where_no_token_helps(make_proxy, upstream, door, image, challenges):
    door.challenges, door.wanted = challenges, BASIC
    check_all(make_proxy(upstream.url, **LOGIN), image)


def test_an_upstream_whose_refusals_end_nowhere(make_proxy, upstream, door):
    """Each answer names another scope, so that there is always something new to ask for."""

    def guard(asked):
        if asked.path == "/token":
            return door(asked)
        scope = f"repository:x{len(upstream.log)}:pull"
        return reply(401, {}, WWW_Authenticate=f'Bearer realm="{door.url}/token",scope="{scope}"')

    upstream.answer = guard
    assert make_proxy(upstream.url).get(TAG).status == 404
    assert len(upstream.log) < 30


# --- Ways in that only /v2/ tells ----------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_registry_that_challenges_at_its_root_alone(make_proxy, script, image, status):
    """Docker asks there first."""

    def guard(asked):
        if asked.authorization == BASIC:
            return None
        if asked.path == "/v2/":
            return reply(401, {}, WWW_Authenticate='Basic realm="x"')
        return reply(status, {})

    check_all(make_proxy(script(guarded(guard, serve(image))).url, **LOGIN), image)


# --- Token services ------------------------------------------------------------------------------


def token_of(script, image, give):
    """Start a registry whose token service answers as ``give`` does."""

    def guard(asked):
        return give(asked) if asked.path == "/token" else by_token(lambda: server.url)(asked)

    server = script(guarded(guard, serve(image)))
    return server


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, {"access_token": "T"}),
        reply(200, {"token": "T", "expires_in": "soon"}),
        reply(200, {"token": "", "access_token": "T", "expires_in": -1}, Content_Type="text/html"),
        reply(200, gzip.compress(b'{"token": "T"}'), Content_Encoding="gzip"),
        Reply(200, b'{"token": "T"}', is_chunked=True),
        Reply(200, b'{"token": "T"}', is_old=True),
    ],
)
def test_answers_of_token_services(make_proxy, script, image, answer):
    check_all(make_proxy(token_of(script, image, lambda asked: answer).url), image)


def test_no_empty_service_is_sent(make_proxy, script, image):
    server = script(guarded(by_token(lambda: server.url, service=""), serve(image)))
    make_proxy(server.url).pull(NAME, "1")
    [token] = server.asked("/token")
    assert token.query == {"scope": [SCOPE]}


def test_a_scope_of_the_challenge_is_asked_for_too(make_proxy, script, image):
    server = script(guarded(by_token(lambda: server.url, scope="aws"), serve(image)))
    make_proxy(server.url).pull(NAME, "1")
    [token] = server.asked("/token")
    assert token.query["scope"] == [SCOPE, "aws"]


def test_a_token_service_that_takes_post_alone(make_proxy, script, image):
    def give(asked):
        return reply(200, {"access_token": "T"}) if asked.method == "POST" else reply(405)

    server = token_of(script, image, give)
    check_all(make_proxy(server.url, **LOGIN), image)
    [post] = server.asked("POST")
    assert sorted(post.body.decode().split("&")) == [
        "client_id=repoman",
        "grant_type=password",
        "password=secret",
        "scope=repository%3Ateam%2Fapp%3Apull",
        "service=s",
        "username=puller",
    ]


def test_a_post_with_the_password_goes_to_no_other_owner(make_proxy, script, image):
    thief = script(lambda asked: reply(405))
    realm = f"http://localhost:{thief.port}"
    server = script(guarded(by_token(lambda: realm), serve(image)))
    answer = make_proxy(server.url, **LOGIN).get(TAG)
    assert answer.status == 404
    assert f"token service localhost:{thief.port}" in answer.message
    assert {each.method for each in thief.log} == {"GET"}
    assert "secret" not in json.dumps([each.headers for each in thief.log])
