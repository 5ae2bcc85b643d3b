"""The command that tells what is wrong around the server."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from repoman.cli.common import with_repoman
from repoman.core import Repoman
from repoman.doctor.model import PROBLEMS, CheckResult, Finding, FindingState
from repoman.doctor.network_checks import probe
from repoman.doctor.service import worst_of
from repoman.errors import Invalid
from repoman.external_url import check_external_url
from repoman.server.lock import is_served

MARKS = {
    FindingState.BAD: "BAD ",
    FindingState.WARN: "WARN",
    FindingState.UNCHECKED: "?   ",
    FindingState.GOOD: "ok  ",
}
STATUS = {FindingState.BAD: 2, FindingState.WARN: 1}  # The exit status; 0 for all others.


@click.command()
@click.argument("check", required=False, default="")
@click.option("--url", help="Only try whether large uploads pass to the server by this address.")
@click.option("--json", "as_json", is_flag=True, help="Print all results as JSON.")
@with_repoman
def doctor(repoman: Repoman, check: str, url: str | None, as_json: bool) -> None:
    """Check what can go wrong around the server, or only CHECK, and say how to mend it.

    The exit status is 2 if something does not work, and 1 if something will not work soon or is
    dangerous. What only the running server can see is told as it last saw it.
    """
    served = is_served(repoman.data)
    repoman.plugins.try_start()
    if url is not None:
        results = [_probed(repoman, url)]
    else:
        results = repoman.doctor.examine(check, is_server=False)
        results = [each for each in results if check in ("", each.check)]
    if as_json:
        told = {"is_served": served, "checks": [_described(each) for each in results]}
        click.echo(json.dumps(told, indent=2))
    else:
        _tell(results)
        if not served:
            click.echo("No server runs on this data: its connectors are as they last were.")
    sys.exit(STATUS.get(worst_of(results), 0))


def _probed(repoman: Repoman, url: str) -> CheckResult:
    try:
        address = check_external_url(url)
    except ValueError as error:
        raise Invalid(f"--url: {error}.", field="url") from error
    found = tuple(probe(address, repoman.probe_key()))
    return CheckResult("body-size", "Large uploads", 0.0, 0.0, found)


def _tell(results: list[CheckResult]) -> None:
    for result in results:
        for finding in result.findings:
            _tell_finding(result, finding)


def _tell_finding(result: CheckResult, finding: Finding) -> None:
    if finding.state not in PROBLEMS:
        click.echo(f"{MARKS[finding.state]}  {result.title}: {finding.text}")
        return
    click.echo(f"{MARKS[finding.state]}  {finding.title}")
    click.echo(f"      {finding.text}")
    for fix in finding.fixes:
        click.echo(f"      - {fix.text}")
        for line in fix.code.splitlines():
            click.echo(f"            {line}")


def _described(result: CheckResult) -> dict[str, Any]:
    return {
        "id": result.check,
        "title": result.title,
        "state": result.state,
        "at": result.at,
        "findings": [asdict(each) for each in result.findings],
    }
