"""A repository manager: the generic core, which knows no format by name."""

__version__ = "0.1.0"
