"""Components and assets over REST: lists, single ones, deletions, and uploads by a form."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import Field

from repoman.blobs.upload import BlobUpload
from repoman.catalog.contents import Entry, render_id
from repoman.catalog.model import AssetView, PageRequest
from repoman.catalog.records import DIGEST
from repoman.errors import Unprocessable
from repoman.repositories.component_upload import UploadedFile, UploadField, UploadSpec
from repoman.repositories.recipes import upload_spec, upload_specs
from repoman.rest.endpoints import EVERYBODY, Area, Call, Form
from repoman.rest.resources import Page, PageQuery, Query, Resource, Timestamp

PAGE_ITEMS = 100
"""The items of a page of a list; clients do not choose it."""
PATH_SAFE = "/:@!$&'()*+,;=~"  # Characters of a path that an address has as they are.
NOT_HERE = (404, 406, 422)  # The statuses of errors that have no body.

components = Area(
    "Components",
    "What repositories contain, as their users see it.",
    example="/v1/search?sort=name",
)
assets = Area(
    "Assets",
    "The files of components, and files that belong to no component.",
    example="/v1/search/assets?sort=name",
)
formats = Area("Formats", "What formats offer.")


class AssetXO(Resource):
    """An asset: a file with a path."""

    download_url: str = Field(description="Address of the file.")
    path: str
    id: str
    repository: str = Field(description="The repository by which the file is downloaded.")
    format: str
    checksum: dict[str, str] = Field(description="Checksums by algorithm, in hex.")
    content_type: str
    last_modified: Timestamp = Field(description="When the file was last stored.")
    last_downloaded: Timestamp | None = Field(description="About when it was last downloaded.")
    uploader: str | None = Field(description="Who stored it last; null for anonymous users.")
    uploader_ip: str | None = Field(description="From where; null for anonymous users.")
    file_size: int = Field(description="In bytes.")
    blob_created: Timestamp = Field(description="When these bytes were first stored.")
    blob_store_name: str


class ComponentXO(Resource):
    """A component: a version of something, with its assets."""

    id: str
    repository: str
    format: str
    group: str | None
    name: str
    version: str
    assets: list[AssetXO]


class RepositoryQuery(PageQuery):
    """Selects a repository and a page."""

    repository: str = Field("", description="Name of the repository; required.")


class UploadQuery(Query):
    """Selects the repository for an upload."""

    repository: str = Field("", description="Name of the hosted repository; required.")


class UploadFieldXO(Resource):
    """A field of the form for an upload."""

    name: str
    type: str = Field(description="STRING, BOOLEAN or FILE.")
    description: str | None
    optional: bool
    group: str | None = Field(description="The heading under which pages show it.")


class UploadSpecXO(Resource):
    """What the form for an upload has."""

    format: str
    multiple_upload: bool = Field(description="Whether it may have several files.")
    component_fields: list[UploadFieldXO] = Field(description="Named `<format>.<name>`.")
    asset_fields: list[UploadFieldXO] = Field(
        description="Of each file, named `<format>.asset1` and `<format>.asset1.<name>`."
    )


@dataclass(frozen=True, slots=True)
class VisibleContent:
    """The right to browse or read anything in the repository that ``repository`` names."""

    text: str = "Needs the right to browse or read content of the repository."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it.

        Raises:
            Unprocessable: no repository is named.
            NotFound, Unauthenticated, Denied: see :meth:`repoman.catalog.contents.Contents`.
        """
        name = values.get("repository", "")
        if not name:
            raise Unprocessable("repository: name a repository.", field="repository")
        call.repository = call.repoman.contents.repository(name, call.actor)


@dataclass(frozen=True, slots=True)
class OneContent:
    """A right to a single component or asset, which the function checks: its path decides."""

    text: str

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return."""


SEEING = OneContent("Needs the right to browse or read the content.")
DELETING = OneContent("Needs the right to browse or read, and to delete, each asset.")


@dataclass(frozen=True, slots=True)
class Uploading:
    """The same, and the right to add content in a repository that takes forms."""

    text: str = (
        "Needs the right to browse or read content of the repository, and to add (or, where "
        "something is there already, edit) the content at each path."
    )

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it and the repository takes forms, before the form is read.

        Raises:
            Invalid: it takes none.
            RepomanError: as of :class:`VisibleContent`, or the write policy refuses everything.
        """
        VisibleContent().check(call, values)
        call.repoman.uploads.check(call.repository, call.actor)


@components.get("/v1/components", VisibleContent(), bare=NOT_HERE)
def list_components(call: Call, query: RepositoryQuery) -> Page[ComponentXO]:
    """List the components of a repository, or of the members of a group.

    A page has up to 100 of them. It may have fewer although there are more: go on until the
    continuationToken is null.
    """
    page = PageRequest(PAGE_ITEMS, query.continuation_token or "")
    found = call.repoman.contents.components(call.repository, page, call.actor)
    items = [component_xo(call, each) for each in found.items]
    return Page[ComponentXO](items=items, continuation_token=found.next)


@components.get("/v1/components/{id}", SEEING, bare=NOT_HERE)
def show_component(call: Call, id: str) -> ComponentXO:
    """Show a component."""
    return component_xo(call, call.repoman.contents.component(id, call.actor))


