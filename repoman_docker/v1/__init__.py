"""Images for V1 clients; tags and layers are those of V2."""
