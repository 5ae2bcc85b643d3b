"""The lines to copy."""

import shlex
from types import SimpleNamespace

import pytest

from repoman.plugin import UseRequest
from repoman_npm.browsing import guide


@pytest.mark.parametrize("name", ["@acme/x", "@$(touch x)/x", "@a;b/x", "@'/x"])
def test_a_name_is_a_word_of_a_shell(name):
    found = SimpleNamespace(config=SimpleNamespace(format="npm", sections={}))
    asked = UseRequest(found, found, "https://repo.example.com/repository/js", name, "1.0.0")
    lines = {each.title: each.snippets[-1].text for each in guide(asked).sections}
    scope = name.partition("/")[0]
    root = "https://repo.example.com/repository/js/"
    told = shlex.split(lines["one scope"])
    assert told == ["npm", "config", "set", f"{scope}:registry", root]
    assert shlex.split(lines["npm"])[-1] == f"{name}@1.0.0"
