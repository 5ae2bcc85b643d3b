"""The trust store: certificates that outgoing connections trust; added as PEM or from a server."""

from flask import Blueprint, render_template, request, url_for
from pydantic import Field
from werkzeug.wrappers import Response

from repoman.plugin import (
    Certificate,
    NotFound,
    Section,
    SectionForm,
    current_repoman,
    done,
    fetch_certificate,
    may_administer,
    permission_needed,
    read_list,
)
from repoman_web.views.forms import try_saving
from repoman_web.views.security.rows import page_rows

DOMAIN = "ssl-truststore"
SOON_S = 30 * 86_400  # How long before its end a certificate is marked.

certificates = Blueprint("certificates", "repoman_web", url_prefix="/admin/certificates")


class PemText(Section):
    """The certificate of an authority or of one server; one at a time."""

    pem: str = Field(
        title="PEM",
        description="From -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----.",
        json_schema_extra={"widget": "code", "rows": 12},
    )


class ServerName(Section):
    """Shows the certificate first; nothing is trusted yet."""

    host: str = Field(title="Host", max_length=255, description="Host name or address.")
    port: int = Field(443, ge=1, le=65535)


@certificates.app_template_filter()
def certificate_name(certificate: Certificate) -> str:
    """Return what a certificate is called: its common name, or else its organization."""
    return next(filter(None, certificate.subject), "") or certificate.id


@certificates.get("")
@permission_needed(DOMAIN, "read")
def show_all() -> str:
    """Return the list of trusted certificates."""
    query = read_list()
    found = current_repoman().trust_store.all()
    rows = page_rows(found, query, lambda each: f"{certificate_name(each)} {each.id}", _text_of)
    return render_template(
        "repoman/security/certificates.html", rows=rows, query=query, soon=SOON_S
    )


def _text_of(each: Certificate) -> str:
    return "\n".join(filter(None, (*each.subject, *each.issuer, each.id)))


@certificates.get("/-/new")
@permission_needed(DOMAIN, "create")
def create() -> tuple[str, int]:
    """Return the forms of a new certificate."""
    return _render(_pem_form(), _server_form())


@certificates.post("/-/new")
@permission_needed(DOMAIN, "create")
def add() -> Response | tuple[str, int]:
    """Trust a certificate."""
    form = _pem_form().read(request.form)
    return try_saving(form, lambda: _add(form)) or _render(form, _server_form())


def _add(form: SectionForm) -> Response:
    added = current_repoman().trust_store.add(form.values()[""]["pem"])
    return done(
        f"The certificate of {certificate_name(added)} is trusted from the next connection on.",
        url_for("certificates.show_all"),
    )


@certificates.get("/-/server")
@permission_needed(DOMAIN, "create")
def look() -> tuple[str, int]:
    """Return the certificate that a server shows."""
    form, found = _server_form().read(request.args), []
    with form.saving():
        values = form.values()[""]
        found.append(fetch_certificate(values["host"].strip(), values["port"]))
    return _render(_pem_form(), form, found[0] if found else None)


@certificates.route("/<id_>/delete", methods=["GET", "POST"])
@permission_needed(DOMAIN, "delete")
def delete(id_: str) -> Response | str:
    """Return the page about a certificate that goes, or trust it no longer."""
    store = current_repoman().trust_store
    found = store.get(id_)
    if request.method == "POST":
        store.remove(found.id)
        text = f"The certificate of {certificate_name(found)} is not trusted any more."
        return done(text, url_for("certificates.show_all"))
    return render_template("repoman/security/certificate_delete.html", certificate=found)


@certificates.get("/<id_>")
@permission_needed(DOMAIN, "read")
def show(id_: str) -> str:
    """Return all about a certificate."""
    found = current_repoman().trust_store.get(id_)
    return render_template("repoman/security/certificate.html", certificate=found)


def _pem_form() -> SectionForm:
    return SectionForm({"": PemText}, titles={"": "From a text"})


def _server_form() -> SectionForm:
    return SectionForm({"": ServerName}, titles={"": "From a server"})


def _render(
    pem: SectionForm, server: SectionForm, found: Certificate | None = None
) -> tuple[str, int]:
    page = render_template(
        "repoman/security/certificate_new.html",
        form=pem,
        server=server,
        found=found,
        is_trusted=found is not None and _is_trusted(found),
        may_create=may_administer(DOMAIN, "create"),
    )
    return page, max(pem.status, server.status)


def _is_trusted(found: Certificate) -> bool:
    try:
        current_repoman().trust_store.get(found.id)
    except NotFound:
        return False
    return True
