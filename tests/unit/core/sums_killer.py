"""Changes content until it is killed: ``python -m tests.unit.core.sums_killer DIRECTORY SEED``."""

import random
import sys
from pathlib import Path

from repoman.config import DatabaseSettings
from repoman.content import ContentStore
from repoman.db.database import Database
from repoman.repositories.repository_records import Row, find_row, insert_row
from tests.disk import file_store
from tests.unit.core.test_kept_sums import Changes


def main(data: Path, seed: int) -> None:
    database = Database(data, DatabaseSettings())
    database.open()
    blobs = file_store(data / "blobs")
    contents = []
    for name in ("one", "two"):
        row = find_row(name)
        row_id = row.id if row else insert_row(Row(0, name, "raw", "hosted", True, {}))
        contents.append(ContentStore(database, row_id, "default", blobs))
    changes = Changes(random.Random(seed), contents, blobs)
    while True:
        with database.transaction():
            changes.step()
            changes.step()
        sys.stdout.write("changed\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
