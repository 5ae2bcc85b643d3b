"""The documentation fits the code: hooks, settings, errors are in it, and links lead somewhere."""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import repoman_docker.plugin
import repoman_helm.plugin
import repoman_maven2.plugin
import repoman_pypi.plugin
import repoman_raw.plugin
from repoman import errors, hookspecs, plugin
from repoman.bootstrap import option_sections
from repoman.config import Settings
from repoman.plugin import Recipe
from tests.architecture import CORE, ROOT

DOCS = ROOT / "docs"
LEFT_OUT = {"build", "data", "dist", "node_modules"}


def pages() -> list[Path]:
    """All Markdown files of the project."""
    return [
        path
        for path in sorted(ROOT.rglob("*.md"))
        if not any(part in LEFT_OUT or part[0] == "." for part in path.relative_to(ROOT).parts)
    ]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# --- Hooks ---------------------------------------------------------------------------------------


def hooks() -> dict[str, str]:
    """Each hook with its signature, as it stands in a heading."""
    return {
        name: str(inspect.signature(function)).replace("'", "")
        for name, function in vars(hookspecs).items()
        if name.startswith("repoman_") and callable(function)
    }


@pytest.mark.parametrize("name", hooks())
def test_a_hook_has_a_heading_with_its_signature(name):
    assert f"\n## `{name}{hooks()[name]}`\n" in read("docs/plugin_hooks.md")


@pytest.mark.parametrize("name", hooks())
def test_a_hook_is_tried(name):
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert f"\ndef test_hook_{name}(" in text


def test_no_hook_is_documented_that_is_not_there():
    documented = re.findall(r"^## `(repoman_\w+)", read("docs/plugin_hooks.md"), re.MULTILINE)
    assert set(documented) == set(hooks())


# --- The facade ----------------------------------------------------------------------------------


def test_each_name_of_the_facade_says_since_when_it_is_there():
    """Add a line ``- `Name`: since 1.0`` to docs/plugin_hooks.md for a new name."""
    lines = re.findall(r"^- `(\w+)`: since (\d+)\.(\d+)$", read("docs/plugin_hooks.md"), re.M)
    documented = {name: (int(major), int(minor)) for name, major, minor in lines}
    assert sorted(documented) == sorted(plugin.__all__)
    assert len(lines) == len(documented)
    assert max(documented.values()) <= tuple(map(int, plugin.API_VERSION.split(".")))


# --- Settings ------------------------------------------------------------------------------------


def settings_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key as a dotted path, with its default; ``<name>`` and ``[]`` stand for what varies."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        default = ... if field.is_required() else field.get_default(call_default_factory=True)
        inner = _model_in(field.annotation)
        if inner is None:
            yield path, default
        elif inner is field.annotation:
            yield from settings_keys(inner, f"{path}.")
        else:
            mark = "[]" if isinstance(default, list) else ".<name>"
            yield from settings_keys(inner, f"{path}{mark}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The settings class that a field is, or has in its list or table."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def shown(default: Any) -> str:
    """A default as the table shows it."""
    if default is ...:
        return "required"
    if default is None:
        return "none"
    if isinstance(default, Path):
        default = str(default)
    return f"`{json.dumps(default)}`"


def row(key: str, default: Any) -> str:
    return f"\n| `{key}` | {shown(default)} | "


@pytest.mark.parametrize(("key", "default"), list(settings_keys(Settings)))
def test_a_setting_has_a_row_with_its_default(key, default):
    assert row(key, default) in read("docs/configuration.md")


def option_keys() -> Iterator[tuple[str, Any]]:
    """Every key of the options, with its default."""
    for name, section in option_sections(Settings()).items():
        for key, value in section.model_dump(mode="json").items():
            yield f"{name}.{key}", value


@pytest.mark.parametrize(("key", "default"), list(option_keys()))
def test_an_option_has_a_row_with_its_default(key, default):
    assert row(key, default) in read("docs/configuration.md")


def test_no_setting_is_documented_that_is_not_there():
    documented = re.findall(
        r"^\| `([a-z_.<>\[\]]+)` \|", read("docs/configuration.md"), re.MULTILINE
    )
    # The last one belongs to the type "file" of blob stores.
    there = {key for key, _ in (*settings_keys(Settings), *option_keys())}
    assert set(documented) == there | {"blob_stores.<name>.path"}


# --- Settings of repositories --------------------------------------------------------------------

# Where the recipes of each plugin are documented; a page that is not written yet asks for nothing.
FORMATS = {
    repoman_helm.plugin: "formats/helm/README.md",
    repoman_maven2.plugin: "formats/maven2/README.md",
    repoman_pypi.plugin: "formats/pypi/README.md",
    repoman_raw.plugin: "formats/raw/README.md",
}
if (DOCS / "docker.md").exists():
    FORMATS[repoman_docker.plugin] = "docs/docker.md"


def recipes(plugin: ModuleType) -> list[Recipe]:
    return plugin.repoman_register_recipes()


def section_keys(recipe: Recipe) -> Iterator[str]:
    for section, model in recipe.sections.items():
        yield from (f"{section}.{key}" for key in model.model_fields)


@pytest.mark.parametrize(
    ("page", "key"),
    sorted(
        {
            (page, key)
            for plugin, page in FORMATS.items()
            for recipe in recipes(plugin)
            for key in section_keys(recipe)
        }
    ),
)
def test_a_setting_of_repositories_has_a_row(page, key):
    assert f"\n| `{key}` | " in read(page)


# --- Errors --------------------------------------------------------------------------------------


def test_the_tree_of_errors_is_drawn_as_it_is():
    drawn, parents = {}, {0: "RepomanError"}
    for line in inspect.getdoc(errors).splitlines():
        if found := re.match(r"^([ │]*)[├└]── (\w+)  ", line.removeprefix("    ")):
            depth = len(found[1]) // 4 + 1
            parents[depth] = found[2]
            drawn[found[2]] = parents[depth - 1]
    there = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.RepomanError)
    }
    assert there.pop("RepomanError") == "Exception"
    assert drawn == there


# --- Layers and layout ---------------------------------------------------------------------------


def test_the_layers_are_drawn_as_they_are():
    drawn = re.search(r"^```\n(testing\n.*?)^```$", read("docs/architecture.md"), re.M | re.S)[1]
    assert [set(line.split()) for line in drawn.splitlines()] == list(CORE)


def test_each_part_of_the_core_has_a_row_in_the_layout():
    cells = re.findall(r"^\| (`repoman/.*?) \| ", read("docs/architecture.md"), re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"(\w+)(?:\.py|/)`", cell)]
    assert sorted(named) == sorted(part for parts in CORE for part in parts)


# --- Links ---------------------------------------------------------------------------------------

CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def links(page: Path) -> list[str]:
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    return [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made from the text."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_links_lead_somewhere_in(page):
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_python_is_python_in(page):
    for example in re.findall(
        r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        ast.parse(example)


def test_every_page_of_the_documentation_is_in_its_index():
    listed = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "index.md")}
    assert {page for page in pages() if DOCS in page.parents} - {DOCS / "index.md"} <= listed


def test_the_tests_that_promises_name_are_there():
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.endswith(".py` |")]
    named = {each for line in rows for each in re.findall(r"`([\w/]+\.py)`", line)}
    assert len(rows) > 20
    assert [each for each in sorted(named) if not (ROOT / each).is_file()] == []
