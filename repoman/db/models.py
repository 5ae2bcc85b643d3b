"""The tables, as peewee models. Times are seconds since the epoch, UTC.

The models are bound to one database per process (``docs/adr/0003``);
:class:`repoman.db.database.Database` binds them. A change here needs a migration beside it.
"""

import time

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
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
    """A user of the local realm."""

    name = TextField(unique=True)
    password_hash = TextField()
    is_active = BooleanField(default=True)
    created_at = DoubleField(default=time.time)

    class Meta:
        table_name = "user"


class SecretRecord(Record):
    """A key that the server made for itself."""

    name = TextField(primary_key=True)
    value = TextField()

    class Meta:
        table_name = "secret"


class RepositoryRecord(Record):
    """A repository's configuration; ``key`` is its name in lower case, for uniqueness."""

    name = TextField()
    key = TextField(unique=True)
    format = TextField()
    type = TextField()
    is_online = BooleanField(default=True)
    settings = JSONField()
    created_at = DoubleField(default=time.time)
    updated_at = DoubleField(default=time.time)
    invalidated_at = DoubleField(null=True)

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
    """Immutable bytes in a blob store. ``digest`` is the sha256, in hex."""

    store = TextField()
    digest = TextField()
    size = BigIntegerField()
    created_at = DoubleField(default=time.time)
    used_at = DoubleField(default=time.time)

    class Meta:
        table_name = "blob"
        indexes = ((("store", "digest"), True),)


class ComponentRecord(Record):
    """A logical coordinate; its kinds belong to the format."""

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", index=False)
    kind = TextField()
    namespace = TextField(default="")
    name = TextField()
    version = TextField(default="")
    attributes = JSONField(default=dict)
    created_at = DoubleField(default=time.time)
    updated_at = DoubleField(default=time.time)

    class Meta:
        table_name = "component"
        indexes = ((("repository", "kind", "namespace", "name", "version"), True),)


class AssetRecord(Record):
    """A path with bytes in a repository.

    ``checked_at`` is when a proxy's remote last had it so, ``downloaded_at`` about when a client
    last had it.
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
    downloaded_at = DoubleField(null=True)

    class Meta:
        table_name = "asset"
        indexes = ((("repository", "path"), True),)


class ReferenceRecord(Record):
    """An asset names a path of its repository; the path need not exist.

    ``source`` is the asset's own path, kept here so that an index has the referrers in its order.
    """

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", index=False)
    asset = ForeignKeyField(AssetRecord, on_delete="CASCADE")
    kind = TextField()
    path = TextField()
    source = TextField()

    class Meta:
        table_name = "reference"
        indexes = ((("repository", "path", "kind", "source"), False),)


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


MODELS = (
    Revision,
    UserRecord,
    SecretRecord,
    RepositoryRecord,
    ConnectorRecord,
    BlobRecord,
    ComponentRecord,
    AssetRecord,
    ReferenceRecord,
    UploadRecord,
)
