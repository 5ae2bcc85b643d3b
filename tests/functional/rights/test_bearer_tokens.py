"""Bearer tokens as docker, podman and containerd fetch and use them."""

import secrets
import time
from urllib.parse import urlencode

import jwt
import pytest

from repoman.db.models import SecretRecord
from repoman.security.passwords import PasswordVerifier
from repoman.security.user_records import Status
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.images import make_image
from tests.functional.rights.stage import view
from tests.live import run_program

FORM = "application/x-www-form-urlencoded"
TAG = "/v2/team/app/manifests/1"


class Client:
    """Asks one connector, with the headers that a test names and no others."""

    def __init__(self, repoman, repository) -> None:
        self._client = HttpClient(repoman, connector=repository)

    def send(self, method, path, token=None, login=None, **options):
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return self._client.request(method, path, headers=headers, auth=login, **options)

    def get(self, path, token=None, login=None):
        return self.send("GET", path, token, login)

    def fetch(self, *scopes, login=None, **fields):
        """Fetch a token by GET; return the whole answer."""
        query = urlencode(
            [("service", "x"), *(("scope", each) for each in scopes), *fields.items()]
        )
        return self.get(f"/v2/token?{query}", login=login)

    def token(self, *scopes, login=None):
        answer = self.fetch(*scopes, login=login)
        assert answer.status_code == 200, answer.text
        return answer.json["token"]

    def post(self, **fields):
        """Fetch a token by POST, as OAuth2 has it."""
        return self.send("POST", "/v2/token", data=urlencode(fields, doseq=True), content_type=FORM)


@pytest.fixture(scope="module")
def make_client(stage):
    def make(**settings):
        name = stage.make_repository(**settings)
        stage.connector(name).push("team/app", "1", make_image())
        return Client(stage.repoman, name), name

    return make


@pytest.fixture(scope="module")
def private(make_client):
    return make_client()


@pytest.fixture(scope="module")
def public(make_client):
    return make_client(access__anonymous=True)


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def access_of(token):
    return {
        (each["name"], action) for each in claims_of(token)["access"] for action in each["actions"]
    }


def challenge_of(answer):
    return answer.headers["WWW-Authenticate"]


# --- The endpoint --------------------------------------------------------------------------------


def test_the_answer_has_all_that_clients_read(public):
    client, name = public
    answer = client.fetch(
        "repository:team/app:pull", login=ADMIN, account="admin", client_id="docker"
    )
    body = answer.json
    assert body["token"] == body["access_token"]
    assert (body["expires_in"], body["scope"]) == (300, "repository:team/app:pull")
    assert (
        abs(time.mktime(time.strptime(body["issued_at"], "%Y-%m-%dT%H:%M:%SZ")) - time.time())
        < 90_000
    )
    assert answer.headers["Cache-Control"] == "no-store"
    claims = claims_of(body["token"])
    assert (claims["aud"], claims["sub"], claims["exp"] - claims["iat"]) == (name, "admin", 300)


def test_no_refresh_token_is_given_that_docker_would_use_for_ever(public):
    client, _ = public
    assert "refresh_token" not in client.fetch(login=ADMIN, offline_token="true").json
    answer = client.post(grant_type="refresh_token", refresh_token="x", service="x")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "UNSUPPORTED")


@pytest.mark.parametrize(
    "scopes",
    [
        ["repository:team/app:pull,push", "repository:other:pull"],
        ["repository:team/app:pull,push repository:other:pull"],
        ["repository(plugin):team/app:pull,push", "repository:other:pull"],
        [
            "",
            "broken",
            "a:b",
            ":::",
            "repository:team/app:pull,push",
            "repository:other:pull,nonsense",
        ],
    ],
)
def test_several_scopes_are_one_token(public, scopes):
    client, _ = public
    token = client.token(*scopes, login=ADMIN)
    assert access_of(token) == {("team/app", "pull"), ("team/app", "push"), ("other", "pull")}


def test_a_token_has_no_more_than_its_user_may(stage, private):
    client, name = private
    reader = stage.make_user(*view(name, "read"))
    token = client.token("repository:team/app:pull,push,delete", login=reader)
    assert access_of(token) == {("team/app", "pull")}


@pytest.mark.parametrize("asked", ["*", "pull,*"])
def test_a_star_asks_for_all_that_a_user_may(stage, private, asked):
    client, name = private
    for rights, granted in [
        (["*"], {"pull", "push", "delete"}),
        (["read", "add"], {"pull", "push"}),
        (["delete"], {"delete"}),
        ([], set()),
    ]:
        user = stage.make_user(*view(name, *rights))
        token = client.token(f"repository:team/app:{asked}", login=user)
        assert access_of(token) == {("team/app", each) for each in granted}


def test_the_answer_to_a_star_names_the_actions(public):
    client, _ = public
    answer = client.fetch("repository:team/app:*", "registry:catalog:*", login=ADMIN)
    assert answer.json["scope"] == "repository:team/app:delete,pull,push registry:catalog:*"
    token = answer.json["token"]
    assert client.get("/v2/_catalog", token).status_code == 200
    assert client.send("DELETE", "/v2/team/app/manifests/none", token).status_code == 404


