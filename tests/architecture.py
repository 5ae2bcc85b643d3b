"""The rules of the architecture, as functions over the source text of one module.

Each rule takes a :class:`Module` and yields what is wrong with it, as ``line: problem``. What may
import what is drawn in ``docs/architecture.md``; the tables below are the same in Python.
"""

import ast
import inspect
import io
import re
import sys
import textwrap
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The core: a part may import from the lines below its own, never from its own line or above.
CORE = (
    {"testing"},
    {"plugin"},
    {"cli"},
    {"files"},
    {"server", "group"},
    {"http"},
    {"rest", "provisioning"},
    {"support"},
    {"monitoring"},
    {"core"},
    {"doctor"},
    {"bootstrap", "overview"},
    {"tasks"},
    {"stores", "cleanup"},
    {"catalog"},
    {"repositories"},
    {"security", "mail", "outgoing"},
    {"uploads", "proxy", "options", "compaction", "verification", "collection"},
    {"identity", "trust_store"},
    {
        "content",
        "option_records",
        "blob_records",
        "damage_records",
        "upload_records",
        "trust_records",
        "collection_records",
    },
    {"content_blobs", "content_promises", "quotas"},
    {"search", "content_records", "content_rules", "graph_records", "quota_records"},
    {"events"},
    {"blobs", "db"},
    {"plugins"},
    {"hookspecs"},
    {"config", "sections", "keyring"},
    {"threads", "durable", "flights"},
    {"waiting", "health", "clocks", "caching", "metrics", "rate_limit", "disk_space"},
    {"logs"},
    {"errors", "external_url", "patterns", "printable", "problems", "versions"},
)
# A plugin: the same, but parts of one line may know each other.
PLUGIN = (
    {"plugin"},
    {"routes", "views", "tasks", "commands", "doctor", "rest"},
    {"hosted", "proxy", "group", "v1", "browsing"},
    {"service", "hookspecs"},
    {
        "remote",
        "index",
        "packument",
        "merge",
        "layout",
        "rules",
        "paths",
        "search",
        "sections",
        "tarballs",
    },
    {"protocol"},
)
# Which modules may import a library; every other module must do without.
LIBRARIES = {
    "flask": (
        "repoman/http/*",
        "repoman/testing/*",
        "repoman/files/format.py",
        "repoman/files/recipes.py",
        "repoman/files/rendering.py",
        "repoman/files/routes.py",
        "web/repoman_web/views/*",
        "web/repoman_web/plugin.py",
        "*/repoman_*/plugin.py",
        "*/repoman_*/routes*",
        "repoman_*/routes*",
    ),
    "flask_wtf": (
        "repoman/http/admin.py",
        "repoman/http/rest_sessions.py",
        "web/repoman_web/views/*",
        "repoman/http/page_forms.py",
    ),
    "wtforms": (
        "repoman/http/rest_sessions.py",
        "web/repoman_web/views/*",
        "repoman/http/page_forms.py",
    ),
    "peewee": (
        "repoman/db/*",
        "repoman/content.py",
        "repoman/search.py",
        "repoman/catalog/records.py",
        "repoman/*_records.py",
    ),
    "re2": ("repoman/patterns.py",),
    "ldap3": ("repoman/security/directory.py",),
    "requests": (
        "repoman/proxy/connections.py",
        "repoman/proxy/failures.py",
        "repoman/proxy/response.py",
        "repoman/proxy/upstream.py",
    ),
    "waitress": ("repoman/server/*",),
    "apscheduler": ("repoman/tasks/cron.py",),
    "yaml": ("repoman/provisioning/documents.py", "formats/helm/repoman_helm/index/yaml_files.py"),
    "zstandard": ("repoman_docker/browsing/archives.py",),
}
LIBRARIES["playhouse"] = LIBRARIES["peewee"]
LIBRARIES["repoman.db.models"] = LIBRARIES["peewee"]
# Words that belong to formats, so that the core and its pages never say them.
WORDS = re.compile(r"docker|manifest|(?<![a-z])oci(?![a-z])|pypi|npm", re.IGNORECASE)
MUTATORS = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"}
MUTATORS |= {"reverse", "setdefault", "sort", "update"}
MODULE_LINES = 500
SMALL_LINES = 60  # A module with fewer is small; few are.
FUNCTION_LINES = 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """An imported name, in full, and whether only the type checker sees it."""

    name: str
    line: int
    is_typing: bool


