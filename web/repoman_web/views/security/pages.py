"""The blueprints and the links of the section Security."""

from repoman.plugin import PageLink, Permission
from repoman_web.views.security.all_tokens import all_tokens
from repoman_web.views.security.role import role
from repoman_web.views.security.roles import roles
from repoman_web.views.security.user import user
from repoman_web.views.security.users import users

SECTION = "Security"
BLUEPRINTS = (users, user, roles, role, all_tokens)
LINKS = (
    PageLink(SECTION, "Users", "users", "users.show_all", Permission("users", "read"), 10),
    PageLink(SECTION, "Roles", "role", "roles.show_all", Permission("roles", "read"), 20),
    PageLink(SECTION, "Tokens", "token", "all_tokens.show_all", Permission("users", "read"), 50),
)
