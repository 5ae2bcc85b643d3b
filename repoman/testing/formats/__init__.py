"""The contract of a format as tests: what it declares, and what is proved of it."""
