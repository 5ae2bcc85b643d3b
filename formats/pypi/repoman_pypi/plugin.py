"""Repositories of Python packages: what the format says, and what it registers."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from flask import Blueprint
from pydantic import Field

from repoman.plugin import (
    FILE_FIELD,
    FILES_BY_PACKAGE,
    BlobUpload,
    ConnectorSection,
    Fetch,
    File,
    FileFormat,
    Format,
    FormatUi,
    Invalid,
    Metadata,
    NewFile,
    NotFound,
    Package,
    Place,
    ProxySection,
    Recipe,
    Rendered,
    RepomanError,
    RepositoryConfig,
    StoredFile,
    Target,
    UploadedFile,
    UploadForm,
    UploadSpec,
    UseGuide,
    UseRequest,
    WritePolicy,
    choose_form,
    files_format,
    files_recipes,
    hookimpl,
)
from repoman_pypi import index
from repoman_pypi.browsing import guide
from repoman_pypi.paths import file_of, is_prerelease, project_of, version_key, whole
from repoman_pypi.routes import add_routes, describe, distribution, read_attributes

REPOMAN_API = "1.0"  # The version of the API of plugins that this was written for.
SIMPLE = "simple/"


class PyPIProxySection(ConnectorSection):
    """How clients reach a proxy, and where the index of its remote is."""

    index_path: str = Field(
        SIMPLE,
        pattern=r"^([^/?#]+/)*$",
        max_length=200,
        title="Path of the index",
        description=(
            "Where a proxy finds the simple index, below its remote. An address that ends with "
            "/simple is that of the index itself."
        ),
        json_schema_extra={"advanced": True, "hint": "devpi has +simple/"},
    )
    remove_quarantined: bool = Field(
        False,
        description="Kept for clients of the REST API: nothing is put into quarantine.",
        json_schema_extra={"widget": "none"},
    )


class PyPI(FileFormat):
    """Python packages, published once, behind the simple index."""

    name = "pypi"
    title = "PyPI"
    checksums = ("md5",)
    write_policy = WritePolicy.ALLOW_ONCE
    refuses_early = False
    redirects = True
    upload = UploadSpec(asset_fields=(FILE_FIELD,))
    rules = replace(FILES_BY_PACKAGE, version_key=version_key, is_prerelease=is_prerelease)
    document_max_bytes = 64 << 20  # The names of all projects of pypi.org have 40 MB.

    def target(self, path: str) -> Target | None:
        match path.rstrip("/").split("/"):
            case ["simple"]:
                return Metadata(SIMPLE)
            case ["simple", text]:
                project = project_of(text)
                return None if project is None else _page_of(project)
            case ["packages", _, _, filename]:
                file = file_of(filename)
                return file if file is not None and file.path == path else None
        return None

    def remote(self, file: File, find: Callable[[Metadata], Any]) -> Place:
        name = file.path.rpartition("/")[2]
        main = whole(name)
        files = find(_page_of(file.package))["files"]
        found = next((each for each in files if each["filename"] == main), None)
        if found is None:
            raise NotFound(f"The remote's page of {file.package} does not have {main}.")
        if name == main:
            return Place(found["_url"], found["hashes"], found.get("size"))
        known = found[index.DESCRIBED]
        digests = known if name.endswith(".metadata") and isinstance(known, dict) else {}
        return Place(found["_url"] + name.removeprefix(main), digests)

    def fetch(self, metadata: Metadata, config: RepositoryConfig) -> Fetch:
        remote = config.section("proxy", ProxySection).remote
        path = config.section("pypi", PyPIProxySection).index_path
        root = "" if remote.rstrip("/").endswith("/simple") else path
        return Fetch(root + metadata.key.removeprefix(SIMPLE), {"Accept": index.ACCEPT})

    def parse(self, metadata: Metadata, body: bytes, media_type: str, url: str) -> Any:
        return index.parse(metadata.package, body, media_type, url)

    def generate(self, metadata: Metadata, package: Package) -> Any:
        by_path = {each.path: each for each in package.files}
        files = [
            _listed(each, by_path.get(f"{path}.metadata"))
            for path, each in by_path.items()
            if whole(path) == path
        ]
        return {"name": package.name, "files": files}

    def generate_root(self, metadata: Metadata, names: Sequence[str]) -> Any:
        return {"names": list(names)}

    def merge(self, metadata: Metadata, values: Sequence[Any]) -> Any:
        if not metadata.package:
            return {"names": sorted(set().union(*(each["names"] for each in values)))}
        files: dict[str, Any] = {}
        for each in chain.from_iterable(page["files"] for page in values):
            files.setdefault(each["filename"], each)
        return {"name": metadata.package, "files": list(files.values())}

    def variant(self, metadata: Metadata, accept: str) -> str:
        return choose_form(accept, index.FORMS)

    def render(self, metadata: Metadata, value: Any, variant: str, base: str) -> Rendered:
        return index.render(value, variant)

    def spelling(self, path: str) -> str:
        return re.sub("[-_.]+", "-", path).lower()

    def pattern(self, text: str) -> str:
        return self.spelling(text)

    def exists(self, path: str, repository: str) -> RepomanError:
        return Invalid(f"File already exists ({path.rpartition('/')[2]!r}).")

    def files_of(self, form: UploadForm) -> Iterable[tuple[File, UploadedFile]]:
        return [(distribution(each.filename), each) for each in form.files]

    def inspect(self, file: File, content: BlobUpload) -> Mapping[str, object]:
        return read_attributes(file, content)

    def derive(self, file: File, content: BlobUpload) -> Iterable[tuple[NewFile, bytes]]:
        return describe(file, content)

    def derived(self, path: str) -> Iterable[str]:
        return (f"{path}.metadata",) if path.endswith(".whl") else ()

    def routes(self, blueprint: Blueprint) -> None:
        add_routes(blueprint)


def _page_of(project: str) -> Metadata:
    return Metadata(f"{SIMPLE}{project}/", project)


def _listed(file: StoredFile, described: StoredFile | None) -> dict[str, Any]:
    at = datetime.fromtimestamp(file.updated_at, UTC)
    requires = file.attributes.get("requires_python")
    return {
        **index.link_to(File(file.path, version=file.version)),
        "filename": file.path.rpartition("/")[2],
        "hashes": {"sha256": file.digest},
        "size": file.size,
        "upload-time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        index.DESCRIBED: {"sha256": described.digest} if described else False,
        **({"requires-python": requires} if requires else {}),
    }


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
    return files_recipes(PYPI, {"pypi": ConnectorSection}, proxy={"pypi": PyPIProxySection})


@hookimpl
def repoman_web_use(request: UseRequest) -> UseGuide | None:
    """Return how clients use a repository."""
    return guide(request) if request.repository.config.format == PYPI.name else None
