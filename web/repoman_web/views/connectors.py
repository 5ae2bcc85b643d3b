"""The ports of the server with their real state, and the certificates that they show."""

import time

from flask import Blueprint, render_template

from repoman.plugin import (
    ConnectorStatus,
    ManagedRepositories,
    current_repoman,
    list_certificates,
    list_ports,
    page_call,
    permission_needed,
)

connectors = Blueprint("connectors", "repoman_web", url_prefix="/admin/connectors")


@connectors.get("")
@permission_needed("settings", "read")
def show() -> str:
    """Return all ports, and the certificates if any of them speaks TLS."""
    repoman = current_repoman()
    settings, repositories = repoman.settings, repoman.repositories
    ports = list_ports(settings.server, repositories.connectors())
    has_tls = any(each.scheme == "https" for each in ports)
    return render_template(
        "repoman/connectors.html",
        ports=ports,
        knows=ManagedRepositories(page_call()).knows,
        offline={each.name for each in repositories.all() if not each.config.is_online},
        failed=sum(each.state is ConnectorStatus.FAILED for each in ports),
        certificates=list_certificates(settings.tls, repoman.data) if has_tls else [],
        soon=time.time() + settings.doctor.certificate_days * 86_400,
        now=time.time(),
        server=settings.server,
    )