@components.delete("/v1/components/{id}", DELETING, bare=NOT_HERE)
def delete_component(call: Call, id: str) -> None:
    """Delete a component with its assets."""
    call.repoman.contents.delete_component(id, call.actor)


@assets.get("/v1/assets", VisibleContent(), bare=NOT_HERE)
def list_assets(call: Call, query: RepositoryQuery) -> Page[AssetXO]:
    """List the assets of a repository, or of the members of a group; pages as of components."""
    page = PageRequest(PAGE_ITEMS, query.continuation_token or "")
    found = call.repoman.contents.assets(call.repository, page, call.actor)
    items = [asset_xo(call, each) for each in found.items]
    return Page[AssetXO](items=items, continuation_token=found.next)


@assets.get("/v1/assets/{id}", SEEING, bare=NOT_HERE)
def show_asset(call: Call, id: str) -> AssetXO:
    """Show an asset."""
    return asset_xo(call, call.repoman.contents.asset(id, call.actor))


@assets.delete("/v1/assets/{id}", DELETING, bare=NOT_HERE)
def delete_asset(call: Call, id: str) -> None:
    """Delete an asset, and those that are useless without it."""
    call.repoman.contents.delete_asset(id, call.actor)


class UploadForm(Resource):
    """The form of an upload. Its other fields depend on the format, see the upload specs.

    The prefix of the format, as in `raw.asset1`, may be left out.
    """

    asset: bytes | None = Field(None, description="The file, where the format takes one.")
    asset1: bytes | None = Field(
        None, description="The first file, where the format takes several: asset2, asset3, …"
    )
    filename1: str | None = Field(
        None, alias="asset1.filename", description="The name of the first file in the repository."
    )
    directory: str | None = Field(None, description="The directory of all files.")


def open_part(call: Call, field: str, filename: str, media_type: str) -> BlobUpload:
    """Begin to store a file of a form (Invalid: the format knows no such file)."""
    return call.repoman.uploads.open_file(call.repository, field)


@components.post(
    "/v1/components", Uploading(), open_part=open_part, form_model=UploadForm, bare=NOT_HERE
)
def upload_component(call: Call, query: UploadQuery, form: Form) -> None:
    """Upload a component: a form with its fields and files, see the upload specs of its format.

    All of it is stored, or nothing.
    """
    files = [
        (each.field, UploadedFile(each.sink, each.filename, _known_type(each.media_type)))
        for each in form.parts
    ]
    call.repoman.uploads.store(call.repository, form.fields, files, call.actor)


@formats.get("/v1/formats/upload-specs", EVERYBODY)
def list_upload_specs(call: Call) -> list[UploadSpecXO]:
    """List what the forms for uploads have, of each format that takes them."""
    specs = upload_specs(call.repoman.repositories.list_recipes())
    return [_upload_spec(name, each) for name, each in specs.items()]


@formats.get("/v1/formats/{format}/upload-specs", EVERYBODY, bare=NOT_HERE)
def show_upload_spec(call: Call, format: str) -> UploadSpecXO:
    """Show what the form for an upload has."""
    return _upload_spec(format, upload_spec(call.repoman.repositories.list_recipes(), format))


def component_xo(call: Call, entry: Entry) -> ComponentXO:
    """Return a component as clients see it."""
    return ComponentXO(
        id=render_id(entry.view),
        repository=entry.view.repository,
        format=entry.view.format,
        group=entry.shown.namespace or None,
        name=entry.shown.name,
        version=entry.shown.version,
        assets=[asset_xo(call, each) for each in entry.assets],
    )


def asset_xo(call: Call, asset: AssetView) -> AssetXO:
    """Return an asset as clients see it; who stored it is not for anonymous users."""
    is_told = not call.actor.is_anonymous
    return AssetXO(
        download_url=download_url(call.base_url, asset),
        path=asset.path,
        id=render_id(asset),
        repository=asset.address,
        format=asset.format,
        checksum={**asset.checksums, DIGEST: asset.digest},
        content_type=asset.media_type,
        last_modified=asset.updated_at,
        last_downloaded=asset.downloaded_at or None,
        uploader=(is_told and asset.uploader) or None,
        uploader_ip=(is_told and asset.uploader_address) or None,
        file_size=asset.size,
        blob_created=asset.blob_created_at,
        blob_store_name=asset.blob_store,
    )


def download_url(base_url: str, asset: AssetView) -> str:
    """Return the address of an asset on the main port, which has this address."""
    return f"{base_url}/repository/{asset.address}{quote(asset.path, safe=PATH_SAFE)}"


def _upload_spec(format_: str, spec: UploadSpec) -> UploadSpecXO:
    def fields(found: Iterable[UploadField]) -> list[UploadFieldXO]:
        return [
            UploadFieldXO(
                name=each.name,
                type=each.type,
                description=each.description,
                optional=each.is_optional,
                group=each.group,
            )
            for each in found
        ]

    return UploadSpecXO(
        format=format_,
        multiple_upload=spec.takes_many,
        component_fields=fields(spec.component_fields),
        asset_fields=fields(spec.asset_fields),
    )


def _known_type(media_type: str) -> str:
    """Return a media type that says something; else the name of the file says more."""
    return "" if media_type == "application/octet-stream" else media_type
