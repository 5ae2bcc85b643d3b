"""Proxies and groups of Maven artifacts, and remotes that fail or lie."""

import hashlib
from xml.etree import ElementTree

import pytest

from repoman.clocks import DAY_S
from repoman_maven2 import plugin
from tests.clock import wait_until
from tests.fakes.scripted import reply

URL = "/repository/mirror"
LIB = "org/acme/lib"
JAR = f"{LIB}/1.0/lib-1.0.jar"
SNAPSHOT = f"{LIB}/2.0-SNAPSHOT"
DATA = b"a jar" * 1000
VERSIONS = "versioning/versions/version"


def make_metadata(*versions, plugins=()):
    """The metadata of an artifact, as Maven writes it."""
    listed = "".join(f"<version>{each}</version>" for each in versions)
    named = "".join(f"<plugin><prefix>{each}</prefix></plugin>" for each in plugins)
    text = (
        '<metadata xmlns="http://maven.apache.org/METADATA/1.1.0"><groupId>org.acme</groupId>'
        f"<artifactId>lib</artifactId><versioning><latest>{versions[-1]}</latest>"
        f"<release>{versions[-1]}</release><versions>{listed}</versions>"
        f"<lastUpdated>20260101000000</lastUpdated></versioning><plugins>{named}</plugins>"
        "</metadata>"
    )
    return text.encode()


def make_builds(stamp, number):
    """The metadata of a snapshot."""
    value = f"2.0-{stamp}-{number}"
    text = (
        "<metadata><version>2.0-SNAPSHOT</version><versioning>"
        f"<snapshot><timestamp>{stamp}</timestamp><buildNumber>{number}</buildNumber></snapshot>"
        f"<snapshotVersions><snapshotVersion><extension>jar</extension><value>{value}</value>"
        "</snapshotVersion></snapshotVersions></versioning></metadata>"
    )
    return text.encode()


class Directory:
    """A remote with files by path, and a SHA-1 beside each; tests change what it says."""

    def __init__(self):
        self.files = {JAR: DATA, f"{LIB}/maven-metadata.xml": make_metadata("0.9", "1.0")}
        self.lies = {}

    def __call__(self, asked):
        path = asked.path.removeprefix("/")
        if path in self.lies:
            return reply(200, self.lies[path])
        stem = path.removesuffix(".sha1")
        if stem not in self.files:
            return reply(404)
        data = self.files[stem]
        return reply(200, data if stem == path else hashlib.sha1(data).hexdigest().encode())


@pytest.fixture
def plugins():
    return {"maven2": plugin}


@pytest.fixture
def remote():
    return Directory()


@pytest.fixture
def metadata(client):
    def read(folder=LIB, repository="mirror"):
        url = f"/repository/{repository}/{folder}/maven-metadata.xml"
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        assert client.get(f"{url}.sha1").text == hashlib.sha1(answer.data).hexdigest()
        return ElementTree.fromstring(answer.data)

    return read


def texts(root, path=VERSIONS):
    return [each.text for each in root.iterfind(path)]


def test_a_file_is_fetched_once_and_compared_with_its_checksum(client, server):
    assert client.get(f"{URL}/{JAR}").data == DATA
    for algorithm in ("sha1", "md5", "sha256"):
        found = client.get(f"{URL}/{JAR}.{algorithm}").text
        assert found == hashlib.new(algorithm, DATA).hexdigest()
    assert client.get(f"{URL}/{JAR}").data == DATA
    assert server.paths() == [f"/{JAR}.sha1", f"/{JAR}"]


def test_a_checksum_that_is_asked_for_first_fetches_the_file(client, server):
    assert client.get(f"{URL}/{JAR}.sha1").text == hashlib.sha1(DATA).hexdigest()
    assert server.paths() == [f"/{JAR}.sha1", f"/{JAR}"]


@pytest.mark.parametrize("text", [b"", b"nonsense", b"<html>" * 1000])
def test_a_checksum_that_is_none_is_left_aside(client, remote, text):
    remote.lies[f"{JAR}.sha1"] = text
    assert client.get(f"{URL}/{JAR}").data == DATA


def test_releases_are_kept_and_snapshots_checked(client, remote, server, clock):
    jar = f"{SNAPSHOT}/lib-2.0-SNAPSHOT.jar"
    remote.files[jar] = b"one"
    for path in (JAR, jar):
        client.get(f"{URL}/{path}")
        url = f"{URL}/{path}"
        wait_until(lambda url=url: client.head(url).headers["X-Repoman-Cache"] == "HIT", what=url)
    remote.files[jar] = remote.files[JAR] = b"two"
    clock.jump(30 * DAY_S)
    assert client.get(f"{URL}/{JAR}").data == DATA
    # The download may have to end first, though what it has stored is there.
    wait_until(lambda: client.get(f"{URL}/{jar}").data == b"two", what="the new snapshot")
    assert len(server.paths(f"/{JAR}")) == 2


def test_metadata_is_fetched_again_once_it_is_old(metadata, remote, clock, server):
    root = metadata()
    assert texts(root) == ["0.9", "1.0"]
    assert root.findtext("versioning/latest") == "1.0"
    remote.files[f"{LIB}/maven-metadata.xml"] = make_metadata("0.9", "1.0", "1.1")
    assert texts(metadata()) == ["0.9", "1.0"]
    clock.jump(2 * DAY_S)
    assert texts(metadata()) == ["0.9", "1.0", "1.1"]
    clock.jump(2 * DAY_S)
    server.answer = lambda _: reply(500)
    assert texts(metadata()) == ["0.9", "1.0", "1.1"]


