"""Repositories: their types, settings, recipes and the manager that creates and changes them."""
