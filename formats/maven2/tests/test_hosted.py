"""Hosted artifacts: what clients deploy, the metadata that is made of it, and what is refused."""

import hashlib
import io

import pytest

from repoman_maven2 import index

URL = "/repository/maven"
LIB = "org/acme/lib"
JAR = f"{LIB}/1.0/lib-1.0.jar"
STAMPS = ("20261128.101010-1", "20261129.111111-2")
PLUGINS = (
    "<metadata><plugins><plugin><name>{0}</name><prefix>{0}</prefix>"
    "<artifactId>{0}-maven-plugin</artifactId></plugin></plugins></metadata>"
)


def texts(root, path):
    return [each.text for each in root.iterfind(path)]


def test_a_release_is_deployed_and_read(client, deploy, metadata):
    assert deploy(JAR) == (201, 201)
    assert client.get(f"{URL}/{JAR}").data == b"bytes"
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        found = client.get(f"{URL}/{JAR}.{algorithm}")
        assert found.text == hashlib.new(algorithm, b"bytes").hexdigest()
        assert found.mimetype == "text/plain"
    root = metadata(LIB)
    assert (root.findtext("groupId"), root.findtext("artifactId")) == ("org.acme", "lib")
    assert texts(root, "versioning/versions/version") == ["1.0"]


def test_versions_are_in_their_order_and_go_when_they_are_deleted(client, deploy, metadata):
    for version in ("1.10", "1.9", "2.0-SNAPSHOT", "1.10-rc1"):
        deploy(f"{LIB}/{version}/lib-{version}.jar")
    root = metadata(LIB)
    versions = ["1.9", "1.10-rc1", "1.10", "2.0-SNAPSHOT"]
    assert texts(root, "versioning/versions/version") == versions
    assert texts(root, "versioning/latest") == ["2.0-SNAPSHOT"]
    assert texts(root, "versioning/release") == ["1.10"]
    assert client.delete(f"{URL}/{LIB}/1.10/lib-1.10.jar").status_code == 204
    versions.remove("1.10")
    assert texts(metadata(LIB), "versioning/versions/version") == versions


def test_the_newest_build_of_a_snapshot_is_named(deploy, metadata):
    folder = f"{LIB}/1.0-SNAPSHOT"
    for stamp in STAMPS:
        deploy(f"{folder}/lib-1.0-{stamp}.jar")
    deploy(f"{folder}/lib-1.0-{STAMPS[0]}-sources.jar")
    root = metadata(folder)
    assert texts(root, "version") == ["1.0-SNAPSHOT"]
    assert texts(root, "versioning/snapshot/timestamp") == ["20261129.111111"]
    assert texts(root, "versioning/snapshot/buildNumber") == ["2"]
    values = texts(root, "versioning/snapshotVersions/snapshotVersion/value")
    assert values == [f"1.0-{STAMPS[1]}", f"1.0-{STAMPS[0]}"]
    assert texts(metadata(LIB), "versioning/versions/version") == ["1.0-SNAPSHOT"]


def test_a_snapshot_may_be_replaced_and_has_no_stamp(client, deploy, metadata):
    path = f"{LIB}/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar"
    assert deploy(path, b"one") == (201, 201)
    assert deploy(path, b"two") == (204, 201)
    assert client.get(f"{URL}/{path}").data == b"two"
    root = metadata(f"{LIB}/1.0-SNAPSHOT")
    values = texts(root, "versioning/snapshotVersions/snapshotVersion/value")
    assert values == ["1.0-SNAPSHOT"]


def test_a_release_is_stored_once(client, deploy):
    deploy(JAR)
    assert deploy(JAR) == (204, 201)  # the same again, as after a deployment that broke off
    refused = client.put(f"{URL}/{JAR}", b"others")
    assert refused.status_code == 400
    assert "lib-1.0.jar exists in maven with other content" in refused.status
    assert client.get(f"{URL}/{JAR}").data == b"bytes"


