"""The shipped configuration and examples, found by ``repoman.config`` as package data."""
