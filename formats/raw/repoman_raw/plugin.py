"""What the format registers with the core. Read this first, then service, hosted, routes."""

from repoman.plugin import (
    AccessSection,
    Built,
    Capabilities,
    Format,
    HostedStorageSection,
    Recipe,
    RepositoryContext,
    RepositoryType,
    hookimpl,
)
from repoman_raw.hosted import RawHosted
from repoman_raw.routes import files
from repoman_raw.sections import RawSection

RAW = Format(name="raw", title="Raw", blueprints=(files,), hint=lambda url: f"curl -O {url}/PATH")


def build_hosted(context: RepositoryContext) -> Built:
    """Return the service of a hosted repository, and what the core may ask of it."""
    storage = context.config.section("storage", HostedStorageSection)
    service = RawHosted(
        context.config.name,
        storage.write_policy,
        has_scripts=context.config.section("raw", RawSection).scripts,
        content=context.content,
        blobs=context.blobs,
    )
    return Built(
        service,
        Capabilities(
            delete_component=lambda file: service.delete(file.name), delete_asset=service.delete
        ),
    )


HOSTED = Recipe(
    format=RAW.name,
    type=RepositoryType.HOSTED,
    sections={"storage": HostedStorageSection, "access": AccessSection, "raw": RawSection},
    build=build_hosted,
)


@hookimpl
def repoman_register_formats() -> list[Format]:
    """Return the format: its name and its routes."""
    return [RAW]


@hookimpl
def repoman_register_recipes() -> list[Recipe]:
    """Return one recipe for each repository type of the format."""
    return [HOSTED]
