"""The source keeps to the rules of the architecture, and each rule notices when it does not."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from repoman import errors, hookspecs, plugin
from tests.architecture import (
    FORMAT_LINES,
    ROOT,
    RULES,
    SMALL_LINES,
    Module,
    code_lines,
    core_imports_downwards,
    core_knows_no_plugin,
    import_cycles,
    libraries_stay_in_their_places,
    names_in_signatures,
    no_module_state,
    over_budget,
    plugins_import_downwards,
    plugins_use_the_facade,
    protocol_errors_stay_at_the_edge,
    protocols_are_pure,
    services_are_for_their_routes,
    sizes,
    words_of_formats,
)

# One process parses the source, for all of them.
pytestmark = pytest.mark.xdist_group(__name__)

PLACES = ("repoman", "repoman_docker", "web", "formats")


@cache
def modules() -> list[Module]:
    """All modules, parsed once for all rules."""
    return [
        Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for place in PLACES
        for path in sorted((ROOT / place).rglob("*.py"))
        if "build" not in path.parts
    ]


def texts_of_the_core() -> Iterator[Path]:
    """Everything in the core, and the pages that all formats share."""
    for place in ("repoman", "web/repoman_web/templates"):
        for path in sorted((ROOT / place).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_to(rule):
    problems = [f"{module.path}:{problem}" for module in modules() for problem in rule(module)]
    assert problems == []


def test_no_modules_import_each_other_in_a_circle():
    assert list(import_cycles(modules())) == []


def test_no_word_of_a_format_is_in_the_core():
    problems = [
        f"{path.relative_to(ROOT)}:{problem}"
        for path in texts_of_the_core()
        for problem in words_of_formats(path.read_text(encoding="utf-8"))
    ]
    assert problems == []


def test_few_modules_are_small():
    """Nothing is cut into pieces that must be read together."""
    product = [module for module in modules() if module.is_core or module.is_plugin]
    small = [each.path for each in product if len(each.text.splitlines()) < SMALL_LINES]
    assert len(small) <= len(product) / 5, "\n".join(small)


def test_no_format_is_larger_than_its_budget():
    assert list(over_budget(modules())) == []
    assert {path.name for path in (ROOT / "formats").iterdir() if path.is_dir()} == {*FORMAT_LINES}


def test_each_name_of_the_facade_is_of_use_to_plugins():
    """A plugin here imports it, the docs explain it, or the signature of such a name has it."""
    imports = {each.name for module in modules() if module.is_plugin for each in module.imports}
    found = {each.removeprefix("repoman.plugin.") for each in imports} | explained_names()
    found |= vars(errors).keys() | names_in_signatures(hookspecs) | names_in_signatures(plugin)
    needed: set[str] = set()
    while new := found.intersection(plugin.__all__) - needed:
        needed |= new
        found = {each for name in new for each in names_in_signatures(getattr(plugin, name))}
    assert set(plugin.__all__) - needed == set()


def explained_names() -> set[str]:
    """What is set as code in the pages for authors of plugins, but for the list of all names."""
    pages = ("plugin_hooks.md", "web_pages.md", "writing_a_format.md")
    text = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in pages)
    text = re.sub(r"^- `\w+`: since .*$", "", text, flags=re.MULTILINE)
    return {each for code in re.findall(r"`[^`\n]+`", text) for each in re.findall(r"\w+", code)}


def test_the_whole_source_is_looked_at():
    found = {module.name for module in modules()}
    assert {
        "repoman",
        "repoman.http.router",
        "repoman_docker.plugin",
        "repoman_web.plugin",
    } <= found
    assert {"repoman_raw.browsing", "tests.conftest"} <= found


# --- Each rule fails on a bad sample -------------------------------------------------------------

BAD = [
    (core_imports_downwards, "repoman/content.py", "from repoman.uploads import Upload"),
    (core_imports_downwards, "repoman/blobs/file.py", "import repoman.db.database"),
    (core_imports_downwards, "repoman/security/users.py", "from repoman.repositories import model"),
    (core_imports_downwards, "repoman/http/router.py", "from repoman.plugin import Content"),
    (core_imports_downwards, "repoman/http/router.py", "from repoman.testing import HttpClient"),
    (core_imports_downwards, "repoman/http/router.py", "from ..server import server"),
    (core_imports_downwards, "repoman/core.py", "def f():\n    from repoman import cli"),
    (core_imports_downwards, "repoman/core.py", "from repoman.unknown import x"),
    (core_imports_downwards, "repoman/unknown/x.py", "x = 1"),
    (
        core_imports_downwards,
        "repoman/content.py",
        "if TYPE_CHECKING:\n    from repoman.uploads import Upload",
    ),
    (core_imports_downwards, "repoman/hookspecs.py", "from repoman.http.formats import Format"),
    (core_knows_no_plugin, "repoman/core.py", "import repoman_docker"),
    (core_knows_no_plugin, "repoman/plugin.py", "from repoman_raw.plugin import RAW"),
    (
        core_knows_no_plugin,
        "repoman/hookspecs.py",
        "if TYPE_CHECKING:\n    from repoman_web.plugin import pages",
    ),
    (plugins_use_the_facade, "repoman_docker/hosted.py", "from repoman.errors import NotFound"),
    (plugins_use_the_facade, "repoman_docker/hosted.py", "import repoman.content"),
    (plugins_use_the_facade, "web/repoman_web/plugin.py", "from repoman import core"),
    (plugins_use_the_facade, "formats/raw/repoman_raw/x.py", "from repoman.testing import ADMIN"),
    (plugins_use_the_facade, "formats/raw/tests/test_x.py", "from repoman.errors import NotFound"),
    (
        plugins_import_downwards,
        "repoman_docker/hosted.py",
        "from repoman_docker.routes import base",
    ),
    (
        plugins_import_downwards,
        "repoman_docker/protocol/reference.py",
        "from repoman_docker.sections import DockerSection",
    ),
    (plugins_import_downwards, "repoman_docker/service.py", "from .hosted import Hosted"),
    (plugins_import_downwards, "formats/raw/repoman_raw/unknown.py", "x = 1"),
    (protocols_are_pure, "repoman_docker/protocol/reference.py", "import pydantic"),
    (protocols_are_pure, "repoman_docker/protocol/texts.py", "from repoman.plugin import Invalid"),
    (
        protocol_errors_stay_at_the_edge,
        "repoman_docker/hosted/blobs.py",
        "from repoman_docker.protocol.errors import RegistryError\ndef f():\n"
        "    raise RegistryError('DENIED')",
    ),
    (
        protocol_errors_stay_at_the_edge,
        "repoman_docker/group/x.py",
        "from repoman_docker.protocol import errors\ndef f():\n    raise errors.RegistryError",
    ),
    (libraries_stay_in_their_places, "repoman/core.py", "from flask import Flask"),
    (libraries_stay_in_their_places, "repoman_docker/hosted.py", "import flask.views"),
    (libraries_stay_in_their_places, "repoman/http/router.py", "from peewee import Model"),
    (libraries_stay_in_their_places, "repoman/uploads.py", "import playhouse.migrations"),
    (
        libraries_stay_in_their_places,
        "repoman/compaction.py",
        "from repoman.db.models import BlobRecord",
    ),
    (libraries_stay_in_their_places, "repoman/security/users.py", "from repoman.db import models"),
    (libraries_stay_in_their_places, "repoman/http/router.py", "import requests"),
    (libraries_stay_in_their_places, "repoman/cli/serve.py", "import waitress"),
    (libraries_stay_in_their_places, "repoman/core.py", "import apscheduler.schedulers"),
    (services_are_for_their_routes, "repoman/core.py", "getattr(repository.service, 'x', None)"),
    (services_are_for_their_routes, "repoman/core.py", "hasattr(find().service, 'x')"),
    (services_are_for_their_routes, "repoman/core.py", "repository.service.flush()"),
    (no_module_state, "repoman/x.py", "def f():\n    global CACHE"),
    (no_module_state, "repoman/x.py", "CACHE = {}\ndef f():\n    CACHE['a'] = 1"),
    (no_module_state, "repoman/x.py", "CACHE = {}\ndef f():\n    del CACHE['a']"),
    (no_module_state, "repoman/x.py", "CACHE: dict = {}\ndef f():\n    CACHE['a'].b += 1"),
    (
        no_module_state,
        "repoman/x.py",
        "items = []\nclass A:\n    def f(self):\n        items.pop()",
    ),
    (no_module_state, "repoman/x.py", "from y import STATUS\ndef f():\n    STATUS.update(a=1)"),
    (no_module_state, "web/repoman_web/x.py", "a = B()\ndef f():\n    a.b = 1"),
    (sizes, "repoman/x.py", "x = 1\n" * 501),
    (sizes, "repoman/x.py", "def f():\n" + "    x = 1\n" * 40),
]


@pytest.mark.parametrize(
    ("rule", "path", "text"), BAD, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_break_is_noticed_by(rule, path, text):
    problems = list(rule(Module(path, text)))
    assert len(problems) == 1, problems
    assert all(
        not list(other(Module(path, text))) for other in RULES if other not in _NEIGHBOURS | {rule}
    )


# One line may break several of these.
_NEIGHBOURS = {
    core_imports_downwards,
    plugins_use_the_facade,
    plugins_import_downwards,
    protocols_are_pure,
}

GOOD = [
    ("repoman/http/router.py", "from flask import Flask\nfrom repoman import __version__, errors"),
    ("repoman/hookspecs.py", "if TYPE_CHECKING:\n    from flask import Blueprint"),
    ("repoman/hookspecs.py", "if TYPE_CHECKING:\n    from repoman.http.formats import Format"),
    ("repoman/plugin.py", "from repoman.http.formats import Format"),
    ("repoman/server/server.py", "import waitress.task\nfrom repoman.http.body import BodyWanted"),
    ("repoman/security/user_records.py", "import peewee"),
    ("repoman_docker/routes/base.py", "import flask\nfrom repoman_docker.hosted import Hosted"),
    ("formats/raw/repoman_raw/routes.py", "import flask\nfrom repoman.plugin import Content"),
    ("formats/raw/tests/test_x.py", "import requests\nfrom repoman.testing import HttpClient"),
    ("repoman/core.py", "x = getattr(repository, 'service')\ny = repository.service"),
    ("repoman_docker/group/x.py", "member.repository.service.find()"),
    (
        "repoman_docker/routes/x.py",
        "from repoman_docker.protocol.errors import RegistryError\nraise RegistryError('DENIED')",
    ),
    ("repoman_docker/protocol/x.py", "import re\nfrom repoman_docker.protocol import reference"),
    ("repoman/errors.py", "A = {}\nA['x'] = 1\ndef f(A):\n    A['y'] = 1"),
    ("repoman/errors.py", "a = []\ndef f():\n    a = []\n    a.append(1)\n    return a"),
    ("repoman/errors.py", "def f():\n" + "    x = 1\n" * 39),
]


@pytest.mark.parametrize(("path", "text"), GOOD)
def test_what_is_allowed_passes(path, text):
    assert [problem for rule in RULES for problem in rule(Module(path, text))] == []


@pytest.mark.parametrize(
    "text", ["docker", "a Dockerfile", "MANIFESTS", "oci", "an OCI index", "oci_index", "PyPI"]
)
def test_a_word_of_a_format_is_noticed(text):
    assert list(words_of_formats(f"fine\n# {text}\n")) != []


@pytest.mark.parametrize("text", ["associated", "velocity", "social", "document", "many"])
def test_a_word_that_only_looks_like_one_is_not(text):
    assert list(words_of_formats(text)) == []


TYPING = "if TYPE_CHECKING:\n    "
CIRCLES = [
    {"a": "from repoman.x.b import B", "b": "import repoman.x.a"},
    {"a": "from repoman.x import b", "b": "from .a import A"},
    {"a": "from repoman.x.b import B", "b": "def f():\n    from repoman.x.a import A"},
    {"a": "from repoman.x.b import B", "b": f"{TYPING}from repoman.x.a import A"},
    {"a": "import repoman.x.b", "b": "import repoman.x.c", "c": "import repoman.x.a"},
    {
        "a": "from repoman.x.b import B\nclass A(Protocol): pass",
        "b": "from repoman.x.a import A",  # not for its types alone
    },
]
NO_CIRCLES = [
    {"a": "from repoman.x.b import B\nfrom repoman.x.c import C", "b": "from repoman.x.c import C"},
    {
        "a": "from repoman.x.b import B\nclass A(Base, Protocol): pass",
        "b": f"{TYPING}from repoman.x.a import A",
    },
]


def package(texts):
    return [Module(f"repoman/x/{name}.py", text) for name, text in ({"c": "", **texts}).items()]


@pytest.mark.parametrize("texts", CIRCLES)
def test_a_circle_of_imports_is_noticed(texts):
    (problem,) = import_cycles(package(texts))
    assert problem.startswith("repoman.x.")
    assert all(f"repoman.x.{name}" in problem for name in texts)


@pytest.mark.parametrize("texts", NO_CIRCLES)
def test_what_is_no_circle_of_imports_passes(texts):
    assert list(import_cycles(package(texts))) == []


def test_a_format_that_is_too_large_or_has_no_budget_is_noticed():
    text = 'CODE = """\ntext\n"""\n'
    large = Module("formats/raw/repoman_raw/large.py", text * 41)
    small = Module("formats/raw/repoman_raw/small.py", text * 40)
    test = Module("formats/raw/tests/test_large.py", text * 41)
    new = Module("formats/new/repoman_new/plugin.py", text)
    assert list(over_budget([large, test])) == ["raw: 123 lines, at most 120"]
    assert list(over_budget([small, test])) == []
    assert list(over_budget([new])) == ["new: 3 lines, at most 0"]


def test_blanks_comments_and_docstrings_are_no_lines_of_code():
    text = '"""About it."""\n\n# why\ndef f():\n    """What.\n\n    More.\n    """\n    return 1\n'
    assert code_lines(Module("formats/raw/x.py", text)) == 2
