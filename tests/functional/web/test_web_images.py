"""The pages about images over HTTP: what they show, to whom, and what they refuse."""

import re
import secrets
from datetime import UTC, datetime

import pytest

from repoman.db.models import AssetRecord
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from tests.functional.docker.browsed import artifact, attestation, built, index, tar_of, with_child
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.test_browsing import STEPS, push_index
from tests.functional.rights.stage import view
from tests.functional.web.conftest import Browser
from tests.live import free_port
from tests.statements import executed_statements

HOSTILE = '"><script>alert(1)</script>\u202e'
BASE, APP = tar_of("etc/os-release"), tar_of("app/<b>main</b>", ".wh.gone")


@pytest.fixture(scope="module")
def hosted(stage):
    """A repository with images of every kind."""
    name = stage.make_repository()
    registry = stage.mounted(name)
    amd = built(
        BASE, tar_of("usr"), APP, steps=STEPS,
        config={"Env": [f"ODD={HOSTILE}"], "Entrypoint": [HOSTILE], "Labels": {
            HOSTILE: HOSTILE, "org.opencontainers.image.source": "https://git.example/app",
            "org.opencontainers.image.description": HOSTILE}},
    )  # fmt: skip
    arm = built(BASE, architecture="arm64", steps=((f"RUN echo {HOSTILE}", False),))
    body = index(
        (arm.manifest, "linux/arm64"), (b"{}", "windows/amd64"), (amd.manifest, "linux/amd64")
    )
    provenance, child = attestation(amd.manifest, b"{}", "https://slsa.dev/provenance/v1")
    push_index(registry, "team/app", "2.1", with_child(body, child), amd, arm, provenance)
    registry.push_manifest("team/app", "latest", with_child(body, child))
    registry.push("team/app", "2.0", built(BASE, tar_of("old"), steps=(("ADD x /", False),) * 2))
    registry.push("team/app", "1", make_image())
    registry.push("team/app", "1", make_image())
    odd = artifact(amd.manifest, "application/vnd.acme+json", b"{}", **{"a": HOSTILE})
    registry.push_blobs("team/app", odd)
    registry.push_manifest("team/app", digest_of(odd.manifest), odd.manifest)
    return name


@pytest.fixture
def browser(stage):
    browser = Browser(stage.repoman)
    browser.log_in()
    return browser


