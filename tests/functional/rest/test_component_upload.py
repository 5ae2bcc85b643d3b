"""Uploads by a form: what is stored, what is refused, and that nothing is left of the latter."""

import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from repoman.compaction import Unwatched
from repoman.testing import ADMIN
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.rest.content_site import API, Site, rights

URL = f"{API}/components?repository="


@pytest.fixture
def site(repoman_factory):
    return Site(repoman_factory({"docker": docker, "raw": raw}, security={"login_failures": 0}))


def form(directory="/a/b", **files):
    """A form with files by the names of their fields."""
    data = {} if directory is None else {"raw.directory": directory}
    for name, (filename, content) in files.items():
        data[f"raw.{name}"] = (BytesIO(content), f"local-{filename}")
        data[f"raw.{name}.filename"] = filename
    return data


def send(site, data, repository="files", login=ADMIN):
    options = {"data": data, "content_type": "multipart/form-data"}
    return site.client.request("POST", f"{URL}{repository}", login=False, auth=login, **options)


def stored(site, path, repository="files"):
    answer = site.client.get(f"/repository/{repository}/{path}")
    return answer.data if answer.status_code == 200 else None


def assert_nothing_is_left(site):
    """No file, no blob and no upload: in the database and on the disk."""
    data = site.repoman.data
    with closing(sqlite3.connect(data / "repoman.db")) as connection:
        for table in ("asset", "component", "blob", "blob_checksum"):
            assert connection.execute(f"select count(*) from {table}").fetchone() == (0,), table
    store = data / "blobs" / "default"
    left = [each for each in store.rglob("*") if each.is_file() and each.name != "store.json"]
    assert left == []


def test_a_form_stores_all_of_its_files(site):
    data = form(asset1=("x.txt", b"one"), asset2=("sub/y.bin", b"two" * 100_000))
    answer = send(site, {**data, "NX-ANTI-CSRF-TOKEN": "0.5"})
    assert (answer.status_code, answer.data) == (204, b"")
    assert stored(site, "a/b/x.txt") == b"one"
    assert stored(site, "a/b/sub/y.bin") == b"two" * 100_000
    found = {each["name"]: each for each in site.items("/components?repository=files")}
    assert found.keys() == {"/a/b/x.txt", "/a/b/sub/y.bin"}
    asset = found["/a/b/x.txt"]["assets"][0]
    assert asset["contentType"] == "text/plain"
    assert asset["uploader"] == "admin"
    assert asset["checksum"].keys() == {"md5", "sha1", "sha256", "sha512"}


@pytest.mark.parametrize("directory", ["/", ".", "a", "/a/b/", "a//b"])
def test_directories_are_written_in_several_ways(site, directory):
    answer = send(site, form(directory, asset1=("/x.txt", b"x")))
    path = {"/": "x.txt", "a": "a/x.txt", "/a/b/": "a/b/x.txt"}.get(directory)
    assert answer.status_code == (400 if path is None else 204)
    if path is None:
        assert_nothing_is_left(site)
    else:
        assert stored(site, path) == b"x"


def test_names_without_a_format_and_any_number_are_known(site):
    data = {
        "directory": "/",
        "asset0": (BytesIO(b"zero"), "zero"),
        "asset0.filename": "zero.txt",
        "raw.asset": (BytesIO(b"none"), "none"),
        "asset.filename": "none.txt",
        "raw.asset7": (BytesIO(b""), ""),
        "raw.tag": "ignored",
    }
    assert send(site, data).status_code == 204
    assert (stored(site, "zero.txt"), stored(site, "none.txt")) == (b"zero", b"none")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (form(None, asset1=("x", b"x")), "raw.directory"),
        (form("", asset1=("x", b"x")), "raw.directory"),
        (form(asset1=("", b"x")), "raw.asset1.filename"),
        ({"raw.directory": "/", "raw.asset1": (BytesIO(b"x"), "x")}, "raw.asset1.filename"),
        ({"raw.directory": "/"}, "raw.asset"),
        ({**form(asset1=("x", b"x")), "raw.asset2.filename": "y"}, "raw.asset2"),
        ({"raw.directory": "/", "raw.asset1": "text", "raw.asset1.filename": "x"}, "raw.asset1"),
        ({**form(asset1=("x", b"x")), "odd": (BytesIO(b"x"), "x")}, "odd"),
        ({**form(asset1=("x", b"x")), "docker.asset": (BytesIO(b"x"), "x")}, "docker.asset"),
        ({**form(asset1=("x", b"x")), "asset1": (BytesIO(b"x"), "x")}, "asset1"),
    ],
)
def test_a_form_that_lacks_something_leaves_nothing(site, data, field):
    answer = send(site, data)
    assert answer.status_code == 400
    assert field in [each["id"] for each in answer.json]
    assert_nothing_is_left(site)


