"""Publish, unpublish, deprecate and dist-tags, and what is refused."""

import hashlib
import json

import pytest

from repoman.plugin import Change

SHORT = "application/vnd.npm.install-v1+json"


def uploads_of(repoman):
    return list((repoman.data / "blobs" / "default" / "uploads").iterdir())


@pytest.mark.parametrize("name", ["demo", "@acme/lib"])
def test_what_is_published_is_told_and_downloaded(publisher, tarball, name):
    data = tarball(name, "1.0.0")
    answer = publisher.publish(name, data=data)
    assert (answer.status_code, answer.json) == (201, {"ok": True, "success": True})
    found = publisher.document(name)
    version = found["versions"]["1.0.0"]
    assert (found["_id"], found["name"], found["dist-tags"]) == (name, name, {"latest": "1.0.0"})
    assert found["description"] == f"what {name} is"
    assert found["time"]["1.0.0"] == found["time"]["modified"]
    file = f"{name.rpartition('/')[2]}-1.0.0.tgz"
    assert version["dist"]["tarball"] == f"http://localhost/repository/js/{name}/-/{file}"
    assert version["dist"]["shasum"] == hashlib.sha1(data, usedforsecurity=False).hexdigest()
    assert publisher.get(f"{name}/-/{file}").data == data
    assert publisher.get(f"{name.replace('/', '%2f')}/-/{file}").data == data
    assert publisher.get(f"{name.replace('/', '%252f')}").status_code == 200


