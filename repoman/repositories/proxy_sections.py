"""The sections of a proxy's settings that are common to formats: its remote, and how to ask it."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, SecretStr, field_validator

from repoman.errors import Invalid
from repoman.proxy.connections import BundleError, check_bundle
from repoman.repositories.sections import IN_NO_FORM
from repoman.sections import Rest, Section, WebAddress, plain_address


class ReplicationSection(Section):
    """Whether a proxy gets content before it is asked for."""

    in_rest: ClassVar = {"preemptive_pull_enabled": Rest(empty=False)}

    preemptive_pull_enabled: bool | None = Field(
        None,
        description="Kept for clients of the REST API; has no effect.",
        json_schema_extra=IN_NO_FORM,
    )
    asset_path_regex: str = Field(
        "",
        description="Kept for clients of the REST API; has no effect.",
        json_schema_extra=IN_NO_FORM,
    )


Minutes = Annotated[int, Field(ge=-1)]


class ProxySection(Section):
    """Where a proxy gets its content, and how long it caches it."""

    model_config = ConfigDict(title="Upstream")

    in_rest: ClassVar = {"follow_deletion": None, "cache_limit": None}

    remote_url: WebAddress = Field(
        description="Address of the remote, http or https.",
        title="Address of the upstream",
        json_schema_extra={"hint": "http or https, such as https://registry.example.com."},
    )
    content_max_age: Minutes = Field(
        1440,
        description="Minutes for which content is cached before it is checked again; -1: forever.",
        title="Maximum age of content",
        json_schema_extra={"unit": "minutes", "hint": "Then it is checked again. -1: never."},
    )
    metadata_max_age: Minutes = Field(
        1440,
        description=(
            "Minutes for which lists and movable names are cached before they are checked "
            "again; -1: forever."
        ),
        title="Maximum age of lists",
        json_schema_extra={
            "unit": "minutes",
            "hint": "And of names that can move. -1: never checked again, 0: each time.",
        },
    )
    follow_deletion: bool = Field(
        False,
        description="Whether to delete cached content that was deleted on the remote.",
        title="Follow deletions",
        json_schema_extra={"hint": "Delete here what was deleted upstream."},
    )
    cache_limit: int = Field(
        0,
        ge=0,
        description=(
            "Most bytes to cache; the least recently used content is removed first. 0: no limit."
        ),
        title="Limit of the cache",
        json_schema_extra={
            "unit": "GiB",
            "hint": "The least recently used content is removed first. 0: no limit.",
        },
    )

    @property
    def remote(self) -> str:
        """Return the address of the remote without a slash at its end."""
        return plain_address(self.remote_url)


class NegativeCacheSection(Section):
    """The negative cache: whether to remember what the upstream does not have."""

    model_config = ConfigDict(title="Negative cache")

    in_rest: ClassVar = {"time_to_live": Rest(empty=1440)}

    enabled: bool = Field(
        True,
        description="Whether to cache that content was not found on the remote.",
        title="Remember what was not found upstream",
        json_schema_extra={"hint": ""},
    )
    time_to_live: Minutes = Field(
        5,
        description="Minutes for which it is cached; -1: forever.",
        title="For how long",
        json_schema_extra={"unit": "minutes", "hint": "-1: forever."},
    )


@dataclass(frozen=True, slots=True)
class RemoteCredentials:
    """A user and a password, or a token; all empty for anonymous access."""

    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str | None:
        """The Authorization header with user name and password; None without a user name."""
        if not self.username:
            return None
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {b64encode(pair).decode('ascii')}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers to send without waiting for a challenge."""
        header = f"Bearer {self.bearer_token}" if self.bearer_token else self.basic
        return {} if header is None else {"Authorization": header}


class RemoteLogin(StrEnum):
    """How a proxy logs in at its remote."""

    USERNAME = "username"
    BEARER_TOKEN = "bearerToken"  # noqa: S105 - a word, not a token
    NTLM = "ntlm"


