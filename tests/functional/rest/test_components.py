"""Components and assets over REST: lists, single ones, deletions, rights, and what is kept."""

import hashlib
from base64 import urlsafe_b64encode

import pytest

from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.docker.images import index_of, make_image
from tests.functional.rest.content_site import Site, rights


@pytest.fixture
def site(repoman_factory):
    return Site(repoman_factory({"docker": docker, "raw": raw}, security={"login_failures": 0}))


def id_of(text):
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_an_image_is_a_component_for_each_tag(site):
    image = make_image(docker=True)
    digest = image.digest.partition(":")[2]
    for tag in ("1.0", "latest"):
        site.registry.push("team/app", tag, image)
    site.registry.put_manifest("team/app", image.digest, image.manifest)
    found = site.get("/components?repository=images")
    assert found["continuationToken"] is None
    assert [each["version"] for each in found["items"]] == ["1.0", "latest"]
    component = found["items"][0]
    [asset] = component.pop("assets")
    assert component == {
        "id": component["id"],
        "repository": "images",
        "format": "docker",
        "group": None,
        "name": "team/app",
        "version": "1.0",
    }
    path = "/v2/team/app/manifests/1.0"
    times = {name: asset[name] for name in ("lastModified", "blobCreated")}
    assert asset == {
        "downloadUrl": f"http://localhost/repository/images{path}",
        "path": path,
        "id": asset["id"],
        "repository": "images",
        "format": "docker",
        "checksum": {
            "sha1": hashlib.sha1(image.manifest, usedforsecurity=False).hexdigest(),
            "sha256": digest,
        },
        "contentType": "application/vnd.docker.distribution.manifest.v2+json",
        **times,
        "lastDownloaded": None,
        "uploader": "admin",
        "uploaderIp": "127.0.0.1",
        "fileSize": len(image.manifest),
        "blobStoreName": "default",
    }
    assert site.get(f"/components/{component['id']}") == {**component, "assets": [asset]}
    assert site.get(f"/assets/{asset['id']}") == asset
    got = site.client.get(asset["downloadUrl"].removeprefix("http://localhost"))
    assert got.data == image.manifest
    everything = site.items("/assets?repository=images")
    assert {each["path"] for each in everything} == {
        path,
        "/v2/team/app/manifests/latest",
        f"/v2/team/app/manifests/{image.digest}",
        *(f"/v2/team/app/blobs/sha256:{hashlib.sha256(each).hexdigest()}" for each in image.blobs),
    }
    for each in everything:
        got = site.client.get(each["downloadUrl"].removeprefix("http://localhost"))
        assert hashlib.sha256(got.data).hexdigest() == each["checksum"]["sha256"]


def test_a_file_is_a_component_with_its_directory_as_group(site):
    site.put("a/b/x y.txt", b"content")
    site.put("root.txt")
    found = {each["name"]: each for each in site.items("/components?repository=files")}
    assert found.keys() == {"/a/b/x y.txt", "/root.txt"}
    component = found["/a/b/x y.txt"]
    assert (component["group"], component["version"]) == ("/a/b", "")
    assert found["/root.txt"]["group"] == "/"
    [asset] = component["assets"]
    assert asset["checksum"] == {
        each: hashlib.new(each, b"content").hexdigest()
        for each in ("md5", "sha1", "sha256", "sha512")
    }
    assert asset["path"] == "/a/b/x y.txt"
    assert asset["downloadUrl"].endswith("/repository/files/a/b/x%20y.txt")
    assert site.client.get("/repository/files/a/b/x%20y.txt").data == b"content"


def test_a_download_is_noted(site):
    site.put("a.txt")
    site.client.get("/repository/files/a.txt")
    site.repoman.pulls.flush(is_last=True)
    [component] = site.items("/components?repository=files")
    assert component["assets"][0]["lastDownloaded"].endswith("+00:00")


def test_pages_have_a_hundred_items_and_all_of_them_once(site):
    image = make_image()
    for number in range(101):
        site.registry.push("app", f"v{number}", image)
    first = site.get("/components?repository=images&continuationToken=")
    assert len(first["items"]) == 100
    token = first["continuationToken"]
    second = site.get(f"/components?repository=images&continuationToken={token}")
    assert len(second["items"]) == 1
    assert second["continuationToken"] is None
    versions = {each["version"] for each in [*first["items"], *second["items"]]}
    assert len(versions) == 101
    assert len(site.items("/assets?repository=images")) == 101 + 1 + len(image.blobs)
    for wrong in ("nonsense", token[:-2], "%00", "%F0%9F%92%A9", "a" * 5000):
        for list_ in ("components", "assets"):
            answer = site.ask(f"/{list_}?repository=images&continuationToken={wrong}")
            assert (answer.status_code, answer.data) == (406, b"")


