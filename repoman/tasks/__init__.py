"""Tasks: work that runs on a schedule or on request, with progress, a log and a history.

The database decides: it has the tasks, when each is due, and which process runs it.
"""
