"""Each hook does what ``docs/plugin_hooks.md`` says, tried with a small plugin of its own."""

import gzip
import hashlib
import io
from functools import partial

import click
import pytest
from click.testing import CliRunner
from flask import Blueprint, Response, render_template

from repoman import cli as cli_module
from repoman.cli import cli
from repoman.plugin import (
    SIGNED_IN,
    Actor,
    Area,
    BlobStat,
    Built,
    Call,
    ComponentLink,
    Conflict,
    Coordinate,
    DoctorCheck,
    FirstTask,
    Fix,
    Format,
    FoundElsewhere,
    FoundItem,
    HomeCard,
    Invalid,
    Limit,
    NewAsset,
    NotFound,
    PageLink,
    Permission,
    RealmType,
    Recipe,
    Repoman,
    RepositoryTab,
    RepositoryType,
    SearchCriteria,
    SearchInput,
    SearchKind,
    Snippet,
    StorageSection,
    StoredBlob,
    TaskType,
    UploadGuide,
    UseGuide,
    UseRequest,
    UseSection,
    hookimpl,
    hookspec,
    list_pages,
    store_bytes,
    warn,
    with_repoman,
)
from repoman.plugins import create_plugin_manager
from repoman.testing import ADMIN, HttpClient
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.clock import wait_until
from tests.toy import ToyPlugin


def test_hook_repoman_add_hookspecs(repoman_factory):
    class Greetings:
        @hookspec
        def repoman_hello_greetings(self):
            raise NotImplementedError

    class Hello:
        """Offers a hook, and is the first to use it."""

        @hookimpl
        def repoman_add_hookspecs(self, pluginmanager):
            pluginmanager.add_hookspecs(Greetings)

        @hookimpl
        def repoman_hello_greetings(self):
            return ["Good day"]

        @hookimpl
        def repoman_register_recipes(self):
            def build(context):
                found = context.hook.repoman_hello_greetings()
                return Built([each for some in found for each in some])

            return [Recipe("hello", RepositoryType.HOSTED, {"storage": StorageSection}, build)]

    class Salve:
        @hookimpl
        def repoman_hello_greetings(self):
            return ["Salve"]

    repoman = repoman_factory({"salve": Salve(), "hello": Hello()})
    made = repoman.repositories.create("greetings", "hello-hosted", {})
    assert made.service == ["Good day", "Salve"]


def test_hook_repoman_register_formats(repoman_factory):
    hello = Blueprint("hello", __name__)
    hello.add_url_rule("/hello", view_func=lambda: "hello")

    class HelloFormat:
        @hookimpl
        def repoman_register_formats(self):
            # Whoever may not know of the repository is answered in the words of who speaks /hello.
            return [Format("hello", "Hello", (hello,), render_error=shout, speaks="/hello".__eq__)]

        @hookimpl
        def repoman_register_recipes(self):
            return [
                Recipe("hello", RepositoryType.HOSTED, {"storage": StorageSection}, build=Built)
            ]

    def shout(failure):
        return Response(failure.message.upper(), failure.status)

    repoman = repoman_factory({"hello": HelloFormat()})
    repoman.repositories.create("greetings", "hello-hosted", {})
    client, url = HttpClient(repoman), "/repository/greetings/hello"
    assert client.get(url).text == "hello"
    assert client.get(url, login=False).text == "AUTHENTICATION IS REQUIRED."


def test_hook_repoman_register_recipes(repoman_factory):
    class Proxy:
        """Adds a type to a format that another plugin brings."""

        @hookimpl
        def repoman_register_recipes(self):
            sections = {"storage": StorageSection}
            return [Recipe("raw", RepositoryType.PROXY, sections, build=Built)]

    repoman = repoman_factory({"proxy": Proxy()})
    assert repoman.repositories.recipes() == ["raw-proxy"]
    made = repoman.repositories.create("cache", "raw-proxy", {})
    assert made.service.config.recipe == "raw-proxy"
    assert made.service.content.list_assets("file", "", -1) == []


