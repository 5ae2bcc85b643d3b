"""Tasks: work that runs on a schedule or on request, with progress, a log and a history.

The database is the truth: which tasks there are, when each is due, and which process runs it.
"""
