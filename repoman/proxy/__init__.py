"""Proxies: what asks a remote, once for many clients, and remembers the answers."""
