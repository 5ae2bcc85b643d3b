"""Property tests here are not timed: on a busy machine any single example may be slow."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
