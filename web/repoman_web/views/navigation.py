"""All pages of the main port, and the links that lead to them, by section in their order."""

from types import ModuleType

from flask import Blueprint

from repoman.plugin import SIGNED_IN, Action, PageLink, Permission, SomeSettings
from repoman_web.views import (
    browse_history,
    browse_paths,
    cleanup_preview,
    repository_editing,
    repository_move,
)
from repoman_web.views.account import account, tokens
from repoman_web.views.audit import audit
from repoman_web.views.blob_store import blob_store
from repoman_web.views.blob_stores import blob_stores
from repoman_web.views.browse import browse
from repoman_web.views.cleanup import cleanup
from repoman_web.views.cleanup_forms import DOMAIN as CLEANUP
from repoman_web.views.connectors import connectors
from repoman_web.views.doctor import count_problems, doctor
from repoman_web.views.first_run import first_run
from repoman_web.views.information import information
from repoman_web.views.login import login
from repoman_web.views.logs import logs
from repoman_web.views.network import network
from repoman_web.views.pages import pages
from repoman_web.views.repositories import repositories
from repoman_web.views.routing import routing
from repoman_web.views.search import search
from repoman_web.views.security.all_tokens import all_tokens
from repoman_web.views.security.certificates import certificates
from repoman_web.views.security.entry import anonymous, realms
from repoman_web.views.security.ldap import ldap
from repoman_web.views.security.privileges import privileges
from repoman_web.views.security.role import role
from repoman_web.views.security.roles import roles
from repoman_web.views.security.selectors import selectors
from repoman_web.views.security.user import user
from repoman_web.views.security.users import users
from repoman_web.views.space import space
from repoman_web.views.task_forms import task_forms
from repoman_web.views.tasks import tasks
from repoman_web.views.upload import SomeUploads, upload
from repoman_web.views.use import use

MORE_VIEWS: tuple[ModuleType, ...] = (
    browse_history,
    browse_paths,
    cleanup_preview,
    repository_editing,
    repository_move,
)
"""The modules whose views are in the blueprint of another module."""

BLUEPRINTS: tuple[Blueprint, ...] = (
    *(pages, login, first_run, account, tokens, browse, search, upload, use),
    *(repositories, blob_stores, blob_store, routing, cleanup, tasks, task_forms),
    *(users, user, roles, role, privileges, selectors, all_tokens),
    *(ldap, anonymous, realms, certificates),
    *(connectors, doctor, audit, logs, network, information, space),
)

CONTENT, SECURITY, SYSTEM = "Content", "Security", "System"


def _read(domain: str) -> Permission:
    return Permission(domain, "read")


_SOME_SETTINGS = SomeSettings(Action.READ)

LINKS = (
    PageLink("", "Home", "home", "pages.start", order=10),
    PageLink("", "Browse", "layers", "browse.show", order=20),
    PageLink("", "Search", "search", "search.show", order=30),
    PageLink("", "Upload", "upload", "upload.show", SomeUploads(), 40),
    PageLink(CONTENT, "Repositories", "box", "repositories.show", _SOME_SETTINGS, 10),
    PageLink(CONTENT, "Blob stores", "store", "blob_stores.show", _read("blobstores"), 20),
    PageLink(CONTENT, "Space", "cube", "space.show", _read("blobstores"), 25),
    PageLink(CONTENT, "Routing rules", "route", "routing.show", _SOME_SETTINGS, 30),
    PageLink(CONTENT, "Cleanup", "broom", "cleanup.show", _read(CLEANUP), 40),
    PageLink(CONTENT, "Tasks", "task", "tasks.show", _read("tasks"), 50),
    PageLink(SECURITY, "Users", "users", "users.show_all", _read("users"), 10),
    PageLink(SECURITY, "Roles", "role", "roles.show_all", _read("roles"), 20),
    PageLink(SECURITY, "Privileges", "key", "privileges.show_all", _read("privileges"), 30),
    PageLink(
        SECURITY, "Content selectors", "selector", "selectors.show_all", _read("selectors"), 40
    ),
    PageLink(SECURITY, "Tokens", "token", "all_tokens.show_all", _read("users"), 50),
    PageLink(SECURITY, "LDAP", "directory", "ldap.show_all", _read("ldap"), 60),
    PageLink(SECURITY, "Anonymous access", "globe", "anonymous.show", _read("settings"), 70),
    PageLink(SECURITY, "Realms", "sign", "realms.show_order", _read("settings"), 80),
    PageLink(
        SECURITY, "Certificates", "stamp", "certificates.show_all", _read("ssl-truststore"), 90
    ),
    PageLink(SYSTEM, "Connectors", "plug", "connectors.show", _read("settings"), 10),
    PageLink(SYSTEM, "Doctor", "doctor", "doctor.show", _read("metrics"), 20, count_problems),
    PageLink(SYSTEM, "Audit log", "audit", "audit.show", _read("audit"), 30),
    PageLink(SYSTEM, "Logs", "log", "logs.show", _read("logging"), 40),
    PageLink(SYSTEM, "E-mail", "mail", "network.show_email", _read("settings"), 50),
    PageLink(SYSTEM, "HTTP proxies", "proxy", "network.show_http", _read("settings"), 60),
    PageLink(SYSTEM, "API", "terminal", "repoman_api.show", SIGNED_IN, 70),
    PageLink(SYSTEM, "Information", "info", "information.show", _read("atlas"), 80),
)
