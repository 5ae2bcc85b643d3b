"""The tables, as peewee models. Times are seconds since the epoch, UTC.

The models are bound to one database per process (``docs/adr/0003``);
:class:`repoman.db.database.Database` binds them. A change here needs a migration beside it.
"""

import json
import time

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    DatabaseProxy,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    JSONField,
    Model,
    TextField,
)

database_proxy = DatabaseProxy()


class Record(Model):
    """Base of all models: one database, table names as given."""

    class Meta:
        database = database_proxy
        legacy_table_names = False


class Revision(Record):
    """Counters that tell other processes that something changed."""

    name = CharField(primary_key=True)
    value = BigIntegerField(default=0)

    class Meta:
        table_name = "revision"


class UserRecord(Record):
    """A user. ``external_roles`` are those that the realm gave at the last login.

    ``status`` is one of :class:`repoman.security.user_records.Status`.
    ``epoch`` moves whenever what was issued to the user (tokens, sessions) has to end.
    """

    name = TextField(unique=True)
    realm = TextField(default="local")
    password_hash = TextField(default="")
    status = TextField(default="active")
    first_name = TextField(default="")
    last_name = TextField(default="")
    email = TextField(default="")
    roles = JSONField(default=list)
    external_roles = JSONField(default=list)
    epoch = IntegerField(default=0)
    created_at = DoubleField(default=time.time)
    last_login_at = DoubleField(null=True)

    class Meta:
        table_name = "user"


class RoleRecord(Record):
    """A role: names of privileges, and of other roles that it includes."""

    id = TextField(primary_key=True)
    name = TextField()
    description = TextField(default="")
    privileges = JSONField(default=list)
    roles = JSONField(default=list)

    class Meta:
        table_name = "role"


class PrivilegeRecord(Record):
    """A privilege that an administrator created; ``properties`` depend on its type."""

    name = TextField(primary_key=True)
    type = TextField()
    description = TextField(default="")
    properties = JSONField(default=dict)

    class Meta:
        table_name = "privilege"


class SelectorRecord(Record):
    """A content selector: an expression on the format and the path of content."""

    name = TextField(primary_key=True)
    description = TextField(default="")
    expression = TextField()

    class Meta:
        table_name = "content_selector"


class UserTokenRecord(Record):
    """A user token; ``digest`` is the sha256 of its secret, in hex.

    ``realm`` is that of its user when it was made.
    """

    id = TextField(primary_key=True)
    user = ForeignKeyField(UserRecord, on_delete="CASCADE")
    realm = TextField()
    name = TextField()
    digest = TextField()
    repositories = JSONField(default=list)
    names = JSONField(default=list)
    actions = JSONField(default=list)
    created_at = DoubleField(default=time.time)
    expires_at = DoubleField(null=True)
    last_used_at = DoubleField(null=True)

    class Meta:
        table_name = "user_token"
        indexes = ((("user", "name"), True),)


class SessionRecord(Record):
    """A browser session; ``digest`` is the sha256 of what its cookie holds, in hex.

    ``realm`` is the one that has let its user in.
    """

    digest = TextField(primary_key=True)
    user = ForeignKeyField(UserRecord, on_delete="CASCADE")
    realm = TextField()
    epoch = IntegerField()
    address = TextField(default="")
    agent = TextField(default="")
    created_at = DoubleField(default=time.time)
    seen_at = DoubleField(default=time.time)
    expires_at = DoubleField(index=True)

    class Meta:
        table_name = "session"


class AuditRecord(Record):
    """An event; ``attributes`` hold details, never a secret."""

    at = DoubleField(index=True)
    domain = TextField()
    type = TextField()
    actor = TextField()
    realm = TextField(default="")
    address = TextField(default="")
    connector = TextField(default="")
    repository = TextField(default="")
    target = TextField(default="")
    is_success = BooleanField(default=True)
    attributes = JSONField(default=dict)

    class Meta:
        table_name = "audit"
        indexes = ((("domain", "at"), False), (("actor", "at"), False))


class SealedField(TextField):
    """A text that is sealed in the database, by the keys of the key file."""

    def db_value(self, value: str) -> str:
        """Return what is stored."""
        return json.dumps(self.model._meta.database.obj.keyring.seal(value))

    def python_value(self, value: str) -> str:
        """Return the text."""
        return str(self.model._meta.database.obj.keyring.unseal(json.loads(value)))


