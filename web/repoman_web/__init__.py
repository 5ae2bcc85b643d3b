"""The web interface, as the package ``repoman_web``: a plugin like any other."""
