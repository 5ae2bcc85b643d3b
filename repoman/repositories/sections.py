"""Sections: the named groups of a repository's settings, as pydantic models.

One definition gives validation with the key's path, the REST schema and the form in the UI.
"""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of all sections. Unknown keys are errors; values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors this section asks for, as (key, scheme, port)."""
        return ()


class WritePolicy(StrEnum):
    """What may be written to a hosted repository (shown as: deployment policy)."""

    ALLOW = "allow"
    ALLOW_ONCE = "allow_once"
    DENY = "deny"


class StorageSection(Section):
    """Where a repository keeps its bytes."""

    blob_store: str = Field("default", description="Blob store; fixed once the repository exists.")


class HostedStorageSection(StorageSection):
    """Where a hosted repository keeps its bytes, and who may overwrite them."""

    write_policy: WritePolicy = Field(
        WritePolicy.ALLOW, description="Deployment policy: allow, allow_once or deny."
    )