@pytest.mark.parametrize("list_", ["components", "assets"])
def test_a_repository_that_is_missing_or_unknown_has_no_list(site, list_):
    for path, status in (
        (f"/{list_}", 422),
        (f"/{list_}?repository=", 422),
        (f"/{list_}?repository=none", 404),
        (f"/{list_}?repository=%00", 404),
        (f"/{list_}?repository={'x' * 10_000}", 404),
    ):
        answer = site.ask(path)
        assert (answer.status_code, answer.data) == (status, b""), path


@pytest.mark.parametrize("list_", ["components", "assets"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_id_that_is_none_finds_nothing(site, list_, method):
    site.put("a.txt")
    for id_, status in (
        ("!!!", 404),
        ("%C3%BC", 404),
        ("A", 404),
        (id_of("abc"), 422),
        (id_of("files:"), 422),
        (id_of(":1"), 422),
        (id_of("files:x"), 422),
        (id_of("files:-1"), 422),
        (id_of("files:0"), 422),
        (id_of("files:" + "9" * 19), 422),
        (id_of("files:" + "9" * 18), 404),
        (id_of("more:1"), 404),
        (id_of("none:1"), 404),
    ):
        answer = site.ask(f"/{list_}/{id_}", method=method)
        assert (answer.status_code, answer.data) == (status, b""), id_
    assert len(site.items("/components?repository=files")) == 1


def test_an_image_without_its_tags_is_no_component(site):
    site.registry.push("app", "1", make_image())
    for number in (1, 2, 3):
        answer = site.ask(f"/components/{id_of(f'images:{number}')}")
        assert answer.status_code == 404 or answer.json["version"] == "1"


def test_a_deleted_component_is_gone_with_its_assets(site):
    image = make_image()
    for tag in ("1", "2"):
        site.registry.push("app", tag, image)
    first, second = site.items("/components?repository=images")
    answer = site.ask(f"/components/{first['id']}", method="DELETE")
    assert (answer.status_code, answer.data) == (204, b"")
    assert site.ask(f"/components/{first['id']}", method="DELETE").status_code == 404
    assert site.ask(f"/assets/{first['assets'][0]['id']}").status_code == 404
    assert site.registry.tags("app") == [second["version"]]
    site.put("a.txt")
    [file] = site.items("/components?repository=files")
    assert site.ask(f"/assets/{file['assets'][0]['id']}", method="DELETE").status_code == 204
    assert site.items("/components?repository=files") == []


def test_what_an_image_needs_is_not_deleted_and_what_needs_it_goes_along(site):
    image = make_image(b"a layer")
    site.registry.push("app", "1", image)
    found = {each["path"]: each["id"] for each in site.items("/assets?repository=images")}
    [blob, *_] = [id_ for path, id_ in found.items() if "/blobs/" in path]
    refused = site.ask(f"/assets/{blob}", method="DELETE")
    assert refused.status_code == 409
    assert "manifest" in refused.json["message"]
    manifest = found[f"/v2/app/manifests/{image.digest}"]
    assert site.ask(f"/assets/{manifest}", method="DELETE").status_code == 204
    assert site.items("/components?repository=images") == []
    assert site.ask(f"/assets/{blob}", method="DELETE").status_code == 204


def test_the_write_policy_decides_on_deletions(site):
    site.put("a.txt")
    [file] = site.items("/components?repository=files")
    site.repoman.repositories.update("files", {"storage": {"write_policy": "deny"}})
    assert site.ask(f"/components/{file['id']}", method="DELETE").status_code == 403
    assert site.names("/components?repository=files") == ["/a.txt:"]


def test_deletions_need_the_right_on_each_asset(site):
    image = make_image()
    site.registry.push("app", "1", image)
    site.registry.push("app", "2", image)
    components = {each["version"]: each for each in site.items("/components?repository=images")}
    seeing = rights("docker", "images", "read", "browse")
    visitor = site.user(*seeing)
    chosen = site.make_selected("images", 'path == "/v2/app/manifests/1"', ["delete"])
    limited = site.user(*seeing, chosen)
    for login in (None, visitor):
        for each in components.values():
            for path in (f"/components/{each['id']}", f"/assets/{each['assets'][0]['id']}"):
                answer = site.ask(path, login, method="DELETE")
                assert answer.status_code == (401 if login is None else 403)
    assert site.ask(f"/components/{components['2']['id']}", limited, "DELETE").status_code == 403
    # The manifest itself would take the other tag with it.
    path = f"/v2/app/manifests/{image.digest}"
    both = site.user(*seeing, chosen, site.make_selected("images", f'path == "{path}"', ["delete"]))
    [manifest] = [e["id"] for e in site.items("/assets?repository=images") if e["path"] == path]
    assert site.ask(f"/assets/{manifest}", both, "DELETE").status_code == 403
    assert site.registry.tags("app") == ["1", "2"]
    assert site.ask(f"/components/{components['1']['id']}", limited, "DELETE").status_code == 204
    assert site.registry.tags("app") == ["2"]


def test_who_may_see_nothing_learns_nothing(site):
    site.put("a.txt")
    [file] = site.items("/components?repository=files")
    stranger = site.user(*rights("raw", "more", "browse"))
    for path in (
        "/components?repository=files",
        "/components?repository=none",
        "/assets?repository=files",
        "/assets?repository=none",
        f"/components/{file['id']}",
        f"/components/{id_of('files:999')}",
        f"/components/{id_of('none:1')}",
        f"/assets/{file['assets'][0]['id']}",
    ):
        assert site.ask(path, stranger).status_code == 403, path
        assert site.ask(path, None).status_code == 401, path


def test_lists_have_what_may_be_browsed_and_single_ones_what_may_be_read(site):
    for path in ("open/a.txt", "secret/b.txt"):
        site.put(path)
    ids = {each["name"]: each["id"] for each in site.items("/components?repository=files")}
    browser = site.user(site.make_selected("files", 'path =^ "/open/"', ["browse"]))
    reader = site.user(site.make_selected("files", 'path =^ "/open/"', ["read"]))
    assert site.names("/components?repository=files", browser) == ["/open/a.txt:"]
    assert [e["path"] for e in site.items("/assets?repository=files", browser)] == ["/open/a.txt"]
    assert site.names("/components?repository=files", reader) == []
    for login in (browser, reader):
        assert site.get(f"/components/{ids['/open/a.txt']}", login)["name"] == "/open/a.txt"
        assert site.ask(f"/components/{ids['/secret/b.txt']}", login).status_code == 404


def test_anonymous_users_do_not_see_who_uploads_from_where(site):
    site.put("a.txt")
    site.repoman.repositories.update("files", {"access": {"anonymous": True}})
    [file] = site.items("/components?repository=files", None)
    assert (file["assets"][0]["uploader"], file["assets"][0]["uploaderIp"]) == (None, None)


def test_a_group_shows_its_members(site):
    site.put("a.txt", repository="files")
    site.put("b.txt", repository="more")
    found = {each["name"]: each for each in site.items("/components?repository=all")}
    assert {name: each["repository"] for name, each in found.items()} == {
        "/a.txt": "files",
        "/b.txt": "more",
    }
    for each in found.values():
        [asset] = each["assets"]
        assert asset["repository"] == "all"
        assert "/repository/all/" in asset["downloadUrl"]
        assert site.get(f"/components/{each['id']}")["name"] == each["name"]
    assert len(site.items("/assets?repository=all")) == 2
    # With rights in the group alone, its members remain unknown.
    member = site.user(*rights("raw", "all", "browse", "read"))
    seen = site.items("/components?repository=all", member)
    assert {each["repository"] for each in seen} == {"all"}
    for each in seen:
        assert site.get(f"/components/{each['id']}", member)["name"] == each["name"]
        assert site.ask(f"/components/{each['id']}", member, "DELETE").status_code == 403
    assert site.ask("/components?repository=files", member).status_code == 403
    deleter = site.user(
        *rights("raw", "all", "browse"), *rights("raw", "files", "browse", "read", "delete")
    )
    [one] = [e for e in site.items("/components?repository=all", deleter) if e["name"] == "/a.txt"]
    assert site.ask(f"/components/{one['id']}", deleter, "DELETE").status_code == 204
    assert site.names("/components?repository=all") == ["/b.txt:"]


def test_a_group_does_not_show_what_its_rules_forbid(site):
    for path in ("a/x.txt", "b/x.txt"):
        site.put(path, repository="files")
        site.put(path, repository="more")
    site.repoman.repositories.update(
        "all",
        {"group": {"pins": {"a/*": ["files"]}}, "routing": {"matchers": ["b/.*"]}},
    )
    found = site.items("/components?repository=all")
    assert [(each["repository"], each["name"]) for each in found] == [("files", "/a/x.txt")]


def test_an_index_is_a_component_like_any_image(site):
    one, two = make_image(), make_image()
    for each in (one, two):
        site.registry.push_blobs("multi", each)
        site.registry.push_manifest("multi", each.digest, each.manifest)
    index = index_of(one.manifest, two.manifest)
    site.registry.push_manifest("multi", "1.0", index)
    [component] = site.items("/components?repository=images")
    assert component["assets"][0]["checksum"]["sha256"] == hashlib.sha256(index).hexdigest()
