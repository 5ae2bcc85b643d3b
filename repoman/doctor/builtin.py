"""The checks of the core, in the order in which they are shown."""

from collections.abc import Callable
from pathlib import Path

from repoman.config import Settings
from repoman.db.database import Database
from repoman.doctor.access_checks import anonymous_check, ldap_check, mail_check, password_check
from repoman.doctor.content_checks import (
    backup_check,
    repository_check,
    task_check,
    upstream_check,
    verification_check,
)
from repoman.doctor.machine_checks import (
    clock_check,
    database_check,
    disk_check,
    files_check,
    health_check,
    read_only_check,
)
from repoman.doctor.model import DoctorCheck
from repoman.doctor.network_checks import (
    body_check,
    certificate_check,
    connector_check,
    proxy_check,
)
from repoman.doctor.quota_checks import quota_check
from repoman.doctor.sightings import ProxySightings
from repoman.health import Health
from repoman.mail import Mailer
from repoman.options import Options
from repoman.repositories.manager import RepositoryManager
from repoman.security.ldap_servers import LdapServers
from repoman.security.services import Security
from repoman.stores.quotas import RepositoryQuotas
from repoman.stores.service import BlobStores
from repoman.tasks.service import Tasks
from repoman.trust_store import TrustStore


def network_checks(
    settings: Settings,
    data: Path,
    sightings: ProxySightings,
    repositories: RepositoryManager,
    probe_key: Callable[[], str],
) -> list[DoctorCheck]:
    """Return the checks of what is between clients and the server."""
    server = settings.server

    def uses_tls() -> bool:
        found = (each.scheme == "https" for each in repositories.connectors())
        return bool(server.https_port) or any(found)

    return [
        proxy_check(server, sightings),
        body_check(server.external_url, probe_key),
        connector_check(),
        certificate_check(settings.tls, settings.doctor, data, uses_tls),
    ]


def access_checks(
    data: Path,
    options: Options,
    security: Security,
    servers: LdapServers,
    trust_store: TrustStore,
    mailer: Mailer,
) -> list[DoctorCheck]:
    """Return the checks of who may come in, and of what the server connects to for people."""
    return [
        password_check(data),
        anonymous_check(options, security.authorizer),
        ldap_check(options, servers, trust_store),
        mail_check(options, mailer),
    ]


def machine_checks(
    settings: Settings,
    data: Path,
    database: Database,
    stores: BlobStores,
    quotas: RepositoryQuotas,
    *healths: Health,
) -> list[DoctorCheck]:
    """Return the checks of the process and what it runs on."""
    return [
        health_check(*healths),
        read_only_check(database),
        disk_check(settings.doctor, data, stores),
        quota_check(stores, quotas, database),
        clock_check(),
        files_check(settings.server.connection_limit),
        database_check(database),
    ]


def content_checks(tasks: Tasks, clock: Callable[[], float]) -> list[DoctorCheck]:
    """Return the checks of repositories and of what keeps them in order."""
    return [
        repository_check(),
        upstream_check(clock),
        task_check(tasks),
        verification_check(tasks),
        backup_check(),
    ]
