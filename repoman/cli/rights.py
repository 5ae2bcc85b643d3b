"""The command that explains the rights of a user."""

import json
from dataclasses import asdict

import click

from repoman.cli.common import with_repoman
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.security.actors import Access, Action
from repoman.security.explanation import Decision, Reason, Source, find_actor


@click.command()
@click.argument("name")
@click.argument("repository")
@click.argument("path", default="/")
@click.option(
    "--action",
    "actions",
    multiple=True,
    type=click.Choice([each.value for each in Action]),
    help="Can be repeated. Default: all actions.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the decisions as JSON.")
@with_repoman
def rights(
    repoman: Repoman,
    name: str,
    repository: str,
    path: str,
    actions: tuple[str, ...],
    as_json: bool,
) -> None:
    """Explain what the user NAME, or anonymous, may do with PATH in REPOSITORY, and why.

    PATH is what content selectors compare, such as /v2/team/app/tags/list. With --action the exit
    status is 1 if one of these actions is not allowed.
    """
    if not path.startswith("/"):
        raise Invalid("PATH must begin with a slash.")
    ref = repoman.repositories.get(repository).ref
    actor, is_active = find_actor(name)
    access = Access(frozenset(map(Action, actions or Action)), path)
    decisions = repoman.security.authorizer.explain(actor, ref, access)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in decisions], indent=2))
    else:
        for each in decisions:
            _tell(each)
    if not is_active:
        click.echo(f"{name} is disabled and cannot log in.", err=True)
    if actions and not all(each.is_allowed for each in decisions):
        click.get_current_context().exit(1)


def _tell(decision: Decision) -> None:
    click.echo(f"{decision.action}: {'allowed' if decision.is_allowed else 'denied'}")
    for each in decision.reasons:
        click.echo(f"    {_sentence(each)}")


def _sentence(reason: Reason) -> str:
    if reason.source is Source.REPOSITORY:
        return "access.anonymous opens the repository to everybody"
    whose = " of anonymous users" if reason.source is Source.ANONYMOUS else ""
    roles = ", which includes ".join(reason.roles)
    selector = f", content selector {reason.selector}" if reason.selector else ""
    return f"role {roles}{whose}: privilege {reason.privilege}{selector}"
