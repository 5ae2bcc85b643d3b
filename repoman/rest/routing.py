"""Routing rules over REST."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from repoman.errors import Denied
from repoman.repositories.routing_records import RoutingMode, RoutingRule
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Resource, lower_case
from repoman.rest.wording import worded
from repoman.security.actors import Action

ROOT = Permission("*", "*")

routing = Area("Routing rules", "Named rules on the paths that proxies request and groups serve.")

# In upper case on the wire, in any case in requests.
Mode = Annotated[
    RoutingMode,
    BeforeValidator(lower_case),
    PlainSerializer(lambda mode: mode.value.upper(), str),
]


class RoutingRuleView(Resource):
    """A routing rule."""

    name: str = Field(description="Its name, which no other one has in any case of letters.")
    description: str
    mode: Mode = Field(description="`BLOCK`: no path that matches; `ALLOW`: only those.")
    matchers: list[str] = Field(
        description="Regular expressions that have to match the whole path, such as `^/com/.*`."
    )


@dataclass(frozen=True, slots=True)
class ChoosesRules:
    """The right to choose a rule for a repository: to create repositories, or read settings."""

    text: str = "Needs the right to create repositories, or to read the settings of one."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied)."""
        call.require_login()
        may = call.repoman.security.authorizer.may_configure_some
        if not any(may(call.actor, action) for action in (Action.ADD, Action.READ)):
            raise Denied(f"{call.actor.name} is not allowed to choose routing rules.")


@routing.get("/v1/routing-rules", ChoosesRules())
def list_routing_rules(call: Call) -> list[RoutingRuleView]:
    """List the routing rules."""
    return [_view(each) for each in call.repoman.routing_rules.all()]


@routing.get("/v1/routing-rules/{name}", ChoosesRules())
def get_routing_rule(call: Call, name: str) -> RoutingRuleView:
    """Show a routing rule."""
    return _view(call.repoman.routing_rules.get(name))


@routing.post("/v1/routing-rules", ROOT)
def create_routing_rule(call: Call, body: RoutingRuleView) -> None:
    """Create a routing rule, which repositories can then name."""
    with worded({}, taken="name"):
        call.repoman.routing_rules.create(_rule(body))


@routing.put("/v1/routing-rules/{name}", ROOT, matches=get_routing_rule)
def update_routing_rule(call: Call, name: str, body: RoutingRuleView) -> None:
    """Replace a routing rule; repositories that use it follow, also when its name changes."""
    with worded({}, taken="name"):
        call.repoman.routing_rules.change(name, _rule(body))


@routing.delete("/v1/routing-rules/{name}", ROOT, matches=get_routing_rule)
def delete_routing_rule(call: Call, name: str) -> None:
    """Delete a routing rule that no repository uses."""
    call.repoman.routing_rules.delete(name)


def _view(rule: RoutingRule) -> RoutingRuleView:
    return RoutingRuleView(
        name=rule.name,
        description=rule.description,
        mode=rule.mode,
        matchers=list(rule.matchers),
    )


def _rule(body: RoutingRuleView) -> RoutingRule:
    return RoutingRule(body.name, body.mode, tuple(body.matchers), body.description)
