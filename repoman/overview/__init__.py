"""How a server is doing, at a glance: what it stores, what it does, and what it did lately."""
