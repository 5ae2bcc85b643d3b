"""The shipped configuration, as the package ``repoman.conf``: data only, no code."""
