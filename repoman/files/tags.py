"""Tags: short names of values, which differ where the values do."""

import hashlib

TAG_CHARS = 32


def tag_of(*parts: str) -> str:
    """Return a tag of some texts in their order."""
    state = hashlib.sha256()
    for each in parts:
        state.update(f"{len(each)}:{each}".encode())
    return state.hexdigest()[:TAG_CHARS]
