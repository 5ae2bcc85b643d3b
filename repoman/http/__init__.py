"""The HTTP layer of the core: WSGI dispatch, the Flask apps, bodies in and content out."""