def test_the_short_form_has_what_an_installation_needs(publisher):
    scripts = {"postinstall": "node x", "test": "y"}
    publisher.publish(scripts=scripts, dependencies={"a": "1"}, readme="long")
    found = publisher.document(accept=f"{SHORT}; q=1.0, application/json; q=0.8, */*")
    assert set(found) == {"name", "dist-tags", "versions", "modified"}
    version = found["versions"]["1.0.0"]
    assert set(version) == {"name", "version", "dependencies", "dist", "hasInstallScript"}
    answers = [
        publisher.get("demo", headers={"Accept": accept}) for accept in (SHORT, "application/json")
    ]
    assert answers[0].headers["Content-Type"] == SHORT
    assert answers[0].headers["ETag"] != answers[1].headers["ETag"]
    again = publisher.get("demo", headers={"If-None-Match": answers[1].headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("scripts", ["x", ["x"], 5, None])
def test_scripts_that_are_none_are_left_out(publisher, scripts):
    publisher.publish(scripts=scripts)
    for accept in (SHORT, "application/json"):
        assert "scripts" not in publisher.document(accept=accept)["versions"]["1.0.0"]


def test_a_provenance_beside_the_tarball_is_no_base64(publisher, document, tarball, repoman):
    sent = document("demo", "1.0.0", tarball("demo", "1.0.0"))
    bundle = {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2"}
    sent["_attachments"]["demo-1.0.0.sigstore"] = {
        "content_type": bundle["mediaType"],
        "data": json.dumps(bundle),
    }
    assert publisher.send("demo", sent).status_code == 201
    assert list(publisher.document()["versions"]) == ["1.0.0"]
    assert uploads_of(repoman) == []


def test_one_version_is_told_by_its_number_or_tag(publisher):
    publisher.publish()
    publisher.publish(version="2.0.0-rc.1", tag="next")
    assert publisher.document("demo/next")["version"] == "2.0.0-rc.1"
    assert publisher.document("demo/latest")["version"] == "1.0.0"
    assert publisher.document("demo/1.0.0")["_id"] == "demo@1.0.0"
    assert publisher.get("demo/3.0.0").status_code == 404


@pytest.mark.parametrize("extra", ["", "other bytes"])
def test_a_version_is_published_once(publisher, tarball, extra):
    publisher.publish()
    before = publisher.document()
    refused = publisher.publish(data=tarball("demo", "1.0.0", extra))
    assert refused.status_code == 409
    assert refused.json["error"] == (
        "You cannot publish over the previously published version 1.0.0."
    )
    assert publisher.document() == before


def test_a_version_that_has_lost_its_bytes_is_published_again(publisher, tarball, repoman):
    data = tarball("demo", "1.0.0")
    publisher.publish(data=data)
    digest = hashlib.sha256(data).hexdigest()
    (repoman.data / "blobs/default/sha256" / digest[:2] / digest).unlink()
    assert publisher.get("demo/-/demo-1.0.0.tgz").status_code == 404
    assert publisher.publish(data=data).status_code == 201
    assert publisher.get("demo/-/demo-1.0.0.tgz").data == data
    assert publisher.publish(data=data).status_code == 409


def test_a_version_may_be_published_again_where_the_policy_says_so(publisher, repoman, tarball):
    repoman.repositories.update("js", {"storage": {"write_policy": "allow"}})
    publisher.publish()
    data = tarball("demo", "1.0.0", "other")
    assert publisher.publish(data=data).status_code == 201
    assert publisher.get("demo/-/demo-1.0.0.tgz").data == data


def test_versions_that_differ_by_their_build_only_are_the_same(publisher):
    publisher.publish(version="1.0.0+a")
    refused = publisher.publish(version="1.0.0+b")
    assert (refused.status_code, "1.0.0+a" in refused.json["error"]) == (409, True)
    assert publisher.publish(version="1.0.0").status_code == 409
    assert publisher.publish(version="1.0.0-rc.1+a").status_code == 201
    assert list(publisher.document()["versions"]) == ["1.0.0+a", "1.0.0-rc.1+a"]


@pytest.mark.parametrize(
    ("limit", "value"), [("versions_limit", 2), ("package_limit", 2_500), ("manifest_limit", 1_200)]
)
def test_a_package_has_only_so_much(publisher, repoman, limit, value):
    repoman.repositories.update("js", {"npm": {limit: value}})
    publisher.publish(readme="x" * 600)
    publisher.publish(version="1.0.1", readme="x" * 600)
    refused = publisher.publish(version="1.0.2", readme="x" * 1_200)
    assert (refused.status_code, f" {value} " in refused.json["error"]) == (413, True)
    assert f"npm.{limit}" in refused.json["error"]
    assert sorted(publisher.document()["versions"]) == ["1.0.0", "1.0.1"]
    repoman.repositories.update("js", {"npm": {limit: 100_000}})
    assert publisher.publish(version="1.0.2", readme="x" * 1_200).status_code == 201


def test_a_publish_to_a_group_has_the_limits_of_its_writable_member(publisher, client, repoman):
    repoman.repositories.update("js", {"npm": {"versions_limit": 1}})
    group = {"members": ["js"], "writable_member": "js"}
    repoman.repositories.create("all", "npm-group", {"group": group})
    publisher.root = "/repository/all"
    assert publisher.publish().status_code == 201
    assert publisher.publish(version="1.0.1").status_code == 413


def test_a_change_reads_no_manifests(publisher, repoman):
    publisher.publish()
    seen = []

    def change(package):
        seen.append(package)
        return Change(package.state)

    repoman.repositories.get("js").service.change("demo", change)
    [[file]] = [each.files for each in seen]
    assert (file.version, file.attributes) == ("1.0.0", {})
    assert file.attributes_chars > 100


def test_a_read_only_repository_refuses(publisher, repoman):
    repoman.repositories.update("js", {"storage": {"write_policy": "deny"}})
    refused = publisher.publish()
    assert (refused.status_code, "read-only" in refused.json["error"]) == (403, True)


BROKEN = {
    "another name": lambda d: d.update(name="other"),
    "two versions": lambda d: d["versions"].update({"2.0.0": {}}),
    "no version": lambda d: d.update(versions={}),
    "no semantic version": lambda d: d.update(versions={"1.0": d["versions"]["1.0.0"]}),
    "the version of another": lambda d: d["versions"]["1.0.0"].update(version="1.0.1"),
    "a wrong digest": lambda d: d["versions"]["1.0.0"]["dist"].update(
        integrity="sha512-" + "A" * 86 + "=="
    ),
    "a wrong sha1": lambda d: d["versions"]["1.0.0"]["dist"].update(integrity="", shasum="0" * 40),
    "no digest": lambda d: d["versions"]["1.0.0"].update(dist={}),
    "no base64": lambda d: d["_attachments"]["demo-1.0.0.tgz"].update(data="a§"),
    "a tag like a version": lambda d: d.update({"dist-tags": {"1.0.0": "1.0.0"}}),
    "no file": lambda d: d["_attachments"].update({"demo-1.0.0.tgz": {}}),
    "two files": lambda d: d["_attachments"].update({"x.tgz": d["_attachments"]["demo-1.0.0.tgz"]}),
    "an array": lambda d: d.update(versions=[1]),
    "a long manifest": lambda d: d["versions"]["1.0.0"].update(readme="x" * (1 << 20)),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_wrong_is_refused_and_stores_nothing(publisher, repoman, tarball, document, broken):
    sent = document("demo", "1.0.0", tarball("demo", "1.0.0"))
    BROKEN[broken](sent)
    refused = publisher.send("demo", sent)
    assert refused.status_code in (400, 404, 413), refused.text
    assert refused.json["error"] == refused.json["reason"] != ""
    assert publisher.get("demo").status_code == 404
    assert uploads_of(repoman) == []


@pytest.mark.parametrize("name", ["Demo", "dEmo", "@Acme/x", "@acme/", "démo", ".demo", "a" * 215])
def test_new_names_are_plain_and_small(publisher, name):
    assert publisher.publish(name).status_code in (400, 404)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"a":' * 200, b'{"name": NaN}', b"[" * 100_000]
)
def test_what_is_no_document_is_refused(publisher, client, repoman, body):
    refused = client.put("/repository/js/demo", body, content_type="application/json")
    assert refused.status_code in (400, 413)
    assert uploads_of(repoman) == []


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"NaN"])
def test_a_number_that_no_json_has_is_refused(publisher, client, document, tarball, number):
    sent = document("demo", "1.0.0", tarball("demo", "1.0.0"), engines="HERE")
    body = json.dumps(sent).encode().replace(b'"HERE"', number)
    assert client.put("/repository/js/demo", body).status_code == 400
    assert publisher.get("demo").status_code == 404


def test_a_document_that_is_cut_off_stores_nothing(publisher, client, repoman, tarball, document):
    body = json.dumps(document("demo", "1.0.0", tarball("demo", "1.0.0"))).encode()
    assert client.put("/repository/js/demo", body[:-40]).status_code == 400
    assert uploads_of(repoman) == []


# Tags, deprecations, unpublishing -----------------------------------------------------------------


def test_dist_tags(publisher):
    publisher.publish()
    publisher.publish(version="1.1.0")
    tags = "-/package/demo/dist-tags"
    assert publisher.get(tags).json == {"latest": "1.1.0"}
    assert publisher.send(f"{tags}/beta", "1.0.0").status_code == 201
    assert publisher.send(f"{tags}/beta", "3.0.0").status_code == 404
    assert publisher.send(f"{tags}/1.x", "1.0.0").status_code == 400
    assert publisher.get(tags).json == {"latest": "1.1.0", "beta": "1.0.0"}
    before = publisher.get("demo").headers["ETag"]
    assert publisher.send(f"{tags}/beta", None, "DELETE").status_code == 200
    assert publisher.send(f"{tags}/beta", None, "DELETE").status_code == 404
    assert publisher.send(f"{tags}/latest", None, "DELETE").status_code == 400
    assert publisher.document()["dist-tags"] == {"latest": "1.1.0"}
    assert publisher.get("demo").headers["ETag"] != before


def test_a_version_is_deprecated_and_no_more(publisher):
    publisher.publish()
    sent = publisher.document(query="?write=true")
    sent["versions"]["1.0.0"]["deprecated"] = "use 2"
    assert publisher.send("demo", sent).status_code == 201
    assert publisher.document()["versions"]["1.0.0"]["deprecated"] == "use 2"
    assert publisher.document(accept=SHORT)["versions"]["1.0.0"]["deprecated"] == "use 2"
    sent["versions"]["1.0.0"]["deprecated"] = ""
    publisher.send("demo", sent)
    assert "deprecated" not in publisher.document()["versions"]["1.0.0"]


@pytest.mark.parametrize("version", [["1.0.0"], {}, 1, None])
def test_a_tag_that_has_no_version_is_refused(publisher, version):
    publisher.publish()
    refused = publisher.send("demo", {"dist-tags": {"latest": "1.0.0", "next": version}})
    assert (refused.status_code, "dist-tags" in refused.json["error"]) == (400, True)
    assert publisher.document()["dist-tags"] == {"latest": "1.0.0"}


def test_a_star_changes_nothing_else(publisher):
    publisher.publish()
    publisher.send("demo", {"_id": "demo", "users": {"admin": True, "amy": False}})
    found = publisher.document()
    assert (found["users"], list(found["versions"])) == ({"admin": True}, ["1.0.0"])


def test_a_version_is_unpublished_as_npm_does_it(publisher):
    publisher.publish()
    publisher.publish(version="1.1.0")
    sent = publisher.document(query="?write=true")
    del sent["versions"]["1.1.0"]
    sent["dist-tags"] = {"latest": "1.0.0"}
    assert publisher.send(f"demo/-rev/{sent['_rev']}", sent).status_code == 201
    again = publisher.document(query="?write=true")
    assert (list(again["versions"]), again["dist-tags"]) == (["1.0.0"], {"latest": "1.0.0"})
    assert publisher.get("demo/-/demo-1.1.0.tgz").status_code == 404
    gone = publisher.send(f"demo/-/demo-1.1.0.tgz/-rev/{again['_rev']}", None, "DELETE")
    assert gone.status_code == 200
    late = publisher.send(f"demo/-rev/{sent['_rev']}", sent)
    assert (late.status_code, "changed meanwhile" in late.json["error"]) == (409, True)


@pytest.mark.parametrize("versions", [{}, {"versions": None}], ids=["absent", "null"])
def test_a_change_that_names_no_versions_keeps_them(publisher, versions):
    publisher.publish()
    publisher.publish(version="1.1.0")
    revision = publisher.document()["_rev"]
    sent = {"_id": "demo", "_rev": revision, "dist-tags": {"latest": "1.0.0"}, **versions}
    assert publisher.send("demo/-rev/1-old", sent).status_code == 409
    assert publisher.send(f"demo/-rev/{revision}", sent).status_code == 201
    found = publisher.document()
    assert list(found["versions"]) == ["1.0.0", "1.1.0"]
    assert found["dist-tags"] == {"latest": "1.0.0"}


def test_what_may_be_published_may_be_changed(publisher, repoman):
    repoman.repositories.update("js", {"npm": {"manifest_limit": 16 << 20}})
    for version in ("1.0.0", "1.1.0"):
        assert publisher.publish(version=version, readme="x" * (9 << 20)).status_code == 201
    sent = publisher.document(query="?write=true")
    sent["versions"]["1.0.0"]["deprecated"] = "use 1.1"
    assert publisher.send("demo", sent).status_code == 201
    found = publisher.document(query="?write=true")
    assert found["versions"]["1.0.0"].pop("deprecated") == "use 1.1"
    del found["versions"]["1.0.0"]
    assert publisher.send(f"demo/-rev/{found['_rev']}", found).status_code == 201
    assert list(publisher.document()["versions"]) == ["1.1.0"]
    repoman.repositories.update("js", {"npm": {"package_limit": 1 << 10}})
    found["readme"] = "x" * (9 << 20)
    assert publisher.send("demo", found).status_code == 413


def test_a_package_is_unpublished_and_may_come_again(publisher, repoman):
    publisher.publish()
    publisher.send("demo", {"_id": "demo", "users": {"admin": True}})
    revision = publisher.document()["_rev"]
    assert publisher.send("demo/-rev/1-old", None, "DELETE").status_code == 409
    assert publisher.send(f"demo/-rev/{revision}", None, "DELETE").status_code == 200
    assert publisher.get("demo").status_code == 404
    assert publisher.publish().status_code == 201
    assert publisher.document()["users"] == {}


def test_what_is_not_there_cannot_be_changed(publisher):
    assert publisher.send("none", {"versions": {}}).status_code == 404
    assert publisher.send("a/b/c", {"versions": {}}).status_code == 404
    assert publisher.send("-/package/none/dist-tags/x", "1.0.0").status_code == 404


def test_the_component_is_deleted_with_its_version(publisher, repoman):
    publisher.publish()
    publisher.publish(version="1.1.0")
    repository = repoman.repositories.get("js")
    repository.capabilities.delete_asset("demo/-/demo-1.1.0.tgz", lambda *_: None)
    found = publisher.document()
    assert (list(found["versions"]), found["dist-tags"]) == (["1.0.0"], {"latest": "1.0.0"})


def test_without_any_version_there_is_no_package(publisher, repoman):
    publisher.publish()
    repository = repoman.repositories.get("js")
    repository.capabilities.delete_asset("demo/-/demo-1.0.0.tgz", lambda *_: None)
    assert publisher.get("demo").status_code == 404
    assert publisher.get("-/package/demo/dist-tags").status_code == 404
    assert publisher.get("-/v1/search?text=demo").json["objects"] == []
    publisher.publish(version="2.0.0", tag="next")
    assert publisher.document()["dist-tags"] == {"latest": "2.0.0", "next": "2.0.0"}


# Rights -------------------------------------------------------------------------------------------


@pytest.fixture
def reader(repoman):
    """Somebody who may only read."""
    repoman.users.create("amy", "a password", ["nx-anonymous"])
    return ("amy", "a password")


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("PUT", "demo", {"versions": {}}),
        ("PUT", "demo/-rev/1", {"versions": {}}),
        ("DELETE", "demo/-rev/1", None),
        ("DELETE", "demo/-/demo-1.0.0.tgz/-rev/1", None),
        ("PUT", "-/package/demo/dist-tags/beta", "1.0.0"),
        ("DELETE", "-/package/demo/dist-tags/beta", None),
    ],
)
def test_who_may_not_change_is_refused(publisher, reader, method, path, value):
    publisher.publish()
    before = publisher.document()
    assert publisher.send(path, value, method, auth=reader).status_code == 403
    assert publisher.send(path, value, method, login=False).status_code == 401
    assert publisher.document() == before
