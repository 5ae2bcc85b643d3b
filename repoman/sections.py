"""Sections: named groups of settings, as pydantic models.

One definition gives validation with the key's path, the REST schema and the form in the UI.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SecretStr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_serializer,
)

from repoman.patterns import PatternError, find_pattern

SEAL = "seal"  # in the context of a dump: what makes of a secret text what is stored
MASK = str(SecretStr("any"))  # what is shown in place of a secret


def _check_expression(text: str) -> str:
    try:
        find_pattern(text)
    except PatternError as error:
        where = f"at character {error.at + 1}"
        raise ValueError(f"{text!r} is no regular expression: {error} ({where})") from error
    return text


# A regular expression on a whole text; `find_pattern` compiles it.
RegularExpression = Annotated[str, AfterValidator(_check_expression)]


def _check_web_address(text: str) -> str:
    text = text.strip()
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not text.isprintable() or " " in text:
        raise ValueError("must be an http or https address such as https://registry.example.com")
    place = parts.netloc.rpartition("@")[2]
    plain = f"{parts.scheme}://{place}{parts.path}".rstrip("/")
    if "@" in parts.netloc:
        raise ValueError(
            f"must hold no user name and password: write {plain}; the section http_client has "
            "settings for a login"
        )
    if "?" in text or "#" in text:
        raise ValueError(f"must have no query and no fragment: write {plain}")
    return plain


# The address of another server: http or https, without anything that is secret.
WebAddress = Annotated[str, AfterValidator(_check_web_address)]


class Section(BaseModel):
    """Base of all sections. Unknown keys are errors; values do not change after validation."""

    # Errors leave out what was given: it may be a secret, and they end in logs.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def check_names(self) -> None:
        """Return if what it names in the database or on the disk is there (Invalid).

        Called within a transaction when it is set, and not when it is read.
        """

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors this section asks for, as (key, scheme, port)."""
        return ()

    @field_serializer("*", mode="wrap")
    def _serialize(
        self, value: Any, serialize: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> Any:
        """Write secrets out only where they are stored, and stars everywhere else."""
        seal = (info.context or {}).get(SEAL)
        if isinstance(value, SecretStr) and seal is not None:
            return seal(value.get_secret_value()) if value.get_secret_value() else ""
        return serialize(value)

    def sealed(self, seal: Callable[[str], Any]) -> dict[str, Any]:
        """Return the values for the database: plain, but for the secrets, which are sealed."""
        return self.model_dump(mode="json", context={SEAL: seal})


def merge(kind: type[Section], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a section with changes.

    A secret given as the stars that are shown in its place stays as it is, so that what was read
    may be sent back.
    """
    fields = kind.model_fields
    shown = {
        key
        for key, value in new.items()
        if value == MASK and key in fields and fields[key].annotation is SecretStr
    }
    return {**old, **{key: value for key, value in new.items() if key not in shown}}
