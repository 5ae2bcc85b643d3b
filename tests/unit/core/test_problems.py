"""What is wrong with a value is said in words of ours, whatever pydantic calls it."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from repoman.problems import problem_of


class Inner(BaseModel, extra="forbid"):
    size: int = 0


class Thing(BaseModel):
    name: str = Field("a", min_length=1)
    word: Annotated[str, Field(min_length=2)] = "ab"
    inner: Inner = Inner()
    count: int = 0
    share: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    key: str = Field("a", pattern="^[a-z]+$")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ('{"name": ""}', "must not be empty"),
        ('{"word": "a"}', "must have at least 2 characters"),
        ('{"inner": []}', "must be an object"),
        ('{"inner": {"more": 1}}', "is not a known key"),
        ('{"inner": "x"}', "must be an object"),
        ('{"count": "' + "9" * 5000 + '"}', "is too large"),
        ('{"share": NaN}', "must be a finite number"),
        ('{"key": "1"}', "must match ^[a-z]+$"),
    ],
)
def test_problems_are_in_our_words(values, words):
    with pytest.raises(ValidationError) as caught:
        Thing.model_validate_json(values)
    assert [problem_of(each) for each in caught.value.errors()] == [words]


def test_an_object_that_is_none_is_told_in_python_too():
    with pytest.raises(ValidationError) as caught:
        Thing.model_validate({"inner": 5})
    assert problem_of(caught.value.errors()[0]) == "must be an object"
