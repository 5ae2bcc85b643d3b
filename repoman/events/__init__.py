"""Content events: what changed in which repository, by whom, and who follows them."""
