"""Maven itself deploys and resolves: releases, snapshots, projects, of repositories of each type.

Its plugins come from where this machine gets them; nothing else does.
"""

import os
import secrets
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.programs import find_program

pytestmark = pytest.mark.xdist_group("maven")

PLUGINS = {"deploy": "3.1.4", "dependency": "3.8.1", "install": "3.1.4"}
SEED = Path(sys.prefix) / "maven"  # The plugins, fetched once.
TIMEOUT_S = 240
# A run takes seconds: too short for the optimizing compiler of the JVM to pay off.
OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SETTINGS = """
<settings>
  <servers>
    <server><id>own</id><username>{user}</username><password>{password}</password></server>
  </servers>
  <profiles><profile><id>own</id><repositories>
    <repository><id>own</id><url>{url}</url>
      <releases><updatePolicy>always</updatePolicy></releases>
      <snapshots><enabled>true</enabled><updatePolicy>always</updatePolicy></snapshots>
    </repository>
    <repository><id>central</id><url>http://127.0.0.1:1/</url>
      <releases><enabled>false</enabled></releases>
    </repository>
  </repositories></profile></profiles>
  <activeProfiles><activeProfile>own</activeProfile></activeProfiles>
</settings>
"""
POM = """
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>{group}</groupId><artifactId>parent</artifactId><version>{version}</version>
  <packaging>pom</packaging>
  <build><plugins>
    <plugin><artifactId>maven-install-plugin</artifactId><version>{install}</version></plugin>
    <plugin><artifactId>maven-deploy-plugin</artifactId><version>{deploy}</version></plugin>
  </plugins></build>
  <distributionManagement>
    <repository><id>own</id><url>{releases}</url></repository>
    <snapshotRepository><id>own</id><url>{snapshots}</url></snapshotRepository>
  </distributionManagement>
</project>
"""


def goal(plugin, name):
    return f"org.apache.maven.plugins:maven-{plugin}-plugin:{PLUGINS[plugin]}:{name}"


@pytest.fixture(scope="session")
def seed():
    """A local repository that has the plugins."""
    marker = SEED / "whole"
    if not marker.exists():
        for each in PLUGINS:
            status, output = run_maven(
                SEED.parent, f"-Dmaven.repo.local={SEED}", goal(each, "help")
            )
            if status:
                pytest.skip(f"the plugins of Maven cannot be had here:\n{output[-2000:]}")
        marker.touch()
    return SEED