def test_anybody_gets_what_anybody_may(public):
    client, _ = public
    token = client.token("repository:team/app:pull,push")
    assert access_of(token) == {("team/app", "pull")}
    assert client.get("/v2/", token).status_code == 200
    assert client.get(TAG, token).status_code == 200
    assert client.send("POST", "/v2/team/app/blobs/uploads/", token).status_code == 401


def test_a_name_may_hold_a_port(public):
    client, _ = public
    token = client.token("repository:host:5000/app:pull", login=ADMIN)
    assert access_of(token) == {("host:5000/app", "pull")}


def test_a_token_bears_a_bounded_number_of_scopes(public):
    client, _ = public
    scopes = [f"repository:app{number}:pull" for number in range(300)]
    token = client.token(*scopes, login=ADMIN)
    assert len(claims_of(token)["access"]) == 100


def test_a_wrong_password_gets_no_token_even_where_anybody_may_read(public):
    client, _ = public
    answer = client.fetch("repository:team/app:pull", login=("admin", "guess"))
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, "UNAUTHORIZED")


# --- OAuth2 --------------------------------------------------------------------------------------


def test_a_form_does_what_a_header_does(private):
    client, _ = private
    answer = client.post(
        grant_type="password",
        username=ADMIN[0],
        password=ADMIN[1],
        service="x",
        client_id="containerd-client",
        scope=["repository:team/app:pull", "repository:other:pull,push"],
    )
    assert answer.status_code == 200, answer.text
    assert answer.json["expires_in"] == 300
    token = answer.json["access_token"]
    assert access_of(token) == {("team/app", "pull"), ("other", "pull"), ("other", "push")}
    assert client.get(TAG, token).status_code == 200


def test_a_wrong_password_in_a_form_is_refused(private, stage):
    client, _ = private
    answer = client.post(grant_type="password", username="admin", password="guess")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    stage.repoman.audit.flush()
    assert stage.repoman.audit.search({"type": "failed", "actor": "admin"})


def test_a_form_without_a_name_is_for_what_anybody_may(public, private):
    fields = {
        "grant_type": "password",
        "username": "",
        "password": "",
        "scope": "repository:team/app:pull",
    }
    answer = public[0].post(**fields)
    assert access_of(answer.json["access_token"]) == {("team/app", "pull")}
    assert private[0].post(**fields).status_code == 401


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", FORM, 400),
        (b"grant_type=password", "text/plain", 400),
        (b'{"grant_type":"password"}', "application/json", 400),
        (b"grant_type=\xff", FORM, 400),
        (b"&".join(b"a=%d" % number for number in range(1000)), FORM, 400),
        (b"grant_type=password&password=" + b"x" * 70_000, FORM, 413),
    ],
)
def test_what_is_no_such_form_is_refused(private, body, content_type, status):
    client, _ = private
    answer = client.send("POST", "/v2/token", data=body, content_type=content_type)
    assert answer.status_code == status
    assert answer.json["errors"][0]["message"]


def test_a_form_works_below_a_path_too(stage, private):
    _, name = private
    fields = {"grant_type": "password", "username": ADMIN[0], "password": ADMIN[1]}
    answer = HttpClient(stage.repoman).request(
        "POST",
        f"/repository/{name}/v2/token",
        login=False,
        data=urlencode(fields),
        content_type=FORM,
    )
    assert answer.status_code == 200


# --- Challenges ----------------------------------------------------------------------------------


def test_where_anybody_may_read_everybody_is_sent_for_a_token(public):
    client, name = public
    answer = client.get("/v2/")
    assert answer.status_code == 401
    assert challenge_of(answer) == f'Bearer realm="http://localhost/v2/token",service="{name}"'


def test_where_nobody_may_a_password_is_enough(private):
    client, _ = private
    assert challenge_of(client.get("/v2/")) == 'Basic realm="repoman"'


def test_a_token_for_less_is_told_what_is_needed(public):
    client, _ = public
    token = client.token("repository:team/app:pull", login=ADMIN)
    answer = client.send("POST", "/v2/team/app/blobs/uploads/", token)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    assert 'scope="repository:team/app:pull,push"' in challenge_of(answer)
    assert 'error="insufficient_scope"' in challenge_of(answer)


@pytest.mark.parametrize("site", ["public", "private"])
def test_a_token_that_is_none_is_told_to_be_renewed(request, site):
    client, _ = request.getfixturevalue(site)
    answer = client.get(TAG, "x.y.z")
    assert answer.status_code == 401
    assert challenge_of(answer).startswith("Bearer ")
    assert 'scope="repository:team/app:pull"' in challenge_of(answer)
    assert 'error="invalid_token"' in challenge_of(answer)


def test_the_realm_is_where_the_client_reaches_the_server(stage, public):
    _, name = public
    answer = HttpClient(stage.repoman).get(
        f"/repository/{name}/v2/", login=False, headers={"Host": "registry.example:8443"}
    )
    realm = f"http://registry.example:8443/repository/{name}/v2/token"
    assert f'realm="{realm}"' in challenge_of(answer)


