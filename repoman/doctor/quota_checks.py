"""The check of quotas, and of disks on which too little is free for anything new."""

from collections.abc import Iterator

from repoman.db.database import Database
from repoman.doctor.model import DoctorCheck, Finding, Fix, bad, good, warn
from repoman.errors import RepomanError
from repoman.printable import pluralize
from repoman.repositories.model import Repository
from repoman.stores.quotas import RepositoryQuota, RepositoryQuotas
from repoman.stores.service import BlobStores

QUOTAS = "quotas"  # The id of the check.

_FREE = Fix(
    "Delete content that nobody needs; then free the space of what is deleted:",
    "repoman task run 'Admin - Compact blob stores'",
)


def quota_check(stores: BlobStores, quotas: RepositoryQuotas, database: Database) -> DoctorCheck:
    """Return the check whether pushes are refused for lack of space, or will be soon."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        try:
            database.reserve.check_free()
        except RepomanError as error:
            yield bad("Nothing new is stored", str(error), _FREE, Fix("Or make the disk larger."))
        found = quotas.states()
        for each in found:
            yield from _judged(each)
        states = stores.states()
        for state in states:
            if state.refusal:
                title = f"Nothing new is stored in the blob store {state.info.name}"
                more = Fix("Or raise its quota, or make its disk larger.")
                yield bad(title, state.refusal, _FREE, more)
        limited = sum(each.info.hard_quota is not None for each in states)
        yield good(
            f"{pluralize(len(found), 'repository', 'repositories')} and "
            f"{pluralize(limited, 'blob store')} with a quota"
        )

    return DoctorCheck(QUOTAS, "Quotas", run)


def _judged(quota: RepositoryQuota) -> Iterator[Finding]:
    name = quota.repository
    raise_it = Fix("Or raise its quota:", f"repoman repo set {name} --set quota.limit=BYTES")
    if quota.refusal:
        title = f"Nothing new is stored in the repository {name}"
        yield bad(title, quota.refusal, _FREE, raise_it, repository=name)
    elif quota.violation:
        title = f"The soft quota of the repository {name} is exceeded"
        yield warn(title, quota.violation, _FREE, raise_it, repository=name)