def run_maven(directory, *words):
    done = subprocess.run(
        [find_program("mvn"), "--batch-mode", *words],
        cwd=directory,
        env={**os.environ, "MAVEN_OPTS": OPTIONS},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


class Maven:
    """The mvn command with a local repository and a login of its own."""

    def __init__(self, directory, seed, server, reads):
        self.local = directory / "local"
        shutil.copytree(seed, self.local)
        self.directory = directory
        self.server = server
        self.login(reads, *server.admin)

    def login(self, reads, user, password):
        """Read from a repository as a user."""
        self.reads = reads
        text = SETTINGS.format(user=user, password=password, url=self.url(reads))
        (self.directory / "settings.xml").write_text(text)

    def url(self, repository):
        return f"{self.server.main_url}/repository/{repository}/"

    def run(self, *words, fails=False, directory=None):
        """Run mvn and return its output; checksums have to fit."""
        settings = f"--settings={self.directory / 'settings.xml'}"
        status, output = run_maven(
            directory or self.directory,
            settings,
            "--strict-checksums",
            f"-Dmaven.repo.local={self.local}",
            *words,
        )
        assert bool(status) is fails, output
        return output

    def deploy(self, to, group, version, text, **options):
        """Deploy a jar that has a text in it, to a repository or an address."""
        jar = self.directory / "lib.jar"
        with zipfile.ZipFile(jar, "w") as archive:
            archive.writestr("text", text)
        given = {
            "file": jar,
            "groupId": group,
            "artifactId": "lib",
            "version": version,
            "packaging": "jar",
            "repositoryId": "own",
            "url": to if ":" in to else self.url(to),
        }
        words = [f"-D{key}={value}" for key, value in given.items()]
        return self.run(goal("deploy", "deploy-file"), *words, **options)

    def get(self, group, version, name="lib", packaging="jar", **options):
        """Resolve an artifact, as nobody has it yet; return the text in it."""
        folder = self.local / group.replace(".", "/") / name
        shutil.rmtree(folder, ignore_errors=True)
        coordinate = f"-Dartifact={group}:{name}:{version}:{packaging}"
        output = self.run(
            goal("dependency", "get"),
            coordinate,
            "-Dtransitive=false",
            f"-DremoteRepositories=own::default::{self.url(self.reads)}",
            **options,
        )
        if options.get("fails"):
            return output
        [found] = [
            each
            for each in folder.glob(f"*/*.{packaging}")
            if version.endswith("SNAPSHOT") is each.stem.endswith("SNAPSHOT")
        ]
        if packaging == "pom":
            return found.read_text()
        with zipfile.ZipFile(found) as archive:
            return archive.read("text").decode()


@pytest.fixture
def group():
    """A group id that nobody else uses."""
    return f"org.acme.g{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def repositories(shared_server):
    """Repositories for releases and snapshots, a proxy of the former, and a group."""
    create = partial(shared_server.cli, "repo", "create")
    create("maven2-hosted", "releases", "--set", "maven.version_policy=release")
    create("maven2-hosted", "snapshots", "--set", "maven.version_policy=snapshot")
    remote = f"{shared_server.main_url}/repository/releases/"
    user, password = shared_server.admin
    login = (f"http_client.username={user}", f"http_client.password={password}")
    settings = (f"proxy.remote_url={remote}", *login, "negative_cache.enabled=false")
    create("maven2-proxy", "copies", *(word for each in settings for word in ("--set", each)))
    members = 'group.members=["snapshots", "copies"]'
    create("maven2-group", "maven", "--set", members, "--set", "group.writable_member=snapshots")


@pytest.fixture
def maven(tmp_path, seed, shared_server, repositories):
    return Maven(tmp_path, seed, shared_server, "maven")


def test_a_release_is_deployed_and_resolved_through_a_group_and_a_proxy(maven, group):
    maven.deploy("releases", group, "1.0", "one")
    assert maven.get(group, "1.0") == "one"
    maven.deploy("releases", group, "1.1", "two")
    assert maven.get(group, "LATEST") == "two"


def test_the_newest_build_of_a_snapshot_is_resolved(maven, group):
    for text in ("one", "two"):
        maven.deploy("maven", group, "1.1-SNAPSHOT", text)
        assert maven.get(group, "1.1-SNAPSHOT") == text


def test_what_is_refused_is_told(maven, group):
    maven.deploy("releases", group, "1.0", "one")
    assert "exists in releases with other content" in maven.deploy(
        "releases", group, "1.0", "two", fails=True
    )
    output = maven.deploy("releases", group, "1.1-SNAPSHOT", "one", fails=True)
    assert "version policy of releases is release" in output
    maven.login("maven", "admin", "wrong-password")
    assert "401" in maven.deploy("releases", group, "1.2", "one", fails=True)


@pytest.mark.parametrize("version", ["3.0", "3.1-SNAPSHOT"])
def test_a_project_is_deployed(maven, group, tmp_path, version):
    project = tmp_path / "project"
    project.mkdir()
    urls = {each: maven.url(each) for each in ("releases", "snapshots")}
    (project / "pom.xml").write_text(POM.format(group=group, version=version, **urls, **PLUGINS))
    maven.run("deploy", directory=project)
    assert f"<groupId>{group}</groupId>" in maven.get(group, version, "parent", "pom")


def test_a_proxy_of_a_directory_that_maven_has_filled(maven, group, tmp_path, shared_server):
    directory = tmp_path / "remote"
    for version, text in (("1.0", "old"), ("2.0-SNAPSHOT", "new")):
        maven.deploy(directory.as_uri(), group, version, text)
    handler = partial(SimpleHTTPRequestHandler, directory=directory)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as remote:
        Thread(target=remote.serve_forever, daemon=True).start()
        name = f"files-{secrets.token_hex(4)}"
        url = f"proxy.remote_url=http://127.0.0.1:{remote.server_port}/"
        shared_server.cli("repo", "create", "maven2-proxy", name, "--set", url)
        maven.login(name, *shared_server.admin)
        assert maven.get(group, "1.0") == "old"
        assert maven.get(group, "2.0-SNAPSHOT") == "new"
        remote.shutdown()
    assert maven.get(group, "1.0") == "old"  # of the cache