class SecretRecord(Record):
    """A key that the server created for itself."""

    name = TextField(primary_key=True)
    value = SealedField()

    class Meta:
        table_name = "secret"


class RepositoryRecord(Record):
    """A repository's configuration; ``key`` is its name in lower case, for uniqueness.

    One with ``deleted_at`` is a tombstone: only what removes its content looks at it.
    """

    name = TextField()
    key = TextField(unique=True)
    format = TextField()
    type = TextField()
    is_online = BooleanField(default=True)
    settings = JSONField()
    created_at = DoubleField(default=time.time)
    updated_at = DoubleField(default=time.time)
    invalidated_at = DoubleField(null=True)
    deleted_at = DoubleField(null=True)

    class Meta:
        table_name = "repository"


class ConnectorRecord(Record):
    """A port that belongs to a repository."""

    port = IntegerField(primary_key=True)
    scheme = TextField()
    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", backref="connectors")

    class Meta:
        table_name = "connector"


class BlobRecord(Record):
    """Immutable bytes in a blob store. ``digest`` is the sha256, in hex.

    ``released_at`` is when the last asset that named it went; triggers set it.
    """

    store = TextField()
    digest = TextField()
    size = BigIntegerField()
    created_at = DoubleField(default=time.time)
    released_at = DoubleField(null=True)

    class Meta:
        table_name = "blob"
        indexes = ((("store", "digest"), True), (("store", "released_at"), False))


class CondemnedRecord(Record):
    """A blob whose bytes compaction is removing; nothing may be stored that names it."""

    store = TextField()
    digest = TextField()

    class Meta:
        table_name = "condemned"
        primary_key = CompositeKey("store", "digest")


class BlobStoreRecord(Record):
    """Which blob store belongs to this database; the store has the same identity.

    ``settings`` are those of a store that was created over REST or by a command; null: it is in the
    settings file. ``quota`` is the soft quota, ``hard_quota`` is in bytes. One with ``deleted_at``
    is a tombstone, which holds what is still to be removed.
    """

    name = TextField(primary_key=True)
    identity = TextField()
    settings = JSONField(null=True)
    quota = JSONField(null=True)
    hard_quota = BigIntegerField(null=True)
    deleted_at = DoubleField(null=True)

    class Meta:
        table_name = "blob_store"


class ComponentRecord(Record):
    """A logical coordinate; its kinds belong to the format.

    The table ``component_index`` is kept by triggers; see ``repoman.search``. So are ``size``, in
    bytes, and ``downloaded_at`` (0: never). ``version_key`` sorts as the versions do.
    """

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", index=False)
    kind = TextField()
    namespace = TextField(default="")
    name = TextField()
    version = TextField(default="")
    description = TextField(default="")
    package = IntegerField(column_name="package_id", null=True)
    version_key = TextField(default="")
    is_prerelease = BooleanField(default=False)
    size = BigIntegerField(default=0)
    created_at = DoubleField(default=time.time)
    updated_at = DoubleField(default=time.time)
    downloaded_at = DoubleField(default=0.0)

    class Meta:
        table_name = "component"
        indexes = (
            (("repository", "kind", "namespace", "name", "version"), True),
            (("repository", "kind"), False),
            (("repository", "kind", "name", "namespace", "version"), False),
            (("repository", "kind", "version_key"), False),
            (("repository", "kind", "updated_at"), False),
            (("repository", "kind", "downloaded_at"), False),
            (("repository", "kind", "size"), False),
            (("package", "updated_at"), False),
            (("package", "version_key"), False),
            (("package", "size"), False),
        )


class AssetRecord(Record):
    """A path with bytes in a repository; see ``Asset``, and ``GraphNode`` for the last columns.

    ``downloaded_at`` is about when a client last had it.
    """

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", index=False)
    component = ForeignKeyField(ComponentRecord, on_delete="CASCADE", null=True)
    path = TextField()
    kind = TextField()
    blob = ForeignKeyField(BlobRecord, on_delete="RESTRICT")
    media_type = TextField()
    attributes = JSONField(default=dict)
    created_at = DoubleField(default=time.time)
    updated_at = DoubleField(default=time.time)
    checked_at = DoubleField(null=True)
    remote_etag = TextField(null=True)
    remote_modified = TextField(null=True)
    downloaded_at = DoubleField(null=True)
    package = IntegerField(column_name="package_id", null=True)
    transfer_size = BigIntegerField(null=True)
    uploader = TextField(default="")
    uploader_address = TextField(default="")
    promised_at = DoubleField(null=True)
    released_at = DoubleField(null=True)
    released_by = TextField(null=True)

    class Meta:
        table_name = "asset"
        indexes = (
            (("repository", "path"), True),
            (("repository", "kind", "path"), False),
            (("repository", "downloaded_at"), False),
            (("repository", "uploader"), False),
            (("package",), False),
        )


