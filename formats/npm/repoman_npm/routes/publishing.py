"""What npm publish, unpublish, deprecate, star and dist-tag send."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from flask import Blueprint, jsonify, request
from pydantic import Field

from repoman.plugin import (
    Access,
    Action,
    BlobUpload,
    Change,
    ChangePackage,
    Conflict,
    File,
    FileRepository,
    Invalid,
    Metadata,
    NewFile,
    NotFound,
    Package,
    PackageRepository,
    RepositoryConfig,
    TooLarge,
    check_write,
    current_actor,
    current_environ,
    current_ref,
    current_repository,
    current_security,
    read_body,
    read_json,
    receive_file_document,
)
from repoman_npm.packument import digests_of, integrity_of, revision, without_odd_scripts
from repoman_npm.paths import (
    is_new_name,
    is_tag,
    is_version,
    split_path,
    tarball_path,
    version_of,
)
from repoman_npm.routes.accounts import NpmSection
from repoman_npm.tarballs import check_tarball

VERSION_BODY_MAX_BYTES = 1024
TEXT_MAX_CHARS = 4096  # Of a deprecation.
EXTRA_MAX_BYTES = 16 << 20  # Of a document, besides the package.json of all versions.
TARBALL = ".tgz"
OCTET_STREAM = "application/octet-stream"
DELETING = frozenset({Action.DELETE})
REVISION = "/-rev/"

State = dict[str, Any]


class PublishingSection(NpmSection):
    """What a hosted repository has besides: how much of a package clients may publish."""

    in_rest: ClassVar = dict.fromkeys(("manifest_limit", "versions_limit", "package_limit"))

    manifest_limit: int = Field(
        1 << 20,
        ge=1 << 10,
        title="Largest package.json",
        description="Maximum size of the package.json of a version, in bytes.",
        json_schema_extra={"unit": "MiB", "hint": "With the readme.", "advanced": True},
    )
    versions_limit: int = Field(
        10_000,
        ge=1,
        title="Most versions of a package",
        description="Maximum number of versions of a package.",
        json_schema_extra={"hint": "Older ones have to be unpublished then.", "advanced": True},
    )
    package_limit: int = Field(
        64 << 20,
        ge=1 << 10,
        title="Largest package",
        description="Maximum size of the package.json of all versions of a package, in bytes.",
        json_schema_extra={
            "unit": "MiB",
            "hint": "Of all package.json together; the server has them in memory.",
            "advanced": True,
        },
    )


def add_routes(blueprint: Blueprint) -> None:
    """Add what is sent to the path of a package or a tarball."""
    blueprint.put("/<rest:path>")(put)
    blueprint.delete("/<rest:path>")(delete)


def add_tag_route(blueprint: Blueprint, method: str) -> None:
    """Add the routes of dist-tags for a method."""
    views = {"GET": get_tags, "PUT": put_tag, "POST": put_tag, "DELETE": delete_tag}
    rule = "/-/package/<rest:path>"
    blueprint.add_url_rule(rule, f"tags {method}", views[method], methods=[method])


def put(path: str) -> Any:
    """Publish a version, or change the document of a package."""
    address, _, known = path.partition(REVISION)
    name, rest = split_path(address)
    if not name or rest:
        raise NotFound("Packages are published at their names.")
    hosted = _hosted(name)
    limits = hosted.config.section("npm", PublishingSection)
    most = EXTRA_MAX_BYTES + (limits.package_limit if hosted.owns(name) else 0)
    with receive_file_document(TARBALL, most) as sent:
        if sent.value.get("name", name) != name:
            raise Invalid(f"name: the document is about another package than {name}.")
        if sent.files:
            _publish(hosted, name, sent.value, sent.files)
        else:
            if known:
                _check_may_delete(name)
            hosted.change(name, _edit(name, sent.value, known))
    return jsonify(ok=True, success=True), 201


def delete(path: str) -> Any:
    """Remove a package, or one of its tarballs: npm has changed the document before."""
    address, _, known = path.partition(REVISION)
    name, rest = split_path(address)
    if not name:
        raise NotFound("There is no such package.")
    version = version_of(name, rest[-1]) if rest else None
    if rest and version is None:
        raise NotFound("There is no such tarball.")

    def change(package: Package) -> Change:
        if version is not None:
            gone = [each.path for each in package.files if each.version == version]
            return Change(package.state, gone)
        _check_revision(package, known)
        return Change({}, [each.path for each in package.files])

    _hosted(name).change(name, change)
    return jsonify(ok=True)


# Publishing ---------------------------------------------------------------------------------------


def _publish(
    hosted: PackageRepository,
    name: str,
    document: Mapping[str, Any],
    files: Mapping[str, BlobUpload],
) -> None:
    if not is_new_name(name):
        raise Invalid(
            f"name: {name!r} is no name for a new package: use small letters, and no dash in front."
        )
    versions, tags = _mapping(document, "versions"), _tags(document)
    if len(versions) != 1 or len(files) != 1:
        raise Invalid("A publish has exactly one version with one tarball.")
    (version,), (tarball,) = versions, files.values()
    if not is_version(version) or _mapping(versions, version).get("version", version) != version:
        raise Invalid(f"versions: {version[:80]!r} is no version, or not that of its package.json.")
    limits = hosted.config.section("npm", PublishingSection)
    manifest = _checked(name, version, versions[version], tarball)
    if len(json.dumps(manifest)) > limits.manifest_limit:
        raise _too_large(f"The package.json of {name}@{version}", limits, "manifest_limit", "bytes")
    file = File(tarball_path(name, version), name, version)
    check_write(file)
    check_tarball(name, version, tarball)

    new = NewFile(file, OCTET_STREAM, {"manifest": manifest})
    change = change_of(version, tags, hosted.config)
    hosted.save((new, tarball), check=check_write, change=change)


def change_of(version: str, tags: Iterable[str], config: RepositoryConfig) -> ChangePackage:
    """Return what a version that was just published changes, with tags that are its from now on."""
    limits = config.section("npm", PublishingSection)

    def change(package: Package) -> Change:
        _check_package(package, version, limits)
        state = _without(package.state, version)
        moved = {**state.get("dist-tags", {}), **dict.fromkeys(tags, version)}
        return Change({**state, "dist-tags": moved})

    return change


def _checked(name: str, version: str, manifest: Mapping[str, Any], tarball: BlobUpload) -> State:
    """Return what is kept of a version (Invalid: its tarball is another one)."""
    dist = _mapping(manifest, "dist")
    try:
        given = digests_of(dist)
    except ValueError as error:
        raise Invalid("dist.integrity: it is no digest.") from error
    if not given or any(tarball.hexdigest(key) != digest for key, digest in given.items()):
        raise Invalid(f"dist: the tarball of {name}@{version} does not have this digest.")
    known = {
        "shasum": tarball.hexdigest("sha1"),
        "integrity": integrity_of(tarball.hexdigest("sha512")),
    }
    kept = {key: value for key, value in dist.items() if key != "tarball"}
    about = {"name": name, "version": version, "_id": f"{name}@{version}"}
    return {**without_odd_scripts(manifest), **about, "dist": {**kept, **known}}


def _check_package(package: Package, new: str, limits: PublishingSection) -> None:
    """Return if a package may have the version that it has got.

    Raises:
        Conflict: another version differs by its build only, which npm does not tell apart.
        TooLarge: it has become more than a packument can tell.
    """
    core, others = new.partition("+")[0], {each.version for each in package.files} - {new}
    twin = next((each for each in others if each.partition("+")[0] == core), None)
    if twin is not None:
        raise Conflict(f"The version {new} is the same as the previously published {twin}.")
    if len(package.files) > limits.versions_limit:
        raise _too_large(package.name, limits, "versions_limit", "versions")
    if sum(each.attributes_chars for each in package.files) > limits.package_limit:
        what = f"The package.json of all versions of {package.name} together"
        raise _too_large(what, limits, "package_limit", "bytes")


def _too_large(what: str, limits: PublishingSection, name: str, unit: str) -> TooLarge:
    return TooLarge(
        f"{what} has more than {getattr(limits, name)} {unit}. Unpublish old versions, or ask an "
        f"administrator to raise the limit of the repository (npm.{name})."
    )


# Changes ------------------------------------------------------------------------------------------


def _edit(name: str, document: Mapping[str, Any], known: str) -> ChangePackage:
    """Return the change that a document asks for which came back; only keys count that it has.

    With the revision that it had, versions that it lacks go, unless it has no list of them.
    """
    document = {key: each for key, each in document.items() if each is not None}
    tags, users = _tags(document), _mapping(document, "users")
    versions = _mapping(document, "versions")
    texts = {key: str(_mapping(versions, key).get("deprecated") or "") for key in versions}
    if any(len(each) > TEXT_MAX_CHARS for each in texts.values()):
        raise Invalid(f"deprecated: a text has more than {TEXT_MAX_CHARS} characters.")

    def change(package: Package) -> Change:
        if not package.files:
            raise NotFound(f"There is no package {name} here.")
        state, gone = dict(package.state), []
        _check_revision(package, known)
        if known and "versions" in document:
            gone = [each for each in package.files if each.version not in versions]
        left = {each.version for each in package.files} - {each.version for each in gone}
        if "versions" in document:
            state["deprecated"] = {key: each for key, each in texts.items() if each and key in left}
        if "dist-tags" in document:
            state["dist-tags"] = {tag: each for tag, each in tags.items() if each in left}
        if "users" in document:
            state["users"] = {user: True for user, likes in users.items() if likes}
        return Change(state, [each.path for each in gone])

    return change


def get_tags(path: str) -> Any:
    """Return the dist-tags of a package."""
    name, _ = _tag_at(path)
    service = cast("FileRepository", current_repository().service)
    return jsonify(service.document(Metadata(name, name)).value["dist-tags"])


def put_tag(path: str) -> Any:
    """Set a dist-tag."""
    name, tag = _tag_at(path)
    try:
        version = read_json(read_body(current_environ(), VERSION_BODY_MAX_BYTES))
    except ValueError as error:
        raise Invalid("The body must be a version as a JSON text.") from error
    if not is_tag(tag):
        raise Invalid(f"{tag[:80]!r} is no dist-tag: it must not look like a version.")

    def change(package: Package) -> Change:
        if version not in [each.version for each in package.files]:
            raise NotFound(f"There is no version {version!r} of {name} here.")
        return Change(_with_tags(package, {tag: version}))

    _hosted(name).change(name, change)
    return jsonify(ok=True), 201


def delete_tag(path: str) -> Any:
    """Remove a dist-tag."""
    name, tag = _tag_at(path)
    if tag == "latest":
        raise Invalid("The tag latest cannot be removed; set it to another version.")

    def change(package: Package) -> Change:
        if tag not in package.state.get("dist-tags", {}):
            raise NotFound(f"{name} does not have the tag {tag!r}.")
        return Change(_with_tags(package, {}, tag))

    _hosted(name).change(name, change)
    return jsonify(ok=True)


def _with_tags(package: Package, tags: Mapping[str, str], without: str = "") -> State:
    kept = {key: each for key, each in package.state.get("dist-tags", {}).items() if key != without}
    return {**package.state, "dist-tags": {**kept, **tags}}


def _without(state: Mapping[str, Any], version: str) -> State:
    """Return a state in which a version is not deprecated: it may have been here before."""
    texts = {key: each for key, each in state.get("deprecated", {}).items() if key != version}
    return {**state, "deprecated": texts}


def _tag_at(path: str) -> tuple[str, str]:
    name, rest = split_path(path)
    is_list = request.method == "GET"
    if not name or rest[:1] != ["dist-tags"] or len(rest) != (1 if is_list else 2):
        raise NotFound("There are only dist-tags here.")
    return name, "" if is_list else rest[1]


# Inside -------------------------------------------------------------------------------------------


def _hosted(name: str) -> PackageRepository:
    return cast("FileRepository", current_repository().service).writable(name)


def _check_may_delete(name: str) -> None:
    access = Access(DELETING, f"/{name}", name)
    current_security().authorizer.check(current_actor(), current_ref(), access)


def _check_revision(package: Package, known: str) -> None:
    if known and known != revision(package):
        raise Conflict(f"{package.name} has changed meanwhile. Try again.")


def _tags(document: Mapping[str, Any]) -> Mapping[str, str]:
    tags = _mapping(document, "dist-tags")
    if not all(is_tag(key) and isinstance(each, str) for key, each in tags.items()):
        raise Invalid("dist-tags: a tag must not look like a version, but name one.")
    return tags


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key) or {}
    if not isinstance(found, Mapping):
        raise Invalid(f"{key[:80]}: must be an object.")
    return found
