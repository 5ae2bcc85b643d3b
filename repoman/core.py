"""Repoman: the core's services, built in order. No logic lives here."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from repoman.blobs.builtin import FileStorePlugin
from repoman.blobs.manager import BlobStoreManager
from repoman.bootstrap import seed
from repoman.compaction import Compactor
from repoman.config import Settings
from repoman.db.database import Database
from repoman.options import Options
from repoman.plugins import create_plugin_manager, unique
from repoman.proxy.services import ProxyServices
from repoman.repositories.manager import RepositoryManager
from repoman.security.audit import Audit
from repoman.security.audit_file import AuditFile
from repoman.security.ldap import LdapRealm
from repoman.security.login_queue import LoginQueue
from repoman.security.options import security_options
from repoman.security.passwords import PasswordVerifier
from repoman.security.services import create_security
from repoman.security.user_tokens import UserTokens
from repoman.security.users import Users
from repoman.uploads import open_upload_ids


class Repoman:
    """All services of one data directory; one running instance per process.

    Use it as a context manager: ``with Repoman(settings) as repoman``. ``plugins``, by name, take
    the place of those that are installed; ``clock`` tells the ages of what proxies have cached.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: Mapping[str, object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.data: Path = settings.data.absolute()
        self.database = Database(
            self.data, settings.database, self.data / settings.security.key_file
        )
        self.proxies = ProxyServices(self.database, clock)
        memory = settings.security.password_memory
        self.audit = Audit(self.database, settings.audit)
        self._audit_file = AuditFile(self.database, settings.audit, self.data)
        self.options = Options(self.database, security_options(settings.security))
        queue = LoginQueue(max(1, settings.server.threads - 1))
        passwords = PasswordVerifier(memory, settings.security.password_cost)
        self.users = Users(self.database, passwords)
        tokens = UserTokens(self.database, clock)
        # The last one is asked first.
        realms = [LdapRealm(queue, self.options, memory), self.users, tokens]
        self.plugins = create_plugin_manager([FileStorePlugin(), *realms], plugins)
        self.security = create_security(
            self.database, settings, self.options, self.plugins, self.users, tokens, clock
        )
        hook = self.plugins.hook
        self._recipes = unique(
            "recipe",
            [(each.name, each) for found in hook.repoman_register_recipes() for each in found],
        )
        self._store_types = unique(
            "blob store type",
            [pair for found in hook.repoman_register_blob_stores() for pair in found.items()],
        )
        self.repositories: RepositoryManager

    def start(self) -> None:
        """Open the database and the blob stores, and fill them when they are new.

        Raises:
            RepomanError: something is wrong with the data directory or the settings.
        """
        self.database.open()
        self.security.tokens.open()
        self.security.sessions.open()
        self.blob_stores = BlobStoreManager(self.settings.blob_stores, self._store_types, self.data)
        self.compactor = Compactor(self.database, self.blob_stores)
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
        seed(self.database, self.users, self.repositories, self.settings.bootstrap, self.data)

    def sweep(self) -> None:
        """Drop what a crash left of bodies that were on their way in.

        Only for the process that serves, before it does.
        """
        for name in self.blob_stores.names():
            self.blob_stores.get(name).sweep_writers(open_upload_ids(name))

    def refresh(self) -> None:
        """Take over what other processes changed; to be called again and again by one thread."""
        self.database.notice_writes()
        self.security.flush()
        self.audit.flush()
        self._audit_file.follow()
        self.repositories.refresh()
        self.proxies.notice_checks()

    def stop(self) -> None:
        """Write down what waits, and let go of the database."""
        self.compactor.stop()
        self.proxies.close()
        self.security.flush()
        self.audit.flush()
        self.database.close()

    def __enter__(self) -> "Repoman":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
