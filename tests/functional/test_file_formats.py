"""What the core does for a format of files, whatever that makes of what it is sent."""

import io
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from repoman.caching import BUDGET
from repoman.plugin import (
    UPLOAD_TO_DIRECTORY,
    Fetch,
    File,
    FileFormat,
    FormatUi,
    Invalid,
    Metadata,
    NewFile,
    Rendered,
    files_format,
    files_recipes,
    hookimpl,
)
from repoman.testing import HttpClient, RepomanFactory
from tests.clock import wait_until
from tests.fakes.scripted import reply, scripted
from tests.functional.rights.stage import Stage

PAGE = "/repository/mirror/index"
HTTP = {
    "timeout": 5,
    "retries": 0,
    "auto_block": False,
    "username": "amy",
    "password": "a password",
}


QUIET = b"quiet"  # Nothing is made out of it.


class Notes(FileFormat):
    """Files, and one document, which is wherever the test says."""

    name = "notes"
    title = "Notes"
    takes_puts = True
    remote_checksum = "sha1"
    document_max_bytes = 1000
    upload = UPLOAD_TO_DIRECTORY

    def __init__(self):
        self.address, self.error = "index", None
        self.calls, self.hold, self._lock = Counter(), {}, Lock()

    def note(self, name):
        """Count a call, which lasts until there were so many of another one."""
        with self._lock:
            self.calls[name] += 1
        if name in self.hold:
            other, count = self.hold[name]
            wait_until(lambda: self.calls[other] >= count, other)

    def target(self, path):
        return Metadata("index") if path == "index" else File(path, path.partition("/")[0], "1")

    def fetch(self, metadata, config):
        return Fetch(self.address)

    def parse(self, metadata, body, media_type, url):
        if self.error:
            raise self.error
        return body

    def edits(self, query):
        self.note("asked")
        return False

    def generate_root(self, metadata, names):
        self.note("generated")
        return b"made"

    def merge(self, metadata, values):
        return b" ".join(values)

    def variant(self, metadata, accept):
        self.note("found")
        return ""

    def render(self, metadata, value, variant, base):
        self.note("rendered")
        return Rendered(value, "text/plain")

    def pattern(self, text):
        return text.lower()

    def derive(self, file, content):
        if file.path.endswith(".txt"):
            with content.open_reader() as source:
                data = source.read()
            if not data.isascii():
                raise Invalid("It is no text.")
            if data != QUIET:
                loud = File(f"{file.path}.loud", file.package, "1")
                yield NewFile(loud, "text/plain"), data.upper()

    def derived(self, path):
        return (f"{path}.loud",) if path.endswith(".txt") else ()


