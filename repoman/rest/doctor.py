"""The doctor over REST: what is wrong around the server, and what mends it."""

from dataclasses import asdict

from pydantic import Field

from repoman.doctor.model import CheckResult, FindingState
from repoman.doctor.probe import NONCE_CHARS, proof_of
from repoman.doctor.service import worst_of
from repoman.rest.endpoints import API_ROOT, EVERYBODY, Area, Call, Permission
from repoman.rest.resources import Query, Resource, Timestamp

READ = Permission("metrics", "read")
RUN = Permission("settings", "update")

doctor = Area(
    "Doctor", "What is wrong between clients, the server, its disks and upstreams.", root=API_ROOT
)


class FixView(Resource):
    """What mends a finding."""

    text: str
    code: str = Field(description="Lines to copy; empty: none.")


class FindingView(Resource):
    """What a check has found."""

    state: FindingState
    title: str
    text: str
    fixes: list[FixView]
    repository: str = Field(description="Name of the repository that it is about; empty: none.")


class CheckResultView(Resource):
    """The last result of a check."""

    id: str
    title: str
    state: FindingState = Field(
        description=(
            "bad: something does not work; warn: it will not work soon, or is dangerous; "
            "unchecked: nobody could look; good."
        )
    )
    at: Timestamp = Field(description="When it was checked.")
    took: float = Field(description="Duration of the check, in seconds.")
    findings: list[FindingView]


class DiagnosisView(Resource):
    """The last results of all checks, the most urgent first."""

    state: FindingState = Field(description="The most urgent state of all.")
    problems: int = Field(description="Number of findings that are bad or warn.")
    checks: list[CheckResultView]


class CheckQuery(Query):
    """Selects what to check."""

    check: str | None = Field(None, description="Id of the only check to make; default: all.")


class ProbeQuery(Query):
    """What makes the answer to a probe its own."""

    nonce: str = Field(
        min_length=1, max_length=NONCE_CHARS, description="Any text; the answer depends on it."
    )


@doctor.get("/doctor", READ)
def show_diagnosis(call: Call) -> DiagnosisView:
    """Show what the doctor last found; it checks each hour."""
    return _view(call.repoman.doctor.results())


@doctor.post("/doctor/run", RUN)
def examine(call: Call, query: CheckQuery) -> DiagnosisView:
    """Make all checks now, or one of them, and show the results; this takes some seconds."""
    return _view(call.repoman.doctor.examine(query.check or ""))


@doctor.post("/doctor/probe", EVERYBODY, ignores_body=True)
def answer_probe(call: Call, query: ProbeQuery) -> str:
    """Answer, without reading the body, with a proof that the request came to this server."""
    return proof_of(call.repoman.probe_key(), query.nonce)


def _view(results: list[CheckResult]) -> DiagnosisView:
    return DiagnosisView(
        state=worst_of(results),
        problems=sum(each.is_problem for result in results for each in result.findings),
        checks=[
            CheckResultView(
                id=each.check,
                title=each.title,
                state=each.state,
                at=each.at,
                took=each.took,
                findings=[
                    FindingView.model_validate({**asdict(one), "title": one.title or each.title})
                    for one in each.findings
                ],
            )
            for each in results
        ],
    )
