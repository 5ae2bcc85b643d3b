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
    repository = _configuration(db)
    _content(db, repository)


def _configuration(db: Any) -> type[Model]:
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

    db.bind([Revision, User, Repository, Connector])
    db.create_tables([Revision, User, Repository, Connector], safe=False)
    return Repository


def _content(db: Any, repository_model: type[Model]) -> None:
    class Blob(Model):
        store = TextField()
        digest = TextField()
        size = BigIntegerField()
        created_at = DoubleField()
        used_at = DoubleField()

        class Meta:
            table_name = "blob"
            indexes = ((("store", "digest"), True),)

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
        blob = ForeignKeyField(Blob, on_delete="RESTRICT")
        media_type = TextField()
        attributes = JSONField()
        created_at = DoubleField()
        updated_at = DoubleField()

        class Meta:
            table_name = "asset"
            indexes = ((("repository", "path"), True),)

    class Reference(Model):
        repository = ForeignKeyField(repository_model, on_delete="CASCADE", index=False)
        asset = ForeignKeyField(Asset, on_delete="CASCADE")
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

    models = [Blob, Component, Asset, Reference, Upload]
    db.bind(models)
    db.create_tables(models, safe=False)
