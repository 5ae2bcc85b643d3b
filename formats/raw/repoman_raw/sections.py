"""The settings that raw repositories have beside those of their type."""

from collections.abc import Iterable

from pydantic import Field

from repoman.plugin import Section


class RawSection(Section):
    """How clients reach the repository, besides ``/repository/<name>/`` on the main port."""

    http_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTP connector; none: no connector."
    )
    https_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTPS connector; none: no connector."
    )

    scripts: bool = Field(
        False, description="Whether pages may run scripts, on a connector; never on the main port."
    )

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors that are wanted."""
        if self.http_port is not None:
            yield "http_port", "http", self.http_port
        if self.https_port is not None:
            yield "https_port", "https", self.https_port
