"""User tokens as the password of a client: they narrow what their user may do, and nothing more."""

import pytest

from repoman.errors import Conflict
from repoman.security.actors import READING, Action, Limit
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.images import digest_of, make_image
from tests.functional.rights.stage import view


@pytest.fixture(scope="module")
def hosted(stage):
    return stage.make_repository()


@pytest.fixture(scope="module")
def tokens(stage):
    return stage.repoman.security.user_tokens


@pytest.fixture
def make_token(stage, tokens, hosted):
    """Make a user who may do everything in ``hosted`` and a token with a limit; return a login."""

    def make(*limit: object, privileges=None):
        name, _ = stage.make_user(*(privileges or view(hosted, "*")))
        return name, tokens.create(name, "ci", Limit(*limit))

    return make


@pytest.fixture(scope="module")
def images(stage, hosted):
    registry = stage.connector(hosted)
    for name in ("acme/app", "other/app"):
        registry.push(name, "1", make_image())
    return "acme/app", "other/app"


def status(registry, name, path="manifests/1"):
    return registry.get(f"{name}/{path}").status


def test_a_token_does_what_its_user_may(stage, hosted, make_token, images):
    registry = stage.connector(hosted, make_token())
    assert registry.get("").status == 200
    assert status(registry, "acme/app") == 200
    registry.push("acme/new", "1", make_image())


def test_a_token_does_no_more_than_its_user_may(stage, hosted, make_token, images):
    registry = stage.connector(hosted, make_token(privileges=view(hosted, "browse")))
    assert status(registry, "acme/app") == 403
    assert status(registry, "acme/app", "tags/list") == 200


def test_a_token_may_be_for_some_names(stage, hosted, make_token, images):
    registry = stage.connector(hosted, make_token((), ("acme/*",)))
    assert [status(registry, name) for name in images] == [200, 403]
    found = registry.get("_catalog").json()["repositories"]
    assert "acme/app" in found
    assert "other/app" not in found


def test_a_token_may_be_for_reading(stage, hosted, make_token, images):
    registry = stage.connector(hosted, make_token((), (), READING))
    assert status(registry, "acme/app") == 200
    answer = registry.send("POST", "acme/app/blobs/uploads/")
    assert (answer.status, answer.code) == (403, "DENIED")
    assert registry.delete("acme/app/manifests/1").status == 403


def test_a_token_may_be_for_some_repositories(stage, hosted, make_token, images):
    other = stage.make_repository()
    both = (*view(hosted, "*"), *view(other, "*"))
    login = make_token((f"{hosted[:-1]}?",), privileges=both)
    assert status(stage.connector(hosted, login), "acme/app") == 200
    assert stage.connector(other, login).get("_catalog").status == 403
    assert stage.mounted(other, login).get("_catalog").status == 404  # it looks absent


def test_a_token_for_a_group_works_through_the_group_alone(stage, hosted, make_token, images):
    group = stage.make_repository("docker-group", group__members=[hosted])
    both = (*view(hosted, "*"), *view(group, "*"))
    login = make_token((group,), privileges=both)
    assert status(stage.connector(group, login), "acme/app") == 200
    assert status(stage.connector(hosted, login), "acme/app") == 403


def test_a_token_mounts_only_from_what_it_may_read(stage, hosted, make_token, images):
    image = make_image()
    stage.connector(hosted).push("other/source", "1", image)
    registry = stage.connector(hosted, make_token((), ("acme/*",)))
    digest = digest_of(image.layers[0])
    answer = registry.send(
        "POST", "acme/app/blobs/uploads/", query={"mount": digest, "from": "other/source"}
    )
    assert answer.status == 202  # an upload: as if the blob were not there


@pytest.mark.parametrize("limit", [((), (), READING), ((), ("other/*",)), (("else-*",),)])
def test_a_token_ends_no_upload_outside_its_limit(stage, hosted, tokens, make_token, limit):
    login = make_token((), ("acme/*",))
    begun = stage.connector(hosted, login).send("POST", "acme/app/blobs/uploads/")
    upload = begun.headers["Location"].rstrip("/").rpartition("/")[2]
    narrow = login[0], tokens.create(login[0], "narrow", Limit(*limit))
    client, base = HttpClient(stage.repoman), f"/api/v1/repositories/{hosted}/uploads"

    def listed(auth):
        answer = client.get(base, auth=auth)
        return answer.status_code == 200 and [each["id"] for each in answer.json["items"]]

    assert listed(narrow) in ([], False)  # A repository outside the limit looks absent.
    assert client.request("DELETE", f"{base}/{upload}", auth=narrow).status_code == 404
    assert listed(login) == [upload]
    assert client.request("DELETE", f"{base}/{upload}", auth=login).status_code == 204


def test_a_token_of_the_administrator_administers_nothing(stage, tokens):
    secret = tokens.create(ADMIN[0], "no-admin", Limit())
    client = HttpClient(stage.repoman)
    answer = client.get("/api/v1/audit", auth=(ADMIN[0], secret))
    assert answer.status_code == 403


def test_a_token_for_writing_alone_reads_nothing(stage, hosted, make_token, images):
    registry = stage.connector(hosted, make_token((), (), frozenset({Action.ADD, Action.EDIT})))
    assert status(registry, "acme/app") == 403
    assert registry.send("POST", "acme/app/blobs/uploads/").status == 202


def test_a_revoked_token_is_refused_like_a_wrong_password(stage, hosted, tokens, make_token):
    login = make_token()
    registry = stage.connector(hosted, login)
    assert registry.get("").status == 200
    tokens.revoke(login[0], "ci")
    answer = registry.get("")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_the_token_is_in_the_audit_log(stage, hosted, make_token):
    login = make_token()
    stage.connector(hosted, login).push("acme/audited", "1", make_image())
    stage.repoman.audit.flush()
    [row] = stage.repoman.audit.search({"type": "push", "actor": login[0]})
    assert row["attributes"]["token"] == login[1].split("_")[1]
    [made] = stage.repoman.audit.search({"domain": "token", "target": login[0]})
    assert made["type"] == "create"
    assert login[1].split("_", 2)[2] not in str(made)


# --- Robots --------------------------------------------------------------------------------------


def test_a_robot_gets_in_by_its_tokens_alone(stage, hosted, tokens, images):
    users = stage.repoman.users
    users.create("robot", None, ["nx-developer"])
    for password in ("", "robot", "None"):
        assert stage.connector(hosted, ("robot", password)).get("_catalog").status == 401
    secret = tokens.create("robot", "ci", Limit())
    registry = stage.connector(hosted, ("robot", secret))
    assert status(registry, "acme/app") == 200
    users.set_password("robot", "a password")
    assert stage.connector(hosted, ("robot", "a password")).get("").status == 200
    assert status(registry, "acme/app") == 200  # a token lives without the password


def test_a_robot_is_no_administrator_whom_nobody_else_needs(stage):
    users = stage.repoman.users
    users.create("robot-admin", None, ["nx-admin"])
    with pytest.raises(Conflict, match="nobody could administer"):
        users.change(ADMIN[0], roles=[])
