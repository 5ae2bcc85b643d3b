"""What settings have to agree with besides their own form: other repositories, free ports.

The members of a group exist, have its format, and never contain it.
"""

import errno
import os
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from repoman.errors import Conflict, Invalid
from repoman.repositories.model import RepositoryType
from repoman.repositories.repository_records import Row
from repoman.repositories.sections import GroupSection

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


def check_group(name: str, format_name: str, group: GroupSection, rows: Iterable[Row]) -> None:
    """Return if the group ``name`` may have these members.

    Raises:
        Invalid: a member does not exist, is of another format, or contains the group; the writable
            member is no hosted member; a pin names no member.
    """
    known = {row.name.lower(): row for row in rows}
    for member in group.members:
        row = known.get(member.lower())
        if row is None or member.lower() == name.lower():
            raise _invalid("members", f"{member!r} is not the name of another repository.")
        if row.format != format_name:
            raise _invalid("members", f"{member!r} has the format {row.format}, not {format_name}.")
        if name.lower() in _reachable(row, known):
            raise _invalid("members", f"{member!r} contains the group {name!r} already.")
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


def _reachable(row: Row, known: Mapping[str, Row]) -> set[str]:
    """Return the names of all repositories below one, in lower case."""
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


def check_port_is_free(host: str, port: int, field: str) -> None:
    """Return if a listener could be opened on the port now, or if only the server can tell.

    The server may have a right that this process lacks, such as that to a port below 1024.

    Raises:
        Conflict: another program listens there.
        Invalid: the system lets nobody listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Conflict(f"{field}: another program listens on port {port}.") from error
            if error.errno in (errno.EACCES, errno.EPERM):
                return
            reason = os.strerror(error.errno or 0)
            raise Invalid(f"{field}: cannot listen on {host}:{port}: {reason}.", field) from error
