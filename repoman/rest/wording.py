"""Errors of services in the words and forms that clients of an endpoint know."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from pydantic.alias_generators import to_camel

from repoman.errors import Conflict, Invalid

PARAMETER = "PARAMETER "  # In front of the name of a field in the problem with it.
BODY = "*"  # The id of a problem of the whole body.


@contextmanager
def renamed(name_of: Callable[[str], str], *, taken: str = "") -> Iterator[None]:
    """Have what is wrong with a field of a service told of the field of a body with this name.

    ``taken`` says that a conflict is bad input too, and of which field: a name that is not free.
    Either may be ``BODY``.

    Raises:
        Invalid: what the block raises, in these words.
    """
    try:
        yield
    except (Invalid, Conflict) as error:
        is_taken = isinstance(error, Conflict)
        if error.field is None or (is_taken and not taken):
            raise
        name = taken if is_taken else name_of(error.field)
        text = str(error).removeprefix(f"{error.field}: ")
        raise Invalid(text, field=None if name == BODY else name) from error


def worded(fields: Mapping[str, str], *, taken: str = "") -> AbstractContextManager[None]:
    """Do the same with the names of a table; others stay."""
    return renamed(lambda field: fields.get(field, field), taken=taken)


def wire_names(prefix: str = PARAMETER, *, taken: str = "") -> AbstractContextManager[None]:
    """Do the same with the names in camel case, after a prefix."""
    return renamed(lambda field: prefix + to_camel(field.rpartition(".")[2]), taken=taken)


def wrong_token() -> Invalid:
    """Return what a client is told whose token belongs to no page of a list of our own."""
    return Invalid("continuationToken: is not a token of this list.", "continuationToken")