@dataclass(frozen=True)
class Module:
    """The text of a Python file and its path in the checkout."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed text."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list[Function]:
        """All functions, wherever they are."""
        return [
            node for node in self.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    @cached_property
    def name(self) -> str:
        """The dotted name it is imported by."""
        path = re.sub(r"^(formats/[^/]+|web)/", "", self.path)
        return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        """The first part of its name."""
        return self.name.partition(".")[0]

    @property
    def is_core(self) -> bool:
        """Whether it belongs to the core."""
        return self.package == "repoman"

    @property
    def is_plugin(self) -> bool:
        """Whether it belongs to a plugin; its tests do not."""
        return self.package.startswith("repoman_")

    @cached_property
    def imports(self) -> list[Import]:
        """All imports, wherever in the module they are."""
        return list(self._find_imports())

    def _find_imports(self) -> Iterator[Import]:
        typing_lines = {
            line
            for node in self.nodes
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for each in node.body
            for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
        }
        for node in self.nodes:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{self._origin(node)}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                yield Import(name, node.lineno, node.lineno in typing_lines)

    @cached_property
    def protocols(self) -> set[str]:
        """The names of the protocols that it defines."""
        return {
            node.name
            for node in self.nodes
            if isinstance(node, ast.ClassDef)
            and any(ast.unparse(base).split("[")[0].endswith("Protocol") for base in node.bases)
        }

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".")
        if not self.path.endswith("/__init__.py"):
            package = package[:-1]
        package = package[: len(package) - node.level + 1]
        return ".".join([*package, *filter(None, [node.module])])

    def binding_imports(self) -> Iterator[Import]:
        """The imports that the rules bind: all, but those for types alone in two modules.

        The hook specifications and the facade name types of every part.
        """
        is_free = self.name in {"repoman.hookspecs", "repoman.plugin"}
        return (each for each in self.imports if not (is_free and each.is_typing))


def part_of(name: str) -> str:
    """The part of its package that a dotted name belongs to: ``http`` of ``repoman.http.hosts``."""
    return name.split(".")[1] if "." in name else ""


def rank(layers: tuple[set[str], ...], part: str) -> int | None:
    """How far above the ground a part is, or None if no layer has it."""
    found = [len(layers) - number for number, parts in enumerate(layers) if part in parts]
    return found[0] if found else None


# --- Imports -----------------------------------------------------------------------------------


def core_imports_downwards(module: Module) -> Iterator[str]:
    """In the core, a part imports only from layers below its own."""
    if not module.is_core or module.name == "repoman":
        return
    own = part_of(module.name)
    own_rank = rank(CORE, own)
    if own_rank is None:
        yield f"1: {own} has no layer"
        return
    for each in module.binding_imports():
        part = part_of(each.name)
        if each.name.split(".")[0] != "repoman" or part in {own, "", "__version__"}:
            continue
        other_rank = rank(CORE, part)
        if other_rank is None or other_rank >= own_rank:
            yield f"{each.line}: {own} must not import {each.name}"


def core_knows_no_plugin(module: Module) -> Iterator[str]:
    """The core imports no plugin, not even for types."""
    if module.is_core:
        for each in module.imports:
            if each.name.startswith("repoman_"):
                yield f"{each.line}: the core must not import {each.name}"


def plugins_use_the_facade(module: Module) -> Iterator[str]:
    """A plugin takes from the core what the facade has; its tests may use the test tools too."""
    if module.is_core:
        return
    allowed = {"plugin", "__version__"} | (set() if module.is_plugin else {"testing"})
    for each in module.imports:
        if each.name.split(".")[0] == "repoman" and part_of(each.name) not in allowed:
            yield f"{each.line}: a plugin must not import {each.name}"


def plugins_import_downwards(module: Module) -> Iterator[str]:
    """In a plugin, a part imports only from its own layer and those below."""
    if not module.is_plugin or module.name == module.package:
        return
    own = part_of(module.name)
    own_rank = rank(PLUGIN, own)
    if own_rank is None:
        yield f"1: {own} has no layer"
        return
    for each in module.imports:
        part = part_of(each.name)
        if each.name.split(".")[0] != module.package or part == own:
            continue
        other_rank = rank(PLUGIN, part)
        if other_rank is None or other_rank > own_rank:
            yield f"{each.line}: {own} must not import {each.name}"


def protocols_are_pure(module: Module) -> Iterator[str]:
    """A plugin's ``protocol`` imports the standard library and itself."""
    if not module.is_plugin or part_of(module.name) != "protocol":
        return
    own = f"{module.package}.protocol"
    for each in module.imports:
        top = each.name.split(".")[0]
        if top not in sys.stdlib_module_names and not f"{each.name}.".startswith(f"{own}."):
            yield f"{each.line}: the protocol must not import {each.name}"


def protocol_errors_stay_at_the_edge(module: Module) -> Iterator[str]:
    """Only ``protocol`` and ``routes`` raise a protocol's errors; others raise those of the core.

    So whoever calls a service, such as a group or a task, has one tree of errors to expect.
    """
    if not module.is_plugin or part_of(module.name) in {"protocol", "routes"}:
        return
    protocol = f"{module.package}.protocol."
    names = {each.name.rpartition(".")[2] for each in module.imports if protocol in each.name}
    for node in module.nodes:
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if ast.unparse(raised).split(".")[0] in names:
                yield f"{node.lineno}: {ast.unparse(raised)} must travel in an error of the core"


def libraries_stay_in_their_places(module: Module) -> Iterator[str]:
    """A library that shapes code is imported in few places, so that it can be replaced."""
    if not (module.is_core or module.is_plugin):
        return
    for each in module.binding_imports():
        dotted = f"{each.name}."
        places = [places for name, places in LIBRARIES.items() if dotted.startswith(f"{name}.")]
        if places and not any(fnmatch(module.path, place) for place in places[0]):
            yield f"{each.line}: {each.name} must not be imported here"


