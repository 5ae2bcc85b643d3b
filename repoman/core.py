"""Repoman: the core's services, built in order. No logic lives here."""

import hmac
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType

from repoman.blobs.manager import BlobStoreManager, FileStorePlugin
from repoman.blobs.store import BlobStore
from repoman.bootstrap import (
    ADMIN,
    forget_first_password,
    has_database,
    option_sections,
    seed,
)
from repoman.caching import BUDGET
from repoman.catalog.activity import Activity
from repoman.catalog.catalog import Catalog
from repoman.catalog.contents import Contents
from repoman.catalog.open_uploads import OpenUploads
from repoman.catalog.sample_records import Samples
from repoman.catalog.uploading import ComponentUploads
from repoman.catalog.views import RepositoryViews
from repoman.cleanup.cleaner import Cleaner
from repoman.cleanup.preview import CleanupPreview
from repoman.compaction import Compactor
from repoman.config import Settings
from repoman.db.database import Database
from repoman.disk_space import MinFree
from repoman.doctor.access_checks import FIRST_PASSWORD
from repoman.doctor.builtin import (
    access_checks,
    content_checks,
    machine_checks,
    network_checks,
)
from repoman.doctor.machine_checks import plugin_check
from repoman.doctor.model import DoctorCheck
from repoman.doctor.quota_checks import QUOTAS
from repoman.doctor.service import Doctor
from repoman.doctor.sightings import ProxySightings
from repoman.errors import RepomanError
from repoman.events.follower import EventLog
from repoman.events.plugins import PluginFollower, plugin_followers
from repoman.events.pulls import PullLog
from repoman.health import Health
from repoman.identity import check_new_database, pair_stores
from repoman.logs import LogLevel
from repoman.mail import Mailer
from repoman.metrics import Metrics
from repoman.options import Options
from repoman.outgoing import create_network
from repoman.overview.activity import ActivityLog
from repoman.overview.service import Overview
from repoman.overview.space import Space
from repoman.plugins import create_plugin_manager, unique
from repoman.proxy.services import ProxyServices
from repoman.repositories.cleanup import CleanupPolicies
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.purge import Purge
from repoman.repositories.routing import RoutingRules
from repoman.search import TrigramIndex
from repoman.security.audit import Audit
from repoman.security.audit_file import AuditFile
from repoman.security.ldap import LdapRealm
from repoman.security.ldap_servers import LdapServers
from repoman.security.ldap_trial import LdapTrials
from repoman.security.options import USER_TOKEN_OPTIONS, UserTokenOptions
from repoman.security.passwords import PasswordVerifier
from repoman.security.services import create_security
from repoman.security.throttling import LoginQueue
from repoman.security.user_tokens import UserTokens
from repoman.security.users import Users
from repoman.stores.moves import Moves
from repoman.stores.orphans import Orphans
from repoman.stores.quotas import QuotaWatch, RepositoryQuotas
from repoman.stores.service import BlobStores
from repoman.tasks.builtin import (
    PURGE,
    cleanup_task,
    expiry_task,
    pruning_task,
    purge_task,
    trim_task,
    version_order_task,
)
from repoman.tasks.move_task import MOVE, move_task
from repoman.tasks.runner import Launch, Runner
from repoman.tasks.service import Tasks
from repoman.tasks.space_tasks import sum_check_task
from repoman.tasks.store_tasks import (
    compaction_task,
    orphans_task,
    sweep_task,
    temporary_files_task,
    verification_task,
)
from repoman.threads import Watch
from repoman.trust_store import TrustStore
from repoman.upload_records import open_upload_ids
from repoman.verification import Verifier

LAST_WAIT_S = 5.0  # How long the end of the process waits for other writers, all in all.

_log = logging.getLogger(__name__)


