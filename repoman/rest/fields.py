"""Names of fields on the wire, where a service tells what is wrong with its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic.alias_generators import to_camel

from repoman.errors import Invalid


@contextmanager
def wire_names(prefix: str = "PARAMETER ") -> Iterator[None]:
    """Have the field of an Invalid from the block named as clients name it, after a prefix."""
    try:
        yield
    except Invalid as error:
        if not error.field:
            raise
        name = prefix + to_camel(error.field.rpartition(".")[2])
        message = str(error).removeprefix(f"{error.field}: ")
        raise Invalid(f"{name}: {message}", field=name) from error
