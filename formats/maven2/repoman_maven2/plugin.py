"""Repositories of Maven artifacts: what the format says, and what it registers."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import ClassVar

from flask import Response
from pydantic import Field

from repoman.plugin import (
    FILE_FIELD,
    FILES_BY_PACKAGE,
    Change,
    ChangePackage,
    Checksum,
    ConnectorSection,
    Coordinate,
    Failure,
    File,
    FileFormat,
    Format,
    FormatUi,
    Invalid,
    Metadata,
    Package,
    Recipe,
    Rendered,
    RepomanError,
    Repository,
    RepositoryConfig,
    Rest,
    SearchField,
    SearchTarget,
    Target,
    UploadedFile,
    UploadField,
    UploadForm,
    UploadGuide,
    UploadSpec,
    UseGuide,
    UseRequest,
    WritePolicy,
    check_path,
    files_format,
    files_recipes,
    hookimpl,
    render_with_reason,
)
from repoman_maven2 import index, layout, rules
from repoman_maven2.browsing import GUIDE, guide
from repoman_maven2.index import Index

REPOMAN_API = "1.0"  # The version of the API of plugins that this was written for.
KIND = "file"
PLUGINS = "plugins"  # In the state of a package: what clients have told of a group of its name.


class VersionPolicy(StrEnum):
    """Which versions a repository has."""

    RELEASE = "release"
    SNAPSHOT = "snapshot"
    MIXED = "mixed"


class LayoutPolicy(StrEnum):
    """Which paths a repository has."""

    STRICT = "strict"
    PERMISSIVE = "permissive"


class MavenSection(ConnectorSection):
    """How clients reach the repository, and what it may have."""

    in_rest: ClassVar = {"version_policy": Rest(empty=VersionPolicy.RELEASE)}

    version_policy: VersionPolicy = Field(
        VersionPolicy.MIXED,
        description="Which versions it has: release, snapshot or mixed.",
        title="Versions",
        json_schema_extra={
            "hint": "",
            "labels": {"release": "Releases", "snapshot": "Snapshots", "mixed": "Both"},
        },
    )
    layout_policy: LayoutPolicy = Field(
        LayoutPolicy.STRICT,
        description="Whether all paths have to be those of artifacts (strict) or not (permissive).",
        title="Paths",
        json_schema_extra={
            "hint": "",
            "labels": {"strict": "Only those of artifacts", "permissive": "Any"},
        },
    )


class Maven(FileFormat):
    """Artifacts under the paths of the layout, with checksums and metadata beside them."""

    name = "maven2"
    title = "Maven"
    rest_name = "maven"
    checksums = layout.ALGORITHMS
    remote_checksum = "sha1"
    shadows = False
    takes_puts = True
    takes_documents = True
    document_max_bytes = 4 << 20  # Those of the largest artifacts have 100 kB.
    write_policy = WritePolicy.ALLOW_ONCE
    refuses_early = False
    rules = replace(
        FILES_BY_PACKAGE,
        version_key=rules.version_key,
        is_prerelease=rules.is_prerelease,
        component_name=layout.package_of,
        search_fields={
            "maven.groupId": SearchField(SearchTarget.NAMESPACE, "Group id."),
            "maven.artifactId": SearchField(SearchTarget.NAME, "Artifact id."),
            "maven.version": SearchField(SearchTarget.VERSION, "Version."),
        },
    )
    upload = UploadSpec(
        component_fields=tuple(
            UploadField(each, group="Component coordinates")
            for each in ("groupId", "artifactId", "version")
        ),
        asset_fields=(
            FILE_FIELD,
            UploadField("extension", group="Asset"),
            UploadField("classifier", is_optional=True, group="Asset"),
        ),
        takes_many=True,
    )

    def target(self, path: str) -> Target | None:
        """Return the artifact, metadata or checksum at a path."""
        if path == "" or path.endswith("/"):
            return None
        check_path(path)
        stem, _, end = path.rpartition(".")
        if end in layout.ALGORITHMS and stem:
            of = self.target(stem)
            return None if of is None or isinstance(of, Checksum) else Checksum(of, end)
        folder, _, name = path.rpartition("/")
        if name == layout.METADATA and folder:
            parts = folder.split("/")
            parts = parts[:-1] if _snapshot_of(path) else parts
            if "." in "".join(parts[:-1]):
                return File(path, is_mutable=True)  # the group has another folder
            return Metadata(path, f"{'.'.join(parts[:-1])}:{parts[-1]}")
        artifact = layout.parse_path(path)
        if artifact is None:
            return File(path, is_mutable=True)
        is_mutable = artifact.version.endswith(layout.SNAPSHOT)
        return File(path, artifact.package, artifact.version, is_mutable)

    def coordinate(self, file: File) -> Coordinate:
        """Return group, artifact and version."""
        if not file.package:
            return super().coordinate(file)
        return replace(self.package(file.package), version=file.version)

    def package(self, name: str) -> Coordinate:
        """Return group and artifact."""
        group, _, artifact = name.partition(":")
        return Coordinate(KIND, artifact, namespace=group)

    def refusal(self, target: File | Metadata, config: RepositoryConfig) -> str:
        """Return why a repository does not have a path, by its policies."""
        section = config.section("maven", MavenSection)
        path = target.path if isinstance(target, File) else target.key
        version = target.version if isinstance(target, File) else _snapshot_of(target.key)
        is_strict = section.layout_policy is LayoutPolicy.STRICT
        if is_strict and not target.package and not path.startswith(layout.OTHERS):
            return f"The layout policy of {config.name} is strict: {path!r} is no path of Maven."
        kind = VersionPolicy.SNAPSHOT if layout.is_snapshot(version) else VersionPolicy.RELEASE
        if version and section.version_policy not in (kind, VersionPolicy.MIXED):
            return (
                f"The version policy of {config.name} is {section.version_policy}: "
                f"it does not have {version}."
            )
        return ""

    def is_final(self, file: File) -> bool:
        """Return whether a file is of a release: snapshots, catalogs and indexes are replaced."""
        return not (layout.is_snapshot(file.version) or file.path.startswith(layout.OTHERS))

    def taken(self, metadata: Metadata, body: bytes) -> ChangePackage | None:
        """Return the plugins that a client adds: all else is made of the files."""
        try:
            plugins = index.parse(body).plugins
        except ValueError as error:
            raise Invalid(f"The metadata {metadata.key} cannot be read: {error}.") from error

        def change(package: Package) -> Change:
            return Change({**package.state, PLUGINS: {**package.state.get(PLUGINS, {}), **plugins}})

        return change if plugins else None

    def parse(self, metadata: Metadata, body: bytes, media_type: str, url: str) -> Index:
        """Return metadata of the remote, or of a client."""
        return index.parse(body)

    def generate(self, metadata: Metadata, package: Package) -> Index | None:
        """Return the metadata of a hosted artifact, or of one of its snapshots."""
        base = _snapshot_of(metadata.key)
        found = index.generate(base, package.files)
        known = {} if base else package.state.get(PLUGINS, {})
        plugins = {prefix: (name, title) for prefix, (name, title) in known.items()}
        return replace(found or Index(), plugins=plugins) if found or plugins else None

    def merge(self, metadata: Metadata, values: Sequence[Index]) -> Index:
        """Return one document for those of several members."""
        return index.merge(values)

    def render(self, metadata: Metadata, value: Index, variant: str, base: str) -> Rendered:
        """Return the document as XML."""
        body = index.render(metadata.package, _snapshot_of(metadata.key), value)
        return Rendered(body, "application/xml")

    def exists(self, path: str, repository: str) -> RepomanError:
        """Return the error that mvn shows."""
        return Invalid(
            f"{path.rpartition('/')[2]} exists in {repository} with other content, and its "
            "deployment policy (allow_once) does not let a release be replaced."
        )

    def render_error(self, failure: Failure) -> Response:
        """Return the text as reason too: mvn shows only that."""
        return render_with_reason(failure)

    def files_of(self, form: UploadForm) -> Iterable[tuple[File, UploadedFile]]:
        """Return the files of a version."""
        group, name, version = (form.fields[each] for each in ("groupId", "artifactId", "version"))
        for each in form.files:
            classifier = each.fields.get("classifier", "")
            end = f"{f'-{classifier}' if classifier else ''}.{each.fields['extension']}"
            path = f"{layout.folder_of(group, name, version)}/{name}-{version}{end}"
            file = self.target(path)
            if not isinstance(file, File) or file.package != f"{group}:{name}":
                raise Invalid(f"{group}:{name}:{version} is no coordinate of Maven.")
            yield file, each


def _snapshot_of(path: str) -> str:
    """Return the version that the metadata at a path is about, if it is that of a snapshot."""
    *group, version, _ = path.split("/")
    return version if len(group) > 1 and version.endswith(layout.SNAPSHOT) else ""


MAVEN = Maven()
UI = FormatUi(
    "file",
    lambda url: f"mvn dependency:get -DremoteRepositories={url} -Dartifact=GROUP:NAME:VERSION",
    packages=("artifact", "artifacts"),
    versions=("version", "versions"),
    about="Java libraries for Maven and Gradle",
    path_example="/org/example/name/1.0/name-1.0.jar",
)


@hookimpl
def repoman_register_formats() -> list[Format]:
    """Return the format: its name and its routes."""
    return [files_format(MAVEN, UI)]


@hookimpl
def repoman_register_recipes() -> list[Recipe]:
    """Return one recipe for each repository type; a group has the policies of its members."""
    return files_recipes(MAVEN, {"maven": MavenSection}, group={"maven": ConnectorSection})


@hookimpl
def repoman_web_upload(repository: Repository) -> UploadGuide | None:
    """Return how the form for uploads looks."""
    return GUIDE if repository.config.format == MAVEN.name else None


@hookimpl
def repoman_web_use(request: UseRequest) -> UseGuide | None:
    """Return how clients use a repository."""
    return guide(request) if request.repository.config.format == MAVEN.name else None
