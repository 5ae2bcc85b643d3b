"""The form of a cleanup policy, and what a policy is in words."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from repoman.plugin import (
    ALL_FORMATS,
    CleanupPolicy,
    CleanupSection,
    ManagedRepositories,
    RepositoryType,
    Section,
    SectionForm,
    current_actor,
    current_repoman,
    find_format,
    may_administer,
    page_call,
)

DOMAIN = "settings"  # Of the permissions on policies, as clients of the REST API know them.


class ReleaseType(StrEnum):
    """Which versions a policy is about."""

    RELEASES = "RELEASES"
    PRERELEASES = "PRERELEASES"


class SortBy(StrEnum):
    """What the newest versions are; others that clients have set mean the version too."""

    DATE = "date"


class PolicySection(Section):
    """What a policy is called, and where it may be used."""

    name: str = Field(max_length=200, description="It cannot be changed later.")
    format: str = Field(ALL_FORMATS, description="Only repositories of this format may use it.")
    notes: str | None = Field(
        None, max_length=1000, description="What it is for.", json_schema_extra={"hint": ""}
    )


class CriteriaSection(Section):
    """A component is to go if all of these apply; those that are empty do not count."""

    last_updated_days: int | None = Field(
        None,
        ge=1,
        title="Stored at least",
        json_schema_extra={"unit": "days ago"},
    )
    last_downloaded_days: int | None = Field(
        None,
        ge=1,
        title="Not downloaded for",
        json_schema_extra={"unit": "days"},
    )
    release_type: ReleaseType | None = Field(
        None,
        title="Versions",
        json_schema_extra={
            "labels": {"": "All", "RELEASES": "Only releases", "PRERELEASES": "Only pre-releases"}
        },
    )
    asset_regex: str | None = Field(
        None,
        title="Path",
        description="A regular expression that matches the whole path of one of its assets.",
    )
    name_patterns: tuple[str, ...] = Field(
        (),
        title="Names",
        description="Patterns such as team/*.",
        json_schema_extra={"rows": 2},
    )
    version_patterns: tuple[str, ...] = Field(
        (),
        title="Versions or tags",
        description="Patterns such as build-*.",
        json_schema_extra={"rows": 2},
    )


class RetainSection(Section):
    """Of what names, versions, path and type select, this stays whatever its age."""

    retain: int | None = Field(
        None,
        ge=1,
        title="Keep the newest",
        description="Of each name.",
        json_schema_extra={"unit": "versions"},
    )
    sort_by: SortBy | None = Field(
        None,
        title="The newest",
        json_schema_extra={"labels": {"": "have the highest version", "date": "were stored last"}},
    )
    keep_names: tuple[str, ...] = Field(
        (),
        title="Keep names",
        description="Patterns of names.",
        json_schema_extra={"rows": 2},
    )
    keep_versions: tuple[str, ...] = Field(
        (),
        title="Keep versions or tags",
        description="Patterns such as latest or v*.",
        json_schema_extra={"rows": 2},
    )


SECTIONS: dict[str, type[Section]] = {
    "": PolicySection,
    "criteria": CriteriaSection,
    "retain": RetainSection,
}
TITLES = {"criteria": "What is removed", "retain": "What stays"}


def describe(policy: CleanupPolicy) -> str:
    """Return in words what a policy removes."""
    kinds = {None: "components", "RELEASES": "releases", "PRERELEASES": "pre-releases"}
    parts = [kinds.get(policy.release_type, "components")]
    if policy.name_patterns:
        parts.append(f"called {' or '.join(policy.name_patterns)}")
    if policy.version_patterns:
        parts.append(f"with a version like {' or '.join(policy.version_patterns)}")
    if policy.asset_regex:
        parts.append(f"with a path like {policy.asset_regex}")
    ages = []
    if policy.last_updated_days:
        ages.append(f"stored {policy.last_updated_days} days ago or earlier")
    if policy.last_downloaded_days:
        ages.append(f"not downloaded for {policy.last_downloaded_days} days")
    parts += [" and ".join(ages)] if ages else []
    text = " ".join(parts)
    kept = [*policy.keep_names, *policy.keep_versions]
    if policy.retain:
        kept.append(f"the newest {policy.retain}")
    text += f", but {' or '.join(kept)}" if kept else ""
    return text if policy.has_criteria else "nothing: it has no criteria"


def format_name(name: str) -> str:
    """Return how people call the format of a policy."""
    found = find_format(name)
    return "any" if name == ALL_FORMATS else name if found is None else found.title


def policy_form(policy: CleanupPolicy | None, *, may_update: bool = True) -> SectionForm:
    """Return the form of a policy; None: of a new one."""
    formats = [
        (each, "any format" if each == ALL_FORMATS else format_name(each))
        for each in current_repoman().cleanup_policies.formats()
    ]
    fixed: tuple[str, ...] = () if policy is None else ("name",)
    stored = None
    if policy is not None:
        stored = {
            key: {name: getattr(policy, name) for name in model.model_fields}
            for key, model in SECTIONS.items()
        }
        if policy.sort_by not in set(SortBy):
            stored["retain"]["sort_by"] = None
        if not may_update:
            fixed = tuple(
                f"{key}.{name}".lstrip(".")
                for key, model in SECTIONS.items()
                for name in model.model_fields
            )
    return SectionForm(SECTIONS, stored, choices={"format": formats}, fixed=fixed, titles=TITLES)


def render_policy(
    form: SectionForm, policy: CleanupPolicy | None, **values: Any
) -> tuple[str, int]:
    """Return the page with the form of a policy; None: of a new one."""
    return form.render(
        "repoman/cleanup_form.html",
        policy=policy,
        users=[] if policy is None else list_users(policy),
        may_update=policy is None or may_administer(DOMAIN, "update"),
        may_delete=policy is not None and may_administer(DOMAIN, "delete"),
        **{"repositories": list_repositories(), "asked": {}, **values},
    )


def list_repositories() -> list[tuple[str, str]]:
    """Return the repositories that policies can be tried on; those that use some say so."""
    found = []
    for each in current_repoman().contents.searchable(current_actor()):
        if each.config.type is not RepositoryType.GROUP:
            section = each.config.sections.get("cleanup")
            names = section.policy_names if isinstance(section, CleanupSection) else None
            found.append((each.name, f"{each.name} ({', '.join(names)})" if names else each.name))
    return [("", "Choose a repository"), *found]


def policy_of(form: SectionForm, policy: CleanupPolicy | None) -> CleanupPolicy:
    """Return the policy that a form describes; what it does not show stays."""
    values = form.values()
    general = {"name": policy.name if policy else "", **values[""]}
    criteria, kept = values["criteria"], values["retain"]
    return CleanupPolicy(
        name=general["name"],
        format=general["format"],
        notes=general["notes"] or None,
        last_updated_days=criteria["last_updated_days"],
        last_downloaded_days=criteria["last_downloaded_days"],
        release_type=criteria["release_type"],
        asset_regex=criteria["asset_regex"] or None,
        name_patterns=tuple(criteria["name_patterns"]),
        version_patterns=tuple(criteria["version_patterns"]),
        retain=kept["retain"],
        sort_by=kept["sort_by"] or _other_order(policy),
        keep_names=tuple(kept["keep_names"]),
        keep_versions=tuple(kept["keep_versions"]),
    )


def _other_order(policy: CleanupPolicy | None) -> str | None:
    """Return the order of a policy that a client has set and that no form offers."""
    return policy.sort_by if policy and policy.sort_by not in set(SortBy) else None


def list_users(policy: CleanupPolicy) -> list[str]:
    """Return the names of the repositories that use a policy, as far as one may know them."""
    managed = ManagedRepositories(page_call())
    return [
        each.name
        for each in current_repoman().repositories.all()
        for section in each.config.sections.values()
        if isinstance(section, CleanupSection)
        and policy.name.lower() in {name.lower() for name in section.policy_names or ()}
        and managed.knows(each.name)
    ]
