"""Who may store files: asked about the path of each, also of those that are made of others."""

from collections.abc import Callable

from repoman.files.format import File
from repoman.http.current import current_actor, current_ref, current_security
from repoman.security.actors import WRITING, Access

CheckFile = Callable[[File, bool], None]
"""Takes a file and whether nothing is at its path; raises an error if it must not be stored."""


def check_write(file: File, _is_free: bool = False) -> None:
    """Return if the user of the current request may store a file.

    Raises:
        Denied, Unauthenticated: the user may not.
    """
    access = Access(WRITING, f"/{file.path}", file.name)
    current_security().authorizer.check(current_actor(), current_ref(), access)