@pytest.mark.parametrize(
    "path", ["archetype-catalog.xml", ".index/nexus-maven-repository-index.gz"]
)
def test_catalogs_and_indexes_are_replaced(client, deploy, path):
    assert deploy(path, b"one") == (201, 201)
    assert deploy(path, b"two") == (204, 201)
    assert client.get(f"{URL}/{path}").data == b"two"


def test_a_wrong_checksum_is_told(client):
    client.put(f"{URL}/{JAR}", b"bytes")
    wrong = client.put(f"{URL}/{JAR}.sha1", b"0" * 40)
    assert wrong.status_code == 400
    assert "is not that of" in wrong.status
    assert client.put(f"{URL}/{JAR}.sha1", b"nonsense").status_code == 400
    assert client.put(f"{URL}/{JAR}.sha1", b"0" * 5000).status_code == 413
    assert client.put(f"{URL}/{LIB}/2/lib-2.jar.sha1", b"0" * 40).status_code == 404


def test_metadata_of_clients_is_taken_but_made_here(client, deploy, metadata):
    deploy(JAR)
    sent = (
        b"<metadata><versioning><versions><version>9</version></versions></versioning></metadata>"
    )
    assert client.put(f"{URL}/{LIB}/maven-metadata.xml", sent).status_code == 201
    assert client.put(f"{URL}/{LIB}/maven-metadata.xml.sha1", b"0" * 40).status_code == 201
    assert texts(metadata(LIB), "versioning/versions/version") == ["1.0"]


def test_prefixes_of_plugins_are_kept_and_merged(client, deploy, metadata):
    for name in ("hello", "other", "hello"):
        answer = client.put(f"{URL}/org/acme/maven-metadata.xml", PLUGINS.format(name).encode())
        assert answer.status_code == 201
    assert texts(metadata("org/acme"), "plugins/plugin/prefix") == ["hello", "other"]
    deploy("org/acme/1.0/acme-1.0.jar")  # an artifact of the same path
    root = metadata("org/acme")
    assert texts(root, "plugins/plugin/prefix") == ["hello", "other"]
    assert texts(root, "versioning/versions/version") == ["1.0"]


BOMB = '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><metadata>&b;</metadata>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<metadata>",
        b"<html/>",
        BOMB.encode(),
        BOMB.encode("utf-16"),
        f'<?xml version="1.0" encoding="UTF-16BE"?>{BOMB}'.encode("utf-16-be"),
        b'<?xml version="1.0" encoding="nothing"?><metadata/>',
        b"\xff\xfe",
        b"<metadata>" + b"<a>" * 100_000,
    ],
    ids=lambda body: hashlib.sha1(body).hexdigest()[:8],
)
def test_metadata_that_cannot_be_read_is_refused(client, body):
    refused = client.put(f"{URL}/org/acme/maven-metadata.xml", body)
    assert refused.status_code == 400
    assert "cannot be read" in refused.status
    assert client.get(f"{URL}/org/acme/maven-metadata.xml").status_code == 404


@pytest.mark.parametrize("body", [BOMB.encode("utf-16"), BOMB.encode()])
def test_no_entity_is_read(body):
    with pytest.raises(ValueError, match="it has a document type"):
        index.parse(body)


def test_metadata_that_is_too_large_is_not_read():
    with pytest.raises(ValueError, match="more than"):
        index.parse(b"<metadata>" + b" " * index.DOCUMENT_MAX_BYTES + b"</metadata>")


def test_a_package_has_one_folder(client, deploy):
    deploy(JAR)
    assert client.get(f"{URL}/{LIB}/maven-metadata.xml").status_code == 200
    other = LIB.replace("/", ".", 1)
    assert client.get(f"{URL}/{other}/maven-metadata.xml").status_code == 404
    assert client.put(f"{URL}/{other}/maven-metadata.xml", b"<metadata/>").status_code == 400
    assert client.put(f"{URL}/{other}/1.0/lib-1.0.jar", b"x").status_code == 400


@pytest.mark.parametrize(
    "path",
    [f"{LIB}/maven-metadata.xml", f"{JAR}.sha1", JAR, "archetype-catalog.xml", ".index/a.gz", LIB],
)
def test_what_is_not_there_is_not_found(client, path):
    assert client.get(f"{URL}/{path}").status_code == 404