class HttpClientSection(Section):
    """How to contact the upstream."""

    model_config = ConfigDict(title="Requests to the upstream")

    in_rest: ClassVar = {
        "retries": Rest("connection.retries"),
        "timeout": Rest("connection.timeout"),
        "user_agent_suffix": Rest("connection.userAgentSuffix"),
        "enable_circular_redirects": Rest("connection.enableCircularRedirects", empty=False),
        "enable_cookies": Rest("connection.enableCookies", empty=False),
        "use_trust_store": Rest("connection.useTrustStore", empty=False),
        "authentication": Rest(
            "authentication.type", is_required=True, is_upper=False, shows="login"
        ),
        "username": Rest("authentication.username"),
        "password": Rest("authentication.password"),
        "bearer_token": Rest("authentication.bearerToken"),
        "ntlm_host": Rest("authentication.ntlmHost"),
        "ntlm_domain": Rest("authentication.ntlmDomain"),
        "ca_bundle": None,
        "allow_private": None,
    }

    blocked: bool = Field(
        False,
        description="Do not contact the remote; serve cached content only.",
        title="Block the upstream",
        json_schema_extra={"hint": "Only what is cached is served."},
    )
    auto_block: bool = Field(
        True,
        description="Stop contacting the remote for a while after failures.",
        title="Block it after failures",
        json_schema_extra={
            "hint": "For 40 seconds at first, then for longer; cached content is served meanwhile."
        },
    )
    retries: int | None = Field(
        None,
        ge=0,
        le=10,
        description="Number of retries after a failure; unset: http.retries, or 2.",
        json_schema_extra={"hint": "Empty: as for all proxies, or 2."},
    )
    timeout: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Timeout for a response, in seconds; unset: http.timeout, or 20.",
        json_schema_extra={"unit": "seconds", "hint": "Empty: as for all proxies, or 20."},
    )
    user_agent_suffix: str = Field(
        "",
        description="Text to add to the User-Agent header.",
        title="User-Agent suffix",
        json_schema_extra={"advanced": True},
    )
    authentication: RemoteLogin | None = Field(
        None,
        description=(
            "Type of the login: username, bearerToken or ntlm; unset: by what is set. ntlm is kept "
            "for clients of the REST API, but not supported: nothing is sent."
        ),
        json_schema_extra=IN_NO_FORM,
    )
    username: str = Field(
        "",
        description="User name for the remote.",
        title="User name",
        json_schema_extra={"hint": "At the upstream."},
    )
    password: SecretStr = Field(SecretStr(""), description="Password or token of that user.")
    bearer_token: SecretStr = Field(
        SecretStr(""),
        description="Bearer token to send instead of a user name and password.",
        json_schema_extra={"advanced": True},
    )
    ntlm_host: str = Field(
        "",
        description="Kept for clients of the REST API; has no effect.",
        json_schema_extra=IN_NO_FORM,
    )
    ntlm_domain: str = Field(
        "",
        description="Kept for clients of the REST API; has no effect.",
        json_schema_extra=IN_NO_FORM,
    )
    enable_circular_redirects: bool | None = Field(
        None,
        description="Kept for clients of the REST API; has no effect.",
        json_schema_extra=IN_NO_FORM,
    )
    enable_cookies: bool | None = Field(
        None,
        description="Kept for clients of the REST API; has no effect.",
        json_schema_extra=IN_NO_FORM,
    )
    ca_bundle: str = Field(
        "",
        description=(
            "PEM file of authorities to trust in addition to the public ones and those of "
            "the system."
        ),
        title="Certificate authorities",
        json_schema_extra={"advanced": True},
    )
    use_trust_store: bool | None = Field(
        None,
        description="Whether to trust the certificates of the trust store as well.",
        title="Use the trust store",
        json_schema_extra={"labels": {"": "As usual: no"}, "advanced": True},
    )
    allow_private: bool = Field(
        False,
        description="Whether redirects may lead to private and loopback addresses.",
        title="Allow private addresses",
        json_schema_extra={"advanced": True},
    )

    @field_validator("user_agent_suffix", "bearer_token")
    @classmethod
    def _check_header(cls, value: str | SecretStr) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not (text.isascii() and text.isprintable()):
            raise ValueError("must be one line of ASCII characters, since a header takes no others")
        return value

    @classmethod
    def from_rest(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of a request: one type of login replaces the other."""
        if values["authentication"] is RemoteLogin.BEARER_TOKEN:
            return {**values, "username": "", "password": ""}
        return {**values, "bearer_token": ""}

    @property
    def login(self) -> RemoteLogin | None:
        """The type of the login at the remote; None: there is no login."""
        if self.authentication is RemoteLogin.NTLM:
            return RemoteLogin.NTLM
        if self.bearer_token.get_secret_value():
            return RemoteLogin.BEARER_TOKEN
        return RemoteLogin.USERNAME if self.username else self.authentication

    @property
    def credentials(self) -> RemoteCredentials:
        """The login at the remote."""
        if self.login is RemoteLogin.NTLM:
            return RemoteCredentials()
        return RemoteCredentials(
            self.username, self.password.get_secret_value(), self.bearer_token.get_secret_value()
        )

    def check_names(self) -> None:
        """Return if there is a bundle where one is named (Invalid)."""
        try:
            if self.ca_bundle:
                check_bundle(self.ca_bundle)
        except BundleError as error:
            field = "http_client.ca_bundle"
            raise Invalid(f"{field}: {error}.", field=field) from error
