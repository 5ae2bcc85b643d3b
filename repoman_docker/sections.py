"""The settings sections of Docker repositories."""

from collections.abc import Iterable

from pydantic import Field

from repoman.plugin import HostedStorageSection, Section


class DockerSection(Section):
    """How clients reach the repository, and what it takes."""

    http_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTP connector; none: no connector."
    )
    https_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTPS connector; none: no connector."
    )
    manifest_limit: int = Field(
        8_388_608, ge=1_048_576, description="Largest manifest that is accepted, in bytes."
    )
    sparse: bool = Field(
        True,
        description="Whether an index may lack images and an image layers; its config and one "
        "layer must be there.",
    )

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors."""
        if self.http_port is not None:
            yield "http_port", "http", self.http_port
        if self.https_port is not None:
            yield "https_port", "https", self.https_port


class DockerHostedStorageSection(HostedStorageSection):
    """Where a hosted repository keeps its bytes, and who may overwrite tags."""

    redeploy_latest: bool = Field(
        False, description="Whether allow_once still lets the tag latest be moved."
    )
