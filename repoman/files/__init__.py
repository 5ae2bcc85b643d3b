"""Repositories of files for any format: what a format says, and what the core does with it."""
