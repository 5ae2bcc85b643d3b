"""What is secret is sealed: the server's own keys, and the passwords at remotes."""

import json
from typing import Any

# As of then; no other section had secrets.
SECTION = "http_client"
KEYS = ("password", "bearer_token")


def up(_migrator: Any, db: Any) -> None:
    """Seal what is readable."""
    for name, text in db.execute_sql("SELECT name, value FROM secret").fetchall():
        value = json.dumps(db.keyring.seal(text))
        db.execute_sql("UPDATE secret SET value = ? WHERE name = ?", (value, name))
    for rowid, text in db.execute_sql("SELECT id, settings FROM repository").fetchall():
        settings = json.loads(text)
        section = settings.get(SECTION, {})
        clear = [key for key in KEYS if section.get(key)]
        for key in clear:
            section[key] = db.keyring.seal(section[key])
        if clear:
            values = (json.dumps(settings), rowid)
            db.execute_sql("UPDATE repository SET settings = ? WHERE id = ?", values)
