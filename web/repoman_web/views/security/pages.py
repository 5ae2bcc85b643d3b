"""The blueprints and the links of the section Security."""

from repoman.plugin import PageLink, Permission
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

SECTION = "Security"
BLUEPRINTS = (
    *(users, user, roles, role, privileges, selectors, all_tokens),
    *(ldap, anonymous, realms, certificates),
)
LINKS = (
    PageLink(SECTION, "Users", "users", "users.show_all", Permission("users", "read"), 10),
    PageLink(SECTION, "Roles", "role", "roles.show_all", Permission("roles", "read"), 20),
    PageLink(
        SECTION, "Privileges", "key", "privileges.show_all", Permission("privileges", "read"), 30
    ),
    PageLink(
        SECTION,
        "Content selectors",
        "selector",
        "selectors.show_all",
        Permission("selectors", "read"),
        40,
    ),
    PageLink(SECTION, "Tokens", "token", "all_tokens.show_all", Permission("users", "read"), 50),
    PageLink(SECTION, "LDAP", "directory", "ldap.show_all", Permission("ldap", "read"), 60),
    PageLink(
        SECTION, "Anonymous access", "globe", "anonymous.show", Permission("settings", "read"), 70
    ),
    PageLink(SECTION, "Realms", "sign", "realms.show_order", Permission("settings", "read"), 80),
    PageLink(
        SECTION,
        "Certificates",
        "stamp",
        "certificates.show_all",
        Permission("ssl-truststore", "read"),
        90,
    ),
)
