"""The rule that somebody is always left who may do everything."""

from collections.abc import Iterator
from contextlib import contextmanager

from repoman.errors import Conflict
from repoman.security.rights import work_out_rights
from repoman.security.user_records import list_users


@contextmanager
def keeping_administrator() -> Iterator[None]:
    """Let the block take the rights of some, but not of the last one who may do everything.

    To be used inside a transaction, which fails with it.

    Raises:
        Conflict: nobody would be left to administer the server.
    """
    there_was_one = has_administrator()
    yield
    if there_was_one and not has_administrator():
        raise Conflict(
            "This would leave no active local user with all permissions, so nobody could "
            "administer the server. Give another user the role nx-admin first."
        )


def has_administrator() -> bool:
    """Return whether there is an active local user who may do everything.

    What a directory says of its users may change without us, so those do not count; nor do robots,
    whose tokens administer nothing.
    """
    users = [user for user in list_users() if user.is_active and user.has_password]
    return any(
        work_out_rights(frozenset(roles)).is_everything()
        for roles in {each.roles for each in users}
    )
