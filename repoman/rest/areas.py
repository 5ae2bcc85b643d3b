"""The areas of the core's own REST API, in the order of its description."""

from repoman.rest.absent import absent
from repoman.rest.audit import audit
from repoman.rest.blob_stores import blob_stores
from repoman.rest.browse import browse
from repoman.rest.certificates import certificates
from repoman.rest.cleanup import cleanup
from repoman.rest.cleanup_api import cleanup_api
from repoman.rest.components import assets, components, formats
from repoman.rest.doctor import doctor
from repoman.rest.events import events
from repoman.rest.ldap import ldap
from repoman.rest.logs import logs
from repoman.rest.metrics import metrics
from repoman.rest.network import network
from repoman.rest.operation import operation
from repoman.rest.privileges import privileges
from repoman.rest.quotas import quotas
from repoman.rest.realms import realms
from repoman.rest.repositories import repositories
from repoman.rest.repository_moves import repository_moves
from repoman.rest.rights import rights
from repoman.rest.roles import roles
from repoman.rest.routing import routing
from repoman.rest.search import search
from repoman.rest.selectors import selectors
from repoman.rest.settings import settings
from repoman.rest.status import status
from repoman.rest.store_maintenance import store_maintenance
from repoman.rest.system import system
from repoman.rest.tasks import tasks
from repoman.rest.uploads import uploads
from repoman.rest.usage import usage
from repoman.rest.user_tokens import user_tokens
from repoman.rest.users import users

AREAS = (
    repositories,
    components,
    assets,
    browse,
    search,
    formats,
    blob_stores,
    store_maintenance,
    repository_moves,
    routing,
    cleanup,
    cleanup_api,
    users,
    roles,
    privileges,
    tasks,
    realms,
    selectors,
    ldap,
    certificates,
    network,
    absent,
    status,
    system,
    metrics,
    operation,
    settings,
    doctor,
    logs,
    usage,
    quotas,
    uploads,
    events,
    audit,
    rights,
    user_tokens,
)
