"""Chart.yaml: what a chart says of itself, reduced to what clients can read."""

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from repoman.plugin import BlobUpload, Invalid, read_tar_member
from repoman_helm.index.yaml_files import parse_yaml
from repoman_helm.paths import NAME, VERSION, path_of, split_path

CHART_FILE = re.compile(r"(?:\./)?[^/]+/Chart\.yaml")
NOTHING = (None, "", "null", "~")  # scalars of YAML are texts here


class _Part(BaseModel):
    """Part of a chart's metadata; a client fails at the whole index for one wrong type in it."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value not in NOTHING}


class Maintainer(_Part):
    """Who maintains a chart."""

    name: str | None = None
    email: str | None = None
    url: str | None = None


class Dependency(_Part):
    """Another chart that a chart needs."""

    name: str
    version: str | None = None
    repository: str | None = None
    condition: str | None = None
    tags: list[str] | None = None
    enabled: bool | None = None
    import_values: list[str | dict[str, str]] | None = Field(None, alias="import-values")
    alias: str | None = None


class Chart(_Part):
    """The metadata of a chart."""

    apiVersion: str = "v1"  # noqa: N815 - as in the file
    name: str = Field(pattern=rf"^{NAME.pattern}$", max_length=250)
    version: str = Field(pattern=rf"^{VERSION.pattern}$", max_length=250)
    appVersion: str | None = None  # noqa: N815
    kubeVersion: str | None = None  # noqa: N815
    type: str | None = None
    description: str | None = None
    home: str | None = None
    icon: str | None = None
    condition: str | None = None
    tags: str | None = None
    deprecated: bool | None = None
    sources: list[str] | None = None
    keywords: list[str] | None = None
    maintainers: list[Maintainer] | None = None
    dependencies: list[Dependency] | None = None
    annotations: dict[str, str] | None = None
    created: str | None = None  # of an entry of an index
    digest: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return self.model_dump(exclude_none=True, by_alias=True)

    @property
    def is_addressable(self) -> bool:
        """Whether name and version can be told from the path of the archive."""
        return split_path(path_of(self.name, self.version)) == (self.name, self.version)


def read_chart(content: BlobUpload, filename: str) -> Chart:
    """Return the metadata of an archive (Invalid: it is no chart)."""
    with content.open_reader() as file:
        body = read_tar_member(file, filename, CHART_FILE)
    try:
        chart = Chart.model_validate(parse_yaml(body))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Invalid(f"Chart.yaml of {filename}: {where}: {first['msg']}.") from error
    except ValueError as error:
        raise Invalid(f"Chart.yaml of {filename} cannot be read: {error}.") from error
    if not chart.is_addressable:
        raise Invalid(
            f"{chart.name} {chart.version} is no name and version that can be told apart."
        )
    return chart.model_copy(update={"created": None, "digest": None})


def entry_text(values: dict[str, Any]) -> str:
    """Return an entry of an index as JSON, without its addresses."""
    return json.dumps(values, separators=(",", ":"))