class MemoryStore:
    """Keeps blobs in memory, packed; enough of a store for one that is written at once."""

    def __init__(self, level):
        self.level = level
        self.packed = {}
        self.id = None

    def open_writer(self, writer_id, algorithms=()):
        return MemoryWriter(self)

    def open(self, digest):
        if digest not in self.packed:
            raise NotFound("gone")
        return io.BytesIO(gzip.decompress(self.packed[digest]))

    def stat(self, digest):
        if digest not in self.packed:
            return None
        return BlobStat(len(gzip.decompress(self.packed[digest])), digest)

    def identity(self):
        return self.id

    def create(self, identity):
        self.id = identity

    def is_empty(self):
        return not self.packed


class MemoryWriter:
    def __init__(self, store):
        self._store = store
        self._data = b""

    def check_room(self, size):
        pass

    def write(self, data):
        self._data += data

    def commit(self):
        digest = hashlib.sha256(self._data).hexdigest()
        self._store.packed[digest] = gzip.compress(self._data, self._store.level)
        return StoredBlob(digest, len(self._data))

    def cancel(self):
        self._data = b""


def test_hook_repoman_register_tasks(repoman_factory):
    class Greeter:
        @hookimpl
        def repoman_register_tasks(self):
            def greet(context):
                for repository in context.list_repositories():
                    context.log(f"Hello, {repository.name}.")
                return "Greeted."

            return [TaskType("hello.greet", "Hello - Greet", greet, first=FirstTask("manual"))]

    repoman = repoman_factory({"greeter": Greeter(), "toy": ToyPlugin()})
    repoman.repositories.create("team", "toy-hosted", {})
    [task] = [each for each in repoman.tasks.all() if each.type == "hello.greet"]
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
    assert repoman.tasks.get_run(run.id).result == "Greeted."
    assert [line.text for line in repoman.tasks.lines(run)] == ["Hello, team."]


def test_hook_repoman_register_blob_stores(repoman_factory):
    class MemoryPlugin:
        @hookimpl
        def repoman_register_blob_stores(self):
            return {"memory": lambda settings, data: MemoryStore(settings.model_extra["level"])}

        @hookimpl
        def repoman_register_recipes(self):
            sections = {"storage": StorageSection}
            return [Recipe("raw", RepositoryType.HOSTED, sections, build=Built)]

    repoman = repoman_factory(
        {"memory": MemoryPlugin()}, blob_stores={"default": {"type": "memory", "level": 9}}
    )
    context = repoman.repositories.create("files", "raw-hosted", {}).service
    assert repoman.blob_stores.get("default").level == 9
    blob = store_bytes(context.blobs, b"some bytes")
    context.content.save_asset(NewAsset("a", "file", blob, "text/plain"))
    with context.content.open_asset(context.content.get_asset("a")) as file:
        assert file.read() == b"some bytes"


def test_hook_repoman_doctor_checks(repoman_factory):
    class Greeter:
        @hookimpl
        def repoman_doctor_checks(self):
            def look(repositories):
                for each in repositories:
                    fix = Fix("Wait.")
                    yield warn(f"{each.name} greets nobody", "", fix, repository=each.name)

            return [DoctorCheck("hello", "Greetings", look)]

    repoman = repoman_factory({"raw": raw, "greeter": Greeter()})
    repoman.repositories.create("files", "raw-hosted", {})
    (result,) = (each for each in repoman.doctor.examine("hello") if each.check == "hello")
    assert (result.title, result.state) == ("Greetings", "warn")
    with pytest.raises(Conflict, match="check 'hello'"):
        repoman_factory({"greeter": Greeter(), "another": Greeter()})


@pytest.mark.parametrize(
    ("auth", "actor"),
    [
        (("badge", "7"), "badge-7"),
        (("badge", "8"), None),
        (ADMIN, "admin"),
    ],
)
def test_hook_repoman_authenticate(repoman_factory, auth, actor):
    seen = []

    class Badges:
        """A realm beside the local users."""

        @hookimpl
        def repoman_authenticate(self, credentials):
            seen.append(credentials.name)
            if (credentials.name, credentials.password) == ("badge", "7"):
                return Actor("badge-7", realm="badges", roles=("nx-developer",))
            return None

    repoman = repoman_factory({"toy": ToyPlugin(), "badges": Badges()})
    repoman.repositories.create("Team", "toy-hosted", {})
    answer = HttpClient(repoman).get("/repository/Team/seen/x", auth=auth)
    if actor is None:
        assert answer.status_code == 401
    else:
        assert answer.json["actor"] == actor
    assert set(seen) == {auth[0]}


