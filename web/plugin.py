"""The hooks by which the web interface enters the server; none so far."""
