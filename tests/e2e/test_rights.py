"""Rights as they are given on the command line, and as the docker command meets them."""

import json
import re
import secrets
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.clock import WAIT_S
from tests.e2e.clients import Docker
from tests.live import LiveServer, live_server, wait_until

pytestmark = pytest.mark.xdist_group("docker")

PASSWORD = "a password"  # of users that live as long as a test


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    """A server whose options the tests of this module may change."""
    settings = {"audit": {"pulls": True}}
    with live_server(tmp_path_factory.mktemp("rights"), settings=settings) as server:
        yield server


@pytest.fixture
def image(server: LiveServer, docker: Docker) -> str:
    """An image that the administrator has pushed, and that is here no more; nobody is logged in."""
    name = f"{server.registry}/team/app-{secrets.token_hex(4)}:1"
    docker.import_image(name, secrets.token_bytes(1000))
    docker.login(server.registry, *server.admin)
    docker.run("push", name)
    docker.run("logout", server.registry)
    docker.run("rmi", name)
    return name


@pytest.fixture
def make_user(server: LiveServer, docker: Docker) -> Callable[..., str]:
    """Make a user with these privileges, log in as this user, and return the name."""

    def make(*privileges: str) -> str:
        name = f"user-{secrets.token_hex(4)}"
        options = [word for each in privileges for word in ("--privilege", each)]
        server.cli("role", "create", name, *options)
        server.cli(
            "user", "create", name, "--role", name, "--password-stdin", given=f"{PASSWORD}\n"
        )
        docker.login(server.registry, name, PASSWORD)
        return name

    return make


def view(*actions: str) -> list[str]:
    return [f"nx-repository-view-docker-docker-hosted-{each}" for each in actions]


def renamed(image: str, end: str) -> str:
    """The image with another end than its tag."""
    return image.rpartition(":")[0] + end


def status(server: LiveServer, image: str) -> int:
    """The status of an answer to somebody without a login who has asked for a token first."""
    url = f"http://{server.registry}/v2/"
    name, _, tag = image.partition("/")[2].rpartition(":")
    token = requests.get(f"{url}token", params={"scope": f"repository:{name}:pull"}, timeout=WAIT_S)
    bearer = f"Bearer {token.json()['token']}" if token.status_code == 200 else ""
    headers = {"Authorization": bearer}
    return requests.get(f"{url}{name}/manifests/{tag}", headers=headers, timeout=WAIT_S).status_code


# --- Who has logged in ---------------------------------------------------------------------------


def test_a_private_image_is_pulled_by_those_who_may_read(docker, image, make_user):
    ran = docker.run("pull", image, check=False)
    assert ran.status != 0
    assert "no basic auth credentials" in ran.text or "unauthorized" in ran.text
    name = make_user(*view("browse"))
    ran = docker.run("pull", image, check=False)
    assert ran.status != 0
    assert f"denied: {name} is not allowed to read" in ran.text
    make_user(*view("read"))
    docker.run("pull", image)


def test_a_push_without_a_right_says_what_is_missing(server, docker, image, make_user):
    name = make_user(*view("read"))
    docker.run("pull", image)
    other = renamed(image, "-other:1")
    docker.run("tag", image, other)
    ran = docker.run("push", other, check=False)
    image_name = other.partition("/")[2].rpartition(":")[0]
    assert ran.status != 0
    assert f"denied: {name} is not allowed to add {image_name} in docker-hosted." in ran.text
    docker.run("rmi", other)


def test_who_may_add_and_not_edit_pushes_new_tags_alone(docker, image, make_user):
    name = make_user(*view("read", "add"))
    docker.import_image(image, b"another")
    ran = docker.run("push", image, check=False)
    assert ran.status != 0
    assert f"denied: {name} is not allowed to edit team/app-" in ran.text
    new = renamed(image, ":2")
    docker.run("tag", image, new)
    docker.run("push", new)
    docker.run("rmi", new)


