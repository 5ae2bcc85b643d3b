"""The contract of a kind of objects that a file can hold.

The **state** of an object is what the file says of it, with every value that can be set, as plain
JSON values; only secrets are :class:`~pydantic.SecretStr`, so that they can be compared but end in
no message.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.provisioning.documents import Secrets, plain, secret_keys, without_defaults
from repoman.sections import Section, merge, parse_section

State = dict[str, Any]
Entry = TypeVar("Entry", bound=Section)


class Kind(ABC):
    """One kind of objects. Errors of its methods are those of the service that does the work.

    Attributes:
        section: its section in the file.
        entry: the model of what the file says of one object.
        noun: what one object is called in messages.
        is_fixed: whether the objects are always there: none is created or deleted.
        creates_alone: whether a creation writes more than the database, and so comes first.
        deletes_alone: whether a deletion takes transactions of its own, and so comes last.
    """

    section: ClassVar[str]
    entry: ClassVar[type[Section]]
    noun: ClassVar[str]
    is_fixed: ClassVar[bool] = False
    creates_alone: ClassVar[bool] = False
    deletes_alone: ClassVar[bool] = False

    def __init__(self, repoman: Repoman, secrets: Secrets) -> None:
        self._repoman = repoman
        self._secrets = secrets

    @abstractmethod
    def present(self) -> dict[str, State]:
        """Return what there is, by name, in an order in which it can be created."""

    def skipped(self) -> list[str]:
        """Return the names of objects that cannot be read here, such as those of a lost plugin."""
        return []

    def is_kept(self, name: str, state: State) -> bool:
        """Return whether an object cannot be deleted here, whatever a file lacks."""
        return False

    def shorten(self, name: str, state: State) -> State:
        """Return a state without defaults, which is read as the same state."""
        return without_defaults(state, self.entry)

    @abstractmethod
    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry of the file describes; secrets it lacks are the old ones.

        Raises:
            Invalid: a value is wrong; the message begins with its path in the file.
        """

    @abstractmethod
    def create(self, name: str, new: State) -> None:
        """Create an object."""

    @abstractmethod
    def change(self, name: str, old: State, new: State) -> None:
        """Change an object; what cannot change is the same in both states."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete an object."""

    def _settings(
        self, kind: type[Section], values: Any, path: str, old: Mapping[str, Any] | None
    ) -> State:
        """Return the values of a section of settings, with all its keys (Invalid)."""
        given = self._secrets.resolve_section(kind, mapping(values, path), path)
        kept = {key: each for key in secret_keys(kind) if (each := (old or {}).get(key))}
        return plain(parse_section(kind, merge(kind, kept, given), path))


def parse_entry(kind: type[Entry], values: Any, path: str) -> Entry:
    """Return an entry of the file as its model (Invalid)."""
    return parse_section(kind, mapping(values, path), path)


def mapping(values: Any, path: str) -> Mapping[str, Any]:
    """Return values that are a mapping; nothing at all is an empty one (Invalid)."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise Invalid(f"{path}: must be a mapping.", path)
    return values


@contextmanager
def at(path: str) -> Iterator[None]:
    """Have errors of the block begin with a path in the file."""
    try:
        yield
    except Invalid as error:
        dot = "." if error.field and str(error).startswith(f"{error.field}:") else ": "
        raise Invalid(f"{path}{dot}{error}", error.field and f"{path}.{error.field}") from error


def check_same(key: str, path: str, old: State | None, new: State) -> None:
    """Return if a value is as it was, where it cannot be changed (Invalid)."""
    if old is not None and old[key] != new[key]:
        raise Invalid(
            f"{path}.{key}: cannot be changed from {old[key]} to {new[key]}. Delete it first, or "
            "choose another name.",
            f"{path}.{key}",
        )


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new values that differ from the old ones."""
    return {key: value for key, value in new.items() if key not in old or old[key] != value}
