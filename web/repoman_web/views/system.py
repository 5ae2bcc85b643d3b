"""What administrators of the server itself find on pages: tasks, blob stores and the like."""

from repoman.plugin import SIGNED_IN, PageLink, Permission
from repoman_web.views.audit import audit
from repoman_web.views.blob_stores import blob_stores
from repoman_web.views.network import network
from repoman_web.views.task_forms import task_forms
from repoman_web.views.tasks import tasks

SYSTEM = (tasks, task_forms, blob_stores, audit, network)
SYSTEM_LINKS = (
    PageLink(
        "Content",
        "Blob stores",
        "store",
        "blob_stores.show",
        Permission("blobstores", "read"),
        20,
    ),
    PageLink("Content", "Tasks", "task", "tasks.show", Permission("tasks", "read"), 50),
    PageLink("System", "Audit log", "audit", "audit.show", Permission("audit", "read"), 30),
    PageLink("System", "E-mail", "mail", "network.show_email", Permission("settings", "read"), 50),
    PageLink(
        "System", "HTTP proxies", "proxy", "network.show_http", Permission("settings", "read"), 60
    ),
    PageLink("System", "API", "terminal", "repoman_api.show", SIGNED_IN, 70),
)
