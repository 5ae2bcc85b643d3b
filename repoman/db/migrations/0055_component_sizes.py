"""Find the versions of one package by their size."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the index."""
    db.execute_sql('CREATE INDEX "component_package_id_size" ON "component" ("package_id", "size")')
