"""Models of the requests and answers of the REST API, with exact fields.

Names are in camel case on the wire, nulls are written, and unknown fields of a request are ignored,
as clients of Sonatype Nexus Repository 3 expect.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from repoman.sections import check_numbers

PATH_MAX_CHARS = 1000  # The longest path in a query.


def _render_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


# Seconds since the epoch; on the wire such as 2026-09-26T16:15:25.622+00:00.
Timestamp = Annotated[float, PlainSerializer(_render_time, str, when_used="json")]


def _parse_time(value: object) -> object:
    """Return a time (UTC where it does not say) in seconds since the epoch."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{value[:50]!r} is not a valid time: write it as in ISO 8601, such as "
            "2026-01-31T12:00:00Z"
        ) from error


# A time in a request, as in ISO 8601; in seconds since the epoch.
Time = Annotated[
    float,
    BeforeValidator(_parse_time),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation"),
]


class Resource(BaseModel):
    """The body of a request or an answer."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # It may be a secret, and errors end in logs.
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: Any) -> Any:
        """Return the values; null is the default of a field that does not have to be there."""
        if not isinstance(values, dict):
            return values
        check_numbers(cls, values)
        if None not in values.values():
            return values
        needed = {
            name
            for key, each in cls.model_fields.items()
            if each.is_required()
            for name in (key, each.alias)
        }
        return {key: each for key, each in values.items() if each is not None or key in needed}


def lower_case(value: Any) -> Any:
    """Return a text in lower case, and anything else as it is; for words written in any case."""
    return value.lower() if isinstance(value, str) else value


def _check_path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("must begin with a slash")
    return path


# A path in a repository, as content selectors see it.
ContentPath = Annotated[str, Field(max_length=PATH_MAX_CHARS), AfterValidator(_check_path)]


class AnyCase(StrEnum):
    """Words that a request may write in any case; an answer has them as they are here."""

    @classmethod
    def _missing_(cls, value: object) -> "AnyCase | None":
        text = str(value).lower()
        return next((each for each in cls if each.value.lower() == text), None)


class Query(Resource):
    """The parameters of a request; empty ones are ignored."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {key: value for key, value in values.items() if value not in ("", [""])}


class PageQuery(Query):
    """The parameters of a request for a page."""

    continuation_token: str | None = Field(
        None, description="The continuationToken of the previous page."
    )


Item = TypeVar("Item")


class Page(Resource, Generic[Item]):
    """A part of a list, and the token of the next page; null on the last page."""

    items: list[Item]
    continuation_token: str | None = None


class Problem(Resource):
    """What is wrong with a request; ``id`` names a field or a parameter, or is ``*``."""

    id: str = "*"
    message: str


class FieldProblem(Resource):
    """What is wrong with one field or parameter."""

    field: str
    message: str


class ProblemDetails(Resource):
    """What is wrong with a request, as in RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
