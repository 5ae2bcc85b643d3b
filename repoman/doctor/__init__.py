"""The doctor: finds what is wrong around the server, and says how to mend it."""
