"""Sessions, user tokens and uploads belong to a user of one realm, not to every user of that name.

User tokens belong to the user as of today. Sessions do not tell which realm let somebody in, who
may have been another one than the user of that name: they end, and people log in once more.
"""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the realms, and give the uploads of other realms' users their full owner."""
    db.execute_sql("DELETE FROM session")
    for table in ("session", "user_token"):
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN realm TEXT NOT NULL DEFAULT ''")
    db.execute_sql(
        "UPDATE user_token SET realm = (SELECT realm FROM user WHERE user.id = user_token.user_id)"
    )
    db.execute_sql(
        "UPDATE upload SET actor = (SELECT realm FROM user WHERE name = actor) || ':' || actor "
        "WHERE actor IN (SELECT name FROM user WHERE realm != 'local')"
    )
