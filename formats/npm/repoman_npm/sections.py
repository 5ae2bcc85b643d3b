"""The settings of a repository."""

from typing import ClassVar

from pydantic import Field

from repoman.plugin import ConnectorSection


class NpmSection(ConnectorSection):
    """How clients reach the repository, and for how long their logins are good."""

    in_rest: ClassVar = dict.fromkeys(("http_port", "https_port", "external_url", "login_days"))

    login_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        title="Days of a login",
        description=(
            "For how many days the token is good that npm login gets; none: until npm logout, or "
            "as long as the server lets user tokens live."
        ),
        json_schema_extra={"advanced": True},
    )
