"""How many examples hypothesis tries, and which: the same every time, unless one searches.

What gates a change must not fail by chance. ``make fuzz`` searches at random, for longer; what it
finds becomes an ``@example`` of the test.
"""

import os

from hypothesis import settings

IS_SEARCH = os.environ.get("FUZZ") == "1"
IS_QUICK = os.environ.get("QUICK") == "1"  # Set by "make unit".
QUICK_DIVISOR = 5  # By how much a run while one writes code tries fewer examples.
SEARCH_FACTOR = 20  # Times as many examples as in a run that gates a change.

settings.register_profile("gate", derandomize=True, database=None, deadline=None)
settings.register_profile("fuzz", max_examples=100 * SEARCH_FACTOR, deadline=None, print_blob=True)
settings.register_profile("quick", settings.get_profile("gate"), max_examples=20)
settings.load_profile("fuzz" if IS_SEARCH else "quick" if IS_QUICK else "gate")


def count(number: int) -> int:
    """Return how many examples a test tries that asks for so many of them."""
    if IS_QUICK:
        return max(1, number // QUICK_DIVISOR)
    return number * SEARCH_FACTOR if IS_SEARCH else number