def test_hook_repoman_find_user(repoman_factory):
    holders = {"badge-7": ("nx-developer",)}

    class Badges:
        """A realm that takes badges back."""

        @hookimpl
        def repoman_authenticate(self, credentials):
            return self.repoman_find_user(credentials.name)

        @hookimpl
        def repoman_find_user(self, name):
            roles = holders.get(name)
            return None if roles is None else Actor(name, realm="badges", roles=roles)

    repoman = repoman_factory({"toy": ToyPlugin(), "badges": Badges()})
    repoman.repositories.create("Team", "toy-hosted", {})
    client = HttpClient(repoman)

    def status(password):
        return client.get("/repository/Team/seen/x", auth=("badge-7", password)).status_code

    assert status("7") == 200
    tokens = [repoman.security.user_tokens.create("badge-7", name, Limit()) for name in "ab"]
    assert status(tokens[0]) == 200
    holders.clear()
    assert status(tokens[1]) == 401


def test_hook_repoman_register_realms(repoman_factory):
    class Badges:
        @hookimpl
        def repoman_authenticate(self, credentials):
            return None

        @hookimpl
        def repoman_register_realms(self):
            return [RealmType("badges", "BadgeRealm", "Badges of the company")]

    class Unlisted:
        @hookimpl
        def repoman_authenticate(self, credentials):
            return None

    repoman = repoman_factory({"badges": Badges(), "unlisted": Unlisted()})
    realms = repoman.security.realms
    found = {each.id: each.title for each in realms.available()}
    assert found["BadgeRealm"] == "Badges of the company"
    assert found["unlisted"] == "unlisted"
    realms.activate(["unlisted", "BadgeRealm"])
    assert realms.active() == ["unlisted", "BadgeRealm"]
    assert [name for name, _ in realms.in_order()] == ["token", "unlisted", "badges", "local"]