def services_are_for_their_routes(module: Module) -> Iterator[str]:
    """The core asks a repository by its capabilities and never looks into its service.

    Those that it makes itself, of files, know each other.
    """
    if not module.is_core or part_of(module.name) == "files":
        return
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and _is_service(node.value):
            yield f"{node.lineno}: {ast.unparse(node)} belongs to a format"
        is_look = isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "hasattr"}
        if is_look and _is_service(node.args[0]):
            yield f"{node.lineno}: {ast.unparse(node)} looks into what belongs to a format"


def _is_service(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "service"


def import_cycles(modules: Iterable[Module]) -> Iterator[str]:
    """No modules import each other in a circle: what knows less can be read, tested and used alone.

    Imports for types count as well, but for those of a Protocol, which is there to break a circle.
    """
    known = {module.name: module for module in modules}
    graph = {
        name: {found for each in module.binding_imports() if (found := _imported(each, known))}
        for name, module in known.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield " imports ".join(reversed(error.args[1]))


def _imported(each: Import, known: dict[str, Module]) -> str | None:
    """Return the module that an import makes its own depend on, if it is one of these."""
    if each.name in known:
        return each.name
    origin, _, name = each.name.rpartition(".")
    if origin not in known or (each.is_typing and name in known[origin].protocols):
        return None
    return origin


def names_in_signatures(thing: object) -> set[str]:
    """The names in the annotations of a module, a class or a function; of other things none."""
    if not (inspect.ismodule(thing) or inspect.isclass(thing) or inspect.isfunction(thing)):
        return set()
    nodes = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(thing))))
    hints = [getattr(node, key, None) for node in nodes for key in ("annotation", "returns")]
    return {name for hint in hints if hint for name in re.findall(r"\w+", ast.unparse(hint))}


# --- Words, state, size ------------------------------------------------------------------------


def words_of_formats(text: str) -> Iterator[str]:
    """The core and the shared pages name no format and nothing of one."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in WORDS.findall(line):
            yield f"{number}: the word {found!r} belongs to a format"


def no_module_state(module: Module) -> Iterator[str]:
    """No function changes a global of a module: state belongs to objects."""
    if not (module.is_core or module.is_plugin):
        return
    shared = set(_assigned(module.tree.body)) | {
        alias.asname or alias.name
        for node in module.tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (alias.asname or alias.name).isupper()
    }
    for function in module.functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield f"{node.lineno}: global {', '.join(node.names)}"
                continue
            for name in _changed(node):
                if name in shared - _locals(function):
                    yield f"{node.lineno}: {name} of the module is changed"


def _assigned(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        for target in targets:
            yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def _changed(node: ast.AST) -> Iterator[str]:
    """The names whose values a statement or call changes from inside."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        targets = [node.func] if node.func.attr in MUTATORS else []
    for target in targets:
        root = target
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if root is not target and isinstance(root, ast.Name):
            yield root.id


def _locals(function: Function) -> set[str]:
    names = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    return names | {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def sizes(module: Module) -> Iterator[str]:
    """A module is read at one sitting, a function on one screen; nobody reads a list of names."""
    lines = len(module.text.splitlines()) - sum(
        (node.end_lineno or node.lineno) - node.lineno
        for node in module.tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    if lines > MODULE_LINES:
        yield f"1: {lines} lines, at most {MODULE_LINES}"
    for function in module.functions:
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > FUNCTION_LINES:
            yield f"{function.lineno}: {function.name} has {length} lines, at most {FUNCTION_LINES}"


NO_CODE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)
# The formats in this repository, and how many lines of code each may have: see docs/adr/0059.
FORMAT_LINES = {"raw": 120, "pypi": 440, "npm": 1010, "helm": 450, "maven2": 500}


def code_lines(module: Module) -> int:
    """Return how many lines a module has without blanks, comments and docstrings."""
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    lines = {
        line
        for each in tokens
        if each.type not in NO_CODE
        for line in range(each.start[0], each.end[0] + 1)
    }
    for node in module.nodes:
        is_alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_alone and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def over_budget(modules: Iterable[Module]) -> Iterator[str]:
    """Yield the formats that have more lines than their budget, or none."""
    found: Counter[str] = Counter()
    for module in modules:
        place, name, *rest = module.path.split("/")
        if place == "formats" and rest[0] not in ("tests", "setup.py"):
            found[name] += code_lines(module)
    for name, lines in found.items():
        if lines > FORMAT_LINES.get(name, 0):
            yield f"{name}: {lines} lines, at most {FORMAT_LINES.get(name, 0)}"


RULES = (
    core_imports_downwards,
    core_knows_no_plugin,
    plugins_use_the_facade,
    plugins_import_downwards,
    protocols_are_pure,
    protocol_errors_stay_at_the_edge,
    libraries_stay_in_their_places,
    services_are_for_their_routes,
    no_module_state,
    sizes,
)
