"""Blob stores: immutable content, addressed by its digest."""
