"""The roles and privileges that are part of the program.

They have no rows and cannot be changed, so nobody can lock everybody out by changing them.
"""

from repoman.security.actors import Action
from repoman.security.permissions import ALL, DOMAIN, view_name
from repoman.security.role_records import Role

RESERVED = "nx-"  # how the names of the program begin, and no others

ADMIN_ROLE = "nx-admin"
ANONYMOUS_ROLE = "nx-anonymous"
DEVELOPER_ROLE = "nx-developer"

SHIPPED_ROLES = (
    Role(ADMIN_ROLE, ADMIN_ROLE, "All permissions.", ("nx-all",)),
    Role(
        ANONYMOUS_ROLE,
        ANONYMOUS_ROLE,
        "Search and read all content.",
        (
            "nx-search-read",
            "nx-healthcheck-read",
            view_name("*", "*", Action.BROWSE),
            view_name("*", "*", Action.READ),
        ),
    ),
    Role(
        DEVELOPER_ROLE,
        DEVELOPER_ROLE,
        "Search, read, write and delete all content.",
        ("nx-search-read", "nx-healthcheck-read", view_name("*", "*", "*")),
    ),
)

# What is administered, and what it is called to people.
_DOMAINS = {
    "audit": "the audit log",
    "blobstores": "blob stores",
    "logging": "logs",
    "metrics": "metrics",
    "privileges": "privileges",
    "roles": "roles",
    "selectors": "content selectors",
    "settings": "the options of the server",
    "tasks": "tasks",
    "users": "users",
}
_VERBS = {"all": "*", "create": "create", "read": "read", "update": "update", "delete": "delete"}

# From a name to what it is for, and the permission it grants.
SHIPPED_PRIVILEGES = {
    "nx-all": ("Everything.", ALL),
    "nx-search-read": ("Search.", f"{DOMAIN}:search:read"),
    "nx-healthcheck-read": ("Health checks.", f"{DOMAIN}:healthcheck:read"),
    **{
        f"nx-{domain}-{verb}": (
            f"{'Everything about' if verb == 'all' else verb.capitalize()} {title}.",
            f"{DOMAIN}:{domain}:{action}",
        )
        for domain, title in _DOMAINS.items()
        for verb, action in _VERBS.items()
    },
}
