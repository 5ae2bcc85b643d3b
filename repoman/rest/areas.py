"""The areas of the core's own REST API, in the order of its description."""

from repoman.rest.audit import audit
from repoman.rest.repositories import repositories
from repoman.rest.tasks import tasks

AREAS = (
    repositories,
    audit,
    tasks,
)