@pytest.mark.parametrize(
    "filename", ["..", "../x", "a/../../x", "x\0y", "x\ny", "x" * 2000, "a//b", "\udcff"]
)
def test_a_path_that_cannot_be_leaves_nothing(site, filename):
    filename = filename.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    assert send(site, form(asset1=("good", b"x"), asset2=(filename, b"x"))).status_code == 400
    assert_nothing_is_left(site)


def test_two_files_for_one_path_are_refused(site):
    assert send(site, form(asset1=("x", b"1"), asset2=("x", b"2"))).status_code == 400
    assert_nothing_is_left(site)


def test_a_form_has_a_limited_number_of_files(site):
    files = {f"asset{number}": (f"{number}", b"x") for number in range(101)}
    assert send(site, form(**files)).status_code == 413
    assert_nothing_is_left(site)
    del files["asset100"]
    assert send(site, form(**files)).status_code == 204


@pytest.mark.parametrize(
    ("repository", "id_"), [("images", "*"), ("all", "repository"), ("everything", "*")]
)
def test_other_repositories_take_no_forms(site, repository, id_):
    answer = send(site, form(asset1=("x", b"x")), repository)
    assert answer.status_code == 400
    told = answer.json[0] if isinstance(answer.json, list) else answer.json
    assert told["id"] == id_
    assert "unsupported" in told["message"]
    assert_nothing_is_left(site)


def test_what_is_no_form_is_refused(site):
    for options in (
        {"json": {}},
        {"data": b"x"},
        {"data": b"x", "content_type": "multipart/form-data"},
        {"data": b"x", "content_type": "multipart/form-data; boundary=x"},
    ):
        answer = site.client.request("POST", f"{URL}files", **options)
        assert answer.status_code == 400
        assert answer.json["id"] == "*"
    for repository, status in (("", 422), ("none", 404)):
        answer = send(site, form(asset1=("x", b"x")), repository)
        assert (answer.status_code, answer.data) == (status, b"")
    assert_nothing_is_left(site)


def test_a_form_cut_at_any_place_leaves_nothing(site):
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="raw.directory"\r\n\r\n/\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="raw.asset1"; filename="x"\r\n\r\nxyz\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="raw.asset1.filename"\r\n\r\nx\r\n',
        b"--edge--\r\n",
    ]
    whole = b"".join(parts)
    kind = "multipart/form-data; boundary=edge"
    for length in range(len(whole) - 2):
        body = whole[:length]
        answer = site.client.request("POST", f"{URL}files", data=body, content_type=kind)
        assert answer.status_code == 400, body
    assert_nothing_is_left(site)
    answer = site.client.request("POST", f"{URL}files", data=whole, content_type=kind)
    assert answer.status_code == 204


def test_the_write_policy_and_the_state_of_the_repository_count(site):
    update = site.repoman.repositories.update
    update("files", {"storage": {"write_policy": "allow_once"}})
    assert send(site, form(asset1=("x", b"1"))).status_code == 204
    refused = send(site, form(asset1=("y", b"2"), asset2=("x", b"2")))
    assert refused.status_code == 400
    assert "cannot be replaced" in refused.json["message"]
    assert stored(site, "a/b/y") is None
    assert stored(site, "a/b/x") == b"1"
    update("files", {"storage": {"write_policy": "deny"}})
    assert send(site, form(asset1=("z", b"3"))).status_code == 400
    update("files", {"storage": {"write_policy": "allow"}})
    assert send(site, form(asset1=("x", b"4"))).status_code == 204
    assert stored(site, "a/b/x") == b"4"
    update("files", {}, is_online=False)
    assert send(site, form(asset1=("z", b"3"))).status_code == 400