def test_where_basic_is_forced_there_are_no_tokens(make_client):
    client, _ = make_client(access__anonymous=True, docker__force_basic_auth=True)
    assert challenge_of(client.get("/v2/")) == 'Basic realm="repoman"'
    assert client.get("/v2/", login=ADMIN).status_code == 200
    answer = client.fetch("repository:team/app:pull", login=ADMIN)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
    assert "does not issue tokens" in answer.json["errors"][0]["message"]
    assert challenge_of(client.get(TAG, "x.y.z")) == 'Basic realm="repoman"'
    assert client.get(TAG).status_code == 200  # whoever does not ask /v2/ first may read


# --- The end of a token --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending",
    [
        lambda users, name: users.set_password(name, "another password"),
        lambda users, name: users.change(name, status=Status.DISABLED),
        lambda users, name: users.delete(name),
    ],
)
def test_a_token_ends_at_once_with_its_user(stage, private, ending):
    client, name = private
    login = stage.make_user(*view(name, "*"))
    token = client.token("repository:team/app:pull", login=login)
    assert client.get(TAG, token).status_code == 200
    ending(stage.repoman.users, login[0])
    assert client.get(TAG, token).status_code == 401


def test_a_right_that_is_taken_ends_at_once_too(stage, private):
    client, name = private
    login = stage.make_user(*view(name, "read"))
    token = client.token("repository:team/app:pull", login=login)
    assert client.get(TAG, token).status_code == 200
    stage.repoman.users.change(login[0], roles=[])
    answer = client.get(TAG, token)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (403, "DENIED")


# --- What another process has just changed -------------------------------------------------------


@pytest.fixture
def command(stage, monkeypatch):
    """Run a command that changes a user; this process has not noticed it when that returns."""
    # A hash of another cost would be made anew at the first login: a write, which notices others.
    monkeypatch.setattr(PasswordVerifier, "is_outdated", lambda *_: False)

    def run(*words, password):
        options = ("--password-stdin", "--data", str(stage.repoman.data))
        done = run_program("user", *words, *options, given=f"{password}\n")
        assert done.returncode == 0, done.stderr

    return run


def test_a_token_for_a_password_that_a_command_has_just_set_lasts(stage, private, command):
    client, name = private
    user, password = stage.make_user(*view(name, "read"))
    assert client.get(TAG, login=(user, password)).status_code == 200
    command("password", user, password="another password")
    token = client.token("repository:team/app:pull", login=(user, "another password"))
    stage.repoman.notice_changes()
    assert client.get(TAG, token).status_code == 200


def test_a_user_whom_a_command_has_just_created_has_the_rights_at_once(private, command):
    client, _ = private
    login = (f"user-{secrets.token_hex(4)}", "a password")
    assert client.get(TAG, login=login).status_code == 401
    command("create", login[0], "--role", "nx-admin", password=login[1])
    assert client.get(TAG, login=login).status_code == 200


# --- Forgeries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm", "changes"),
    [
        ("", "none", {}),
        ("k" * 64, "HS256", {}),
        (None, "HS512", {}),
        (None, "HS256", {"iss": "somebody"}),
        (None, "HS256", {"aud": "another"}),
        (None, "HS256", {"exp": 1}),
        (None, "HS256", {"nbf": 99_999_999_999}),
        (None, "HS256", {"sub": "somebody-else"}),
        (None, "HS256", {"user": []}),
    ],
)
def test_a_forged_token_opens_nothing(private, key, algorithm, changes):
    client, _ = private
    token = client.token("repository:team/app:pull", login=ADMIN)
    if key is None:
        key = SecretRecord.get(SecretRecord.name == "token-signing-key").value
    forged = jwt.encode({**claims_of(token), **changes}, key, algorithm=algorithm)
    assert client.get(TAG, token).status_code == 200
    assert client.get(TAG, forged).status_code == 401


def test_a_token_of_another_repository_opens_nothing(private, public):
    token = public[0].token("repository:team/app:pull", login=ADMIN)
    assert public[0].get(TAG, token).status_code == 200
    assert private[0].get(TAG, token).status_code == 401


def test_a_token_is_no_password(private):
    client, _ = private
    token = client.token("repository:team/app:pull", login=ADMIN)
    assert client.get(TAG, login=("admin", token)).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("login", [ADMIN, None])
def test_a_token_buys_no_other_token(public, method, login):
    client, _ = public
    token = client.token("repository:team/app:pull", login=login)
    options = {}
    if method == "POST":
        fields = {"grant_type": "password", "scope": "repository:team/app:pull"}
        options = {"data": urlencode(fields), "content_type": FORM}
    answer = client.send(method, "/v2/token?scope=repository:other:pull,push", token, **options)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    assert client.get(TAG, token).status_code == 200


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "a" * 60_000, "é", "x y"])
def test_what_is_no_token_opens_nothing(private, token):
    client, _ = private
    answer = client.get(TAG, token.encode().decode("latin-1"))
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, "UNAUTHORIZED")
