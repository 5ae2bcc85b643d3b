"""Repositories: their types, settings, recipes and the manager that makes and changes them."""
