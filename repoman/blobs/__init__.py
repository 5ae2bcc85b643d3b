"""Blob stores: where immutable bytes lie, addressed by what they contain."""
