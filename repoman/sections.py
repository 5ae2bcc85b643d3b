"""Sections: named groups of settings, as pydantic models.

One definition gives validation with the key's path, the REST schema and the form in the UI.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_serializer,
)

REVEAL = "reveal"  # in the context of a dump: secrets as they are, for the database


class Section(BaseModel):
    """Base of all sections. Unknown keys are errors; values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors this section asks for, as (key, scheme, port)."""
        return ()

    @field_serializer("*", mode="wrap")
    def _serialize(
        self, value: Any, serialize: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> Any:
        """Write secrets out only where they are stored, and stars everywhere else."""
        if isinstance(value, SecretStr) and (info.context or {}).get(REVEAL):
            return value.get_secret_value()
        return serialize(value)
