"""Who may do what by version 1: tokens, passwords, nobody; and where clients are sent."""

import secrets

import pytest

from repoman.testing import ADMIN, HttpClient
from repoman_docker.protocol.reference import Tag
from repoman_docker.routes import v1_rights
from tests.functional.docker.wires import InProcess, Proxied
from tests.functional.docker_v1.conftest import engine_of
from tests.functional.docker_v1.driver import Engine, Failures, make_chain


@pytest.fixture(scope="module")
def repoman(in_process):
    return in_process.repoman


@pytest.fixture
def hosted_name() -> str:
    return f"hosted-{secrets.token_hex(4)}"


@pytest.fixture
def hosted(repoman, hosted_name) -> Engine:
    """A repository on a connector, where anybody may read."""
    settings = {"docker": {"v1_enabled": True}, "access": {"anonymous": True}}
    repoman.repositories.create(hosted_name, "docker-hosted", settings)
    return Engine(InProcess(HttpClient(repoman, connector=hosted_name)), "", ADMIN)


def user_with(repoman, *roles: str) -> tuple[str, str]:
    login = (f"user-{secrets.token_hex(4)}", secrets.token_hex(8))
    repoman.users.create(*login, list(roles))
    return login


def as_user(engine: Engine, login, *, basic: bool = False) -> Engine:
    return Engine(engine.wire, engine.prefix, login, basic=basic)


def test_nobody_pulls_where_anybody_may(hosted, name):
    chain = make_chain()
    hosted.push(name, "1", chain)
    assert as_user(hosted, None).pull(name, "1") == chain
    assert as_user(hosted, ("", ""), basic=True).pull(name, "1") == chain


def test_nobody_pushes(hosted, name):
    nobody = as_user(hosted, None)
    nobody.push(name, "1", make_chain(), failure=Failures.NO_LOGIN)
    image_id = make_chain(1)[0].id
    for path in (f"images/{image_id}/json", f"images/{image_id}/layer"):
        answer = nobody.send("PUT", path, b"{}")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_where_a_login_is_needed_nobody_learns_anything(engine, registry, name):
    chain = make_chain()
    engine.push(name, "1", chain)
    nobody = Engine(registry.wire, registry.prefix, None)
    for path in (
        f"repositories/{name}/images",
        f"repositories/{name}/tags",
        "repositories/nothing/here/tags",
        f"images/{chain[0].id}/json",
        f"images/{'0' * 64}/json",
    ):
        assert nobody.get(path).status == 401


def test_who_may_only_read_cannot_push(repoman, hosted, name):
    reader = as_user(hosted, user_with(repoman, "nx-anonymous"))
    answer = reader.put(f"repositories/{name}/", [], is_first=True)
    assert answer.status == 403
    assert "push" in answer.json()["error"]


def test_a_token_is_for_one_image_name(hosted, name, other_name):
    chain = make_chain()
    hosted.push(name, "1", chain)
    private = Engine(hosted.wire, hosted.prefix, ADMIN)
    private.send("GET", f"repositories/{name}/images", is_first=True)
    assert private.get(f"images/{chain[0].id}/json").status == 200
    other = make_chain(1)
    Engine(hosted.wire, hosted.prefix, ADMIN).push(other_name, "1", other)
    assert private.get(f"repositories/{other_name}/tags").status == 401
    assert private.get(f"images/{other[0].id}/json").status == 404


def test_a_token_to_read_does_not_write(hosted, name):
    hosted.push(name, "1", make_chain())
    reader = Engine(hosted.wire, hosted.prefix, ADMIN)
    reader.pull(name, "1")
    assert "access=read" in reader.token
    assert reader.put(f"repositories/{name}/tags/2", "0" * 64).status == 401
    assert reader.send("DELETE", f"repositories/{name}/tags/1").status == 401


