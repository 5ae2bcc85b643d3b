"""The docker command as a user of a directory."""

import pytest

from tests.fakes.slapd import PEOPLE, READER, READER_PASSWORD, slapd
from tests.live import live_server

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that lets the users of a directory in; developers may push."""
    with (
        slapd(tmp_path_factory.mktemp("slapd")) as directory,
        live_server(tmp_path_factory.mktemp("server")) as server,
    ):
        alice = directory.add_person("alice", PASSWORD)
        directory.add_person("bob", PASSWORD)
        directory.add_group("developers", alice)
        server.cli(
            *("option", "set", "ldap", "enabled=true", f'urls=["{directory.url}"]'),
            *(f"user_base={PEOPLE}", "group_base=ou=groups,dc=example,dc=org"),
            *('roles={"developers": ["nx-developer"]}', f"bind_dn={READER}"),
            *("--stdin", "bind_password"),
            given=READER_PASSWORD,
        )
        yield server


def test_a_developer_of_the_directory_pushes(docker, server):
    docker.login(server.registry, "alice", PASSWORD)
    tag = f"{server.registry}/team/app:1"
    docker.import_image(tag)
    docker.run("push", tag)


def test_somebody_without_a_role_may_not_push(docker, server):
    docker.login(server.registry, "bob", PASSWORD)
    tag = f"{server.registry}/team/other:1"
    docker.import_image(tag)
    assert "denied" in docker.run("push", tag, check=False).text


@pytest.mark.parametrize("name", ["alice", "nobody", "*"])
def test_a_wrong_password_is_refused(docker, server, name):
    answer = docker.login(server.registry, name, "wrong", check=False)
    assert "unauthorized" in answer.text.lower()
