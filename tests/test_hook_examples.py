"""The example of each hook in ``docs/plugin_hooks.md`` runs, and answers as the page says."""

import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from repoman.cli import cli
from repoman.plugin import Actor, Coordinate, Credentials
from repoman.plugins import create_plugin_manager
from repoman.testing import HttpClient
from tests.test_docs import hooks, read

SECTION = re.compile(r"^## `(repoman_\w+)\(.*?(?=^## )", re.M | re.S)
CODE = re.compile(r"```python\n(.*?)```", re.S)
EXAMPLES = {
    found[1]: "".join(CODE.findall(found[0]))
    for found in SECTION.finditer(read("docs/plugin_hooks.md"))
}
BOOKS = SimpleNamespace(
    name="shelf",
    config=SimpleNamespace(format="books", recipe="books-proxy"),
    service=SimpleNamespace(ask=lambda text: [f"{text} by nobody"]),
)
FILES = SimpleNamespace(name="files", config=SimpleNamespace(format="raw", recipe="raw-hosted"))
EVENT = SimpleNamespace(
    kind="file", is_deleted=False, repository="files", path="a", new_digest="ab"
)
PERSON = SimpleNamespace(roles=("nx-developer",))


class TapeStore:
    """What the example of blob stores names."""

    def __init__(self, device):
        self.device = device


@pytest.fixture
def example(monkeypatch):
    """The example of a hook as a module, with the names that it takes from its surroundings."""
    monkeypatch.setattr(
        "flask.url_for", lambda endpoint, **given: f"/{endpoint}/{'/'.join(given.values())}"
    )
    monkeypatch.setattr("flask.render_template", lambda name, **given: f"{name} {given}")

    def load(hook: str) -> Any:
        module: Any = ModuleType(f"example_of_{hook}")
        monkeypatch.setitem(sys.modules, module.__name__, module)  # as of one that is imported
        module.TapeStore = TapeStore
        module.indexed = []
        module.index = SimpleNamespace(update=lambda *given: module.indexed.append(given))
        module.directory = SimpleNamespace(
            check=lambda name, password: password == "right",
            recent=lambda name: PERSON if name == "ann" else None,
        )
        exec(compile(EXAMPLES[hook], f"docs/plugin_hooks.md {hook}", "exec"), vars(module))
        return module

    return load


@pytest.fixture
def ask(example):
    """Call a hook of which only its example is registered."""

    def call(hook: str, **given: Any) -> Any:
        manager = create_plugin_manager([], {"example": example(hook)})
        answer = getattr(manager.hook, hook)(**given)
        return answer[0] if isinstance(answer, list) and answer else answer

    return call


@pytest.mark.parametrize("hook", hooks())
def test_each_hook_has_an_example_that_implements_it(example, hook):
    module = example(hook)
    assert callable(getattr(module, hook))
    manager = create_plugin_manager([], {"example": module})
    assert hook in {each.name for each in manager.get_hookcallers(module)}


START = [
    each
    for each in hooks()
    if each.startswith(("repoman_register_", "repoman_doctor", "repoman_add"))
]


@pytest.mark.parametrize("hook", START)
def test_an_example_of_the_start_starts(example, repoman_factory, hook):
    # Links lead to the pages of another example.
    plugins = {"about": example("repoman_register_web")} if hook == "repoman_register_pages" else {}
    repoman = repoman_factory({"example": example(hook), **plugins})
    assert HttpClient(repoman).get("/api/v1/audit").status_code == 200


def test_the_examples_make_a_format_together(example, repoman_factory):
    names = ("repoman_register_formats", "repoman_register_recipes")
    repoman = repoman_factory({each: example(each) for each in names})
    repoman.repositories.create("greetings", "hello-hosted", {})
    answer = HttpClient(repoman).get("/repository/greetings/hello")
    assert answer.text == "Hello from greetings\n"


def test_the_example_of_hookspecs_can_be_implemented(example):
    module = example("repoman_add_hookspecs")
    manager = create_plugin_manager([], {"example": module})
    assert manager.hook.repoman_hello_greetings() == []


