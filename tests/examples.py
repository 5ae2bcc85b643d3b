"""How many examples hypothesis tries, and which: the same every time, unless one searches.

What gates a change must not fail by chance. ``make fuzz`` searches at random, for longer; what it
finds becomes an ``@example`` of the test.
"""

import os

from hypothesis import settings

IS_SEARCH = os.environ.get("FUZZ") == "1"
SEARCH_FACTOR = 20  # Times as many examples as in a run that gates a change.

settings.register_profile("gate", derandomize=True, database=None, deadline=None)
settings.register_profile("fuzz", max_examples=100 * SEARCH_FACTOR, deadline=None, print_blob=True)
settings.load_profile("fuzz" if IS_SEARCH else "gate")


def count(number: int) -> int:
    """Return how many examples a test tries that asks for so many of them."""
    return number * SEARCH_FACTOR if IS_SEARCH else number
