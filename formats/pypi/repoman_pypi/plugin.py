"""Repositories of Python packages: what the format says, and what it registers."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from flask import Blueprint, Response
from pydantic import Field

from repoman.plugin import (
    ConnectorSection,
    Failure,
    Fetch,
    File,
    FileFormat,
    Format,
    FormatUi,
    Invalid,
    Metadata,
    NotFound,
    Package,
    Place,
    ProxySection,
    Recipe,
    Rendered,
    RepomanError,
    RepositoryConfig,
    Target,
    UseGuide,
    UseRequest,
    WritePolicy,
    check_path,
    choose_form,
    files_format,
    files_recipes,
    hookimpl,
)
from repoman_pypi import index
from repoman_pypi.browsing import guide
from repoman_pypi.paths import path_of, project_of, split_filename, whole
from repoman_pypi.routes import add_routes

FORMS = (index.TEXT, index.HTML, index.JSON)
ROOT = Metadata("simple/")
LATIN = range(0x20, 0x7F)


class PyPISection(ConnectorSection):
    """How clients reach the repository, and where the index of a remote is."""

    in_rest: ClassVar = dict.fromkeys(("http_port", "https_port", "external_url", "index_path"))

    index_path: str = Field(
        "simple/",
        pattern=r"([^/?#]+/)*",
        max_length=200,
        title="Path of the index",
        description=(
            "Where a proxy finds the simple index, below its remote. An address that ends with "
            "/simple is that of the index itself."
        ),
        json_schema_extra={"advanced": True, "hint": "devpi has +simple/"},
    )


class PyPI(FileFormat):
    """Python packages, published once, behind the simple index."""

    name = "pypi"
    title = "PyPI"
    checksums = ("md5",)
    write_policy = WritePolicy.ALLOW_ONCE
    refuses_early = False
    redirects = True

    def target(self, path: str) -> Target | None:
        """Return the page or the file at a path."""
        first, *rest = path.rstrip("/").split("/")
        if first == "simple":
            return self._page(rest)
        if first != "packages" or len(rest) != 3:
            return None
        check_path(path)
        found = split_filename(whole(rest[2]))
        if found is None or path_of(rest[2]) != path:
            return None
        return File(path, *found)

    def _page(self, rest: list[str]) -> Target | None:
        if not rest:
            return ROOT
        project = project_of(rest[0]) if len(rest) == 1 else None
        return None if project is None else _page_of(project)

    def remote(self, file: File, find: Callable[[Metadata], Any]) -> Place:
        """Return where a file is, by the page of its project."""
        name = file.path.rpartition("/")[2]
        main = whole(name)
        files = find(_page_of(file.package))["files"]
        found = next((each for each in files if each["filename"] == main), None)
        if found is None:
            raise NotFound(f"The remote's page of {file.package} does not have {main}.")
        if name == main:
            return Place(found["_url"], found.get("hashes", {}), found.get("size"))
        known = found.get("core-metadata")
        digests = known if name.endswith(".metadata") and isinstance(known, dict) else {}
        return Place(found["_url"] + name.removeprefix(main), digests)

    def fetch(self, metadata: Metadata, config: RepositoryConfig) -> Fetch:
        """Return how a page is asked for: in JSON if the remote has that."""
        remote = config.section("proxy", ProxySection).remote
        path = config.section("pypi", PyPISection).index_path
        root = "" if remote.rstrip("/").endswith("/simple") else path
        return Fetch(root + metadata.key.removeprefix(ROOT.key), {"Accept": index.ACCEPT})

    def parse(self, metadata: Metadata, body: bytes, media_type: str, url: str) -> Any:
        """Return a page of the remote."""
        given = index.parse(body, media_type, url)
        if not metadata.package:
            return index.root_page(given)
        return index.project_page(metadata.package, given, url)

    def generate(self, metadata: Metadata, package: Package) -> Any:
        """Return the page of a hosted project."""
        beside = {each.path: each for each in package.files}
        files = []
        for each in package.files:
            name = each.path.rpartition("/")[2]
            if whole(name) != name:
                continue
            described = beside.get(f"{each.path}.metadata")
            at = datetime.fromtimestamp(each.updated_at, UTC).isoformat(timespec="microseconds")
            file = {
                "filename": name,
                "hashes": {"sha256": each.digest},
                "size": each.size,
                "upload-time": at.replace("+00:00", "Z"),
                "core-metadata": {"sha256": described.digest} if described else False,
            }
            if requires := each.attributes.get("requires_python"):
                file["requires-python"] = requires
            files.append(file)
        return {"name": package.name, "files": files}

    def generate_root(self, metadata: Metadata, names: Sequence[str]) -> Any:
        """Return the page of all hosted projects."""
        return {"names": list(names)}

    def merge(self, metadata: Metadata, values: Sequence[Any]) -> Any:
        """Return one page for those of several members."""
        if not metadata.package:
            return {"names": sorted(set().union(*(each["names"] for each in values)))}
        return index.merge_projects(metadata.package, values)

    def variant(self, metadata: Metadata, accept: str) -> str:
        """Return HTML or JSON."""
        return choose_form(accept, FORMS)

    def render(self, metadata: Metadata, value: Any, variant: str, base: str) -> Rendered:
        """Return a page in a form."""
        render = index.render_project if metadata.package else index.render_root
        return render(value, variant)

    def exists(self, path: str, repository: str) -> RepomanError:
        """Return the error that clients know: twine looks for its first words."""
        return Invalid(f"File already exists ({path.rpartition('/')[2]!r}).")

    def render_error(self, failure: Failure) -> Response:
        """Return the text as body and as reason: pip and twine show only the latter."""
        reason = "".join(each if ord(each) in LATIN else "?" for each in failure.message)
        status = f"{failure.status} {reason}"
        return Response(f"{failure.message}\n", status, mimetype="text/plain")

    def routes(self, blueprint: Blueprint) -> None:
        """Add the upload."""
        add_routes(blueprint)


def _page_of(project: str) -> Metadata:
    return Metadata(f"simple/{project}/", project)


PYPI = PyPI()
UI = FormatUi(
    "file",
    lambda url: f"pip install --index-url {url}/simple/ NAME",
    about="Python packages for pip, uv, poetry and twine",
    path_example="/packages/name/1.0/name-1.0-py3-none-any.whl",
)


@hookimpl
def repoman_register_formats() -> list[Format]:
    """Return the format: its name and its routes."""
    return [files_format(PYPI, UI)]


@hookimpl
def repoman_register_recipes() -> list[Recipe]:
    """Return one recipe for each repository type of the format."""
    return files_recipes(PYPI, {"pypi": PyPISection})


@hookimpl
def repoman_web_use(request: UseRequest) -> UseGuide | None:
    """Return how clients use a repository."""
    return guide(request) if request.repository.config.format == PYPI.name else None
