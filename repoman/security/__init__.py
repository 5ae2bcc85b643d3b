"""Authentication and authorization: who sends a request, and what they are allowed to do."""
