"""The rows of what the doctor last found; values in, values out."""

from collections.abc import Collection, Iterable
from dataclasses import asdict

from repoman.db.settings_models import DoctorResultRecord
from repoman.doctor.model import CheckResult, Finding, FindingState, Fix


def list_results() -> list[CheckResult]:
    """Return the kept result of each check."""
    return [
        CheckResult(each.check, "", each.at, each.took, tuple(map(_finding, each.findings)))
        for each in DoctorResultRecord.select()
    ]


def save_results(results: Iterable[CheckResult], known: Collection[str]) -> None:
    """Store the results of checks, and remove those of checks that are not ``known``."""
    rows = [
        {
            "check": each.check,
            "at": each.at,
            "took": each.took,
            "findings": [asdict(finding) for finding in each.findings],
        }
        for each in results
    ]
    if rows:
        DoctorResultRecord.insert_many(rows).on_conflict_replace().execute()
    DoctorResultRecord.delete().where(DoctorResultRecord.check.not_in(list(known))).execute()


def _finding(values: dict[str, object]) -> Finding:
    fixes = values["fixes"]
    return Finding(
        FindingState(str(values["state"])),
        str(values["text"]),
        str(values["title"]),
        tuple(Fix(**each) for each in fixes if isinstance(each, dict))
        if isinstance(fixes, list)
        else (),
        str(values["repository"]),
    )
