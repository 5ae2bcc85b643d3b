"""The first tables: configuration, content, upload sessions, users.

The models are frozen copies of their day; ``repoman.db.models`` may move on.
"""

from typing import Any

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    JSONField,
    Model,
    TextField,
)


def up(_migrator: Any, db: Any) -> None:
    """Create the tables."""
    _create_revisions_and_users(db)
    repository = _create_repositories(db)
    asset = _create_content(db, repository, _create_blobs(db))
    _create_references_and_uploads(db, repository, asset)


def _create(db: Any, *models: type[Model]) -> None:
    db.bind(models)
    db.create_tables(models, safe=False)


def _create_revisions_and_users(db: Any) -> None:
    class Revision(Model):
        name = CharField(primary_key=True)
        value = BigIntegerField()

        class Meta:
            table_name = "revision"

    class User(Model):
        name = TextField(unique=True)
        password_hash = TextField()
        is_active = BooleanField()
        created_at = DoubleField()

        class Meta:
            table_name = "user"

    _create(db, Revision, User)


def _create_repositories(db: Any) -> type[Model]:
    class Repository(Model):
        name = TextField()
        key = TextField(unique=True)
        format = TextField()
        type = TextField()
        is_online = BooleanField()
        settings = JSONField()
        created_at = DoubleField()
        updated_at = DoubleField()

        class Meta:
            table_name = "repository"

    class Connector(Model):
        port = IntegerField(primary_key=True)
        scheme = TextField()
        repository = ForeignKeyField(Repository, on_delete="CASCADE")

        class Meta:
            table_name = "connector"

    _create(db, Repository, Connector)
    return Repository


def _create_blobs(db: Any) -> type[Model]:
    class Blob(Model):
        store = TextField()
        digest = TextField()
        size = BigIntegerField()
        created_at = DoubleField()
        used_at = DoubleField()

        class Meta:
            table_name = "blob"
            indexes = ((("store", "digest"), True),)

    _create(db, Blob)
    return Blob


def _create_content(db: Any, repository_model: type[Model], blob_model: type[Model]) -> type[Model]:
    class Component(Model):
        repository = ForeignKeyField(repository_model, on_delete="CASCADE", index=False)
        kind = TextField()
        namespace = TextField()
        name = TextField()
        version = TextField()
        attributes = JSONField()
        created_at = DoubleField()
        updated_at = DoubleField()

        class Meta:
            table_name = "component"
            indexes = ((("repository", "kind", "namespace", "name", "version"), True),)

    class Asset(Model):
        repository = ForeignKeyField(repository_model, on_delete="CASCADE", index=False)
        component = ForeignKeyField(Component, on_delete="CASCADE", null=True)
        path = TextField()
        kind = TextField()
        blob = ForeignKeyField(blob_model, on_delete="RESTRICT")
        media_type = TextField()
        attributes = JSONField()
        created_at = DoubleField()
        updated_at = DoubleField()

        class Meta:
            table_name = "asset"
            indexes = ((("repository", "path"), True),)

    _create(db, Component, Asset)
    return Asset


def _create_references_and_uploads(
    db: Any, repository_model: type[Model], asset_model: type[Model]
) -> None:
    class Reference(Model):
        repository = ForeignKeyField(repository_model, on_delete="CASCADE", index=False)
        asset = ForeignKeyField(asset_model, on_delete="CASCADE")
        kind = TextField()
        path = TextField()

        class Meta:
            table_name = "reference"
            indexes = ((("repository", "path", "kind"), False),)

    class Upload(Model):
        id = TextField(primary_key=True)
        repository = ForeignKeyField(repository_model, on_delete="CASCADE")
        store = TextField()
        scope = TextField()
        actor = TextField()
        started_at = DoubleField()

        class Meta:
            table_name = "upload"

    _create(db, Reference, Upload)
