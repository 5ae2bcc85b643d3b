"""Whatever is created over REST is shown, changed and deleted in any order, and never with 500.

The sequences follow the links of the description: each request uses what earlier ones have made.
"""

import random
from base64 import b64encode
from collections import Counter
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import repoman_docker.plugin
import repoman_raw.plugin
from repoman.testing import ADMIN, HttpClient
from repoman.testing.client import application_of

CHECKS = [not_a_server_error, status_code_conformance]
CHECKS_OF_BODY = [content_type_conformance, response_schema_conformance]
HEADERS = {
    "Authorization": "Basic " + b64encode(":".join(ADMIN).encode()).decode(),
    "Accept-Encoding": "identity",  # Nothing here unpacks bodies.
}
SEQUENCES, STEPS = 40, 10
# What a request has to have so that it may succeed; all else is made up.
GOOD = {
    "name": ["one", "two"],
    "id": ["one", "two"],
    "userId": ["jo", "jane"],
    "blobStoreName": ["default"],
    "emailAddress": ["jo@example.org"],
    "password": ["a password"],
    "status": ["active"],
    "source": ["default"],
    "pattern": ["nexus:users:read"],
    "domain": ["users"],
    "roles": [["nx-anonymous"]],
    "privileges": [["nx-search-read"]],
    "expression": ['path == "a"'],
    "matchers": [["^/a/.*"]],
    "memberNames": [["files"]],
    "format": ["raw"],
    "repository": ["files"],
    "contentSelector": ["chosen"],
    "type": ["blobstore.compact", "spaceUsedQuota"],
    "cronExpression": ["0 0 1 * * ?"],
    "remoteUrl": ["http://127.0.0.1:9"],
    "criteriaReleaseType": ["RELEASES"],
    "criteriaAssetRegex": [".*"],
    "host": ["127.0.0.1"],
    "httpPort": [None],
    "httpsPort": [None],
    "subdomain": [None],
    "pathEnabled": [None],
    "policyNames": [[]],
    "routingRule": [None],
    "writableMember": [None],
}


ROOT = "/service/rest/v1"
# Where something can be deleted, where such things are listed, and what identifies them there.
MADE = [
    ("/repositories", "/repositories", "name"),
    ("/routing-rules", "/routing-rules", "name"),
    ("/cleanup-policies", "/cleanup-policies", "name"),
    ("/blobstores", "/blobstores", "name"),
    ("/security/users", "/security/users", "userId"),
    ("/security/roles", "/security/roles", "id"),
    ("/security/privileges", "/security/privileges", "name"),
    ("/security/content-selectors", "/security/content-selectors", "name"),
    ("/security/ldap", "/security/ldap", "name"),
    ("/tasks", "/tasks", "id"),
]


def ids_of(client, path, key):
    """What identifies the things of a list."""
    listed = client.get(f"{ROOT}{path}").json
    return [each[key] for each in (listed["items"] if isinstance(listed, dict) else listed)]


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"docker": repoman_docker.plugin, "raw": repoman_raw.plugin})
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


@pytest.mark.slow
def test_any_sequence(repoman):
    app = application_of(repoman)
    schema = schemathesis.openapi.from_wsgi("/service/rest/openapi.json", app)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE])
    dice = random.Random(17)
    answers = Counter()
    client = HttpClient(repoman)
    kept = {path: set(ids_of(client, *each)) for path, *each in MADE}

    class Sequence(schema.as_state_machine()):
        def setup(self):
            """Remove what the last sequence has made: each one must begin alike."""
            dice.seed(17)
            for path, *each in MADE:
                for id_ in set(ids_of(client, *each)) - kept[path]:
                    client.request("DELETE", f"{ROOT}{path}/{quote(id_)}")

        def get_call_kwargs(self, case):
            return {"headers": HEADERS}

        def before_call(self, case):
            case.headers.pop("If-Match", None)  # Nobody has seen what is made up.
            if dice.random() < 0.9:
                make_good(case.body, dice)

        def validate_response(self, response, case, **options):
            answers[case.operation.label, response.status_code] += 1
            case.validate_response(
                response, checks=CHECKS + CHECKS_OF_BODY * bool(response.content)
            )

    run_state_machine_as_test(
        Sequence,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    followed = sum(n for (label, status), n in answers.items() if "{" in label and status < 300)
    assert followed > 0, answers


def make_good(body, dice):
    """Have a body name what may be named."""
    if isinstance(body, list):
        for each in body:
            make_good(each, dice)
    if not isinstance(body, dict):
        return
    for key, value in body.items():
        if key in GOOD:
            body[key] = dice.choice(GOOD[key])
        else:
            make_good(value, dice)
