"""Which roles there are, for all that name some."""

from collections.abc import Iterable

from repoman.errors import Invalid
from repoman.security.role_records import find_roles, list_roles
from repoman.security.shipped import SHIPPED_ROLES


def check_roles(ids: Iterable[str]) -> None:
    """Return if there are roles with all these ids (else Invalid)."""
    wanted, shipped = set(ids), {role.id for role in SHIPPED_ROLES}
    rest = wanted - shipped - {each.id for each in find_roles(wanted)}
    if rest:
        known = ", ".join(sorted({*shipped, *(each.id for each in list_roles())}))
        raise Invalid(
            f"roles: there is no role {min(rest)!r}; choose one of: {known}.", field="roles"
        )
