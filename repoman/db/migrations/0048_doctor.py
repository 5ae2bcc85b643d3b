"""What the checks of the doctor last found."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the table."""
    db.execute_sql(
        'CREATE TABLE "doctor_result" ("check" TEXT NOT NULL PRIMARY KEY, "at" REAL NOT NULL, '
        '"took" REAL NOT NULL, "findings" TEXT NOT NULL)'
    )