@pytest.mark.parametrize("policy", ["allow", "allow_once"])
@pytest.mark.parametrize("harm", [Path.unlink, lambda blob: blob.write_bytes(b"damaged")])
@pytest.mark.parametrize("content", [b"content", b"content" * 20_000], ids=len)
def test_what_has_lost_its_bytes_is_whole_once_it_is_sent_again(site, policy, harm, content):
    site.repoman.repositories.update("files", {"storage": {"write_policy": policy}})
    send(site, form(asset1=("x", content), asset2=("same", content)))
    digest = hashlib.sha256(content).hexdigest()
    harm(site.repoman.data / "blobs/default/sha256" / digest[:2] / digest)
    site.repoman.verifier.run(["default"], bool, Unwatched())
    assert site.repoman.verifier.count_damages() == {"default": 1}
    assert stored(site, "a/b/x") is None
    adder = site.user(*rights("raw", "files", "browse", "add"))
    assert send(site, form(asset1=("x", content)), login=adder).status_code == 204
    assert stored(site, "a/b/x") == stored(site, "a/b/same") == content
    assert site.repoman.verifier.count_damages() == {}


def test_rights_are_those_on_each_path(site):
    nobody, stranger = None, site.user()
    reader = site.user(*rights("raw", "files", "read", "browse"))
    adder = site.user(*rights("raw", "files", "browse", "add"))
    editor = site.user(*rights("raw", "files", "browse", "add", "edit"))
    below = site.make_selected("files", 'path =^ "/a/"', ["browse", "add"])
    limited = site.user(below)
    blind = site.user(*rights("raw", "files", "add"))
    for login, status in (
        (nobody, 401),
        (stranger, 403),
        (reader, 403),
        (blind, 403),
    ):
        answer = send(site, form(asset1=("x", b"x")), login=login)
        assert answer.status_code == status
    assert_nothing_is_left(site)
    assert send(site, form("/b", asset1=("x", b"x")), login=limited).status_code == 400
    mixed = form("/", asset1=("a/x", b"x"), asset2=("b/x", b"x"))
    assert send(site, mixed, login=limited).status_code == 400
    assert_nothing_is_left(site)
    assert send(site, form("/a", asset1=("x", b"1")), login=limited).status_code == 204
    assert send(site, form("/a", asset1=("x", b"2")), login=adder).status_code == 400
    assert stored(site, "a/x") == b"1"
    assert send(site, form("/a", asset1=("x", b"2")), login=editor).status_code == 204
    assert stored(site, "a/x") == b"2"


def test_one_of_several_clients_is_first(site):
    site.repoman.repositories.update("files", {"storage": {"write_policy": "allow_once"}})

    def store(number):
        files = {"asset1": ("same", b"%d" % number), "asset2": (f"own{number}", b"x")}
        return number, send(site, form("/", **files)).status_code

    with ThreadPoolExecutor(8) as pool:
        done = dict(pool.map(store, range(8)))
    winners = [number for number, status in done.items() if status == 204]
    assert len(winners) == 1
    assert set(done.values()) == {204, 400}
    assert stored(site, "same") == b"%d" % winners[0]
    names = site.names("/components?repository=files")
    assert names == sorted(["/same:", f"/own{winners[0]}:"])


def test_the_upload_specs_tell_what_a_form_has(site):
    spec = site.get("/formats/raw/upload-specs", None)
    directory, asset, filename = (
        {"name": "directory", "type": "STRING", "optional": False},
        {"name": "asset", "type": "FILE", "optional": False, "description": None, "group": None},
        {"name": "filename", "type": "STRING", "optional": False, "description": None},
    )
    assert (spec["format"], spec["multipleUpload"]) == ("raw", True)
    assert directory.items() <= spec["componentFields"][0].items()
    assert spec["assetFields"][0] == asset
    assert filename.items() <= spec["assetFields"][1].items()
    assert site.get("/formats/upload-specs") == [spec]
    for name in ("docker", "none", "%00"):
        answer = site.ask(f"/formats/{name}/upload-specs", None)
        assert (answer.status_code, answer.data) == (404, b"")


def test_the_audit_log_has_an_upload(site):
    send(site, form(asset1=("x", b"x")))
    site.repoman.audit.flush(is_last=True)
    [event] = site.repoman.audit.search({"type": "store"}, limit=10)
    told = {name: event[name] for name in ("actor", "target", "repository")}
    assert told == {"actor": "admin", "target": "a/b/x", "repository": "files"}


def test_files_are_open_only_while_they_arrive(site):
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir()))
    for _ in range(3):
        send(site, form(asset1=("x", b"x"), asset2=("..", b"x")))
        send(site, form(asset1=("x", b"x"), asset2=("y", b"x")))
    assert len(list(opened.iterdir())) <= before + 3
