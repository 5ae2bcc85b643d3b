"""How fast the server is, measured on the machine at hand."""
