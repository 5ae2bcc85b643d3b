"""Images as version 1 of the API sees them; tags and layers are those of version 2."""