# Policies -----------------------------------------------------------------------------------------


def status_of(client, repository, path):
    return client.put(f"/repository/{repository}/{path}", b"bytes").status_code


def test_a_version_policy_refuses_the_other_versions(client, repoman):
    for policy in ("release", "snapshot"):
        settings = {"maven": {"version_policy": policy}}
        repoman.repositories.create(policy, "maven2-hosted", settings)
    build = f"{LIB}/1.0-SNAPSHOT/lib-1.0-{STAMPS[0]}.jar"
    assert [status_of(client, each, JAR) for each in ("release", "snapshot")] == [201, 400]
    assert [status_of(client, each, build) for each in ("release", "snapshot")] == [400, 201]
    refused = client.put(f"/repository/release/{build}", b"bytes")
    assert "version policy of release is release: it does not have 1.0-2026" in refused.status


def test_a_strict_layout_has_no_other_paths(client, repoman):
    settings = {"maven": {"layout_policy": "permissive"}}
    repoman.repositories.create("any", "maven2-hosted", settings)
    assert [status_of(client, each, "docs/a.txt") for each in ("maven", "any")] == [400, 201]
    assert client.get("/repository/any/docs/a.txt.md5").status_code == 200


# Forms, lists -------------------------------------------------------------------------------------


def test_a_form_stores_the_files_of_a_version(client, repoman, metadata):
    data = {
        "maven2.groupId": "org.acme",
        "maven2.artifactId": "lib",
        "maven2.version": "1.0",
        "maven2.asset1": (io.BytesIO(b"jar"), "whatever.jar"),
        "maven2.asset1.extension": "jar",
        "maven2.asset2": (io.BytesIO(b"source"), "sources.jar"),
        "maven2.asset2.extension": "jar",
        "maven2.asset2.classifier": "sources",
    }
    path = "/service/rest/v1/components?repository=maven"
    answer = client.request("POST", path, data=data, content_type="multipart/form-data")
    assert answer.status_code == 204, answer.text
    assert client.get(f"{URL}/{JAR}").data == b"jar"
    assert client.get(f"{URL}/{LIB}/1.0/lib-1.0-sources.jar").data == b"source"
    assert texts(metadata(LIB), "versioning/versions/version") == ["1.0"]


def test_components_are_found_by_their_coordinates(client, deploy):
    deploy(JAR)
    deploy(f"{LIB}/1.0/lib-1.0.pom")
    deploy("com/other/lib/1.0/lib-1.0.jar")
    client.put(f"{URL}/org/acme/maven-metadata.xml", PLUGINS.format("hello").encode())
    search = "/service/rest/v1/search?maven.groupId=org.acme&maven.artifactId=lib"
    [found] = client.get(search).json["items"]
    assert (found["group"], found["name"], found["version"]) == ("org.acme", "lib", "1.0")
    assert [each["path"] for each in found["assets"]] == [f"/{JAR}", f"/{LIB}/1.0/lib-1.0.pom"]
    assets = client.get("/service/rest/v1/assets?repository=maven").json["items"]
    assert len(assets) == 3  # documents are not listed
    assert client.delete(f"/service/rest/v1/components/{found['id']}").status_code == 204
    assert client.get(f"{URL}/{LIB}/maven-metadata.xml").status_code == 404


def test_names_that_differ_in_case_are_two_artifacts(client, deploy, metadata):
    other = JAR.replace("acme", "Acme")
    assert client.put(f"{URL}/{JAR}", b"one").status_code == 201
    assert client.put(f"{URL}/{other}", b"another").status_code == 201
    assert client.get(f"{URL}/{JAR}").data == b"one"
    assert client.get(f"{URL}/{other}").data == b"another"
    assert client.get(f"{URL}/{JAR.replace('lib-', 'LIB-')}").status_code == 404
    assert metadata(LIB).findtext("groupId") == "org.acme"
    assert metadata(LIB.replace("acme", "Acme")).findtext("groupId") == "org.Acme"
    assert client.delete(f"{URL}/{other}").status_code == 204
    assert client.get(f"{URL}/{JAR}").data == b"one"
