"""The sections of a repository's settings that are common to formats."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from repoman.errors import Invalid
from repoman.external_url import ExternalUrl
from repoman.patterns import find_pattern
from repoman.proxy.connections import BundleError, check_bundle
from repoman.sections import RegularExpression, Section, WebAddress


class ConnectorSection(Section):
    """The ports at which clients reach a repository."""

    http_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTP connector; none: no connector."
    )
    https_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTPS connector; none: no connector."
    )
    external_url: ExternalUrl = Field(
        "",
        description=(
            "Address of the connectors as clients know it, such as "
            "https://registry.example.com; empty: the address that the client used."
        ),
    )

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors."""
        if self.http_port is not None:
            yield "http_port", "http", self.http_port
        if self.https_port is not None:
            yield "https_port", "https", self.https_port


def external_url_of(sections: Mapping[str, Section]) -> str:
    """Return the address that the settings of a repository name for its connectors, or nothing."""
    found = (each for each in sections.values() if isinstance(each, ConnectorSection))
    return next((each.external_url for each in found), "")


class WritePolicy(StrEnum):
    """What may be written to a hosted repository (shown as: deployment policy)."""

    ALLOW = "allow"
    ALLOW_ONCE = "allow_once"
    DENY = "deny"


class StorageSection(Section):
    """Where a repository keeps its bytes."""

    blob_store: str = Field(
        "default", description="Blob store; cannot be changed after the repository was created."
    )


class AccessSection(Section):
    """Access to a repository without authentication."""

    anonymous: bool | None = Field(
        None,
        description=(
            "Whether clients can read without authentication; unset: as for the whole server."
        ),
    )


class HostedStorageSection(StorageSection):
    """Where a hosted repository keeps its bytes, and who may overwrite them."""

    write_policy: WritePolicy = Field(
        WritePolicy.ALLOW, description="Deployment policy: allow, allow_once or deny."
    )


Minutes = Annotated[int, Field(ge=-1)]


class ProxySection(Section):
    """Where a proxy gets its content, and how long it caches it."""

    remote_url: WebAddress = Field(description="Address of the remote, http or https.")
    content_max_age: Minutes = Field(
        1440,
        description="Minutes for which content is cached before it is checked again; -1: forever.",
    )
    metadata_max_age: Minutes = Field(
        1440,
        description=(
            "Minutes for which lists and movable names are cached before they are checked "
            "again; -1: forever."
        ),
    )
    follow_deletion: bool = Field(
        False, description="Whether to delete cached content that was deleted on the remote."
    )
    cache_limit: int = Field(
        0,
        ge=0,
        description=(
            "Most bytes to cache; the least recently used content is removed first. 0: no limit."
        ),
    )


class NegativeCacheSection(Section):
    """The negative cache: whether to remember what the remote does not have."""

    enabled: bool = Field(
        True, description="Whether to cache that content was not found on the remote."
    )
    time_to_live: Minutes = Field(5, description="Minutes for which it is cached; -1: forever.")


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


class HttpClientSection(Section):
    """How to contact the remote. Times in seconds."""

    blocked: bool = Field(
        False, description="Do not contact the remote; serve cached content only."
    )
    auto_block: bool = Field(
        True, description="Stop contacting the remote for a while after failures."
    )
    retries: int = Field(2, ge=0, le=10, description="Number of retries after a failure.")
    timeout: int = Field(20, ge=1, le=3600, description="Timeout for a response, in seconds.")
    user_agent_suffix: str = Field("", description="Text to add to the User-Agent header.")
    username: str = Field("", description="User name for the remote.")
    password: SecretStr = Field(SecretStr(""), description="Password or token of that user.")
    bearer_token: SecretStr = Field(
        SecretStr(""), description="Bearer token to send instead of a user name and password."
    )
    ca_bundle: str = Field(
        "",
        description=(
            "PEM file of authorities to trust in addition to the public ones and those of "
            "the system."
        ),
    )
    use_trust_store: bool = Field(
        False, description="Whether to trust the certificates of the trust store as well."
    )
    allow_private: bool = Field(
        False, description="Whether redirects may lead to private and loopback addresses."
    )

    @field_validator("user_agent_suffix", "bearer_token")
    @classmethod
    def _check_header(cls, value: str | SecretStr) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not (text.isascii() and text.isprintable()):
            raise ValueError("must be one line of ASCII characters, since a header takes no others")
        return value

    @property
    def credentials(self) -> RemoteCredentials:
        """The login at the remote."""
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


class GroupSection(Section):
    """The repositories that a group shows as one."""

    members: tuple[str, ...] = Field(
        min_length=1,
        description="Names of the members; the first one that has the content answers.",
    )
    writable_member: str = Field(
        "", description="The hosted member that receives pushes; empty: none."
    )
    pins: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Patterns of names, such as acme/*, and the only members that serve them.",
    )


class RoutingMode(StrEnum):
    """What the matchers of a routing rule do."""

    ALLOW = "allow"
    BLOCK = "block"


class RoutingSection(Section):
    """Which paths a proxy may request."""

    mode: RoutingMode = Field(RoutingMode.BLOCK, description="Whether the matchers allow or block.")
    matchers: tuple[RegularExpression, ...] = Field(
        (), description="Regular expressions that have to match the whole path."
    )

    def allows(self, *paths: str) -> bool:
        """Return whether a path may be requested, given its other names."""
        if not self.matchers:
            return True
        patterns = map(find_pattern, self.matchers)
        is_matched = any(pattern.matches(path) for pattern in patterns for path in paths)
        return is_matched is (self.mode is RoutingMode.ALLOW)
