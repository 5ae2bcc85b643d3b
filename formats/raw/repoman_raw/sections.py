"""The settings of raw repositories, in addition to those of their type."""

from pydantic import Field

from repoman.plugin import ConnectorSection


class RawSection(ConnectorSection):
    """How clients reach the repository, besides ``/repository/<name>/`` on the main port."""

    scripts: bool = Field(
        False, description="Whether pages may run scripts on a connector; never on the main port."
    )