class ReferenceRecord(Record):
    """An asset names a path of its repository; the path need not exist.

    ``source`` is the asset's own path, kept here so that an index has the referrers in its order.
    ``size`` is that of what is at the path, in bytes, if the asset tells.
    """

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", index=False)
    asset = ForeignKeyField(AssetRecord, on_delete="CASCADE")
    kind = TextField()
    path = TextField()
    source = TextField()
    size = BigIntegerField(null=True)

    class Meta:
        table_name = "reference"
        indexes = ((("repository", "path", "kind", "source"), False),)


class RemoteRecord(Record):
    """The last known state of the remote of a proxy; see ``repoman.proxy.remote_health``."""

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", primary_key=True)
    condition = TextField()
    reason = TextField()
    budget = JSONField(null=True)
    at = DoubleField()
    blocked_until = DoubleField(null=True)

    class Meta:
        table_name = "remote"


class ConnectorStateRecord(Record):
    """A connector as the server last had it; ``problem`` is empty where it is open."""

    key = TextField(primary_key=True)
    repository = TextField()
    url = TextField()
    problem = TextField()

    class Meta:
        table_name = "connector_state"


class UploadRecord(Record):
    """An upload session; its bytes are a file of the blob store with the same id."""

    id = TextField(primary_key=True)
    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE")
    store = TextField()
    scope = TextField()
    actor = TextField()
    started_at = DoubleField(default=time.time)

    class Meta:
        table_name = "upload"


class TaskRecord(Record):
    """A task: a type, its settings and when it is due."""

    type = TextField()
    name = TextField()
    settings = JSONField(default=dict)
    schedule = JSONField(default=dict)
    is_enabled = BooleanField(default=True)
    next_at = DoubleField(null=True)
    uid = TextField(unique=True)
    kept = JSONField(default=dict)

    class Meta:
        table_name = "task"


class TaskRunRecord(Record):
    """A run of a task: waiting, running under a lease, or ended."""

    task = ForeignKeyField(TaskRecord, on_delete="CASCADE", index=False)
    type = TextField()
    state = TextField()
    done = BigIntegerField(default=0)
    total = BigIntegerField(null=True)
    message = TextField(default="")
    owner = TextField(default="")
    lease_until = DoubleField(null=True)
    is_stop_requested = BooleanField(default=False)
    attempt = IntegerField(default=0)
    queued_at = DoubleField(default=time.time)
    started_at = DoubleField(null=True)
    ended_at = DoubleField(null=True)
    result = TextField(default="")
    freed_bytes = BigIntegerField(default=0)

    class Meta:
        table_name = "task_run"
        # The unique ones are partial: of the runs that wait, and of those that run.
        indexes = ((("task", "id"), False), (("task",), True), (("type",), True))


class TaskLineRecord(Record):
    """A line of the log of a run."""

    run = ForeignKeyField(TaskRunRecord, on_delete="CASCADE", index=False)
    number = IntegerField()
    at = DoubleField()
    text = TextField()

    class Meta:
        table_name = "task_line"
        primary_key = CompositeKey("run", "number")


class FirstTaskRecord(Record):
    """A type of tasks whose first task was created; it may be deleted since."""

    type = TextField(primary_key=True)

    class Meta:
        table_name = "first_task"


MODELS = (
    Revision,
    UserRecord,
    RoleRecord,
    PrivilegeRecord,
    SelectorRecord,
    UserTokenRecord,
    SessionRecord,
    AuditRecord,
    SecretRecord,
    RepositoryRecord,
    ConnectorRecord,
    BlobRecord,
    CondemnedRecord,
    BlobStoreRecord,
    ComponentRecord,
    AssetRecord,
    ReferenceRecord,
    RemoteRecord,
    ConnectorStateRecord,
    UploadRecord,
    TaskRecord,
    TaskRunRecord,
    TaskLineRecord,
    FirstTaskRecord,
)