class Repoman:
    """All services of one data directory; one running instance per process.

    Use it as a context manager: ``with Repoman(settings) as repoman``. ``plugins``, by name, take
    the place of those that are installed; ``clock`` tells the ages of what proxies have cached;
    ``adopt`` takes blob stores that do not belong to the database (:mod:`repoman.identity`).

    Attributes:
        catalog: what is stored, across repositories.
        contents: the same, as users see it.
        views: the same, for the pages of formats.
        uploads: uploads of components by a form.
        open_uploads: the unfinished uploads of clients.
        activity: what happened to the content of a repository.
        doctor: what is wrong around the server, and how to mend it.
        overview: how the server is doing, at a glance.
        space: where the disk space went, and what comes back.
        quotas: the quotas of repositories, and what is used of them.
        sightings: the proxies in front that requests came through.
        health: what is needed to serve, and whether it works.
        writing: what is needed to write besides, and whether it works.
        metrics: what monitoring is told.
        log_level: the level of the log, for a while.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: Mapping[str, object] | None = None,
        clock: Callable[[], float] = time.time,
        *,
        adopt: bool = False,
    ) -> None:
        self.settings = settings
        self._adopt = adopt
        self.data: Path = settings.data.absolute()
        key_file = self.data / settings.security.key_file
        self.database = Database(self.data, settings.database, key_file)
        self._min_free = MinFree(settings.storage.min_free, settings.storage.min_free_percent)
        self.database.reserve.min_free = self._min_free
        self.pulls = PullLog(self.database, clock, settings.events.pull_days)
        self.options = Options(self.database, option_sections(settings))
        self.trust_store = TrustStore(self.database)
        self.mailer = Mailer(self.options, self.trust_store)
        network = create_network(self.options, self.trust_store)
        self.proxies = ProxyServices(self.database, clock, pulls=self.pulls, network=network)
        self.audit = Audit(self.database, settings.audit)
        self._audit_file = AuditFile(self.database, settings.audit, self.data)
        self._create_security(settings, plugins, clock)
        self.events = EventLog(self.database, settings.events.days)
        self.event_followers = self._follow_events()
        self.metrics = Metrics()
        self.log_level = LogLevel()
        self._activity = ActivityLog(
            self.database, self.metrics.requests, lambda: self.pulls.counted, clock
        )
        self._chores = self._list_chores()
        self.health, self.writing = Health(), Health()
        self.sightings = ProxySightings(clock)
        recipes = chain.from_iterable(self.plugins.hook.repoman_register_recipes())
        self._recipes = unique("recipe", [(each.name, each) for each in recipes])
        found = self.plugins.hook.repoman_register_blob_stores()
        stores = [pair for each in found for pair in each.items()]
        self._store_types = unique("blob store type", stores)
        self.repositories: RepositoryManager

    def _create_security(
        self,
        settings: Settings,
        plugins: Mapping[str, object] | None,
        clock: Callable[[], float],
    ) -> None:
        memory = settings.security.password_memory
        self.users = _create_users(self.database, settings)
        self.users.on_password_change(partial(forget_first_password, self.data))
        policy = partial(self.options.get, USER_TOKEN_OPTIONS, UserTokenOptions)
        tokens = UserTokens(self.database, clock, policy)
        self.ldap_servers = LdapServers(self.database)
        self.ldap_trials = LdapTrials(self.trust_store.pem, self.audit.note)
        ldap = LdapRealm(
            LoginQueue(max(1, settings.server.threads - 1)),
            self.options,
            memory,
            servers=self.ldap_servers.directories,
            generation=self.ldap_servers.generation,
            trusted=self.trust_store.pem,
        )
        realms = [ldap, self.users, tokens]  # The last one is asked first.
        self.plugins = create_plugin_manager(
            [FileStorePlugin(), *realms], plugins, settings.plugins.required
        )
        self.security = create_security(
            self.database, settings, self.options, self.plugins, self.users, tokens, clock
        )

    def _follow_events(self) -> list[PluginFollower]:
        """Return what hands events to plugins; events stay until all followers have them."""
        followers = plugin_followers(self.database, self.plugins)
        for position in (self.audit.position, *(each.position for each in followers)):
            self.events.wait_for(position)
        self.audit.find_handled = self._audit_file.position
        return followers

    def _list_chores(self) -> dict[Watch, Callable[[], object]]:
        """Return what is done at each look; none of it keeps the rest from its turn."""
        return {
            Watch("deferred timestamps"): self.security.flush,
            Watch("pulls"): self.pulls.settle,
            Watch("audit log"): self.audit.flush,
            Watch("audit file"): self._audit_file.follow,
            Watch("requests"): self.metrics.requests.add_up,
            Watch("log level"): self.log_level.settle,
            Watch("activity"): self._activity.take,
            Watch("samples"): Samples(
                self.database, self.proxies.clock, self.settings.catalog.growth_days
            ).take,
        }

    def start(self) -> None:
        """Open the database and the blob stores, and fill them when they are new.

        Raises:
            RepomanError: something is wrong with the data directory or the settings.
        """
        BUDGET.resize(self.settings.server.cache_memory)
        self.blob_stores = BlobStoreManager(
            self.settings.blob_stores, self._store_types, self.data, self._min_free
        )
        if not self._adopt and not has_database(self.data):
            check_new_database(self.blob_stores)
        self.database.open()
        self._open_stores()
        self.security.tokens.open()
        self.security.sessions.open()
        self.repositories = RepositoryManager(
            self.database,
            self._recipes,
            self.blob_stores,
            self.settings.server,
            self.proxies,
            self.plugins.hook,
        )
        self.repositories.on_delete(self.security.privileges.forget_repository)
        self.repositories.refresh()
        self.moves = Moves(self.database, self.repositories, self.blob_stores)
        self.events.need(self.repositories.undo_days)
        self.routing_rules = RoutingRules(self.database, self.repositories)
        formats = {each.format for each in self._recipes.values()}
        self.security.privileges.add_formats(formats)
        self._create_cleanup(formats)
        for each in self.event_followers:
            each.begin()
        self._add_tasks()
        self._create_views()
        self._add_checks()
        self._create_doctor()
        seed(self.database, self.users, self.repositories, self.settings.bootstrap, self.data)

    def _create_cleanup(self, formats: set[str]) -> None:
        """Create the cleanup policies, and what executes them."""
        self.cleanup_policies = CleanupPolicies(self.database, self.repositories, formats)
        self.cleaner = Cleaner(
            self.database, self.repositories, self.cleanup_policies, self.pulls, self.proxies.clock
        )

    def _create_views(self) -> None:
        """Create what shows users the content."""
        self.catalog = Catalog(self.settings.catalog, self.security.cursors, TrigramIndex())
        authorizer = self.security.authorizer
        self.contents = Contents(self.catalog, self.repositories, authorizer)
        self.cleanup_preview = CleanupPreview(
            self.cleanup_policies,
            self.repositories,
            authorizer,
            self.cleaner,
            self.settings.catalog.preview_limit,
        )
        self.views = RepositoryViews(self.catalog, self.repositories, authorizer, self.blob_stores)
        self.uploads = ComponentUploads(self.repositories, authorizer)
        self.open_uploads = OpenUploads(self.database, authorizer)
        self.activity = Activity(self.events, self.repositories, authorizer)
        clock, file = self.proxies.clock, self.settings.audit.file
        self.overview = Overview(self.catalog, self.repositories, authorizer, self.stores, clock)
        audit_file = self.data / file if file else None
        self.space = Space(
            self.catalog,
            self.repositories,
            authorizer,
            self.stores,
            self.tasks,
            self.database,
            audit_file,
            clock,
        )

    def _open_stores(self) -> None:
        """Open the blob stores of the database, which belong to it, and what works on them."""
        self.stores = BlobStores(
            self.database, self.blob_stores, self.settings.blob_stores, self.data
        )
        self.stores.open()
        pair_stores(self.database, self.blob_stores, adopt=self._adopt)
        with suppress(RepomanError):  # The next look at changes logs it.
            self.stores.refresh()
        self._chores[Watch("blob stores")] = self.stores.refresh
        self.quotas = RepositoryQuotas(lambda: self.repositories.all())
        watch = QuotaWatch(self.stores, self.quotas, lambda: self.doctor.examine(QUOTAS))
        self._chores[Watch("quotas")] = watch.look
        self.compactor = Compactor(self.database, self.blob_stores)
        self.verifier = Verifier(self.database, self.blob_stores)
        self.orphans = Orphans(self.database, self.blob_stores, self.compactor)

    def _add_tasks(self) -> None:
        found = chain.from_iterable(self.plugins.hook.repoman_register_tasks())
        types = [
            compaction_task(self.compactor, self.blob_stores, self.stores),
            sweep_task(self.compactor),
            purge_task(Purge(self.database, self.blob_stores)),
            expiry_task(self.security.sessions, self.security.user_tokens),
            trim_task(self.proxies),
            cleanup_task(self.cleaner),
            verification_task(self.verifier, self.blob_stores),
            orphans_task(self.orphans, self.blob_stores),
            temporary_files_task(self.blob_stores),
            sum_check_task(self.database),
            move_task(self.moves),
            version_order_task(self.database, self.repositories.all),
            pruning_task([self.audit.prune, self.events.prune, self.pulls.prune]),
            *found,
        ]
        ids = [(id_, each) for each in types for id_ in (each.id, *each.aliases)]
        unique("task type", ids)
        self._task_types = {each.id: each for each in types}
        self.tasks = Tasks(self.database, self._task_types)
        self.tasks.create_first()
        self.repositories.on_bury(partial(self.tasks.request, PURGE))
        self.moves.on_due(partial(self.tasks.request, MOVE))

    @property
    def node_id(self) -> str:
        """The id of this server for clients that ask; it stays as long as its data."""
        key = self.security.sessions.signing_key.encode()
        return str(uuid.UUID(bytes=hmac.digest(key, b"node", "sha256")[:16]))

    def make_runner(self, kind: str = "server", launch: Launch | None = None) -> Runner:
        """Return a runner of tasks for this process; ``kind`` is that of the process."""
        return Runner(
            self.database,
            self._task_types,
            self.repositories.all,
            most=self.settings.tasks.concurrent,
            launch=launch,
            notice=self.notice_changes,
            flush_pulls=self.pulls.flush,
            kind=kind,
        )

    def _add_checks(self) -> None:
        add = self.health.add
        add("database", self.database.check_readable)
        for name in sorted(self.blob_stores.configured):
            add(f"blob store {name}", partial(_check_store, self.blob_stores.get(name)))
        add("created blob stores", self._check_created_stores)
        add("alarm", lambda: self.proxies.alarm.problem)
        add("fetchers", lambda: self.proxies.fetchers.problem)
        for each in self.event_followers:
            add(each.thread.name, partial(getattr, each, "problem"))
        for watch in self._chores:
            add(watch.name, partial(getattr, watch, "problem"))
        self.writing.add("writing to the database", self.database.check_writable)

    def _create_doctor(self) -> None:
        data, security = self.data, self.security
        checks = [
            *network_checks(self.settings, data, self.sightings, self.repositories, self.probe_key),
            *access_checks(
                data, self.options, security, self.ldap_servers, self.trust_store, self.mailer
            ),
            *content_checks(self.tasks, self.proxies.clock),
            plugin_check(self.plugins.installed),
            *chain.from_iterable(self.plugins.hook.repoman_doctor_checks()),
            *machine_checks(
                self.settings,
                data,
                self.database,
                self.stores,
                self.quotas,
                self.health,
                self.writing,
            ),
        ]
        found: dict[str, DoctorCheck] = unique("check", [(each.id, each) for each in checks])
        self.doctor = Doctor(
            self.database, self.settings.doctor, list(found.values()), self.repositories.all
        )
        self.doctor.load()
        self.users.on_password_change(self._check_first_password)

    def _check_first_password(self, name: str) -> None:
        """Have the doctor see at once that the first password is gone."""
        if name == ADMIN:
            self.doctor.examine(FIRST_PASSWORD)

    def change_log_level(self, level: str, seconds: float) -> None:
        """Log from another level on for a while; empty: from that of the settings."""
        with self.database.transaction(touches=()):
            told = level or self.settings.log.level
            self.database.note_change("server.log-level", told, seconds=f"{seconds:.0f}")
        if level:
            self.log_level.change(level, seconds)
        else:
            self.log_level.reset()

    def probe_key(self) -> str:
        """Return the key by which a probe knows that it came to this server."""
        return self.security.sessions.signing_key

    def _check_created_stores(self) -> str:
        for info in self.stores.all():
            if not info.is_configured:
                _check_store(self.blob_stores.get(info.name))
        return ""

    def sweep(self) -> None:
        """Drop what a crash left of bodies on their way in, and of blobs on their way out.

        Only for the process that serves, before it does.
        """
        self.database.checkpoint()
        for name in self.blob_stores.names():
            self.blob_stores.get(name).sweep_writers(open_upload_ids(name))
        try:
            self.compactor.finish()
        except RepomanError as error:  # The next compaction continues.
            _log.warning("Blobs that were being removed are still there: %s", error)

    def notice_changes(self) -> None:
        """Take over what other processes changed in the database; repeatedly, from one thread."""
        self.database.notice_writes()
        self.repositories.refresh()

    def refresh(self) -> None:
        """Take over what other processes changed; call it repeatedly from one thread."""
        for watch, chore in self._chores.items():
            self.database.notice_writes()  # Each time: a chore may take a while.
            watch.run(chore)
        self.repositories.refresh()
        self.proxies.notice_checks()

    def stop(self) -> None:
        """Write down what waits, and let go of the database."""
        self.database.end_waits(LAST_WAIT_S)
        self.proxies.close()
        self.security.flush()
        self.pulls.flush(is_last=True)
        self._activity.flush()
        self.audit.flush(is_last=True)
        self.database.close()

    def __enter__(self) -> "Repoman":
        try:
            self.start()
        except BaseException:
            self.database.close()  # leaves no journal beside a database that is put back later
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _create_users(database: Database, settings: Settings) -> Users:
    security = settings.security
    passwords = PasswordVerifier(security.password_memory, security.password_cost)
    return Users(database, passwords, settings.password_min_chars)


def _check_store(store: BlobStore) -> str:
    """Look into a blob store, which raises something if it is not there."""
    next(iter(store.list_digests("00")), None)
    return ""
