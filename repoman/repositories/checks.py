"""What settings have to agree with besides their own form: other repositories, blob stores.

The members of a group exist, have its format, and never contain it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from repoman.blob_records import find_store
from repoman.blobs.manager import BlobStoreManager
from repoman.errors import Conflict, Invalid
from repoman.patterns import check_pattern
from repoman.repositories.builder import storage_of
from repoman.repositories.model import RepositoryType
from repoman.repositories.proxy_sections import HttpClientSection, ProxySection
from repoman.repositories.repository_records import Row
from repoman.repositories.sections import CleanupSection, GroupSection
from repoman.sections import Section

SECTION = "group"
# The names of repositories and of what they use.
NAME = re.compile(r"[a-zA-Z0-9-][a-zA-Z0-9_.-]{0,199}")


def check_name(what: str, name: str) -> None:
    """Return if something may be called so (Invalid)."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"name: {name!r} is not a valid name of a {what}: use at most 200 letters, digits, "
            "'-', '_' and '.', beginning with a letter, a digit or '-'.",
            field="name",
        )


def check_expression(field: str, text: str) -> None:
    """Return if the value of a field is a regular expression (Invalid)."""
    try:
        check_pattern(text)
    except ValueError as error:
        raise Invalid(f"{field}: {error}.", field=field) from error


def check_blob_store(
    stores: BlobStoreManager, sections: Mapping[str, Section], row: Row | None = None
) -> None:
    """Return if there is the blob store that settings name, and a repository has it (Invalid).

    A group may name any, since it stores nothing. A store that was deleted meanwhile is certainly
    seen only within a transaction.
    """
    store = storage_of(sections).blob_store
    if not stores.has(store) or _is_deleted(stores, store):
        known = ", ".join(each for each in stores.names() if each != store)
        problem = f"there is no blob store {store!r}; choose one of: {known}."
    elif row is None or row.type == RepositoryType.GROUP or store == row.blob_store:
        return
    else:
        problem = f"cannot be changed here: use 'repoman repo move {row.name} {store}'."
    raise Invalid(f"storage.blob_store: {problem}", field="storage.blob_store")


def _is_deleted(stores: BlobStoreManager, store: str) -> bool:
    if store in stores.configured:
        return False
    found = find_store(store)
    return found is None or found.is_deleted


def check_names(
    row: Row,
    sections: Mapping[str, Section],
    given: Collection[str],
    list_rows: Callable[[], Iterable[Row]],
) -> None:
    """Return if what the settings of a repository name is there, and may be named (Invalid).

    ``given`` are the names of the sections that were given; others may have names that are gone.
    ``list_rows`` returns all repositories.
    """
    for name in given:
        sections[name].check_names()
    check_trust(sections)
    cleanup, group = sections.get("cleanup"), sections.get("group")
    if isinstance(cleanup, CleanupSection) and "cleanup" in given:
        cleanup.check_policies(row.format)
    if isinstance(group, GroupSection):
        check_group(row.name, row.format, group, list_rows(), is_new="group" in given)


def check_group(
    name: str, format_name: str, group: GroupSection, rows: Iterable[Row], *, is_new: bool
) -> None:
    """Return if the group ``name`` may have these members.

    Raises:
        Invalid: a member does not exist, is of another format, or contains the group; the writable
            member is no hosted member; a pin names no member; there is no member though the
            settings are new: a group may only lose its last one.
    """
    if is_new and not group.members:
        raise _invalid("members", "must have at least one member.")
    known = {row.name.lower(): row for row in rows}
    for member in group.members:
        _check_member(name, format_name, member, known)
    members = {member.lower() for member in group.members}
    if len(members) < len(group.members):
        raise _invalid("members", "a repository is listed twice.")
    _check_writable(group, known)
    for pattern, pinned in group.pins.items():
        if strangers := [each for each in pinned if each.lower() not in members]:
            raise _invalid(
                "pins",
                (f"{pattern!r} refers to {strangers[0]!r}, which is not a member of the group."),
            )


def _check_member(name: str, format_name: str, member: str, known: Mapping[str, Row]) -> None:
    row = known.get(member.lower())
    if row is None or member.lower() == name.lower():
        raise _invalid("members", f"{member!r} is not the name of another repository.")
    if row.format != format_name:
        raise _invalid("members", f"{member!r} has the format {row.format}, not {format_name}.")
    if name.lower() in names_below(row, known):
        raise _invalid("members", f"{member!r} contains the group {name!r} already.")


def check_not_member(name: str, rows: Iterable[Row]) -> None:
    """Return if no group has the repository as a member.

    Raises:
        Conflict: one has.
    """
    for row in rows:
        if name.lower() in _members(row):
            raise Conflict(
                f"The repository {name!r} is a member of the group {row.name!r}. Remove it from "
                "the group first."
            )


def _check_writable(group: GroupSection, known: Mapping[str, Row]) -> None:
    writable = group.writable_member
    if not writable:
        return
    is_member = writable.lower() in {member.lower() for member in group.members}
    if not is_member or known[writable.lower()].type != RepositoryType.HOSTED:
        raise _invalid("writable_member", f"{writable!r} is not a hosted member of the group.")


def names_below(row: Row, known: Mapping[str, Row]) -> set[str]:
    """Return the names of all repositories in a group, in lower case; of others, none."""
    found: set[str] = set()
    waiting = _members(row)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _members(known[name]) if name in known else []
    return found


def _members(row: Row) -> list[str]:
    section: Mapping[str, Any] = row.settings.get(SECTION, {})
    return [member.lower() for member in section.get("members", ())]


def _invalid(key: str, problem: str) -> Invalid:
    return Invalid(f"{SECTION}.{key}: {problem}", field=f"{SECTION}.{key}")


def check_trust(sections: Mapping[str, Section]) -> None:
    """Return if a proxy that uses the trust store has a remote with certificates (Invalid)."""
    client, proxy = sections.get("http_client"), sections.get("proxy")
    if not (isinstance(client, HttpClientSection) and isinstance(proxy, ProxySection)):
        return
    if client.use_trust_store and not proxy.remote.startswith("https:"):
        raise Invalid("The trust store can be used only for a remote with an https address.")
