"""What a change makes of the stored settings of a repository, and which of them it changes."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from repoman.errors import Invalid
from repoman.proxy.redirects import is_same_server
from repoman.repositories.proxy_sections import ProxySection
from repoman.repositories.recipes import Patch, Recipe, Settings
from repoman.repositories.repository_records import Row
from repoman.sections import MASK, Section, apply_patch, merge, parse_section


def merge_settings(
    recipe: Recipe, old: Settings, new: Patch, *, is_patch: bool = False
) -> dict[str, dict[str, Any]]:
    """Return stored settings with changes, which may be a patch.

    Secrets that the changes leave out go if the remote is on another server than before.
    """
    given = {
        name: apply_patch(recipe.sections.get(name, Section), old.get(name, {}), values)
        if is_patch or values is None
        else values
        for name, values in new.items()
    }
    merged = {
        name: merge(recipe.sections.get(name, Section), old.get(name, {}), given.get(name, {}))
        for name in {**old, **given}
    }
    if not leads_elsewhere(recipe, old, merged):
        return merged
    return {
        name: _without_secrets(recipe.sections.get(name, Section), values, given.get(name, {}))
        for name, values in merged.items()
    }


def leads_elsewhere(recipe: Recipe, old: Settings, new: Settings) -> bool:
    """Return whether the remote in new settings is on another server than that in the old ones."""
    former, remote = remote_in(recipe, old), remote_in(recipe, new)
    if former == remote:
        return False
    with suppress(ValueError):
        return not is_same_server(former, remote)
    return True


def _without_secrets(
    kind: type[Section], values: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of a section without the secrets that are not given."""
    kept = {key for key in kind.secret_keys() if given.get(key, MASK) == MASK}
    return {key: value for key, value in values.items() if key not in kept}


def remote_in(recipe: Recipe, settings: Settings) -> str:
    """Return the address of the remote that settings name; empty if they are not of a proxy."""
    kind, values = recipe.sections.get("proxy"), settings.get("proxy", {})
    if kind is None:
        return ""
    with suppress(Invalid):
        section = parse_section(kind, values)
        if isinstance(section, ProxySection):
            return section.remote
    return str(values.get("remote_url", ""))


def changed_keys(recipe: Recipe, old: Settings, sections: Mapping[str, Section]) -> list[str]:
    """Return the settings, as ``section.key``, that differ from the stored ones."""
    before: Mapping[str, Section] = {}
    with suppress(Invalid):  # Then all are new.
        before = recipe.parse(old)
    return [
        f"{name}.{key}"
        for name, section in sections.items()
        for key in type(section).model_fields
        if name not in before or getattr(before[name], key) != getattr(section, key)
    ]


def without_member(row: Row, name: str) -> Row:
    """Return a group without a member; the row itself if it is no group that has it.

    A pin to it stays: otherwise other members would answer for the names that it covers.
    """
    group, key = row.settings.get("group", {}), name.lower()
    members = [each for each in group.get("members", ()) if each.lower() != key]
    if len(members) == len(group.get("members", ())):
        return row
    writable = group.get("writable_member", "")
    pins = {
        pattern: [each for each in to if each.lower() != key]
        for pattern, to in group.get("pins", {}).items()
    }
    changed = {
        **group,
        "members": members,
        "writable_member": "" if writable.lower() == key else writable,
        "pins": pins,
    }
    return replace(row, settings={**row.settings, "group": changed})
