"""The pages about the server itself, and their links."""

from repoman.plugin import PageLink, Permission
from repoman_web.views.connectors import connectors
from repoman_web.views.doctor import count_problems, doctor
from repoman_web.views.information import information
from repoman_web.views.logs import logs

SECTION = "System"

BLUEPRINTS = (connectors, doctor, information, logs)
LINKS = (
    PageLink(
        SECTION, "Connectors", "plug", "connectors.show", Permission("settings", "read"), order=10
    ),
    PageLink(
        SECTION,
        "Doctor",
        "doctor",
        "doctor.show",
        Permission("metrics", "read"),
        order=20,
        count=count_problems,
    ),
    PageLink(SECTION, "Logs", "log", "logs.show", Permission("logging", "read"), order=40),
    PageLink(
        SECTION, "Information", "info", "information.show", Permission("atlas", "read"), order=80
    ),
)