def test_a_selector_gives_a_part_of_a_repository(server, docker, image, make_user):
    selector = f"part-{secrets.token_hex(4)}"
    name = image.partition("/")[2].rpartition(":")[0]
    expression = f'format == "docker" and path =^ "/v2/{name}/"'
    server.cli("selector", "create", selector, expression)
    server.cli(
        *("privilege", "create", "repository-content-selector", selector, "--selector", selector),
        *("--repository", "docker-hosted", "--action", "read"),
    )
    user = make_user(selector)
    docker.run("pull", image)
    hidden = f"{server.registry}/other:1"
    ran = docker.run("pull", hidden, check=False)
    assert f"denied: {user} is not allowed to read other in docker-hosted." in ran.text
    assert server.cli("selector", "test", selector, "docker", f"/v2/{name}/x").stdout == "yes\n"
    assert server.cli("selector", "test", selector, "docker", "/v2/other/x").stdout == "no\n"


# --- Without a login -----------------------------------------------------------------------------


@pytest.fixture
def switch(server: LiveServer, image: str) -> Iterator[Callable[..., None]]:
    """Set the switch of the server and that of the repository, and wait until that is seen."""

    def change(everywhere: bool, here: bool | None, expected: int) -> None:
        server.cli("option", "set", "anonymous", f"enabled={str(everywhere).lower()}")
        own = "null" if here is None else str(here).lower()
        server.cli("repo", "set", "docker-hosted", "--set", f"access.anonymous={own}")
        wait_until(lambda: status(server, image) == expected, what="the change")

    yield change
    change(False, None, 401)


@pytest.mark.parametrize(
    ("everywhere", "here"), [(True, None), (False, True), (True, True)], ids=str
)
def test_where_anybody_may_pull_pushes_with_a_login_go_to_the_same_port(
    server, docker, image, switch, everywhere, here
):
    switch(everywhere, here, 200)
    docker.run("pull", image)
    docker.import_image(image, b"another")
    ran = docker.run("push", image, check=False)
    assert ran.status != 0
    assert "unauthorized" in ran.text or "denied" in ran.text
    assert docker.login(server.registry, "admin", "wrong", check=False).status != 0
    docker.login(server.registry, *server.admin)
    docker.run("push", image)
    docker.run("logout", server.registry)
    docker.run("rmi", image)
    docker.run("pull", image)


def test_where_tokens_are_used_a_refused_push_says_what_is_missing(
    docker, image, make_user, switch
):
    switch(True, None, 200)
    name = make_user(*view("read"))
    docker.import_image(image, b"another")
    ran = docker.run("push", image, check=False)
    image_name = image.partition("/")[2].rpartition(":")[0]
    assert ran.status != 0
    assert f"denied: {name} is not allowed to add {image_name} in docker-hosted." in ran.text


@pytest.mark.parametrize(("everywhere", "here"), [(False, None), (True, False)], ids=str)
def test_where_it_is_switched_off_nobody_pulls_without_a_login(
    server, docker, image, switch, everywhere, here
):
    switch(True, None, 200)
    docker.run("pull", image)
    docker.run("rmi", image)
    switch(everywhere, here, 401)
    ran = docker.run("pull", image, check=False)
    assert ran.status != 0
    assert "no basic auth credentials" in ran.text or "unauthorized" in ran.text
    docker.login(server.registry, *server.admin)
    docker.run("pull", image)


def refused(docker, image):
    ran = docker.run("push", image, check=False)
    return ran if ran.status else None


def test_another_password_ends_what_docker_has(server, docker, image, make_user, switch):
    name = make_user(*view("read", "add", "edit"))
    for everywhere in (False, True):  # by Basic, and by bearer tokens
        switch(everywhere, None, 200 if everywhere else 401)
        given = f"{PASSWORD}\n"
        server.cli("user", "password", name, "--password-stdin", given=given)
        docker.login(server.registry, name, PASSWORD)
        docker.import_image(image, secrets.token_bytes(100))
        docker.run("push", image)
        server.cli("user", "password", name, "--password-stdin", given="another password\n")
        # A token that docker got just before is refused in other words, once.
        wait_until(
            lambda: "Wrong user name or password." in getattr(refused(docker, image), "text", ""),
            what="the end of the password",
        )
        docker.run("logout", server.registry)
        docker.run("rmi", image)