def test_hook_repoman_register_web(repoman_factory, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/about.html").write_text("<h1>{{ title }}</h1>")
    (tmp_path / "static").mkdir()
    (tmp_path / "static/about.css").write_text("h1 {}")
    about = Blueprint(
        "about",
        __name__,
        root_path=str(tmp_path),
        template_folder="templates",
        static_folder="static",
        static_url_path="/about/static",
    )

    @about.get("/about")
    def page():
        return render_template("about.html", title="About")

    class Pages:
        @hookimpl
        def repoman_register_web(self):
            return [about]

    client = HttpClient(repoman_factory({"pages": Pages()}))
    assert client.get("/about", login=False).text == "<h1>About</h1>"
    assert client.get("/about/static/about.css").text == "h1 {}"


class Pages:
    """Two pages, one of them for administrators."""

    def __init__(self, endpoint="show.public"):
        self.endpoint = endpoint

    @hookimpl
    def repoman_register_web(self):
        pages = Blueprint("show", __name__)
        for name in ("public", "private"):
            pages.add_url_rule(f"/{name}", name, self.show)
        return [pages]

    @hookimpl
    def repoman_register_pages(self):
        private = Permission("users", "read")
        return [
            PageLink("Staff", "Private", "lock", "show.private", private, order=1),
            PageLink("All", "Public", "eye", self.endpoint),
        ]

    def show(self):
        return {
            section: [(each.title, each.url, each.is_current) for each in links]
            for section, links in list_pages().items()
        }


def test_hook_repoman_register_pages(repoman_factory):
    client = HttpClient(repoman_factory({"pages": Pages()}))
    public = {"All": [["Public", "/public", True]]}
    assert client.get("/public", login=False).json == public
    assert client.get("/public").json == {"Staff": [["Private", "/private", False]], **public}
    with pytest.raises(Invalid, match="'Public' has no view"):
        HttpClient(repoman_factory({"pages": Pages("show.nothing")}))


class Books:
    """Pages of one format."""

    @hookimpl
    def repoman_web_tabs(self, repository):
        return [RepositoryTab("shelves", "Shelves", "books.shelves")] if repository.name else []

    @hookimpl
    def repoman_web_component(self, repository, coordinate):
        return ComponentLink(f"/books/{coordinate.name}", "file") if repository.name else None

    @hookimpl
    def repoman_web_asset(self, repository, asset):
        return ComponentLink(f"/books/pages/{asset.stored_path}", "file")

    @hookimpl
    def repoman_web_criteria(self):
        kinds = (SearchKind("books", "Books", "package", "file"),)
        return [SearchCriteria("raw", kinds, (SearchInput("raw.name", "Title"),))]

    @hookimpl
    def repoman_web_find(self, request):
        [name] = [each.name for each in request.repositories]
        item = FoundItem(request.text, command=f"lend {request.text} from {name}")
        return [FoundElsewhere(name, (item,), 1)]

    @hookimpl
    def repoman_web_upload(self, repository):
        return UploadGuide({"directory": "Shelf"}) if repository.name else None

    @hookimpl
    def repoman_web_deletion(self, repository, asset):
        return f"/burn/{asset.stored_path}" if repository.name else None

    @hookimpl
    def repoman_web_use(self, request):
        line = Snippet(f"curl {request.address}/BOOK")
        return UseGuide((UseSection("curl", "By hand", "curl", (line,)),))

    @hookimpl
    def repoman_web_home(self, requests):
        return [HomeCard("Try it", tuple(Snippet(f"curl {each.address}") for each in requests))]


def test_hook_repoman_web_tabs(repoman_factory):
    repoman = repoman_factory({"books": Books(), "raw": raw})
    repository = repoman.repositories.create("files", "raw-hosted", {})
    [tabs] = repoman.plugins.hook.repoman_web_tabs(repository=repository)
    assert [each.endpoint for each in tabs] == ["books.shelves"]


def test_hook_repoman_web_component(repoman_factory):
    repoman = repoman_factory({"books": Books(), "raw": raw})
    repository = repoman.repositories.create("files", "raw-hosted", {})
    found = repoman.plugins.hook.repoman_web_component(
        repository=repository, coordinate=Coordinate("book", "emma")
    )
    assert found.url == "/books/emma"


def test_hook_repoman_web_asset(repoman_factory):
    repoman = repoman_factory({"books": Books(), "raw": raw, "web": web})
    repoman.repositories.create("files", "raw-hosted", {})
    client = HttpClient(repoman)
    client.put("/repository/files/emma.txt", b"Emma Woodhouse")
    digest = hashlib.sha256(b"Emma Woodhouse").hexdigest()
    answer = client.get(f"/search?q=sha256:{digest}")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/books/pages/emma.txt")


def test_hook_repoman_web_criteria(repoman_factory):
    repoman = repoman_factory({"books": Books(), "raw": raw, "web": web})
    repoman.repositories.create("files", "raw-hosted", {})
    client = HttpClient(repoman)
    client.put("/repository/files/emma.txt", b"Emma Woodhouse")
    text = client.get("/search?raw.name=e*").text
    assert 'name="raw.name" type="text" value="e*"' in text
    assert '<h2 id="found-books">Books</h2>' in text
    assert 'href="/books/emma.txt"' in text
    assert "Files and packages" not in text


def test_hook_repoman_web_find(repoman_factory):
    repoman = repoman_factory({"books": Books(), "raw": raw, "web": web})
    proxy = {"proxy": {"remote_url": "http://127.0.0.1:9"}}
    repoman.repositories.create("library", "raw-proxy", proxy)
    text = HttpClient(repoman).get("/search?q=emma&upstream=1").text
    assert 'data-copy="lend emma from library"' in text


def test_hook_repoman_web_upload(repoman_factory):
    repoman = repoman_factory({"raw": raw, "web": web, "books": Books()})
    repoman.repositories.create("files", "raw-hosted", {})
    text = HttpClient(repoman).get("/upload/files").text
    assert '<label for="directory">Shelf</label>' in text
    assert "All of it is stored, or nothing." in text


def test_hook_repoman_web_deletion(repoman_factory):
    repoman = repoman_factory({"books": Books(), "raw": raw, "web": web})
    repoman.repositories.create("files", "raw-hosted", {})
    client = HttpClient(repoman)
    client.put("/repository/files/emma.txt", b"Emma Woodhouse")
    assert 'href="/burn/emma.txt"' in client.get("/browse/files/paths/emma.txt").text


def test_hook_repoman_web_use(repoman_factory):
    repoman = repoman_factory({"raw": raw, "books": Books()})
    repository = repoman.repositories.create("files", "raw-hosted", {})
    asked = UseRequest(repository, repository, "https://books.example")
    guide = repoman.plugins.hook.repoman_web_use(request=asked)
    assert guide.sections[0].snippets[0].text == "curl https://books.example/BOOK"


def test_hook_repoman_web_home(repoman_factory):
    repoman = repoman_factory({"books": Books(), "raw": raw})
    repository = repoman.repositories.create("files", "raw-hosted", {})
    asked = [UseRequest(repository, repository, "https://books.example")]
    [[card]] = repoman.plugins.hook.repoman_web_home(requests=asked)
    assert card.snippets[0].text == "curl https://books.example"


def test_hook_repoman_register_commands(repoman_factory, monkeypatch):
    @click.command()
    @click.argument("name")
    @with_repoman
    def greet(repoman: Repoman, name: str) -> None:
        """Greet somebody."""
        click.echo(f"Hello {repoman.security.users.get(name).name}")

    class Commands:
        @hookimpl
        def repoman_register_commands(self):
            return [greet]

    repoman_factory({}).stop()
    plugins = {"commands": Commands()}
    monkeypatch.setattr(
        cli_module, "create_plugin_manager", partial(create_plugin_manager, plugins=plugins)
    )
    done = CliRunner().invoke(cli, ["greet", "admin", "--data", str(repoman_factory.data)])
    assert done.output == "Hello admin\n"
    assert "Greet somebody." in CliRunner().invoke(cli, ["--help"]).output
    greet.name = "serve"
    refused = CliRunner().invoke(cli, ["--help"])
    assert isinstance(refused.exception, Conflict)


def test_hook_repoman_register_rest(repoman_factory):
    greetings = Area("Greetings", "Greetings of a test.")

    @greetings.get("/v1/greetings/{name}", SIGNED_IN)
    def greet(call: Call, name: str) -> str:
        """Greet somebody."""
        return f"{call.actor.name} greets {name}"

    class Greetings:
        @hookimpl
        def repoman_register_rest(self):
            return [greetings]

    client = HttpClient(repoman_factory({"greetings": Greetings()}))
    assert client.get("/service/rest/v1/greetings/ann").text == "admin greets ann"
    described = client.get("/service/rest/openapi.json").json
    assert described["paths"]["/v1/greetings/{name}"]["get"]["summary"] == "Greet somebody."


def test_hook_repoman_content_changed(repoman_factory):
    seen = []

    class Watcher:
        @hookimpl
        def repoman_content_changed(self, event):
            seen.append((event.repository, event.path, event.actor, event.is_deleted))

    class Failing:
        @hookimpl
        def repoman_content_changed(self, event):
            raise ValueError("not today")

    repoman = repoman_factory({"raw": raw, "watcher": Watcher(), "failing": Failing()})
    repoman.repositories.create("files", "raw-hosted", {})
    client = HttpClient(repoman)
    client.put("/repository/files/a.txt", b"x")
    for follower in repoman.event_followers:
        follower.thread.start()
    client.delete("/repository/files/a.txt")
    repoman.repositories.delete("files")
    wait_until(lambda: len(seen) == 3, what="the events")
    assert seen == [
        ("files", "a.txt", "admin", False),
        ("files", "a.txt", "admin", True),
        ("files", "", "system", True),
    ]
    wait_until(lambda: "events of failing" in repoman.health.problems(), what="the failure")
    assert "events of watcher" not in repoman.health.problems()
    for follower in repoman.event_followers:
        follower.thread.stop()


@pytest.mark.parametrize(
    ("accepted", "text"),
    [
        ("text/html,*/*;q=0.8", "<h1>404</h1>"),
        ("*/*", "There is"),
        (None, "There is"),
    ],
)
def test_hook_repoman_render_failure(repoman_factory, accepted, text):
    class Pages:
        @hookimpl
        def repoman_render_failure(self, failure):
            return Response(f"<h1>{failure.status}</h1>", failure.status)

    client = HttpClient(repoman_factory({"pages": Pages()}))
    answer = client.get("/nowhere", headers={"Accept": accepted} if accepted else {})
    assert answer.status_code == 404
    assert answer.text.startswith(text)