def page(browser, path, status=200):
    answer = browser.get(path)
    assert answer.status_code == status, answer.text[:2000]
    assert "<script>alert" not in answer.text
    assert "style=" not in answer.text
    ids = re.findall(r' id="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids))
    return answer.text


def test_images_are_listed(browser, hosted):
    text = page(browser, f"/browse/{hosted}/images")
    assert f'href="/browse/{hosted}/image/team/app"' in text
    assert '<span class="soft">team/</span>app' in text
    assert "4 tags" in text
    assert "No image has such a name" in page(browser, f"/browse/{hosted}/images?filter=nothing")
    for order in ("name", "push", "pull", "size", "odd"):
        assert "team/" in page(browser, f"/browse/{hosted}/images?order={order}")


def test_an_empty_repository_says_what_to_do(stage, browser):
    ported = stage.make_repository(docker__http_port=(port := free_port()))
    assert f"docker push localhost:{port}/" in page(browser, f"/browse/{ported}/images")
    bare = stage.make_repository()
    text = page(browser, f"/browse/{bare}/images")
    assert f"repoman repo set {bare} --set docker.http_port=5000" in text
    reader = Browser(stage.repoman)
    reader.log_in(*stage.make_user(*view(bare, "browse")))
    assert "repoman repo set" not in page(reader, f"/browse/{bare}/images")
    group = stage.make_repository(
        "docker-group", group__members=[bare], docker__http_port=free_port()
    )
    assert "No member" in page(browser, f"/browse/{group}/images")


def test_tags_are_listed(browser, hosted):
    text = page(browser, f"/browse/{hosted}/image/team/app")
    assert "docker pull HOST:PORT/team/app:2.1" in text
    assert "amd64, arm64" in text
    assert "and 1 more" in text
    assert f'href="/browse/{hosted}/image/team/app/-/tags/latest">latest</a>' in text
    assert ">2.0</a>" not in page(browser, f"/browse/{hosted}/image/team/app?filter=2.1")
    assert "No tag fits" in page(browser, f"/browse/{hosted}/image/team/app?platform=linux/s390x")
    text = page(browser, f"/browse/{hosted}/image/team/app/-/untagged")
    assert "/-/digests/sha256:" in text


def test_the_pages_of_one_tag(browser, hosted):
    base = f"/browse/{hosted}/image/team/app/-/tags/2.1"
    text = page(browser, base)
    assert "windows/amd64" in text
    assert "not stored" in text
    assert '<span class="verb">RUN</span> apt-get update' in text
    assert "2 steps that made no layer" in text
    assert 'title="linux/arm64"' not in text
    assert "arm64" in page(browser, f"{base}?platform=linux/arm64")
    text = page(browser, f"{base}/config")
    assert 'href="https://git.example/app" rel="nofollow noreferrer"' in text
    assert "ODD" in text
    text = page(browser, f"{base}/attached")
    assert "Build provenance" in text
    assert "to linux/amd64" in text
    assert "&#34;schemaVersion&#34;: 2" in page(browser, f"{base}/manifest")
    digest = re.search(r"/-/layers/(sha256:[0-9a-f]{64})\?reference=2.1", page(browser, base))[1]
    page(browser, f"/browse/{hosted}/image/team/app/-/layers/{digest}")


def test_a_digest_has_the_same_pages(browser, hosted):
    found = re.search(r"/-/digests/(sha256:[0-9a-f]{64})",
                      page(browser, f"/browse/{hosted}/image/team/app/-/untagged"))[1]  # fmt: skip
    base = f"/browse/{hosted}/image/team/app/-/digests/{found}"
    for section in ("", "/config", "/attached", "/manifest"):
        page(browser, base + section)


def test_files_of_a_layer_are_text(browser, hosted):
    address = f"/browse/{hosted}/image/team/app/-/layers/{digest_of(APP)}?reference=2.1"
    text = page(browser, address)
    assert "app/&lt;b&gt;main&lt;/b&gt;" in text
    assert "removed by this layer" in text
    assert "Files of layer 3" in text
    assert "No path fits" in page(browser, f"{address}&filter=zzz")
    page(browser, f"{address}&order=size&after=99")


def test_two_tags_are_compared(browser, hosted):
    base = f"/browse/{hosted}/image/team/app/-/compare"
    assert "Choose two tags" in page(browser, base)
    text = page(browser, f"{base}?left=team/app:2.0&right=team/app:2.1")
    assert "1 of 3 the same" in text
    assert "variable <code>ODD</code>" in text
    assert "1 of 3 the same" in page(browser, f"{base}?tag=2.1&tag=2.0")
    assert "cannot be compared" in page(browser, f"{base}?left=team/app:9&right=team/app:2.1")
    assert 'value="team/app:2.1"' in page(browser, f"{base}?tag=2.0")
    assert "Choose two tags" in page(browser, f"{base}?tag=2.1"), "not with itself"
    page(browser, f"{base}?left=%00&right=:@")


def test_tags_are_deleted_after_a_look_at_what_goes(stage, browser):
    name = stage.make_repository()
    registry = stage.mounted(name)
    for tag in ("1", "2"):
        registry.push("app", tag, make_image())
    address = f"/browse/{name}/image/app/-/delete"
    text = page(browser, f"{address}?tag=1")
    assert "its manifest with it" in text
    assert "Delete 1 tag" in text
    assert registry.tags("app") == ["1", "2"]
    assert browser.open("POST", address, data={"tag": "1"}).status_code == 400  # no CSRF token
    page(browser, f"{address}?tag=1")
    assert browser.post(address, tag="1").status_code == 303
    assert registry.tags("app") == ["2"]
    assert "1 tag was deleted from app, and 1 manifest." in page(
        browser, f"/browse/{name}/image/app"
    )
    page(browser, f"{address}?tag=1", 404)
    page(browser, address, 400)


def test_a_tag_is_restored_after_a_look_at_what_changes(stage, browser):
    name = stage.make_repository()
    registry = stage.mounted(name)
    image = make_image()
    registry.push("team/app", "1", image)
    page(browser, f"/browse/{name}/image/team/app/-/delete?tag=1")
    browser.post(f"/browse/{name}/image/team/app/-/delete", tag="1")
    root = f"/browse/{name}/image/team/app/-"
    for listed in (f"/browse/{name}/tag-history", f"{root}/history", f"{root}/history/1"):
        text = page(browser, listed)
        assert "deleted" in text
        assert "page" in text
        assert f"{root}/restore?tag=1&amp;digest=sha256" in text
    assert "Nothing happened" in page(browser, f"{root}/history/none")
    text = page(browser, f"{root}/restore?tag=1&digest={image.digest}")
    assert "The tag comes back." in text
    assert registry.get("team/app/manifests/1").status == 404
    answer = browser.post(f"{root}/restore", tag="1", digest=image.digest, at="")
    assert answer.headers["Location"].endswith(f"{root}/history/1")
    assert "1 tag was restored." in page(browser, f"{root}/history/1")
    assert registry.pull("team/app", "1") == image.manifest
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+", "%2B")
    assert "Nothing to restore" in page(browser, f"/browse/{name}/restore?at={now}")
    assert "not a valid time" in page(browser, f"/browse/{name}/restore?at=then", 400)


def test_an_image_is_deleted_once_its_name_is_typed(stage, browser):
    name = stage.make_repository()
    registry = stage.mounted(name)
    for tag in ("1", "2"):
        registry.push("team/app", tag, make_image())
    address = f"/browse/{name}/image/team/app/-/delete-image"
    assert address in page(browser, f"/browse/{name}/images")
    text = page(browser, address)
    assert "Delete 2 tags" in text
    assert "They can be restored for 14 days." in text
    assert browser.post(address, typed="app").status_code == 200
    assert "Type team/app, exactly" in browser.post(address, typed="").text
    assert registry.tags("team/app") == ["1", "2"]
    assert browser.open("POST", address, data={"typed": "team/app"}).status_code == 400
    page(browser, address)
    assert browser.post(address, typed="team/app").status_code == 303
    assert registry.tags("team/app") == []
    assert "team/app was deleted with 2 tags." in page(browser, f"/browse/{name}/images")
    page(browser, address, 404)


def test_who_may_only_read_sees_no_deletion(stage, hosted):
    selected = stage.make_selected(hosted, 'path =^ "/v2/team/"', ["browse", "read"])
    reader = Browser(stage.repoman)
    reader.log_in(*stage.make_user(selected))
    text = page(reader, f"/browse/{hosted}/image/team/app")
    assert "/-/delete" not in text
    assert "/-/delete" not in page(reader, f"/browse/{hosted}/images")
    address = f"/browse/{hosted}/image/team/app/-/delete-image"
    assert "You may not delete everything" in page(reader, address)
    assert reader.post(address, typed="team/app").status_code == 403
    assert "stays" in page(reader, f"/browse/{hosted}/image/team/app/-/delete?tag=2.0")
    reader.post(f"/browse/{hosted}/image/team/app/-/delete", tag="2.0")
    assert "2.0" in stage.mounted(hosted).tags("team/app")


@pytest.mark.parametrize("path", [
    "images", "image/team/app", "image/team/app/-/tags/2.1", "image/team/app/-/untagged",
    "image/team/app/-/compare", "image/team/app/-/delete?tag=1", "use",
    "image/team/app/-/delete-image",
    f"image/team/app/-/layers/{digest_of(BASE)}",
])  # fmt: skip
def test_others_do_not_learn_that_it_exists(stage, hosted, path):
    other = Browser(stage.repoman)
    answer = other.get(f"/browse/{hosted}/{path}")
    assert answer.status_code == 303
    assert "/login" in answer.headers["Location"]
    other.log_in(*stage.make_user())
    assert other.get(f"/browse/{hosted}/{path}").status_code == 404
    assert other.get(f"/browse/no-{hosted}/{path}").status_code == 404


@pytest.mark.parametrize("path", [
    "image/none", "image/team/app/-/tags/none", "image/team/app/-/tags/sha256:x", "image/*",
    "image/team/app/-/digests/latest", "image/team/app/-/tags/2.1?platform=odd/odd", "image/-/x",
    "image/team/app/-/layers/sha256:x", "image/team/app/-/none", f"image/{'a/' * 300}b",
])  # fmt: skip
def test_what_is_not_there_is_not_found(browser, hosted, path):
    page(browser, f"/browse/{hosted}/{path}", 404)


def test_a_wrong_key_of_a_page_is_refused(browser, hosted):
    page(browser, f"/browse/{hosted}/images?after=odd", 406)
    page(browser, f"/browse/{hosted}/image/team/app?after=odd&order=version", 406)
    page(browser, f"/browse/{hosted}/image/team/app/-/untagged?after=odd")


def test_a_page_takes_as_many_statements_however_much_there_is(stage, browser):
    name = stage.make_repository()
    registry = stage.mounted(name)
    for image, tags in (("few", 2), ("many", 40)):
        for tag in range(tags):
            registry.push(image, f"1.{tag}", built(BASE, tar_of(secrets.token_hex(4)),
                          steps=(("ADD x /", False),) * 2))  # fmt: skip
    counts = {}
    for image in ("few", "many"):
        for path in ("", "/-/tags/1.1", "/-/untagged"):
            address = f"/browse/{name}/image/{image}{path}"
            page(browser, address)
            with executed_statements() as statements:
                page(browser, address)
            counts.setdefault(path, []).append(len(statements))
    for path, (few, many) in counts.items():
        assert few == many <= 16, (path, few, many)


def test_each_client_has_lines_to_copy(stage, browser, hosted):
    port = free_port()
    name = stage.make_repository(docker__http_port=port)
    text = page(browser, f"/browse/{name}/use?name=team/app&version=2.1")
    assert f"docker pull localhost:{port}/team/app:2.1" in text
    for title in ("Docker", "containerd", "Kubernetes", "GitLab CI", "nginx with TLS"):
        assert f">{title}</h2>" in text
    assert "This address is plain HTTP" in text
    assert "No address yet" in page(browser, f"/browse/{hosted}/use")
    page(browser, f"/browse/{name}/use?name={HOSTILE}&version=$(id)&address=odd&user={HOSTILE}")


def test_https_is_preferred_wherever_an_address_is_shown(stage, browser):
    plain, secure = free_port(), free_port()
    name = stage.make_repository(docker__http_port=plain, docker__https_port=secure)
    stage.mounted(name).push("app", "1", make_image())
    assert f"docker pull localhost:{secure}/app:1" in page(browser, f"/browse/{name}/image/app")
    address = f"/browse/{name}/use"
    text = page(browser, address)
    assert f"docker login localhost:{secure} -u" in text
    assert "This address is plain HTTP" not in text
    text = page(browser, f"{address}?address=http://localhost:{plain}")
    assert f"docker login localhost:{plain} -u" in text
    assert "This address is plain HTTP" in text
    stage.repoman.repositories.update(name, {"docker": {"external_url": "https://images.example"}})
    assert "docker login images.example -u" in page(browser, address)
    assert "docker pull images.example/app:1" in page(browser, f"/browse/{name}/image/app")


def test_the_next_collection_and_why_something_is_kept(stage, browser):
    name = stage.make_repository(docker__undo_days=0)
    registry = stage.mounted(name)
    gone, used = make_image(), make_image()
    registry.push("team/app", "gone", gone)
    registry.push("team/app", "used", used)
    assert "Nothing to delete" in page(browser, f"/browse/{name}/collection")
    with acting_by("cleanup"):
        delete = stage.repoman.repositories.get(name).capabilities.delete_component
        delete(Coordinate("tag", "team/app", "gone"))
    AssetRecord.update(updated_at=1.0).where(AssetRecord.path.contains("team/app")).execute()
    text = page(browser, f"/browse/{name}/collection")
    assert f'title="team/app@{gone.digest}"' in text
    assert "A cleanup policy removed its last tag on " in text
    assert used.digest not in text
    text = page(browser, f"/browse/{name}/image/team/app/-/tags/used")
    assert f"/-/why/{used.digest}" in text
    text = page(browser, f"/browse/{name}/image/team/app/-/why/{used.digest}")
    assert "The tag team/app:used leads to it." in text
    layer = digest_of(used.layers[0])
    address = f"/browse/{name}/image/team/app/-/why/{layer}"
    assert address in page(browser, f"/browse/{name}/image/team/app/-/layers/{layer}")
    text = page(browser, address)
    assert f"It is a part of team/app@{used.digest}." in text
    page(browser, f"/browse/{name}/image/team/app/-/why/sha256:{'0' * 64}", status=404)
    assert f"/browse/{name}/collection" in page(browser, f"/browse/{name}/images")
    reader = Browser(stage.repoman)
    reader.log_in(*stage.make_user(*view(name, "browse", "read")))
    page(reader, f"/browse/{name}/collection", status=403)
    assert f"/browse/{name}/collection" not in page(reader, f"/browse/{name}/images")


def test_each_page_of_a_tag_has_a_title_of_its_own(browser, hosted):
    tag = f"/browse/{hosted}/image/team/app/-/tags/2.1"
    pages = [browser.get(f"{tag}{each}") for each in ("", "/config", "/attached", "/manifest")]
    titles = [re.search(r"<title>(.*?) · repoman</title>", each.text)[1] for each in pages]
    assert titles[0] == "team/app:2.1"
    assert titles[1:] == [
        f"team/app:2.1, {each}" for each in ("configuration", "attached", "manifest")
    ]
