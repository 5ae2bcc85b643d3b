"""Proxies: fetch content from a remote, once for many clients, and cache it."""
