"""The tables of what is kept beside the content: sums, labels, checksums, samples.

Triggers keep the sums; see ``repoman/db/migrations/0022_kept_sums.py``. Sizes are in bytes, times
are seconds since the epoch.
"""

from peewee import (
    BigIntegerField,
    CompositeKey,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from repoman.db.models import BlobRecord, ComponentRecord, Record, RepositoryRecord


class BlobChecksumRecord(Record):
    """A digest of a blob by another algorithm than the store's, in hex."""

    blob = ForeignKeyField(BlobRecord, on_delete="CASCADE", index=False)
    algorithm = TextField()
    value = TextField()

    class Meta:
        table_name = "blob_checksum"
        primary_key = CompositeKey("blob", "algorithm")
        indexes = ((("algorithm", "value"), False),)


class BlobStoreUsageRecord(Record):
    """What a blob store holds, kept by triggers; sizes in bytes.

    ``reclaimable`` is what compaction may remove, since no asset names it.
    """

    store = TextField(primary_key=True)
    blobs = IntegerField(default=0)
    size = BigIntegerField(default=0)
    reclaimable = BigIntegerField(default=0)

    class Meta:
        table_name = "blob_store_usage"


class RepositoryUsageRecord(Record):
    """What a repository holds, kept by triggers; sizes in bytes, each blob once.

    ``own_size`` is of the blobs that no other repository uses.
    """

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", primary_key=True)
    assets = IntegerField(default=0)
    components = IntegerField(default=0)
    versions = IntegerField(default=0)
    packages = IntegerField(default=0)
    size = BigIntegerField(default=0)
    own_size = BigIntegerField(default=0)

    class Meta:
        table_name = "repository_usage"


class PackageRecord(Record):
    """All versions of one name, with what belongs to no version; kept by triggers.

    ``own_size`` is of the blobs that nothing else uses, ``size`` of all, in bytes, each once.
    ``updated_at`` is when something of it was last stored, ``downloaded_at`` when it was last
    downloaded (0: never).
    """

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", index=False)
    kind = TextField()
    namespace = TextField()
    name = TextField()
    assets = IntegerField(default=0)
    versions = IntegerField(default=0)
    size = BigIntegerField(default=0)
    own_size = BigIntegerField(default=0)
    updated_at = DoubleField(default=0.0)
    downloaded_at = DoubleField(default=0.0)

    class Meta:
        table_name = "package"
        indexes = (
            (("repository", "kind", "namespace", "name"), True),
            (("repository", "name"), False),
            (("repository", "updated_at"), False),
            (("repository", "downloaded_at"), False),
            (("repository", "size"), False),
            (("repository", "own_size"), False),
        )


class BlobRepositoryRecord(Record):
    """By how many assets a repository uses a blob; kept by triggers."""

    blob = IntegerField(column_name="blob_id")
    repository = IntegerField(column_name="repository_id")
    assets = IntegerField()

    class Meta:
        table_name = "blob_repository"
        primary_key = CompositeKey("blob", "repository")
        without_rowid = True


class BlobPackageRecord(Record):
    """By how many assets a package uses a blob; kept by triggers.

    What belongs to no package is here by the number of its repository, negative.
    """

    blob = IntegerField(column_name="blob_id")
    package = IntegerField(column_name="package_id")
    assets = IntegerField()

    class Meta:
        table_name = "blob_package"
        primary_key = CompositeKey("blob", "package")
        without_rowid = True


class LabelRecord(Record):
    """A name and a value that a component can be found by."""

    component = ForeignKeyField(ComponentRecord, on_delete="CASCADE", index=False)
    name = TextField()
    value = TextField()

    class Meta:
        table_name = "label"
        primary_key = CompositeKey("component", "name")
        indexes = ((("name", "value", "component"), False),)


class SampleRecord(Record):
    """A kept sum as it was at a time; ``period`` is hour or day."""

    name = TextField()
    period = TextField()
    at = DoubleField()
    value = DoubleField()

    class Meta:
        table_name = "sample"
        primary_key = CompositeKey("name", "period", "at")


class CollectionRecord(Record):
    """How far the collection of unneeded content has come in a repository.

    ``position`` is where it goes on; empty: at the beginning. ``count`` and ``size`` are of what
    the present pass has left that a rule could remove; ``reclaimable_…`` of the last whole pass,
    which ended at ``ended_at``. Sizes are in bytes.
    """

    repository = ForeignKeyField(RepositoryRecord, on_delete="CASCADE", primary_key=True)
    position = TextField()
    count = IntegerField()
    size = BigIntegerField()
    reclaimable_count = IntegerField(null=True)
    reclaimable_size = BigIntegerField(null=True)
    ended_at = DoubleField(null=True)

    class Meta:
        table_name = "collection"


USAGE_MODELS = (
    BlobChecksumRecord,
    BlobStoreUsageRecord,
    RepositoryUsageRecord,
    PackageRecord,
    BlobRepositoryRecord,
    BlobPackageRecord,
    LabelRecord,
    SampleRecord,
    CollectionRecord,
)
