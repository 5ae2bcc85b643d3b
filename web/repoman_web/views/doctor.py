"""The doctor: what it found, with what mends it, and checks to make again."""

from dataclasses import dataclass

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    CheckResult,
    Finding,
    FindingState,
    current_repoman,
    done,
    permission_needed,
)

doctor = Blueprint("doctor", "repoman_web", url_prefix="/admin/doctor")


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """A finding, and the check that made it."""

    result: CheckResult
    finding: Finding

    @property
    def title(self) -> str:
        """Return what was found, in a few words."""
        return self.finding.title or self.result.title

    @property
    def tone(self) -> str:
        """Return the tone in which it is shown."""
        return self.finding.state.value


def count_problems() -> int:
    """Return how many things need attention, for the navigation."""
    return len(current_repoman().doctor.problems())


@doctor.get("")
@permission_needed("metrics", "read")
def show() -> str:
    """Return the last results of all checks, the most urgent first."""
    results = current_repoman().doctor.results()
    found = [ShownFinding(each, one) for each in results for one in each.findings]
    made = [each for each in results if each.at]
    by_state = {
        state: [each for each in found if each.finding.state is state] for state in FindingState
    }
    return render_template(
        "repoman/doctor.html",
        problems=[*by_state[FindingState.BAD], *by_state[FindingState.WARN]],
        unchecked=by_state[FindingState.UNCHECKED],
        fine=by_state[FindingState.GOOD],
        checked_at=max((each.at for each in made), default=0.0),
        took=max((each.took for each in made), default=0.0),
    )


@doctor.post("/examine")
@permission_needed("settings", "update")
def examine() -> Response:
    """Make all checks now, or one of them."""
    only = request.form.get("check", "")
    results = current_repoman().doctor.examine(only)
    made = [each for each in results if only in ("", each.check)]
    count = sum(one.is_problem for each in made for one in each.findings)
    needs = f"{count} {'thing needs' if count == 1 else 'things need'} attention."
    told = f"{made[0].title}: " if only and made else "All checks were made: "
    tone = "warn" if count else "good"
    text = told + (needs if count else "nothing needs attention.")
    return done(text, url_for("doctor.show"), tone=tone)
