"""The sections of a repository's settings that are common to formats."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, PrivateAttr, SecretStr, field_validator

from repoman.errors import Invalid
from repoman.external_url import ExternalUrl
from repoman.proxy.connections import BundleError, check_bundle
from repoman.repositories.cleanup_records import ALL_FORMATS, list_policies
from repoman.repositories.routing_records import (
    RoutingMode,
    RoutingRule,
    find_rule,
    is_allowed,
)
from repoman.sections import RegularExpressions, Rest, Section, WebAddress, plain_address


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

    in_rest: ClassVar = {
        "blob_store": Rest("blobStoreName", is_required=True),
        "strict_content_type_validation": Rest(is_required=True),
    }

    blob_store: str = Field(
        "default", description="Blob store; cannot be changed after the repository was created."
    )
    strict_content_type_validation: bool = Field(
        True, description="Kept for clients of the REST API; has no effect."
    )


class AccessSection(Section):
    """Access to a repository without authentication."""

    in_rest: ClassVar = {"anonymous": None}

    anonymous: bool | None = Field(
        None,
        description=(
            "Whether clients can read without authentication; unset: as for the whole server."
        ),
    )


class HostedStorageSection(StorageSection):
    """Where a hosted repository keeps its bytes, and who may overwrite them."""

    in_rest: ClassVar = {"write_policy": Rest(is_required=True)}

    write_policy: WritePolicy = Field(
        WritePolicy.ALLOW, description="Deployment policy: allow, allow_once or deny."
    )


class ComponentSection(Section):
    """What a hosted repository says of its components."""

    proprietary_components: bool = Field(
        False, description="Kept for clients of the REST API; has no effect."
    )


class ReplicationSection(Section):
    """Whether a proxy gets content before it is asked for."""

    in_rest: ClassVar = {"preemptive_pull_enabled": Rest(empty=False)}

    preemptive_pull_enabled: bool | None = Field(
        None, description="Kept for clients of the REST API; has no effect."
    )
    asset_path_regex: str = Field(
        "", description="Kept for clients of the REST API; has no effect."
    )


Minutes = Annotated[int, Field(ge=-1)]


class ProxySection(Section):
    """Where a proxy gets its content, and how long it caches it."""

    in_rest: ClassVar = {"follow_deletion": None, "cache_limit": None}

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

    @property
    def remote(self) -> str:
        """Return the address of the remote without a slash at its end."""
        return plain_address(self.remote_url)


class NegativeCacheSection(Section):
    """The negative cache: whether to remember what the remote does not have."""

    in_rest: ClassVar = {"time_to_live": Rest(empty=1440)}

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


class RemoteLogin(StrEnum):
    """How a proxy logs in at its remote."""

    USERNAME = "username"
    BEARER_TOKEN = "bearerToken"  # noqa: S105 - a word, not a token
    NTLM = "ntlm"


class HttpClientSection(Section):
    """How to contact the remote. Times in seconds."""

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
        False, description="Do not contact the remote; serve cached content only."
    )
    auto_block: bool = Field(
        True, description="Stop contacting the remote for a while after failures."
    )
    retries: int | None = Field(
        None,
        ge=0,
        le=10,
        description="Number of retries after a failure; unset: http.retries, or 2.",
    )
    timeout: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Timeout for a response, in seconds; unset: http.timeout, or 20.",
    )
    user_agent_suffix: str = Field("", description="Text to add to the User-Agent header.")
    authentication: RemoteLogin | None = Field(
        None,
        description=(
            "Type of the login: username, bearerToken or ntlm; unset: by what is set. ntlm is kept "
            "for clients of the REST API, but not supported: nothing is sent."
        ),
    )
    username: str = Field("", description="User name for the remote.")
    password: SecretStr = Field(SecretStr(""), description="Password or token of that user.")
    bearer_token: SecretStr = Field(
        SecretStr(""), description="Bearer token to send instead of a user name and password."
    )
    ntlm_host: str = Field("", description="Kept for clients of the REST API; has no effect.")
    ntlm_domain: str = Field("", description="Kept for clients of the REST API; has no effect.")
    enable_circular_redirects: bool | None = Field(
        None, description="Kept for clients of the REST API; has no effect."
    )
    enable_cookies: bool | None = Field(
        None, description="Kept for clients of the REST API; has no effect."
    )
    ca_bundle: str = Field(
        "",
        description=(
            "PEM file of authorities to trust in addition to the public ones and those of "
            "the system."
        ),
    )
    use_trust_store: bool | None = Field(
        None, description="Whether to trust the certificates of the trust store as well."
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


class GroupSection(Section):
    """The repositories that a group shows as one."""

    in_rest: ClassVar = {
        "members": Rest("memberNames", is_required=True),
        "pins": None,
    }

    members: tuple[str, ...] = Field(
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

    in_rest: ClassVar = {"mode": None, "matchers": None}

    rule: str = Field("", description="Routing rule that applies; empty: none.")
    mode: RoutingMode = Field(RoutingMode.BLOCK, description="Whether the matchers allow or block.")
    matchers: RegularExpressions = Field(
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


def with_rules(
    sections: Mapping[str, Section], rules: Mapping[str, RoutingRule]
) -> dict[str, Section]:
    """Return sections with the routing rules that they name (Invalid)."""
    return {
        name: section.with_rule(rules) if isinstance(section, RoutingSection) else section
        for name, section in sections.items()
    }


class CleanupSection(Section):
    """Which components of a repository a cleanup removes."""

    in_rest: ClassVar = {"policy_names": Rest(empty=())}

    policy_names: tuple[str, ...] | None = Field(
        None, description="Cleanup policies; what any of them selects is removed."
    )

    def check_policies(self, format_name: str) -> None:
        """Return if all policies that are named are there, and for this format (Invalid)."""
        known = {each.name.lower(): each.format for each in list_policies(self.policy_names or ())}
        for name in self.policy_names or ():
            format_ = known.get(name.lower())
            if format_ is None:
                raise _wrong_policy(f"there is no cleanup policy {name!r}.")
            if format_ not in (ALL_FORMATS, format_name):
                raise _wrong_policy(
                    f"the cleanup policy {name!r} is for repositories of the format {format_}."
                )


def _wrong_policy(problem: str) -> Invalid:
    field = "cleanup.policy_names"
    return Invalid(f"{field}: {problem}", field=field)