def test_the_example_of_blob_stores_makes_one(ask):
    settings = SimpleNamespace(model_extra={"device": "/dev/st0"})
    assert ask("repoman_register_blob_stores")["tape"](settings, None).device == "/dev/st0"


def test_the_example_of_a_task_runs(example, repoman_factory):
    repoman = repoman_factory({"example": example("repoman_register_tasks")})
    [task] = [each for each in repoman.tasks.all() if each.type == "report.repositories"]
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
    assert repoman.tasks.get_run(run.id).result == "Reported on 0 repositories."


def test_the_example_of_a_check_looks(ask):
    (check,) = ask("repoman_doctor_checks")
    offline = SimpleNamespace(name="shy", config=SimpleNamespace(format="hello", is_online=False))
    assert [each.title for each in check.run([offline])] == [
        "shy greets nobody",
        "",
    ]


@pytest.mark.parametrize(("password", "roles"), [("right", ("nx-developer",)), ("wrong", None)])
def test_the_example_of_a_realm_knows_its_users(ask, password, roles):
    found = ask("repoman_authenticate", credentials=Credentials("ann", password))
    assert (found.roles if isinstance(found, Actor) else None) == roles


def test_the_example_of_finding_users_forgets_who_has_left(ask):
    assert ask("repoman_find_user", name="ann").roles == ("nx-developer",)
    assert ask("repoman_find_user", name="bob") is None


def test_the_example_of_rest_answers(example, repoman_factory):
    client = HttpClient(repoman_factory({"example": example("repoman_register_rest")}))
    found = client.get("/service/rest/v1/greetings")
    assert found.json["items"] == [{"name": "admin", "text": "Hello"}]


def test_the_example_of_commands_greets(example, repoman_factory, monkeypatch):
    repoman_factory({}).stop()
    [command] = example("repoman_register_commands").repoman_register_commands()
    done = CliRunner().invoke(command, ["admin", "--data", str(repoman_factory.data)])
    assert done.output == "Hello admin\n"
    assert "greet" not in cli.list_commands(None)


def test_the_example_of_events_keeps_an_index(example):
    module = example("repoman_content_changed")
    manager = create_plugin_manager([], {"example": module})
    manager.hook.repoman_content_changed(event=EVENT)
    assert module.indexed == [("files", "a", "ab")]


ASSET = SimpleNamespace(path="/emma/1", stored_path="emma/1")
EMMA = Coordinate("file", "emma")
USE = SimpleNamespace(address="http://here/repository/shelf")
PAGES = {
    "repoman_web_tabs": {"repository": ...},
    "repoman_web_component": {"repository": ..., "coordinate": EMMA},
    "repoman_web_asset": {"repository": ..., "asset": ASSET},
    "repoman_web_deletion": {"repository": ..., "asset": ASSET},
    "repoman_web_upload": {"repository": ...},
}


@pytest.mark.parametrize("hook", PAGES)
def test_an_example_for_pages_is_about_its_own_format(ask, hook):
    def given(repository):
        return {name: repository if each is ... else each for name, each in PAGES[hook].items()}

    assert ask(hook, **given(BOOKS))
    assert not ask(hook, **given(FILES))


def test_the_examples_for_searches_find_books(ask):
    [criteria] = ask("repoman_web_criteria")
    assert criteria.format == "books"
    request = SimpleNamespace(repositories=(BOOKS, FILES), text="emma", patience=1)
    [found] = ask("repoman_web_find", request=request)
    assert [each.name for each in found.items] == ["emma by nobody"]


def test_the_examples_of_lines_name_the_address(ask):
    def request(repository):
        return SimpleNamespace(repository=repository, address=USE.address)

    guide = ask("repoman_web_use", request=request(BOOKS))
    assert guide.sections[0].snippets[0].text == f"curl -O {USE.address}/BOOK"
    assert ask("repoman_web_use", request=request(FILES)) is None
    [card] = ask("repoman_web_home", requests=[request(FILES), request(BOOKS)])
    assert USE.address in card.snippets[0].text


def test_the_example_of_failures_renders_one(ask):
    answer = ask("repoman_render_failure", failure=SimpleNamespace(status=404))
    assert answer.status_code == 404
    assert b"failure.html" in answer.data