class Plugin:
    def __init__(self, notes):
        self.notes = notes

    @hookimpl
    def repoman_register_formats(self):
        return [files_format(self.notes, FormatUi("file", lambda url: url, about="Notes"))]

    @hookimpl
    def repoman_register_recipes(self):
        return files_recipes(self.notes, {})


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A Repoman with the format, and the format."""
    notes = Notes()
    factory = RepomanFactory(tmp_path_factory.mktemp("notes"))
    yield factory({"notes": Plugin(notes)}), notes
    factory.stop()


@pytest.fixture
def server():
    with scripted(lambda _: reply(200, b"from the remote")) as server:
        yield server


@pytest.fixture
def notes(running):
    notes = running[1]
    notes.__init__()
    return notes


@pytest.fixture
def create(running, notes):
    """Creates repositories that go after the test."""
    names = []
    repositories = running[0].repositories

    def create(name, recipe, **settings):
        repositories.create(name, recipe, settings)
        names.insert(0, name)

    yield create
    for name in names:
        repositories.delete(name)


@pytest.fixture(autouse=True)
def members(create, server):
    """The names of a hosted repository and a proxy."""
    create("own", "notes-hosted")
    create("mirror", "notes-proxy", proxy={"remote_url": server.url}, http_client=HTTP)
    return ["own", "mirror"]


@pytest.fixture
def client(running):
    return HttpClient(running[0])


@pytest.mark.parametrize(
    "error",
    [ValueError(), IndexError(), TypeError(), AttributeError(), OverflowError(), RecursionError()],
    ids=repr,
)
def test_a_document_that_cannot_be_read_is_the_fault_of_the_remote(
    create, members, client, notes, error
):
    create("all", "notes-group", group={"members": members})
    notes.error = error
    assert client.get(PAGE).status_code == 502
    answer = client.get("/repository/all/index")
    assert (answer.status_code, answer.data) == (200, b"made")
    assert "mirror" in answer.headers["Warning"]


def test_a_document_is_as_large_as_its_format_says(client, server):
    server.answer = lambda _: reply(200, b"x" * 1001)
    assert client.get(PAGE).status_code == 502
    server.answer = lambda _: reply(200, b"x" * 1000)
    assert client.get(PAGE).status_code == 200


@pytest.mark.parametrize("repository", ["own", "mirror", "all"])
def test_a_document_that_many_ask_for_at_once_is_made_once(
    create, members, client, notes, server, repository
):
    name = secrets.token_hex()  # No other test has rendered what these repositories have.
    server.answer = lambda _: reply(200, name.encode())
    assert client.put(f"/repository/own/{name}/file", data=b"data").status_code == 201
    create("all", "notes-group", group={"members": members})
    notes.hold = {"generated": ("asked", 50), "rendered": ("found", 50)}
    with ThreadPoolExecutor(50) as pool:
        urls = [f"/repository/{repository}/index"] * 50
        bodies = {answer.data for answer in pool.map(client.get, urls)}
    assert len(bodies) == 1
    assert (notes.calls["rendered"], notes.calls["found"]) == (1, 50)
    assert notes.calls["generated"] == (0 if repository == "mirror" else 1)


def test_a_document_that_no_memory_holds_is_made_once_for_each_request(client, notes, monkeypatch):
    monkeypatch.setattr(BUDGET, "size", 0)
    assert client.put("/repository/own/demo/file", data=b"data").status_code == 201
    for count in (1, 2):
        assert client.get("/repository/own/index").data == b"made"
        assert notes.calls["generated"] == count


def test_a_document_elsewhere_is_asked_for_without_the_login(create, client, notes, server):
    http = {**HTTP, "allow_private": True}
    create("second", "notes-proxy", proxy={"remote_url": server.url}, http_client=http)
    assert client.get(PAGE).data == b"from the remote"
    with scripted(lambda _: reply(200, b"elsewhere")) as other:
        notes.address = f"{other.url}/index"
        assert client.get("/repository/second/index").data == b"elsewhere"
        assert [each.authorization for each in other.log] == [None]
    assert all(each.authorization for each in server.log)


@pytest.mark.parametrize("way", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("path", [".states/a", ".documents/index"])
def test_what_the_server_stores_for_itself_is_no_file(client, way, path):
    client.get(PAGE)
    for repository in ("own", "mirror"):
        answer = client.request(way, f"/repository/{repository}/{path}", data=b"{}")
        assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("media_type", ["text/\u2603", "text", "a/b\x01"])
def test_a_media_type_that_cannot_be_sent_is_not_stored(client, media_type):
    headers = {"Content-Type": media_type.encode().decode("latin-1")}
    assert client.put("/repository/own/a", b"x", headers=headers).status_code == 201
    answer = client.get("/repository/own/a")
    assert (answer.status_code, answer.data) == (200, b"x")
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_a_pin_is_spelled_as_the_format_spells_names(create, members, client):
    both, one = {"Acme*": ["mirror"], "ACME*": ["own"]}, {"Acme*": ["own"]}
    create("all", "notes-group", group={"members": members, "pins": both})
    create("pinned", "notes-group", group={"members": members, "pins": one})
    assert client.get("/repository/all/acme1/x").data == b"from the remote"
    assert client.get("/repository/pinned/acme1/x").status_code == 404


TEXT, LOUD = "demo/a.txt", "demo/a.txt.loud"


def put(client, data, **options):
    return client.put(f"/repository/own/{TEXT}", data, **options)


def send_form(client, data, *others, **options):
    form = {"notes.directory": "/demo"}
    for number, (name, sent) in enumerate([("a.txt", data), *others]):
        form[f"notes.asset{number}"] = (io.BytesIO(sent), name)
        form[f"notes.asset{number}.filename"] = name
    url = "/service/rest/v1/components?repository=own"
    return client.request("POST", url, data=form, content_type="multipart/form-data", **options)


def stored(client):
    paths = [TEXT, LOUD]
    answers = [client.get(f"/repository/own/{each}") for each in paths]
    return [each.data if each.status_code == 200 else None for each in answers]


@pytest.mark.parametrize("store", [put, send_form])
def test_what_is_made_out_of_a_file_is_stored_with_it(client, store):
    for data in (b"one", b"two", b"two"):
        assert store(client, data).status_code in (201, 204)
        assert stored(client) == [data, data.upper()]
    [component] = client.get("/service/rest/v1/components?repository=own").json["items"]
    assert {each["path"] for each in component["assets"]} == {f"/{TEXT}", f"/{LOUD}"}
    url = f"/service/rest/v1/components/{component['id']}"
    assert client.delete(url).status_code == 204
    assert stored(client) == [None, None]


@pytest.mark.parametrize("store", [put, send_form])
def test_what_was_made_out_of_a_file_goes_with_its_bytes(running, client, store):
    store(client, b"text")
    assert store(client, QUIET).status_code in (201, 204)
    assert stored(client) == [QUIET, None]
    [component] = client.get("/service/rest/v1/components?repository=own").json["items"]
    assert [each["path"] for each in component["assets"]] == [f"/{TEXT}"]
    store(client, b"text")
    assert client.delete(f"/repository/own/{TEXT}").status_code == 204
    assert stored(client) == [None, None]
    assert client.delete(f"/repository/own/{TEXT}").status_code == 404


@pytest.mark.parametrize("store", [put, send_form])
def test_what_was_made_out_of_a_file_stays_where_its_replacement_is_refused(running, client, store):
    store(client, b"text")
    stage = Stage(running[0])
    selected = stage.make_selected("own", f'path == "/{TEXT}"', ("browse", "read", "add", "edit"))
    login = stage.make_user(selected)
    assert store(client, QUIET, auth=login).status_code in (400, 403)
    assert stored(client) == [b"text", b"TEXT"]


@pytest.mark.parametrize("store", [put, send_form])
def test_a_file_that_nothing_can_be_made_out_of_leaves_nothing(running, client, store):
    assert store(client, b"\xff").status_code == 400
    assert stored(client) == [None, None]
    assert list((running[0].data / "blobs" / "default" / "uploads").iterdir()) == []


@pytest.mark.parametrize("store", [put, send_form])
def test_the_right_counts_for_each_path_that_is_stored(running, client, store):
    stage, writing = Stage(running[0]), ("browse", "read", "add", "edit")
    for paths, answers in (((TEXT,), (400, 403)), ((TEXT, LOUD), (201, 204))):
        expression = " or ".join(f'path == "/{each}"' for each in paths)
        login = stage.make_user(stage.make_selected("own", expression, writing))
        answer = store(client, b"text", auth=login)
        assert answer.status_code in answers, answer.text
        assert (stored(client) == [None, None]) == (LOUD not in paths)


def test_a_form_has_no_file_for_the_path_of_what_is_made(client):
    answer = send_form(client, b"text", ("a.txt.loud", b"mine"))
    assert (answer.status_code, LOUD in answer.text) == (400, True)
    assert stored(client) == [None, None]
