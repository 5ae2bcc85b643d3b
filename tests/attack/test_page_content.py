"""What pages and the REST API tell of images, and to whom: no more than the registry does."""

import gzip
import io
import json
import tarfile
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from hashlib import sha256
from types import SimpleNamespace

import pytest

from repoman.testing import ADMIN, RepomanFactory
from repoman.waiting import Worker
from repoman_docker import plugin as docker
from repoman_docker.browsing import layer_files
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.docker.browsed import artifact, built, tar_of
from tests.functional.docker.images import digest_of
from tests.functional.rights.stage import Stage, view
from tests.functional.web.conftest import Browser
from tests.live import free_port

APP = "team/app"
SECRETS = ("hunter2", "SECRETSTEP", "schemaVersion", "secret-file-name")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("pages"))
    plugins = {"docker": docker, "raw": raw, "web": web}
    yield Stage(factory(plugins, security={"login_failures": 0}))
    factory.stop()


@pytest.fixture(scope="module")
def image():
    return built(
        tar_of("etc/secret-file-name"),
        tar_of("usr/x"),
        steps=(("RUN SECRETSTEP", False), ("COPY b", False)),
        config={"Env": ["DB_PASSWORD=hunter2"]},
    )


@pytest.fixture(scope="module")
def hosted(stage, image):
    name = stage.make_repository()
    registry = stage.mounted(name)
    registry.push(APP, "1.0", image)
    registry.push(APP, "hidden-1", built(tar_of("o"), steps=(("ADD x /", False),)))
    return name


@pytest.fixture
def browser_of(stage):
    def open_(*privileges):
        browser = Browser(stage.repoman)
        browser.log_in(*stage.make_user(*privileges))
        return browser

    return open_


@pytest.fixture
def admin(stage):
    browser = Browser(stage.repoman)
    browser.log_in()
    return browser


def layer_of(image):
    return json.loads(image.manifest)["layers"][0]["digest"]


def test_who_may_only_browse_reads_no_config_no_manifest_and_no_layer(browser_of, hosted, image):
    browser = browser_of(*view(hosted, "browse"))
    tag = f"/browse/{hosted}/image/{APP}/-/tags/1.0"
    api = f"/api/v1/repositories/{hosted}/docker"
    layer = layer_of(image)
    for path in (
        *(f"{tag}{each}" for each in ("", "/config", "/manifest", "/attached")),
        f"/browse/{hosted}/image/{APP}/-/layers/{layer}?reference=1.0",
        f"/browse/{hosted}/image/{APP}/-/compare?left=1.0&right=1.0",
        f"{api}/manifest?image={APP}&reference=1.0",
        f"{api}/comparison?image={APP}&left=1.0&right=1.0",
        f"{api}/layer-files?image={APP}&digest={layer}",
    ):
        answer = browser.get(path)
        assert answer.status_code in (200, 403, 404), path
        assert [each for each in SECRETS if each in answer.text] == [], path
    assert browser.get(tag).status_code == 200


def test_who_may_only_read_gets_no_list(browser_of, hosted):
    browser = browser_of(*view(hosted, "read"))
    for path in (
        "images",
        f"image/{APP}",
        f"image/{APP}/-/untagged",
        f"image/{APP}/-/compare?tag=1.0",
        "activity",
        "paths?filter=hidden",
    ):
        assert "hidden-1" not in browser.get(f"/browse/{hosted}/{path}").text, path
    for path in (f"tags?image={APP}", f"untagged?image={APP}", "images"):
        assert browser.get(f"/api/v1/repositories/{hosted}/docker/{path}").status_code == 403
    assert browser.get(f"/browse/{hosted}/image/{APP}/-/tags/1.0").status_code == 200


def test_what_is_attached_needs_its_own_right(stage, browser_of, hosted, image):
    registry = stage.mounted(hosted)
    attached = artifact(image.manifest, "application/vnd.acme+json", b"{}", note="HIDDENNOTE")
    registry.push_blobs(APP, attached)
    registry.push_manifest(APP, digest_of(attached.manifest), attached.manifest)
    path = f"/browse/{hosted}/image/{APP}/-/tags/1.0/attached"
    some = f'path =~ "/v2/{APP}/(tags/list|manifests/1[.].*)"'
    all_ = f'path =^ "/v2/{APP}/"'
    may = {"browse", "read"}
    assert "HIDDENNOTE" not in browser_of(stage.make_selected(hosted, some, may)).get(path).text
    assert "HIDDENNOTE" in browser_of(stage.make_selected(hosted, all_, may)).get(path).text


def test_anonymous_visitors_do_not_learn_who_stored_something(stage, hosted):
    stage.repoman.options.update("anonymous", {"enabled": True})
    try:
        files = stage.make_repository("raw-hosted")
        admin = Browser(stage.repoman)
        admin.client.put(
            f"/repository/{files}/a/b.txt",
            data=b"x",
            auth=ADMIN,
            environ_base={"REMOTE_ADDR": "10.9.8.7"},
        )
        nobody = Browser(stage.repoman)
        for path in (
            f"/browse/{files}/paths/a/b.txt",
            f"/browse/{files}/activity",
            f"/browse/{hosted}/image/{APP}",
            f"/browse/{hosted}/image/{APP}/-/tags/1.0",
            f"/api/v1/repositories/{hosted}/docker/tags?image={APP}",
            f"/api/v1/repositories/{hosted}/docker/manifest?image={APP}&reference=1.0",
        ):
            answer = nobody.get(path)
            assert answer.status_code == 200, path
            assert "10.9.8.7" not in answer.text, path
            assert "admin" not in answer.text, path
    finally:
        stage.repoman.options.update("anonymous", {"enabled": False})


