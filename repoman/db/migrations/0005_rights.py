"""Rights: roles, privileges, content selectors, user tokens, sessions, options and the audit log.

The models are frozen copies of their day; ``repoman.db.models`` may move on.
"""

from typing import Any

from peewee import (
    BooleanField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    JSONField,
    Model,
    TextField,
)

USER_COLUMNS = (
    "\"realm\" TEXT NOT NULL DEFAULT 'local'",
    "\"first_name\" TEXT NOT NULL DEFAULT ''",
    "\"last_name\" TEXT NOT NULL DEFAULT ''",
    "\"email\" TEXT NOT NULL DEFAULT ''",
    "\"roles\" TEXT NOT NULL DEFAULT '[]'",
    "\"external_roles\" TEXT NOT NULL DEFAULT '[]'",
    '"epoch" INTEGER NOT NULL DEFAULT 0',
    '"last_login_at" REAL',
)


def up(_migrator: Any, db: Any) -> None:
    """Create the tables; whoever could log in before could do everything, and still can."""
    for column in USER_COLUMNS:
        db.execute_sql(f'ALTER TABLE "user" ADD COLUMN {column}')
    db.execute_sql('UPDATE "user" SET "roles" = \'["nx-admin"]\'')
    _create_rights(db)
    _create_logins(db)
    _create_options_and_audit(db)


def _create(db: Any, *models: type[Model]) -> None:
    db.bind(models)
    db.create_tables(models, safe=False)


def _create_rights(db: Any) -> None:
    class Role(Model):
        id = TextField(primary_key=True)
        name = TextField()
        description = TextField()
        privileges = JSONField()
        roles = JSONField()

        class Meta:
            table_name = "role"

    class Privilege(Model):
        name = TextField(primary_key=True)
        type = TextField()
        description = TextField()
        properties = JSONField()

        class Meta:
            table_name = "privilege"

    class Selector(Model):
        name = TextField(primary_key=True)
        description = TextField()
        expression = TextField()

        class Meta:
            table_name = "content_selector"

    _create(db, Role, Privilege, Selector)


def _create_logins(db: Any) -> None:
    class User(Model):
        name = TextField(unique=True)

        class Meta:
            table_name = "user"

    class UserToken(Model):
        id = TextField(primary_key=True)
        user = ForeignKeyField(User, on_delete="CASCADE")
        name = TextField()
        digest = TextField()
        repositories = JSONField()
        names = JSONField()
        actions = JSONField()
        created_at = DoubleField()
        expires_at = DoubleField(null=True)
        last_used_at = DoubleField(null=True)

        class Meta:
            table_name = "user_token"
            indexes = ((("user", "name"), True),)

    class Session(Model):
        digest = TextField(primary_key=True)
        user = ForeignKeyField(User, on_delete="CASCADE")
        epoch = IntegerField()
        address = TextField()
        agent = TextField()
        created_at = DoubleField()
        seen_at = DoubleField()
        expires_at = DoubleField(index=True)

        class Meta:
            table_name = "session"

    db.bind([User])
    _create(db, UserToken, Session)


def _create_options_and_audit(db: Any) -> None:
    class Option(Model):
        name = TextField(primary_key=True)
        value = JSONField()

        class Meta:
            table_name = "option"

    class Audit(Model):
        at = DoubleField(index=True)
        domain = TextField()
        type = TextField()
        actor = TextField()
        realm = TextField()
        address = TextField()
        connector = TextField()
        repository = TextField()
        target = TextField()
        is_success = BooleanField()
        attributes = JSONField()

        class Meta:
            table_name = "audit"
            indexes = ((("domain", "at"), False), (("actor", "at"), False))

    _create(db, Option, Audit)
