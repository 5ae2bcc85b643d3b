"""The database: connection, models, migrations. Only the stores above it write queries."""
