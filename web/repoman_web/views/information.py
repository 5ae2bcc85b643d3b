"""What the server runs on, its plugins and its settings, and the file for those who help."""

import time
from collections import Counter

from flask import Blueprint, render_template
from werkzeug.wrappers import Response

from repoman.plugin import (
    changed_settings,
    current_repoman,
    make_support_zip,
    missing_formats,
    permission_needed,
    system_information,
)

# What the hooks of a plugin mean that visitors can see.
BRINGS = {
    "repoman_register_formats": "a format",
    "repoman_register_blob_stores": "types of blob stores",
    "repoman_register_tasks": "tasks",
    "repoman_register_web": "pages",
    "repoman_register_rest": "REST endpoints",
    "repoman_register_commands": "commands",
    "repoman_authenticate": "a realm",
    "repoman_doctor_checks": "checks of the doctor",
    "repoman_content_changed": "what follows changes of content",
}

information = Blueprint("information", "repoman_web", url_prefix="/admin/information")


@information.get("")
@permission_needed("atlas", "read")
def show() -> str:
    """Return what the server runs on."""
    repoman, system, now = current_repoman(), system_information(current_repoman()), time.time()
    users = Counter(each.config.format for each in repoman.repositories.all())
    return render_template(
        "repoman/information.html",
        system=system,
        now=now,
        started_at=now - system["uptime_s"],
        plugins=repoman.plugins.installed(),
        brings=BRINGS,
        missing={name: users[name] for name in missing_formats(repoman)},
        settings=changed_settings(repoman.settings),
    )


@information.get("/support.zip")
@permission_needed("atlas", "create")
def support() -> Response:
    """Return the file that helps to find out why something does not work, without secrets."""
    name = f"support-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.zip"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    content = make_support_zip(current_repoman())
    return Response(content, 200, headers, mimetype="application/zip")
