"""npm 10 and 11, yarn 1 and 4, and pnpm, with Verdaccio as the remote of a proxy."""

import json
import os
import pty
import re
import secrets
import select
import time

import pytest
import requests

from tests.e2e.npm_clients import CLIENTS, Client
from tests.npm_registries import ARE_THERE, MODULES, TIMEOUT_S, Verdaccio

REAL = ("debug", "ms")  # Packages of others that Verdaccio has: debug needs ms.

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not ARE_THERE,
        reason="clients of npm repositories are missing; install them:  make programs",
    ),
]


@pytest.fixture(params=CLIENTS)
def client(request, tmp_path):
    """A client."""
    return Client(directory=tmp_path, **CLIENTS[request.param])


@pytest.fixture
def npm(tmp_path):
    """The newest npm."""
    return Client(directory=tmp_path, **CLIENTS["npm 11"])


@pytest.fixture(scope="module")
def verdaccio(tmp_path_factory):
    """A remote with packages of others, and one that has a name of ours."""
    directory = tmp_path_factory.mktemp("remote")
    server = Verdaccio(directory / "verdaccio")
    for each in REAL:
        server.publish(MODULES / each)
    yield server
    server.end()


class Site:
    """Repositories of one name in a running server: hosted, proxy, and a group of both."""

    def __init__(self, server, remote):
        self.server = server
        self.name = f"npm{secrets.token_hex(4)}"
        for kind, name, *settings in (
            ("hosted", "own"),
            ("proxy", "mirror", f"proxy.remote_url={remote}"),
            (
                "group",
                "all",
                f"group.members={json.dumps([f'{self.name}-own', f'{self.name}-mirror'])}",
                f"group.writable_member={self.name}-own",
            ),
        ):
            words = [each for setting in settings for each in ("--set", setting)]
            server.cli("repo", "create", f"npm-{kind}", f"{self.name}-{name}", *words)

    def url(self, name):
        return f"{self.server.main_url}/repository/{self.name}-{name}/"

    def token(self, name="all"):
        """A token as npm login gets it."""
        user, password = self.server.admin
        answer = requests.put(
            f"{self.url(name)}-/user/org.couchdb.user:{user}",
            json={"name": user, "password": password},
            timeout=TIMEOUT_S,
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]


@pytest.fixture
def site(shared_server, verdaccio):
    """Repositories, with Verdaccio behind the proxy."""
    return Site(shared_server, verdaccio.url)


def test_what_is_published_is_installed_and_again_by_the_lock_file(client, site):
    client.use(site.url("all"), site.token())
    client.publish("@acme/lib", "1.0.0")
    client.begin(**{"@acme/lib": "^1.0.0", "debug": "*"})
    client.run(*client.install)
    installed = client.version("debug")
    assert client.version("@acme/lib") == "1.0.0"
    lock = (client.project / client.lock).read_text()
    client.forget()
    client.publish("@acme/lib", "1.1.0")
    client.run(*client.again)
    assert (client.version("@acme/lib"), client.version("debug")) == ("1.0.0", installed)
    assert (client.project / client.lock).read_text() == lock


def test_a_version_is_published_once(client, site):
    client.use(site.url("own"), site.token("own"))
    client.publish("once", "1.0.0")
    said = client.run(*client.publishing, cwd=client.directory / "package", check=False)
    assert "previously published version" in said


def test_a_private_package_needs_a_login(client, site):
    client.use(site.url("own"), site.token("own"))
    client.publish("@acme/secret", "1.0.0")
    site.server.cli("repo", "set", f"{site.name}-own", "--set", "access.anonymous=false")
    client.begin(**{"@acme/secret": "1.0.0"})
    client.run(*client.install)
    assert client.version("@acme/secret") == "1.0.0"
    client.forget()
    client.use(site.url("own"), "rpm_0123456789abcdef_wrong")
    said = client.run(*client.again, check=False)
    assert "401" in said or "nauthorized" in said or "uthentication" in said


def test_a_name_of_ours_is_not_taken_from_the_remote(npm, site, verdaccio):
    verdaccio.publish(npm.package("ours", "99.0.0"))
    npm.use(site.url("own"), site.token("own"))
    npm.publish("ours", "1.0.0")
    npm.use(site.url("all"), site.token())
    npm.begin(ours="*")
    npm.run("install")
    assert npm.version("ours") == "1.0.0"


def test_a_remote_that_is_gone_keeps_nobody_from_installing(npm, shared_server, tmp_path):
    remote = Verdaccio(tmp_path / "verdaccio")
    try:
        remote.publish(MODULES / "debug")
        remote.publish(MODULES / "ms")
        site = Site(shared_server, remote.url)
        npm.use(site.url("all"), site.token())
        npm.begin(debug="*")
        npm.run("install")
        npm.forget()
    finally:
        remote.end()
    npm.run("ci")
    assert npm.version("ms")
    npm.begin(lodash="*")
    said = npm.run("install", "--fetch-retries", "0", check=False)
    assert re.search("50[234] ", said), said


def test_what_npm_does_to_packages(npm, site):
    npm.use(site.url("own"), site.token("own"))
    for version in ("1.0.0", "1.1.0"):
        npm.publish("tool", version)
    npm.begin()
    npm.run("deprecate", "tool@1.0.0", "use 1.1.0")
    assert "use 1.1.0" in npm.run("view", "tool@1.0.0")
    npm.run("dist-tag", "add", "tool@1.0.0", "old")
    assert npm.run("dist-tag", "ls", "tool").split() == ["latest:", "1.1.0", "old:", "1.0.0"]
    npm.run("dist-tag", "rm", "tool", "old")
    npm.run("star", "tool")
    assert "tool" in npm.run("search", "tool")
    assert "found 0 vulnerabilities" in npm.run("install", "tool")
    npm.run("audit")
    npm.run("ping")
    npm.run("unpublish", "tool@1.1.0")
    assert npm.run("view", "tool", "version").strip() == "1.0.0"
    npm.run("unpublish", "tool", "--force")
    assert "404" in npm.run("view", "tool", check=False)
    npm.publish("tool", "1.1.0")


# Logins -------------------------------------------------------------------------------------------


def log_in(npm, *answers):
    """Answer the questions of npm login at a terminal; return its status and what it says."""
    words = npm.command("login", "--auth-type", "legacy")
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(npm.project)
        os.execvpe(words[0], words, npm.environment)
    said, left, end = "", list(answers), time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:  # the end of a terminal
            break
        said += data.decode()
        said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", said)  # colours, and moves of the cursor
        if left and said.rstrip().endswith(left[0][0]):
            os.write(terminal, f"{left.pop(0)[1]}\n".encode())
            said += "\n"
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said


def test_a_login_is_good_until_the_logout(npm, site):
    user, password = site.server.admin
    npm.use(site.url("own"))
    npm.begin()
    status, said = log_in(npm, ("Username:", user), ("Password:", password))
    assert status == 0, said
    assert npm.run("whoami").strip() == user
    npm.publish("mine", "1.0.0")
    token = (npm.directory / "home" / ".npmrc").read_text().rpartition("_authToken=")[2].strip()
    npm.run("logout")
    npm.use(site.url("own"), token)
    assert "401" in npm.run("whoami", check=False)


def test_a_wrong_login_is_refused(npm, site):
    npm.use(site.url("own"))
    npm.begin()
    status, said = log_in(npm, ("Username:", "nobody"), ("Password:", "wrong password"))
    assert (status != 0, "401" in said or "E401" in said) == (True, True), said
