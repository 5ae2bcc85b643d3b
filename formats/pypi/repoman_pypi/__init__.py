"""Repositories of Python packages: the simple index, files, and uploads by twine."""
