"""The areas of the core's own REST API, in the order of its description."""

from repoman.rest.audit import audit
from repoman.rest.privileges import privileges
from repoman.rest.repositories import repositories
from repoman.rest.roles import roles
from repoman.rest.tasks import tasks
from repoman.rest.users import users

AREAS = (
    repositories,
    users,
    roles,
    privileges,
    audit,
    tasks,
)