def test_what_docker_pulls_and_may_not_push_is_told(server, docker, image, make_user):
    name = make_user(*view("read"))
    docker.run("pull", image)
    docker.import_image(image, b"another")
    docker.run("push", image, check=False)
    image_name = image.partition("/")[2].rpartition(":")[0]

    def told() -> set[str]:
        lines = server.cli("audit", "list", "--actor", name, "--json").stdout.splitlines()
        rows = [json.loads(line) for line in lines]
        return {f"{row['type']} {row['target'].partition('sha256:')[0]}" for row in rows}

    expected = {
        f"pull {image_name}@",
        f"pull blob {image_name}@",
        f"refused /v2/{image_name}/blobs/uploads/",
    }
    wait_until(lambda: expected <= told(), what="the audit log")


# --- The command line ----------------------------------------------------------------------------


def test_what_is_made_is_listed_and_what_is_deleted_is_gone(server):
    cli = server.cli
    cli("selector", "create", "team", 'path =^ "/v2/team/"', "--description", "The team's.")
    assert re.search(r'^team +path =\^ "/v2/team/"$', cli("selector", "list").stdout, re.MULTILINE)
    cli(
        *("privilege", "create", "repository-content-selector", "team-read"),
        *("--selector", "team", "--action", "read", "--action", "browse"),
    )
    expected = "nexus:repository-content-selector:team:*:*:read,browse"
    assert f"  {expected}\n" in cli("privilege", "list").stdout
    assert (
        "nx-repository-view-docker-docker-hosted-read " in cli("privilege", "list", "--all").stdout
    )
    cli("role", "create", "team", "--privilege", "team-read", "--role", "nx-anonymous")
    assert cli("role", "show", "team").stdout == (
        "team: team\nprivilege team-read\nrole nx-anonymous\n"
    )
    cli("role", "set", "team", "--without", "nx-anonymous", "--description", "The team.")
    assert "team " in cli("role", "list").stdout
    assert cli("role", "show", "team").stdout == "team: The team.\nprivilege team-read\n"
    cli("user", "create", "tom", "--role", "team", "--password-stdin", given="a password\n")
    cli("user", "set", "tom", "--role", "nx-developer", "--without", "team", "--disable")
    line = next(each for each in cli("user", "list").stdout.splitlines() if "tom" in each)
    assert line.split()[1:3] == ["local", "disabled"]
    assert line.endswith("  nx-developer")
    cli("selector", "set", "team", 'path =^ "/v2/"')
    cli("selector", "delete", "team", "--yes")
    assert cli("role", "show", "team").stdout == "team: The team.\n"
    cli("role", "delete", "team", "--yes")
    cli("user", "delete", "tom", "--yes")
    assert "team" not in cli("role", "list").stdout + cli("privilege", "list").stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("role delete nx-admin --yes", "The role nx-admin is built in"),
        ("role create a --privilege none", "privileges: there is no privilege 'none'"),
        ("role set nx-developer --description x", "is built in and cannot be changed"),
        ("user set admin --without nx-admin", "no active local user with all permissions"),
        ("user set admin --disable", "no active local user with all permissions"),
        ("user set admin --without nothing", "--without nothing: the user admin does not have it."),
        ("user delete admin --yes", "no active local user with all permissions"),
        ("privilege create wildcard a", "pattern: is required"),
        ("privilege delete nx-all --yes", "The privilege nx-all is built in"),
        ("selector create a path", "expression: at character 5, expected '=='"),
        ("selector delete none --yes", "There is no content selector 'none'."),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(server, words, text):
    ran = server.cli(*words.split(), check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: ")
    assert text in ran.stderr
    assert ran.stderr.count("\n") == 1
