"""The index: entries in memory, the metadata of charts, and how both are read."""
