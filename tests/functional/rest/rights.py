"""A user of tests who may do no more than what a test says."""

from repoman.core import Repoman
from repoman.security.rights_records import Role

NAME = "ann"
ANN = (NAME, "a password of ann")


def make_ann(repoman: Repoman) -> None:
    """Create the user, who may do nothing."""
    repoman.users.create(*ANN)


def let_ann(repoman: Repoman, *patterns: str) -> None:
    """Let the user do what these permissions are for, such as ``nexus:users:read``."""
    names = [f"only-{number}" for number in range(len(patterns))]
    for name, pattern in zip(names, patterns, strict=True):
        repoman.security.privileges.create(name, "wildcard", {"pattern": pattern})
    repoman.security.roles.create(Role("only", "only", "", tuple(names)))
    repoman.users.change(NAME, roles=["only"])