def test_an_artifact_is_asked_for_again_once_it_is_invalidated(client, metadata, remote):
    path = f"{SNAPSHOT}/lib-2.0-SNAPSHOT.jar"
    jar, remote.files[path] = f"{URL}/{path}", b"one"
    assert client.get(jar).data == b"one"
    wait_until(lambda: client.head(jar).headers["X-Repoman-Cache"] == "HIT", what=jar)
    assert texts(metadata()) == ["0.9", "1.0"]
    remote.files[path] = b"two"
    remote.files[f"{LIB}/maven-metadata.xml"] = make_metadata("0.9", "1.0", "1.1")
    name = "org.acme:lib"
    invalidate = f"/service/rest/v1/repositories/mirror/invalidate-cache?name={name}"
    assert client.request("POST", invalidate).status_code == 204
    assert texts(metadata()) == ["0.9", "1.0", "1.1"]
    assert client.get(jar).data == b"two"


@pytest.mark.parametrize("body", [b"", b"<html>", b"<!DOCTYPE m []><metadata/>"])
def test_metadata_that_cannot_be_read_is_an_error_of_the_remote(client, remote, body):
    remote.files[f"{LIB}/maven-metadata.xml"] = body
    answer = client.get(f"{URL}/{LIB}/maven-metadata.xml")
    assert answer.status_code == 502
    assert "cannot be read" in answer.status


def test_the_policies_keep_the_remote_from_being_asked(client, repoman, server):
    settings = {"proxy": {"remote_url": server.url}, "maven": {"version_policy": "release"}}
    repoman.repositories.create("releases", "maven2-proxy", settings)
    for path in (f"{SNAPSHOT}/maven-metadata.xml", f"{SNAPSHOT}/lib-2.0-SNAPSHOT.jar", "a.txt"):
        assert client.get(f"/repository/releases/{path}").status_code == 404
    assert server.paths() == []


def test_what_is_not_there_is_asked_for_once(client, server):
    for _ in range(3):
        assert client.get(f"{URL}/{LIB}/9/lib-9.jar").status_code == 404
        assert client.get(f"{URL}/{LIB}/9/lib-9.jar.sha1").status_code == 404
        assert client.get(f"{URL}/org/none/maven-metadata.xml").status_code == 404
    assert len(server.paths()) == 3


# Groups -------------------------------------------------------------------------------------------


def test_a_group_merges_versions_builds_and_plugins(client, metadata, remote):
    remote.files["org/acme/maven-metadata.xml"] = make_metadata("5", plugins=["remote"])
    remote.files[f"{SNAPSHOT}/maven-metadata.xml"] = make_builds("20260101.101010", 7)
    put = client.put
    for path in (
        f"{LIB}/1.1/lib-1.1.jar",
        f"{SNAPSHOT}/lib-2.0-20260202.101010-1.jar",
        f"{SNAPSHOT}/lib-2.0-20251231.101010-1-tests.jar",
    ):
        assert put(f"/repository/all/{path}", b"ours").status_code == 201
    own = make_metadata("1.1", plugins=["own"])
    assert put("/repository/all/org/acme/maven-metadata.xml", own).status_code == 201
    root = metadata(LIB, "all")
    assert texts(root) == ["0.9", "1.0", "1.1", "2.0-SNAPSHOT"]
    root = metadata(SNAPSHOT, "all")
    assert root.findtext("versioning/snapshot/timestamp") == "20260202.101010"
    values = texts(root, "versioning/snapshotVersions/snapshotVersion/value")
    assert values == ["2.0-20260202.101010-1", "2.0-20251231.101010-1"]
    root = metadata("org/acme", "all")
    assert texts(root, "plugins/plugin/prefix") == ["own", "remote"]
    assert client.get(f"/repository/all/{JAR}").data == DATA
    assert client.get(f"/repository/all/{JAR}.sha1").text == hashlib.sha1(DATA).hexdigest()


@pytest.mark.parametrize(
    ("ours", "latest", "release"),
    [
        (["1.1", "2.0"], "2.0", "2.0"),
        (["1.1", "2.0-SNAPSHOT"], "2.0-SNAPSHOT", "1.5"),
        (["0.1"], "1.5", "1.5"),
    ],
)
def test_a_group_says_its_highest_latest_and_release(
    client, metadata, remote, ours, latest, release
):
    remote.files[f"{LIB}/maven-metadata.xml"] = make_metadata("1.0", "1.5")
    for each in ours:
        path = f"/repository/own/{LIB}/{each}/lib-{each}.jar"
        assert client.put(path, b"ours").status_code == 201
    versioning = metadata(LIB, "all").find("versioning")
    assert (versioning.findtext("latest"), versioning.findtext("release")) == (latest, release)


def test_a_checksum_of_a_client_is_compared_with_what_it_has_stored(client):
    assert client.put(f"/repository/all/{JAR}", b"ours").status_code == 201
    ours = hashlib.sha1(b"ours").hexdigest().encode()
    assert client.put(f"/repository/all/{JAR}.sha1", ours).status_code == 201
    theirs = hashlib.sha1(DATA).hexdigest().encode()
    assert client.put(f"/repository/all/{JAR}.sha1", theirs).status_code == 400


def test_a_group_says_what_it_could_not_ask_for(client, server):
    client.put(f"/repository/all/{LIB}/1.1/lib-1.1.jar", b"ours")
    server.answer = lambda _: reply(500)
    answer = client.get(f"/repository/all/{LIB}/maven-metadata.xml")
    assert texts(ElementTree.fromstring(answer.data)) == ["1.1"]
    assert "mirror" in answer.headers["Warning"]


@pytest.mark.parametrize("path", [JAR, f"{JAR}.sha1", f"{LIB}/maven-metadata.xml"])
def test_nothing_is_stored_in_a_proxy(client, path):
    assert client.put(f"{URL}/{path}", b"x").status_code == 405
