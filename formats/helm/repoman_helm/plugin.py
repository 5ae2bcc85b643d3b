"""Repositories of Helm charts: what the format says, and what it registers."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from flask import Blueprint, Request, Response, jsonify, request

from repoman.plugin import (
    FILE_FIELD,
    FILES_BY_PACKAGE,
    Access,
    BlobUpload,
    Conflict,
    ConnectorSection,
    Failure,
    File,
    FileFormat,
    Format,
    FormatUi,
    Invalid,
    Metadata,
    NotFound,
    Place,
    Recipe,
    Rendered,
    RepomanError,
    StoredFile,
    Target,
    UploadedFile,
    UploadForm,
    UploadSpec,
    UseGuide,
    UseRequest,
    WritePolicy,
    check_path,
    files_format,
    files_recipes,
    hookimpl,
    is_semver_prerelease,
    render_with_reason,
    semver_key,
)
from repoman_helm.browsing import guide
from repoman_helm.index import entries
from repoman_helm.index.charts import read_chart
from repoman_helm.index.entries import Index
from repoman_helm.paths import ARCHIVE, PROVENANCE, path_of, split_path
from repoman_helm.routes import add_routes

REPOMAN_API = "1.0"  # The version of the API of plugins that this was written for.
INDEX = Metadata("index.yaml")
JSON = "application/json"


class Helm(FileFormat):
    """Charts, published once, behind one index."""

    name = "helm"
    title = "Helm"
    takes_puts = True
    write_policy = WritePolicy.ALLOW_ONCE
    refuses_early = False
    upload = UploadSpec(asset_fields=(FILE_FIELD,))
    rules = replace(FILES_BY_PACKAGE, version_key=semver_key, is_prerelease=is_semver_prerelease)

    def target(self, path: str) -> Target | None:
        match path.split("/"):
            case [INDEX.key]:
                return INDEX
            case ["api", "charts", *chart] if all(chart) and len(chart) <= 2:
                return replace(INDEX, part="/".join(("charts", *chart)))
        check_path(path or "/")
        found = split_path(path)
        return None if found is None else File(path, *found)

    def remote(self, file: File, find: Callable[[Metadata], Index]) -> Place:
        entry = find(INDEX).get(file.package, {}).get(file.version)
        if entry is None:
            raise NotFound(f"The remote's index does not have {file.package} {file.version}.")
        if file.path.endswith(PROVENANCE):
            return Place(f"{entry[1]}.prov")
        digest = entries.digest_of(entry)
        return Place(entry[1], {"sha256": digest} if digest else {})

    def parse(self, metadata: Metadata, body: bytes, media_type: str, url: str) -> Index:
        return entries.parse(body, url)

    def generate_index(self, metadata: Metadata, files: Iterable[StoredFile]) -> Index:
        return entries.generate(files)

    def inspect(self, file: File, content: BlobUpload) -> Mapping[str, object]:
        if not file.path.endswith(ARCHIVE):
            return {}
        chart = read_chart(content, file.path)
        if (chart.name, chart.version) != (file.package, file.version):
            raise Invalid(f"{file.path} has the chart {chart.name} {chart.version}.")
        return {"chart": chart.plain()}

    def names(self, metadata: Metadata, value: Index) -> Iterable[str]:
        return value

    def without(self, metadata: Metadata, value: Index, names: Collection[str]) -> Index:
        return entries.without(value, names)

    def merge(self, metadata: Metadata, values: Sequence[Index]) -> Index:
        return entries.merge(values)

    def render(self, metadata: Metadata, value: Index, variant: str, base: str) -> Rendered:
        if metadata.part:
            return Rendered(entries.describe(value, *metadata.part.split("/")[1:]), JSON)
        return Rendered(entries.render(value), "application/x-yaml")

    def exists(self, path: str, repository: str) -> RepomanError:
        return Conflict(f"{path} exists in {repository}, and its charts are not replaced.")

    def render_error(self, failure: Failure) -> Response:
        response = render_with_reason(failure)
        if request.path.startswith("/api/"):
            response.data, response.mimetype = jsonify(error=failure.message).data, JSON
        return response

    def files_of(self, form: UploadForm) -> Iterable[tuple[File, UploadedFile]]:
        for each in form.files:
            path = each.filename
            if not path.endswith(PROVENANCE):
                chart = read_chart(each.bytes, each.filename)
                path = path_of(chart.name, chart.version)
            file = self.target(path)
            if not isinstance(file, File):
                raise Invalid(f"{path!r} is not the name of a provenance file.")
            yield file, each

    def routes(self, blueprint: Blueprint) -> None:
        add_routes(blueprint)

    def access(self, request: Request) -> Access:
        access = super().access(request)
        match request.path.split("/")[1:]:
            case ["api", "charts", name, version]:
                return replace(access, path=f"/{path_of(name, version)}", name=name)
            case ["api", "charts", *_] if request.method != "POST":
                return replace(access, path=f"/{INDEX.key}")
        return access


HELM = Helm()
UI = FormatUi(
    "file",
    lambda url: f"helm install my-release CHART --repo {url}/",
    packages=("chart", "charts"),
    versions=("version", "versions"),
    about="Helm charts for Kubernetes",
    path_example="/name-1.0.0.tgz",
)


@hookimpl
def repoman_register_formats() -> list[Format]:
    """Return the format: its name and its routes."""
    return [files_format(HELM, UI)]


@hookimpl
def repoman_register_recipes() -> list[Recipe]:
    """Return one recipe for each repository type of the format."""
    return files_recipes(HELM, {"helm": ConnectorSection})


@hookimpl
def repoman_web_use(request: UseRequest) -> UseGuide | None:
    """Return how clients use a repository."""
    return guide(request) if request.repository.config.format == HELM.name else None
