"""Cleanup: what the policies of repositories remove, previewed and executed by the same rules."""
