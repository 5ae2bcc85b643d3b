"""A table for the keys that the server makes for itself."""

from typing import Any

from peewee import Model, TextField


def up(_migrator: Any, db: Any) -> None:
    """Create the table."""

    class Secret(Model):
        name = TextField(primary_key=True)
        value = TextField()

        class Meta:
            table_name = "secret"

    db.bind([Secret])
    db.create_tables([Secret], safe=False)
