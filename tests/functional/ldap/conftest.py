"""A directory with people in it, and a Repoman that lets them in."""

import pytest

from repoman.security.options import LdapOptions
from repoman.testing import RepomanFactory
from repoman_docker import plugin
from tests.clock import WAIT_S
from tests.fakes.slapd import GROUPS, PEOPLE, READER, READER_PASSWORD, slapd

ALICE = "correct horse"


@pytest.fixture(scope="session")
def directory(tmp_path_factory):
    """A directory: alice is in developers and staff, bob in no group."""
    with slapd(tmp_path_factory.mktemp("slapd")) as server:
        alice = server.add_person("alice", ALICE, givenName="Alice", mail="alice@example.org")
        server.add_person("bob", "battery staple")
        server.add_group("developers", alice)
        server.add_group("Staff", alice)
        yield server


@pytest.fixture
def options(directory):
    """The options of the realm."""
    return {
        "enabled": True,
        "urls": [directory.url],
        "timeout": int(WAIT_S),
        "bind_dn": READER,
        "bind_password": READER_PASSWORD,
        "user_base": PEOPLE,
        "group_base": GROUPS,
        "roles": {"developers": ["writers"], "unknown": ["nx-admin"]},
        "default_roles": ["readers"],
    }


@pytest.fixture(scope="module")
def factory(tmp_path_factory):
    """Starts Repomans for this module."""
    factory = RepomanFactory(tmp_path_factory.mktemp("ldap"))
    yield factory
    factory.stop()


@pytest.fixture(scope="module")
def running(factory):
    """A Repoman with a Docker repository."""
    repoman = factory({"docker": plugin})
    repoman.repositories.create("images", "docker-hosted", {})
    return repoman


@pytest.fixture
def repoman(running, options):
    """The same, with the realm set up as in ``options``."""
    running.options.update("ldap", {**LdapOptions().model_dump(), **options})
    return running
