"""The vectors of the reference: each case of each file, in order, on a fresh server.

``vectors/missing/<file>.json`` lists the cases that fail, each with the reason. A case of that list
that passes fails the test: it is to be taken off the list.
"""

import json

import pytest

from tests.functional.rest.matching import VECTORS
from tests.functional.rest.stage import Stage

NO_CASES = ("clients_go_strict", "errors")  # Models of clients, and forms of errors.
NAMES = sorted(each.stem for each in VECTORS.glob("*.json") if each.stem not in NO_CASES)


@pytest.mark.parametrize("name", NAMES)
def test_the_cases_of(name, tmp_path):
    stage = Stage(tmp_path, name)
    missing = _missing(name)
    try:
        stage.start()
        wrong = {each["name"]: [*stage.run(each)] for each in stage.cases}
    finally:
        stage.server.end()
    failures = {case: found for case, found in wrong.items() if found}
    unexpected = [
        f"{name} / {case}: {'; '.join(found)}"
        for case, found in failures.items()
        if case not in missing
    ]
    assert not unexpected, "\n".join(["", *unexpected])
    passed = sorted(missing.keys() - failures.keys())
    assert not passed, f"take these off missing/{name}.json, for they pass: {passed}"


def test_each_missing_case_exists_and_has_a_reason():
    for name in NAMES:
        cases = {
            each["name"] for each in json.loads((VECTORS / f"{name}.json").read_text())["cases"]
        }
        missing = _missing(name)
        assert missing.keys() <= cases, name
        assert all(missing.values()), name


def _missing(name):
    path = VECTORS / "missing" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}
