"""Content selectors over REST."""

from pydantic import Field

from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Resource
from repoman.rest.wording import worded
from repoman.security.rights_records import SelectorRow

selectors = Area("Content selectors", "Expressions that select content for privileges.")


class SelectorView(Resource):
    """A content selector."""

    name: str
    type: str = "csel"
    description: str
    expression: str


class SelectorChange(Resource):
    """The changeable parts of a content selector."""

    description: str | None = Field(None, description="What it is for.")
    expression: str = Field(description='An expression, such as `path =^ "/v2/team/"`.')


class NewSelector(SelectorChange):
    """A new content selector."""

    name: str = Field(description="Its name, which cannot be changed.")


@selectors.get("/v1/security/content-selectors", Permission("selectors", "read"))
def list_selectors(call: Call) -> list[SelectorView]:
    """List the content selectors, by name."""
    return [_view(each) for each in call.repoman.security.selectors.all()]


@selectors.get("/v1/security/content-selectors/{name}", Permission("selectors", "read"))
def show_selector(call: Call, name: str) -> SelectorView:
    """Show a content selector."""
    return _view(call.repoman.security.selectors.get(name))


@selectors.post("/v1/security/content-selectors", Permission("selectors", "create"))
def create_selector(call: Call, body: NewSelector) -> None:
    """Create a content selector."""
    row = SelectorRow(body.name, body.expression, body.description or "")
    with worded({}, taken="name"):
        call.repoman.security.selectors.create(row)


@selectors.put(
    "/v1/security/content-selectors/{name}",
    Permission("selectors", "update"),
    matches=show_selector,
)
def change_selector(call: Call, name: str, body: SelectorChange) -> None:
    """Change the expression and the description of a content selector."""
    call.repoman.security.selectors.change(name, body.expression, body.description or "")


@selectors.delete(
    "/v1/security/content-selectors/{name}",
    Permission("selectors", "delete"),
    matches=show_selector,
)
def delete_selector(call: Call, name: str) -> None:
    """Delete a content selector that no privilege uses."""
    call.repoman.security.selectors.delete(name, with_privileges=False)


def _view(row: SelectorRow) -> SelectorView:
    return SelectorView(name=row.name, description=row.description, expression=row.expression)
