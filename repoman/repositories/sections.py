"""The sections of a repository's settings that are common to formats."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, PrivateAttr, model_validator
from pydantic.config import JsonDict

from repoman.errors import Invalid
from repoman.external_url import ExternalUrl
from repoman.repositories.cleanup_records import ALL_FORMATS, list_policies
from repoman.repositories.routing_records import (
    RoutingMode,
    RoutingRule,
    find_rule,
    is_allowed,
)
from repoman.sections import RegularExpressions, Rest, Section

IN_NO_FORM: JsonDict = {"widget": "none"}


class ConnectorSection(Section):
    """How clients reach a repository, besides /repository/<name>/ on the main port."""

    # Clients of the REST API refuse fields that they do not know.
    in_rest: ClassVar = dict.fromkeys(("http_port", "https_port", "external_url"))
    model_config = ConfigDict(title="Connectors")

    http_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port of the HTTP connector; none: no connector.",
        json_schema_extra={"hint": "Plain HTTP: for loopback, or behind a proxy with TLS."},
    )
    https_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port of the HTTPS connector; none: no connector.",
        json_schema_extra={"hint": "With the certificate of this server."},
    )
    external_url: ExternalUrl = Field(
        "",
        description=(
            "Address of the connectors as clients know it, such as "
            "https://registry.example.com; empty: the address that the client used."
        ),
        json_schema_extra={"advanced": True},
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
        "default",
        description="Blob store; an existing repository is moved to another one.",
        json_schema_extra={"hint": "An existing repository is moved to another one."},
    )
    strict_content_type_validation: bool = Field(
        True,
        description="Kept for clients of the REST API; has no effect.",
        json_schema_extra=IN_NO_FORM,
    )


class AccessSection(Section):
    """Access to a repository without authentication."""

    model_config = ConfigDict(title="Access")

    in_rest: ClassVar = {"anonymous": None}

    anonymous: bool | None = Field(
        None,
        description=(
            "Whether clients can read without authentication; unset: as for the whole server."
        ),
        title="Reading without a login",
        json_schema_extra={
            "hint": "",
            "labels": {"": "As for the whole server", "true": "Allowed", "false": "Not allowed"},
        },
    )


def _write_policy(default: WritePolicy) -> Any:
    return Field(
        default,
        description="Deployment policy: allow, allow_once or deny.",
        title="Deployment policy",
        json_schema_extra={
            "hint": "",
            "labels": {
                "allow": "Allow redeploy: what is stored may be replaced",
                "allow_once": "Disable redeploy: everything is stored once",
                "deny": "Read-only: nothing is stored, replaced or deleted",
            },
        },
    )


class HostedStorageSection(StorageSection):
    """Where a hosted repository keeps its bytes, and who may overwrite them."""

    in_rest: ClassVar = {"write_policy": Rest(is_required=True)}

    write_policy: WritePolicy = _write_policy(WritePolicy.ALLOW)


class OnceStorageSection(HostedStorageSection):
    """Where a repository keeps its bytes. What is published stays as it is by default."""

    write_policy: WritePolicy = _write_policy(WritePolicy.ALLOW_ONCE)


class QuotaSection(Section):
    """How much a repository may store; each blob counts once."""

    model_config = ConfigDict(title="Quota")

    in_rest: ClassVar = {"soft_limit": None, "limit": None}

    soft_limit: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="Bytes beyond which there are warnings; unset: none.",
        title="Warn beyond",
        json_schema_extra={
            "unit": "GiB",
            "hint": "In the log, the doctor and here; nothing is refused.",
        },
    )
    limit: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="Bytes beyond which nothing more is stored; unset: no limit.",
        title="Refuse beyond",
        json_schema_extra={
            "unit": "GiB",
            "hint": "Nothing more is stored; a proxy passes on what it cannot keep.",
        },
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        soft_limit, limit = self.soft_limit, self.limit
        if soft_limit is not None and limit is not None and soft_limit > limit:
            raise ValueError("soft_limit must not be larger than limit")
        return self


def quota_of(sections: Mapping[str, Section]) -> QuotaSection:
    """Return the quota of a repository; one without any if its format has none."""
    section = sections.get("quota")
    return section if isinstance(section, QuotaSection) else QuotaSection()


class ComponentSection(Section):
    """What a hosted repository says of its components."""

    proprietary_components: bool = Field(
        False,
        description="Kept for clients of the REST API; has no effect.",
        json_schema_extra=IN_NO_FORM,
    )


class GroupSection(Section):
    """The repositories that a group shows as one."""

    model_config = ConfigDict(title="Members")

    in_rest: ClassVar = {
        "members": Rest("memberNames", is_required=True),
        "pins": None,
    }

    members: tuple[str, ...] = Field(
        description="Names of the members; the first one that has the content answers.",
        json_schema_extra={
            "widget": "picker",
            "hint": "Asked from first to last; the first one that has the content answers.",
        },
    )
    writable_member: str = Field(
        "",
        description="The hosted member that receives pushes; empty: none.",
        title="Pushes go to",
        json_schema_extra={"hint": "One of the hosted members."},
    )
    pins: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Patterns of names, such as acme/*, and the only members that serve them.",
        json_schema_extra={
            "rows": 3,
            "hint": "Names that come from certain members only: acme/* = internal, releases.",
        },
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

    model_config = ConfigDict(title="Routing")

    in_rest: ClassVar = {"mode": None, "matchers": None}

    rule: str = Field(
        "",
        description="Routing rule that applies; empty: none.",
        title="Routing rule",
        json_schema_extra={"hint": "A rule that several repositories can share."},
    )
    mode: RoutingMode = Field(
        RoutingMode.BLOCK,
        description="Whether the matchers allow or block.",
        title="Names that match one of the matchers",
        json_schema_extra={
            "hint": "",
            "labels": {"allow": "are let through, no others", "block": "are blocked"},
            "advanced": True,
        },
    )
    matchers: RegularExpressions = Field(
        (),
        description="Regular expressions that have to match the whole path.",
        json_schema_extra={
            "hint": "Regular expressions for this repository alone, which match whole names.",
            "advanced": True,
        },
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
        None,
        description="Cleanup policies; what any of them selects is removed, once a day.",
        title="Cleanup policies",
        json_schema_extra={"hint": "What any of them selects is removed, once a day."},
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
