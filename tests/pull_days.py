"""How often assets were pulled, by day, as the database has it."""

from repoman.db.models import database_proxy


def pulls_by_day(repository_id, path):
    """Return the number of pulls of an asset, by day since the epoch."""
    rows = database_proxy.execute_sql(
        "SELECT day, n FROM pull_day WHERE repository_id = ? AND path = ?", (repository_id, path)
    )
    return dict(rows)
