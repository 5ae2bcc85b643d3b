"""Whatever somebody sends to the REST API is answered as its description says, and never with 500.

The requests are made from the description: good ones, and ones that are wrong in every way. A part
of them names things that exist.
"""

import random
from base64 import b64encode

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import repoman_docker.plugin
import repoman_raw.plugin
from repoman.testing import ADMIN
from repoman.testing.client import application_of

CHECKS = [not_a_server_error, status_code_conformance]
CHECKS_OF_BODY = [content_type_conformance, response_schema_conformance]
ANN = ("ann", "a password")
EXAMPLES = {"admin": 6, "ann": 3, "nobody": 2}  # Requests to each operation.
LOGINS = {"admin": ADMIN, "ann": ANN, "nobody": None}
NAMES = ["files", "images", "default", "ann", "admin", "nx-admin", "all", "raw", "ü%"]
DOCUMENTS = ["/service/rest/openapi.json", "/api/v1/openapi.json"]
ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE")
# After these little works, after each of them less.
LAST = ("realms", "anonymous", "read-only", "-password")


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"docker": repoman_docker.plugin, "raw": repoman_raw.plugin})
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.repositories.create("images", "docker-hosted", {})
    repoman.repositories.create("all", "raw-group", {"group": {"members": ["files"]}})
    repoman.users.create(*ANN, ["nx-developer"])
    return repoman


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("who", LOGINS)
def test_any_request(repoman, who, document):
    app = application_of(repoman)
    schema = schemathesis.openapi.from_wsgi(document, app)
    operations = sorted((each.ok() for each in schema.get_all_operations()), key=order_of)
    assert operations
    failures = [found for each in operations if (found := failure_of(each, who))]
    assert not failures, "\n\n".join(failures)


def order_of(operation):
    rank = max((LAST.index(each) + 1 for each in LAST if each in operation.path), default=0)
    return rank, ORDER.index(operation.method.upper()), operation.path


def failure_of(operation, who):
    """What a request to an operation shows to be wrong; nothing, if none does."""
    login = LOGINS[who]
    headers = {"Accept-Encoding": "identity"}  # Nothing here unpacks bodies.
    if login is not None:
        headers["Authorization"] = "Basic " + b64encode(":".join(login).encode()).decode()

    @settings(
        max_examples=EXAMPLES[who],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=requests_to(operation), dice=st.randoms())
    def send(case, dice):
        use_names(case, dice)
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS + (CHECKS_OF_BODY if answer.content else []))

    try:
        send()
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  # told with the others
        parts = getattr(error, "exceptions", (error,))
        told = "; ".join(str(each)[:600] for each in parts)
        return f"{operation.method.upper()} {operation.path}: {told}\n{error}"[:1500]
    return None


def requests_to(operation):
    """Requests that are as the description says and, where there is something, others."""
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not any((operation.query, operation.body)):
        return good
    return st.one_of(good, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def use_names(case, dice: random.Random):
    """Have half of the requests name things that exist."""
    if dice.random() < 0.5:
        return
    for values in (case.path_parameters, case.query):
        for key in values or {}:
            if isinstance(values[key], str):
                values[key] = dice.choice(NAMES)
