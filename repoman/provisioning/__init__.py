"""The configuration of a server as a file: export it, compare it with a server, and apply it."""
