"""Content selectors: the list, the form with a try-out, deleting one."""

from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from operator import attrgetter
from typing import Any

from flask import Blueprint, jsonify, render_template, request, url_for
from pydantic import Field
from werkzeug.wrappers import Response

from repoman.plugin import (
    ExpressionInvalid,
    Invalid,
    ListRequest,
    NotFound,
    Section,
    SectionForm,
    SelectorRow,
    Subject,
    content_repository,
    current_actor,
    current_repoman,
    done,
    may_administer,
    parse_expression,
    permission_needed,
    read_list,
)
from repoman_web.views.security.extents import known_repositories
from repoman_web.views.security.rows import page_rows

NAME = attrgetter("name")
PATHS_MAX = 100  # Own paths that are tried, and paths of a repository that are shown.
KIND = "repository-content-selector"

selectors = Blueprint("selectors", "repoman_web", url_prefix="/admin/selectors")


class SelectorText(Section):
    """Picks paths in repositories, for privileges that are for a part of the content."""

    name: str = Field(
        max_length=100, description="Letters, digits, _ . and -. It cannot be changed later."
    )
    expression: str = Field(
        description='Such as path =^ "/team/" and format == "raw"; =^ is for beginnings, =~ for '
        "regular expressions.",
        json_schema_extra={"widget": "expression"},
    )
    description: str = Field("", max_length=4000, description="What it is for.")


@dataclass(slots=True)
class Trial:
    """What an expression picks: of own paths, and in a repository.

    Attributes:
        paths: own paths, each with whether it is picked.
        found: paths in the repository that are picked, the first ones.
        has_more: whether there may be more of them.
    """

    paths: list[tuple[str, bool]] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    has_more: bool = False
    repository: str = ""
    problem: str = ""


@selectors.get("")
@permission_needed("selectors", "read")
def show_all() -> str:
    """Return the list of content selectors."""
    query, security = read_list(), current_repoman().security
    rows = page_rows(
        security.selectors.all(), query, NAME, lambda each: f"{each.name}\n{each.expression}"
    )
    used = Counter(
        str(each.properties.get("selector", "")).lower()
        for each in security.privileges.all()
        if each.type == KIND
    )
    return render_template("repoman/security/selectors.html", rows=rows, used=used, query=query)


@selectors.route("/-/new", methods=["GET", "POST"])
@permission_needed("selectors", "create")
def create() -> Response | tuple[str, int]:
    """Return the form of a new content selector, try it, or create it."""
    form = SectionForm({"": SelectorText}, titles={"": "Selector"})
    if request.method == "POST":
        form.read(request.form)
        if "try" not in request.form:
            with form.saving():
                values = form.values()[""]
                current_repoman().security.selectors.create(SelectorRow(**values))
                return done(
                    f"The content selector {values['name']} was created.",
                    url_for("selectors.show", name=values["name"]),
                    ("Use it in a role", url_for("roles.show_all")),
                )
    return _render(form, "")


@selectors.route("/<name>", methods=["GET", "POST"])
@permission_needed("selectors", "read")
def show(name: str) -> Response | tuple[str, int]:
    """Return a content selector, try it, or change it."""
    old = current_repoman().security.selectors.get(name)
    stored = {"name": old.name, "expression": old.expression, "description": old.description}
    fixed = ["name"] if may_administer("selectors", "update") else list(stored)
    form = SectionForm({"": SelectorText}, {"": stored}, fixed=fixed, titles={"": "Selector"})
    if request.method == "POST":
        form.read(request.form)
        if "try" not in request.form:
            with form.saving():
                return _change(form, old.name)
    return _render(form, old.name)


@permission_needed("selectors", "update")
def _change(form: SectionForm, name: str) -> Response:
    values = form.values()[""]
    current_repoman().security.selectors.change(name, values["expression"], values["description"])
    return done(f"The content selector {name} was saved.", url_for("selectors.show", name=name))


@selectors.get("/-/check")
@permission_needed("selectors", "read")
def check() -> Response:
    """Return whether an expression is well formed, for the form."""
    try:
        parse_expression(request.args.get("value", ""))
    except Invalid as error:
        return jsonify(text=_sentence(error), tone="error")
    return jsonify(text="Well formed.", tone="ok")


@selectors.route("/<name>/delete", methods=["GET", "POST"])
@permission_needed("selectors", "delete")
def delete(name: str) -> Response | str:
    """Return the page that says which privileges go with a selector, or delete it."""
    security = current_repoman().security
    row = security.selectors.get(name)
    if request.method == "POST":
        security.selectors.delete(row.name)
        return done(f"The content selector {row.name} was deleted.", url_for("selectors.show_all"))
    return render_template(
        "repoman/security/selector_delete.html",
        row=row,
        privileges=security.privileges.made_of_selector(row.name),
    )


def _render(form: SectionForm, name: str) -> tuple[str, int]:
    shown = form.field("expression")
    try:
        expression, mistake = (parse_expression(shown.text) if shown.text else None), None
    except ExpressionInvalid as error:
        expression, mistake = None, error.at
    except Invalid:
        expression, mistake = None, None
    if "try" in request.form and shown.text and expression is None:
        form.errors["expression"] = _expression_error(shown.text)
        form.status = HTTPStatus.BAD_REQUEST
    return form.render(
        "repoman/security/selector.html",
        name=name,
        mistake=mistake if form.errors.get("expression") else None,
        trial=_try(expression) if expression is not None and "try" in request.form else None,
        repositories=[(each.name, each.name) for each in known_repositories()],
        paths=request.form.get("try.paths", ""),
        chosen=request.form.get("try.repository", ""),
    )


def _expression_error(text: str) -> str:
    try:
        parse_expression(text)
    except Invalid as error:
        return _sentence(error)
    return ""


def _sentence(error: Invalid) -> str:
    text = str(error).removeprefix("expression: ")
    return text[:1].upper() + text[1:]


def _try(expression: Any) -> Trial:
    """Return what an expression picks of what the form has."""
    own = [each.strip() for each in request.form.get("try.paths", "").splitlines() if each.strip()]
    name, trial = request.form.get("try.repository", ""), Trial()
    try:
        repository = content_repository(name) if name else None
    except NotFound:
        trial.problem, repository = f"There is no repository {name}.", None
    format_ = repository.config.format if repository else ""
    trial.paths = [(each, expression.holds(Subject(format_, each))) for each in own[:PATHS_MAX]]
    if repository is not None:
        page = current_repoman().contents.selected(
            repository, expression, ListRequest(PATHS_MAX), current_actor()
        )
        trial.repository = repository.name
        trial.found = [each.path for each in page.items]
        trial.has_more = page.next is not None
    return trial