def test_addresses_are_for_those_who_read_the_audit_log(stage, browser_of, admin):
    files = stage.make_repository("raw-hosted")
    admin.client.put(
        f"/repository/{files}/a.txt", data=b"x", auth=ADMIN, environ_base=admin.environ
    )
    path, address = f"/browse/{files}/paths/a.txt", admin.environ["REMOTE_ADDR"]
    some = [f"nx-repository-view-raw-{files}-{each}" for each in ("read", "browse")]
    assert f"from {address}" in admin.get(path).text
    assert f"from {address}" not in browser_of(*some).get(path).text


def test_a_small_layer_of_long_names_makes_no_large_page(stage, hosted, admin):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for number in range(20):
            archive.addfile(tarfile.TarInfo("a" * 1_000_000 + str(number)))
    image = built(gzip.compress(packed.getvalue()), steps=(("ADD x /", False),))
    stage.mounted(hosted).push("long/names", "1", image)
    page = admin.get(f"/browse/{hosted}/image/long/names/-/layers/{layer_of(image)}")
    assert page.status_code == 200
    assert len(page.data) < 200_000


def test_who_waits_for_other_layers_says_so_to_the_server(monkeypatch):
    """The worker is told to be waiting, so that another one takes its place."""
    monkeypatch.setattr(layer_files, "WAIT_S", 0.01)
    lists, announced, failures = layer_files.LayerLists(), [], []
    for _ in range(layer_files.LISTINGS_AT_ONCE):
        lists._turns.acquire()

    @contextmanager
    def announce(what):
        announced.append(what)
        yield

    def work():
        try:
            lists.get(None, SimpleNamespace(digest="d"))
        except layer_files.Unavailable as error:
            failures.append(error)

    worker = Worker(announce, work, "worker")
    worker.start()
    worker.join()
    assert (len(failures), len(announced)) == (1, 1)


@pytest.mark.parametrize(
    "config",
    [
        b'{"os":"linux","created":"9999-12-31T23:59:59-14:00","config":{}}',
        b'{"os":"linux","created":"0001-01-01T00:00:00+14:00","config":{}}',
        b'{"os":"\\ud800","config":{"Env":["A=\\ud800"],"Labels":{"\\ud800":"\\udfff"}},'
        b'"history":[{"created_by":"\\ud800"}]}',
        b'{"os":"linux","config":{"Healthcheck":{"Test":["CMD","x"],"Interval":1e400}}}',
    ],
    ids=["far future", "far past", "half characters", "endless interval"],
)
def test_odd_configs_break_no_page(stage, hosted, admin, config):
    image = built(tar_of("x"), steps=(("ADD x /", False),))
    fields = json.loads(image.manifest)
    fields["config"] |= {"digest": f"sha256:{sha256(config).hexdigest()}", "size": len(config)}
    registry, name = stage.mounted(hosted), f"odd/{sha256(config).hexdigest()[:8]}"
    registry.push_blobs(name, image)
    registry.push_blob(name, config)
    registry.push_manifest(name, "1", json.dumps(fields).encode())
    root = f"/browse/{hosted}/image/{name}"
    parts = ("", "/-/tags/1", "/-/tags/1/config", "/-/tags/1/manifest", "/-/delete?tag=1")
    for path in (
        *(f"{root}{each}" for each in parts),
        f"/api/v1/repositories/{hosted}/docker/manifest?image={name}&reference=1",
    ):
        assert admin.get(path).status_code == 200, path


def test_a_link_puts_no_line_into_what_is_copied(stage, admin):
    name = stage.make_repository(docker__http_port=free_port())
    evil = "x%0A%20%20-%20curl%20evil.example"
    for field in ("user", "name", "version"):
        page = admin.get(f"/browse/{name}/use?{field}={evil}")
        assert "curl evil.example" not in page.text, field


def test_ports_of_unknown_repositories_have_no_name(stage, browser_of, admin):
    name = stage.make_repository(docker__http_port=free_port())
    assert name in admin.get("/admin/connectors").text
    assert name not in browser_of("nx-settings-read").get("/admin/connectors").text


def test_a_nested_page_key_is_refused(admin):
    key = urlsafe_b64encode(b"[" * 1490).decode().rstrip("=")
    answers = {
        path: admin.get(f"{path}?after={key}").status_code
        for path in ("/admin/users", "/account/rights")
    }
    assert {each for each in answers.values() if each >= 500} == set(), answers


def test_trying_an_ldap_server_needs_the_right_to_change_them(browser_of):
    browser = browser_of("nx-ldap-create", "nx-ldap-read")
    browser.get("/admin/ldap/-/new")
    fields = {"name": "x", "host": "127.0.0.1", "port": str(free_port()), "search_base": "dc=a"}
    assert browser.post("/admin/ldap/-/new", test="connection", **fields).status_code == 403
