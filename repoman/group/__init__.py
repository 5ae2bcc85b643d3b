"""Groups: several repositories asked as one, in the order of their members."""
