"""Blob stores as administrators see them: created, changed and deleted while the server runs."""