@pytest.mark.parametrize("word", ["Token ", "Token Token ", "token "])
@pytest.mark.parametrize("form", ["{0}", 'signature={0},repository="x/y",access=read'])
def test_a_token_is_understood_in_the_forms_that_servers_gave_it(hosted, name, word, form):
    hosted.push(name, "1", make_chain())
    answer = hosted.send("GET", f"repositories/{name}/images", is_first=True)
    signature = answer.headers["X-Docker-Token"].partition(",")[0].removeprefix("signature=")
    headers = {"Authorization": word + form.format(signature)}
    wire = hosted.wire.send("GET", f"/v1/repositories/{name}/tags/1", headers)
    assert wire.status == 200


@pytest.mark.parametrize("token", ["Token", "Token ", "Token x", "Token signature=x", "Token ,,"])
def test_a_forged_token_is_refused(registry, engine, name, token):
    engine.push(name, "1", make_chain())
    path = f"{registry.prefix}/v1/repositories/{name}/tags/1"
    assert registry.wire.send("GET", path, {"Authorization": token}).status == 401


def test_a_token_of_another_repository_is_refused(hosted, make, name):
    hosted.push(name, "1", make_chain())
    foreign = engine_of(make())
    foreign.push(name, "1", make_chain())
    headers = {"Authorization": f"Token {foreign.token}"}
    assert hosted.wire.send("GET", f"/v1/repositories/{name}/tags/1", headers).status == 401


def test_tokens_are_given_to_those_who_ask_only(hosted, name):
    hosted.push(name, "1", make_chain())
    answer = Engine(hosted.wire, "", ADMIN).get(f"repositories/{name}/images")
    assert "X-Docker-Token" not in answer.headers
    assert "X-Docker-Token" not in hosted.get(f"repositories/{name}/tags").headers
    asked = hosted.send("GET", f"repositories/{name}/images", is_first=True)
    token = asked.headers["X-Docker-Token"]
    assert not token.startswith("Token")
    assert f'repository="{name}",access=read' in token


def test_an_image_is_not_taken_from_a_name_that_one_may_not_read(repoman, hosted, name, other_name):
    """Whoever knows an id has not got the image for it."""
    chain = make_chain()
    hosted.push(name, "1", chain)
    pusher = Engine(hosted.wire, hosted.prefix, ADMIN)
    listed = [{"id": each.id} for each in chain]
    pusher.put(f"repositories/{other_name}/", listed, is_first=True)
    assert pusher.put(f"repositories/{other_name}/tags/1", chain[-1].id).status == 404
    assert pusher.push(other_name, "1", chain) == [each.id for each in chain], "by its own bytes"


def test_another_user_does_not_go_on_with_a_push(repoman, hosted, name):
    [image] = make_chain(1)
    hosted.put(f"repositories/{name}/", [{"id": image.id}], is_first=True)
    hosted.send("PUT", f"images/{image.id}/json", image.json)
    other = as_user(hosted, user_with(repoman, "nx-developer"), basic=True)
    answer = other.send("PUT", f"images/{image.id}/layer", [image.layer])
    assert (answer.status, answer.json()) == (
        400,
        {"error": "This image does not belong to the repository"},
    )


def test_pushes_side_by_side_do_not_end_each_other(registry, name):
    first, second = (engine_of(registry, basic=True) for _ in range(2))
    [one], [two] = make_chain(1), make_chain(1)
    first.put(f"repositories/{name}/", [{"id": one.id, "Tag": "1"}], is_first=True)
    second.push(name, "2", [two])
    assert first.send("PUT", f"images/{one.id}/json", one.json).status == 200
    first.push(name, "1", [one])
    assert first.get(f"repositories/{name}/tags").json() == {"1": one.id, "2": two.id}


