"""Repositories of npm packages: what the format says, and what it registers."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import Blueprint, Request, Response, jsonify

from repoman.plugin import (
    FILE_FIELD,
    FILES_BY_PACKAGE,
    Access,
    Action,
    BlobUpload,
    ChangePackage,
    Conflict,
    Credentials,
    Failure,
    Fetch,
    File,
    FileFormat,
    Format,
    FormatUi,
    Metadata,
    NotFound,
    Package,
    Place,
    Recipe,
    Rendered,
    RepomanError,
    RepositoryConfig,
    Target,
    UploadedFile,
    UploadForm,
    UploadSpec,
    UpstreamUnavailable,
    UseGuide,
    UseRequest,
    WritePolicy,
    access_of_method,
    bearer_token,
    choose_form,
    files_format,
    files_recipes,
    hookimpl,
    is_semver_prerelease,
    semver_key,
)
from repoman_npm import packument
from repoman_npm.browsing import guide
from repoman_npm.paths import split_path, tarball_path, version_of
from repoman_npm.routes import accounts, add_routes
from repoman_npm.routes.publishing import PublishingSection, change_of
from repoman_npm.tarballs import read_package

REPOMAN_API = "1.0"  # The version of the API of plugins that this was written for.
_PACKAGE = "-/package/"
_OURS = re.compile(r"/(-/|@[^/]+/|[^@/]+/-/)")  # Paths that no other format has.


class Npm(FileFormat):
    """Packages of npm, published once, behind their packuments."""

    name = "npm"
    title = "npm"
    checksums = ("sha512", "sha1")
    write_policy = WritePolicy.ALLOW_ONCE
    refuses_early = False
    accepts_same = False
    is_absolute = True
    upload = UploadSpec(asset_fields=(FILE_FIELD,))
    document_max_bytes = 128 << 20  # Some packuments with all versions have almost 100 MB.
    rules = replace(FILES_BY_PACKAGE, version_key=semver_key, is_prerelease=is_semver_prerelease)

    def target(self, path: str) -> Target | None:
        """Return the packument, a part of it, or the tarball at a path."""
        name, rest = split_path(path)
        if not name or rest == ["-"]:
            return None
        if not rest:
            return Metadata(name, name)
        if rest[0] != "-":
            return Metadata(name, name, rest[0]) if len(rest) == 1 else None
        # Some registries repeat the scope in front of the tarball.
        is_tarball = rest[1:-1] in ([], [name.partition("/")[0]])
        version = version_of(name, rest[-1]) if is_tarball else None
        return None if version is None else File(tarball_path(name, version), name, version)

    # Proxies --------------------------------------------------------------------------------------

    def fetch(self, metadata: Metadata, config: RepositoryConfig) -> Fetch:
        """Return how a packument is asked for: whole, as the short form has no times."""
        headers = {"Accept": packument.FULL, "Accept-Encoding": "gzip"}
        return Fetch(metadata.package.replace("/", "%2f"), headers)

    def parse(self, metadata: Metadata, body: bytes, media_type: str, url: str) -> Any:
        """Return the packument that a remote sent."""
        return packument.parse(metadata.package, body, url)

    def remote(self, file: File, find: Callable[[Metadata], Any]) -> Place:
        """Return where a tarball is, by the packument of its package."""
        versions = find(Metadata(file.package, file.package))["versions"]
        if file.version not in versions:
            raise NotFound(f"The remote does not have {file.package}@{file.version}.")
        dist = versions[file.version]["dist"]
        try:
            return Place(dist["tarball"], packument.digests_of(dist))
        except ValueError as error:
            raise UpstreamUnavailable(
                f"The remote tells a digest of {file.package}@{file.version} that is none."
            ) from error

    # Hosted repositories, groups ------------------------------------------------------------------

    def generate(self, metadata: Metadata, package: Package) -> Any:
        """Return the packument of a hosted package; None once it has no version."""
        return packument.generate(package) if package.files else None

    def generate_root(self, metadata: Metadata, names: Sequence[str]) -> Any:
        """Return the names of all hosted packages, for searches."""
        return names

    def merge(self, metadata: Metadata, values: Sequence[Any]) -> Any:
        """Return one packument for those of several members."""
        return packument.merge(values)

    # Forms ----------------------------------------------------------------------------------------

    def files_of(self, form: UploadForm) -> Iterable[tuple[File, UploadedFile]]:
        """Return the tarballs of a form, by the package.json in them."""
        return [(read_package(each.bytes, each.filename)[0], each) for each in form.files]

    def inspect(self, file: File, content: BlobUpload) -> Mapping[str, object]:
        """Return the manifest of a version."""
        return {"manifest": read_package(content, file.path)[1]}

    def uploaded(self, file: File, config: RepositoryConfig) -> ChangePackage:
        """Return what npm publish would change: the version is the latest one."""
        return change_of(file.version, ["latest"], config)

    # Answers --------------------------------------------------------------------------------------

    def variant(self, metadata: Metadata, accept: str) -> str:
        """Return the full form, or the short one that clients install by."""
        return choose_form(accept, packument.FORMS)

    def render(self, metadata: Metadata, value: Any, variant: str, base: str) -> Rendered:
        """Return a packument in a form."""
        return packument.render(metadata.package, value, variant, metadata.part, base)

    def exists(self, path: str, repository: str) -> RepomanError:
        """Return the error in the words of the public registry, which clients show."""
        name, rest = split_path(path)
        version = version_of(name, rest[-1]) if rest else None
        return Conflict(f"You cannot publish over the previously published version {version}.")

    def render_error(self, failure: Failure) -> Response:
        """Return the text as JSON, whose ``error`` clients show."""
        response = jsonify(error=failure.message, reason=failure.message)
        response.status_code = failure.status
        return response

    # Requests -------------------------------------------------------------------------------------

    def routes(self, blueprint: Blueprint) -> None:
        """Add what clients ask for besides packuments and tarballs."""
        add_routes(blueprint)

    def access(self, request: Request) -> Access:
        """Return what a request needs: rights on a package, or none for what is about none."""
        path = request.path.removeprefix("/")
        is_tag = path.startswith(_PACKAGE)
        if path.startswith("-/") and not is_tag:
            return Access()
        needed = access_of_method(request)
        address = path.removeprefix(_PACKAGE).partition("/-rev/")[0]
        name, _ = split_path(address)
        if not name:
            return needed
        is_removal = is_tag and request.method == "DELETE"
        actions = frozenset({Action.EDIT}) if is_removal else needed.actions
        target = self.target(address)
        shown = target.path if isinstance(target, File) else name
        return Access(actions, f"/{shown}", name)

    def name_at(self, path: str) -> str:
        """Return the package that a path is about, or the path."""
        return split_path(path)[0] or path.removeprefix("/")

    def token(self, request: Request) -> str | None:
        """Return the token of a request; that of a login is an old one."""
        return None if accounts.is_login(request) else bearer_token(request)

    def credentials(self, request: Request) -> Credentials | None:
        """Return name and password of a login."""
        return accounts.credentials_of(request) if accounts.is_login(request) else None

    def speaks(self, path: str) -> bool:
        """Return whether only npm and its like ask for a path."""
        return _OURS.match(path) is not None

    def edits(self, query: Mapping[str, str]) -> bool:
        """Return whether a client will send the packument back."""
        return query.get("write") == "true"


NPM = Npm()
UI = FormatUi(
    "file",
    lambda url: f"npm install --registry {url}/ NAME",
    packages=("package", "packages"),
    versions=("version", "versions"),
    about="JavaScript packages for npm, yarn and pnpm",
    path_example="/name/-/name-1.0.0.tgz",
)


@hookimpl
def repoman_register_formats() -> list[Format]:
    """Return the format: its name and its routes."""
    return [files_format(NPM, UI)]


@hookimpl
def repoman_register_recipes() -> list[Recipe]:
    """Return one recipe for each repository type of the format."""
    section = {"npm": accounts.NpmSection}
    return files_recipes(NPM, {"npm": PublishingSection}, proxy=section, group=section)


@hookimpl
def repoman_web_use(request: UseRequest) -> UseGuide | None:
    """Return how clients use a repository."""
    return guide(request) if request.repository.config.format == NPM.name else None
