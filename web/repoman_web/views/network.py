"""How the server reaches others: the mail server, and HTTP proxies of outgoing requests."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, request, url_for
from pydantic import BaseModel
from werkzeug.wrappers import Response

from repoman.plugin import (
    Denied,
    Invalid,
    SectionForm,
    Unavailable,
    current_repoman,
    done,
    may_administer,
    permission_needed,
)

# The option sections of a page, with their titles.
EMAIL = {"email": "Mail server"}
HTTP = {
    "http": "All requests",
    "http_proxy": "HTTP proxy",
    "https_proxy": "HTTP proxy for https",
}
SECRET = "password"  # noqa: S105 - the name of the field that a change of the server clears

network = Blueprint("network", "repoman_web", url_prefix="/admin")


@network.route("/email", methods=["GET", "POST"])
@permission_needed("settings", "read")
def show_email() -> Response | tuple[str, int]:
    """Return the settings of the mail server, or change them."""
    form = _form(EMAIL)
    if request.method == "POST":
        with form.read(request.form).saving():
            return _save(form, EMAIL, url_for("network.show_email"))
    return _render_email(form)


@network.post("/email/test")
@permission_needed("settings", "update")
def test_email() -> Response | tuple[str, int]:
    """Send a test message with the stored settings."""
    address = request.form.get("address", "").strip()
    try:
        current_repoman().mailer.verify(address)
    except (Invalid, Unavailable) as error:
        page, _ = _render_email(_form(EMAIL), address=address, problem=str(error))
        is_wrong = isinstance(error, Invalid)
        return page, HTTPStatus.BAD_REQUEST if is_wrong else HTTPStatus.SERVICE_UNAVAILABLE
    text = f"A test message was sent to {address}. Look whether it arrives."
    return done(text, url_for("network.show_email"))


@network.route("/http", methods=["GET", "POST"])
@permission_needed("settings", "read")
def show_http() -> Response | tuple[str, int]:
    """Return the settings of outgoing requests, or change them."""
    form = _form(HTTP)
    if request.method == "POST":
        with form.read(request.form).saving():
            return _save(form, HTTP, url_for("network.show_http"))
    return form.render("repoman/http.html", may_change=may_administer("settings", "update"))


def _render_email(form: SectionForm, address: str = "", problem: str = "") -> tuple[str, int]:
    options = current_repoman().options.describe("email")
    return form.render(
        "repoman/email.html",
        may_change=may_administer("settings", "update"),
        is_set=bool(options["host"] and options["port"] and options["from_address"]),
        address=address,
        problem=problem,
    )


def _form(titles: dict[str, str]) -> SectionForm:
    """Return the form of option sections; who may not change them sees them only."""
    options = current_repoman().options
    models: dict[str, type[BaseModel]] = {name: type(options.read(name)) for name in titles}
    fixed: list[str] = []
    if not may_administer("settings", "update"):
        fixed = [f"{name}.{key}" for name, model in models.items() for key in model.model_fields]
    stored = {name: options.describe(name) for name in titles}
    return SectionForm(models, stored, fixed=fixed, titles=titles)


def _save(form: SectionForm, names: dict[str, str], back: str) -> Response:
    """Store what has changed of option sections, and say if a password went with it.

    Raises:
        Denied: the visitor may only read them.
        Invalid, Conflict: see SectionForm.values.
    """
    if not may_administer("settings", "update"):
        raise Denied("You may read these settings, not change them.")
    options, values = current_repoman().options, form.values()
    stored = {name: options.describe(name) for name in names}
    changes = {name: _changes(stored[name], values[name]) for name in names}
    options.patch_all(changes)
    for name in names:
        is_lost = stored[name].get(SECRET) and not options.describe(name).get(SECRET)
        if is_lost and SECRET not in changes[name]:
            text = "The settings were saved. The password was for another server or user, and was"
            return done(f"{text} removed: enter it again.", back, tone="warn")
    return done("The settings were saved.", back)


def _changes(stored: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if stored.get(key) != value}