def test_pushes_and_deletions_are_in_the_audit_log(repoman, hosted, hosted_name, name):
    engine = as_user(hosted, ADMIN, basic=True)
    engine.push(name, "1", make_chain())
    digest = repoman.repositories.get(hosted_name).service.manifests.get(name, Tag("1")).etag
    engine.push(name, "2", make_chain())
    engine.push(name, "3", make_chain())
    engine.send("DELETE", f"repositories/{name}/tags/1")
    engine.send("DELETE", f"repositories/{name}/", is_first=True)
    repoman.audit.flush()
    told = repoman.audit.search({"domain": "content", "repository": hosted_name})
    assert {row["actor"] for row in told} == {"admin"}
    events = sorted((row["type"], row["target"].removeprefix(name)) for row in told)
    assert events == [
        *(("delete", tag) for tag in (":1", ":2", ":3")),
        *(("push", tag) for tag in (":1", ":2", ":3")),
    ]
    [first] = [row for row in told if (row["type"], row["target"]) == ("push", f"{name}:1")]
    assert first["attributes"]["digest"] == digest


# --- How far a token goes ---


def token_for(hosted: Engine, name: str) -> Engine:
    """An engine that has a token to read an image, and shows nothing else from now on."""
    as_user(hosted, ADMIN, basic=True).push(name, "1", make_chain())
    engine = Engine(hosted.wire, hosted.prefix, ADMIN)
    engine.send("GET", f"repositories/{name}/images", is_first=True)
    return engine


def test_a_token_is_good_for_version_1_alone(hosted, name):
    engine = token_for(hosted, name)
    signature = engine.token.partition(",")[0].removeprefix("signature=")
    bearer = {"Authorization": f"Bearer {signature}"}
    for path in (f"{name}/manifests/1", f"{name}/tags/list", "_catalog"):
        assert hosted.wire.send("GET", f"/v2/{path}", bearer).status == 401
    assert hosted.wire.send("GET", f"/v1/repositories/{name}/tags", bearer).status == 200


def test_a_token_ends(hosted, name, monkeypatch):
    monkeypatch.setattr(v1_rights, "TOKEN_LIFETIME_S", -60)
    engine = token_for(hosted, name)
    assert engine.get(f"repositories/{name}/tags").status == 401
    monkeypatch.undo()
    assert token_for(hosted, name).get(f"repositories/{name}/tags").status == 200


def test_a_token_buys_no_other_token(hosted, name):
    engine = token_for(hosted, name)
    headers = {"Authorization": f"Token {engine.token}", "X-Docker-Token": "true"}
    answer = hosted.wire.send("GET", f"/v1/repositories/{name}/images", headers)
    assert answer.status == 200
    assert "X-Docker-Token" not in answer.headers


def test_where_passwords_are_forced_there_are_no_tokens(make, name):
    engine = engine_of(make(docker__force_basic_auth=True), basic=True)
    chain = make_chain()
    engine.push(name, "1", chain)
    assert engine.token == ""
    assert engine.pull(name, "1") == chain


def test_the_question_whether_a_token_is_good(hosted, name, other_name):
    engine = token_for(hosted, name)
    assert engine.put(f"repositories/{name}/auth", "").status == 200
    assert engine.put(f"repositories/{other_name}/auth", "").status == 403
    for other in (as_user(hosted, ADMIN, basic=True), as_user(hosted, None)):
        assert other.put(f"repositories/{name}/auth", "").status == 403


# --- Where clients are sent ---


def endpoints(engine: Engine, name: str, **headers: str) -> str:
    answer = engine.send("GET", f"repositories/{name}/images", None, headers, is_first=True)
    return answer.headers["X-Docker-Endpoints"]


def test_on_a_connector_clients_stay_where_they_are(hosted, name):
    hosted.push(name, "1", make_chain())
    assert endpoints(hosted, name, Host="reg.example:5000") == "reg.example:5000"


def test_on_a_path_clients_stay_below_it(registry, engine, name):
    engine.push(name, "1", make_chain())
    found = endpoints(engine, name, Host="reg.example:8081")
    assert found == f"reg.example:8081{registry.prefix}"


def test_behind_a_proxy_clients_get_its_address(hosted, name):
    chain = make_chain()
    proxied = Engine(Proxied(hosted.wire, "/some/path"), "/some/path", ADMIN)
    proxied.push(name, "1", chain)
    assert endpoints(proxied, name) == "registry.example/some/path"
    assert proxied.pull(name, "1") == chain
