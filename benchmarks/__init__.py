"""Side by side measurements of this server, docker-registry and nginx on one machine."""
