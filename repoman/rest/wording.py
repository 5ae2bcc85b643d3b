"""Errors of services in the words and forms that clients of an endpoint know."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pydantic.alias_generators import to_camel

from repoman.errors import Conflict, Invalid

PARAMETER = "PARAMETER "  # In front of the name of a field in the problem with it.


@contextmanager
def worded(fields: Mapping[str, str | None], *, taken: bool = False) -> Iterator[None]:
    """Have what is wrong with fields of a service told of the fields of a body.

    ``fields`` maps the one to the other, None: a problem of the whole body. Other fields keep their
    names. ``taken`` says that a conflict is bad input too: a name that is not free.

    Raises:
        Invalid: what the block raises, in these words.
    """
    try:
        yield
    except Invalid as error:
        if error.field is None or error.field not in fields:
            raise
        text = str(error).removeprefix(f"{error.field}: ")
        raise Invalid(text, field=fields[error.field]) from error
    except Conflict as error:
        if not taken:
            raise
        raise Invalid(str(error).removeprefix("name: ")) from error


@contextmanager
def wire_names(prefix: str = PARAMETER) -> Iterator[None]:
    """Have the field of an Invalid from the block named as clients name it, after a prefix."""
    try:
        yield
    except Invalid as error:
        if not error.field:
            raise
        name = prefix + to_camel(error.field.rpartition(".")[2])
        message = str(error).removeprefix(f"{error.field}: ")
        raise Invalid(message, field=name) from error
