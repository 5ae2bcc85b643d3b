"""Repositories of Maven artifacts: the layout, checksums, and metadata that is made and merged."""
