"""The areas of the core's own REST API, in the order of its description."""

from repoman.rest.absent import absent
from repoman.rest.audit import audit
from repoman.rest.certificates import certificates
from repoman.rest.ldap import ldap
from repoman.rest.network import network
from repoman.rest.privileges import privileges
from repoman.rest.realms import realms
from repoman.rest.repositories import repositories
from repoman.rest.roles import roles
from repoman.rest.selectors import selectors
from repoman.rest.tasks import tasks
from repoman.rest.users import users

AREAS = (
    repositories,
    users,
    roles,
    privileges,
    audit,
    tasks,
    realms,
    selectors,
    ldap,
    certificates,
    network,
    absent,
)
