"""What is wrong with a value that somebody set, in words that a person knows."""

from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

# What is wrong with a value, by pydantic's name for it. The braces are its context.
PROBLEMS = {
    "missing": "is required",
    "extra_forbidden": "is not a known key",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": 'must be a list, such as a,b or ["a", "b"]',
    "list_type": 'must be a list, such as a,b or ["a", "b"]',
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": 'must be a JSON object, such as {{"key": "value"}}',
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must have at least {min_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "value_error": "{error}",
}


def problem_of(details: ErrorDetails) -> str:
    """Return what pydantic found wrong with one value, as the end of a sentence about it."""
    words = PROBLEMS.get(details["type"])
    if details["type"] == "string_too_short" and details["ctx"]["min_length"] == 1:
        return "must not be empty"
    return words.format(**details.get("ctx", {})) if words else details["msg"]


def reason_of(error: Exception) -> str:
    """Return why a value cannot be read, as the end of a sentence about it."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        return f"{path}: {problem_of(first)}" if path else problem_of(first)
    return str(error) if isinstance(error, ValueError) else repr(error)


def setting_problems(error: ValidationError, where: str) -> Iterator[str]:
    """Yield a sentence about each setting that is wrong; ``where`` says where they were set."""
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"])
        yield f"Setting {path}{where}: {problem_of(item)}"
