"""The sections of a repository's settings that are common to formats."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, SecretStr, field_validator

from repoman.errors import Invalid
from repoman.external_url import ExternalUrl
from repoman.proxy.connections import BundleError, check_bundle
from repoman.repositories.cleanup_records import list_policies
from repoman.repositories.routing_records import (
    RoutingMode,
    RoutingRule,
    find_rule,
    is_allowed,
)
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

    def pinned(self, *names: str) -> set[str] | None:
        """Return the only members that serve what has these names, in lower case; None: all."""
        pins = [
            to
            for pattern, to in self.pins.items()
            if any(fnmatchcase(each, pattern) for each in names)
        ]
        return {each.lower() for to in pins for each in to} if pins else None


class RoutingSection(Section):
    """Which paths a proxy may request, and what a group serves."""

    rule: str = Field("", description="Routing rule that applies; empty: none.")
    mode: RoutingMode = Field(RoutingMode.BLOCK, description="Whether the matchers allow or block.")
    matchers: tuple[RegularExpression, ...] = Field(
        (), description="Regular expressions that have to match the whole path."
    )
    _rule: RoutingRule | None = PrivateAttr(None)

    def check_names(self) -> None:
        """Return if there is a rule where one is named (Invalid)."""
        found = find_rule(self.rule) if self.rule else None
        self.with_rule({} if found is None else {found.name.lower(): found})

    def with_rule(self, rules: Mapping[str, RoutingRule]) -> Self:
        """Return the section with the rule that it names, of those by name in lower case (Invalid).

        Without its rule everything would be allowed.
        """
        if not self.rule:
            return self
        if self.rule.lower() not in rules:
            field = "routing.rule"
            raise Invalid(f"{field}: there is no routing rule {self.rule!r}.", field=field)
        section = self.model_copy()
        section._rule = rules[self.rule.lower()]
        return section

    @property
    def is_restricted(self) -> bool:
        """Whether some paths may not be requested."""
        return bool(self.matchers) or self._rule is not None

    def path_of(self, name: str, part: tuple[object, ...]) -> str:
        """Return the path with which routing rules compare a name, or a part of what it names.

        The part is what the format passes to :meth:`allows`.
        """
        return f"/{name}"

    def allows(self, *names: str, part: tuple[object, ...] = ()) -> bool:
        """Return whether something, or a part of it, may be requested, given all of its names.

        The matchers of the section see its names, those of the rule also its paths.
        """
        if self.matchers and not is_allowed(self.mode, self.matchers, names):
            return False
        rule = self._rule
        return rule is None or rule.allows([*names, *(self.path_of(name, part) for name in names)])


class CleanupSection(Section):
    """Which components of a repository a cleanup removes."""

    policy_names: tuple[str, ...] = Field(
        (), description="Cleanup policies; what any of them selects is removed."
    )

    def check_names(self) -> None:
        """Return if there are all policies that are named (Invalid)."""
        known = {each.name.lower() for each in list_policies(self.policy_names)}
        missing = [each for each in self.policy_names if each.lower() not in known]
        if missing:
            field = "cleanup.policy_names"
            raise Invalid(f"{field}: there is no cleanup policy {missing[0]!r}.", field=field)
