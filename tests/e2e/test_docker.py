"""The docker command line against the connector of a hosted repository."""

import secrets

import pytest

from tests.e2e.clients import PROMPT_S, quickest
from tests.live import live_server

pytestmark = pytest.mark.xdist_group("docker")


@pytest.fixture
def image(registry):
    """A name nobody else uses."""
    return f"{registry}/team/app-{secrets.token_hex(4)}:1"


def test_each_command_takes_less_than_a_second(docker, registry, shared_server, image):
    """A client that meets silence where it tried TLS first would wait for ten."""

    def push():
        docker.import_image(image, secrets.token_bytes(300_000))
        return docker.run("push", image)

    def pull():
        docker.run("rmi", image)
        return docker.run("pull", image)

    commands = {
        "a wrong login": lambda: docker.login(registry, "nobody", "wrong", check=False),
        "login": lambda: docker.login(registry, *shared_server.admin),
        "push": push,
        "pull": pull,
        "a pull of nothing": lambda: docker.run("pull", f"{registry}/no/such:1", check=False),
    }
    seconds = {name: quickest(command) for name, command in commands.items()}
    assert max(seconds.values()) < PROMPT_S, seconds


def test_login_with_the_first_password(docker, registry, shared_server):
    ran = docker.login(registry, *shared_server.admin)
    assert "Login Succeeded" in ran.stdout


def test_login_with_a_wrong_password_is_refused(docker, registry):
    ran = docker.login(registry, "admin", "wrong", check=False)
    assert ran.status != 0
    assert "unauthorized" in ran.text.lower()


def test_push_needs_a_login(docker, image):
    docker.import_image(image)
    ran = docker.run("push", image, check=False)
    assert ran.status != 0
    assert "no basic auth credentials" in ran.text or "unauthorized" in ran.text


def test_push_remove_and_pull(logged_in, image):
    identity = logged_in.import_image(image, secrets.token_bytes(300_000))
    pushed = logged_in.run("push", image)
    assert "digest: sha256:" in pushed.stdout
    logged_in.run("rmi", image)
    assert not logged_in.has_image(image)
    logged_in.run("pull", image)
    assert logged_in.run("image", "inspect", "--format={{.Id}}", image).stdout.strip() == identity


def test_pull_by_digest(logged_in, image):
    logged_in.import_image(image, secrets.token_bytes(1000))
    pushed = logged_in.run("push", image).stdout
    digest = pushed.partition("digest: ")[2].split()[0]
    logged_in.run("rmi", image)
    by_digest = f"{image.rpartition(':')[0]}@{digest}"
    logged_in.run("pull", by_digest)
    logged_in.run("rmi", by_digest)


def test_a_second_push_finds_the_layers(logged_in, image):
    logged_in.import_image(image, secrets.token_bytes(300_000))
    logged_in.run("push", image)
    again = f"{image}-again"
    logged_in.run("tag", image, again)
    ran = logged_in.run("push", again)
    assert "Layer already exists" in ran.stdout
    logged_in.run("rmi", again)


def test_a_layer_of_another_name_is_there_to_use(logged_in, image, registry):
    logged_in.import_image(image, secrets.token_bytes(300_000))
    logged_in.run("push", image)
    other = f"{registry}/other/{secrets.token_hex(4)}:1"
    logged_in.run("tag", image, other)
    logged_in.run("push", other)
    logged_in.run("rmi", image, other)
    logged_in.run("pull", other)
    logged_in.run("rmi", other)


def test_a_tag_moves_with_the_next_push(logged_in, image):
    first = logged_in.import_image(image, b"first")
    logged_in.run("push", image)
    second = logged_in.import_image(image, b"second")
    logged_in.run("push", image)
    logged_in.run("rmi", image, first)
    logged_in.run("pull", image)
    assert logged_in.run("image", "inspect", "--format={{.Id}}", image).stdout.strip() == second


def test_pull_of_an_unknown_image_says_so(logged_in, registry):
    ran = logged_in.run("pull", f"{registry}/team/absent:1", check=False)
    assert ran.status != 0
    assert "not found" in ran.text


def test_a_large_layer_goes_and_comes(logged_in, image):
    logged_in.import_image(image, secrets.token_bytes(40_000_000))
    logged_in.run("push", image)
    logged_in.run("rmi", image)
    logged_in.run("pull", image)


def test_a_user_made_on_the_command_line_logs_in(docker, registry, shared_server):
    name, password = f"user-{secrets.token_hex(4)}", secrets.token_hex(8)
    assert docker.login(registry, name, password, check=False).status != 0
    shared_server.cli(
        "user", "create", name, "--role", "nx-developer", "--password-stdin", given=f"{password}\n"
    )
    assert "Login Succeeded" in docker.login(registry, name, password).stdout


def test_anonymous_pull_by_setting(docker, tmp_path):
    settings = {"security": {"anonymous_read": True}}
    with live_server(tmp_path / "open", settings=settings) as server:
        image = f"{server.registry}/team/open:1"
        docker.import_image(image)
        refused = docker.run("push", image, check=False)
        assert "unauthorized" in refused.text or "denied" in refused.text
        assert docker.login(server.registry, "admin", "wrong", check=False).status != 0
        docker.login(server.registry, *server.admin)
        docker.run("push", image)
        docker.run("logout", server.registry)
        docker.run("rmi", image)
        docker.run("pull", image)


def test_login_at_the_main_port_tells_where_the_registries_are(docker, shared_server):
    main = shared_server.main_url.removeprefix("http://")
    ran = docker.login(main, *shared_server.admin, check=False)
    assert ran.status != 0
    assert "This is the main port" in ran.text
    assert f"docker-hosted at {shared_server.registry}" in ran.text
