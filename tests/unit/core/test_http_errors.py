"""What a client is told when something fails, and what it is not."""

import logging
import re
import sqlite3

import pytest

from repoman import errors
from repoman.http.errors import STATUS, status_of

FAIL = "/repository/Team/fail"
EXPECTED = [
    (errors.NotFound("gone"), 404),
    (errors.Conflict("taken"), 409),
    (errors.PreconditionFailed("changed"), 412),
    (errors.Invalid("wrong", field="a.b"), 400),
    (errors.RangeInvalid("elsewhere", offset=7), 416),
    (errors.TooLarge("too much"), 413),
    (errors.Unauthenticated("who?"), 401),
    (errors.Denied("no"), 403),
    (errors.Unsupported("not here"), 405),
    (errors.ReadOnly("not now"), 403),
    (errors.Unavailable("later"), 503),
    (errors.StorageFull("full"), 507),
    (errors.QuotaExceeded("no more"), 403),
    (errors.UpstreamError("broken there"), 502),
    (errors.UpstreamUnavailable("broken there"), 502),
    (errors.UpstreamTimeout("silent there"), 504),
    (errors.UpstreamRefused("refused there"), 502),
    (errors.UpstreamBlocked("not asked"), 503),
    (errors.UpstreamBusy("too many wait", 7), 503),
    (errors.UpstreamRateLimited("too often"), 429),
    (errors.TooManyRequests("wait", 7), 429),
    (errors.PageKeyInvalid("page"), 406),
    (errors.ExpressionInvalid("expression", 3), 400),
    (errors.Unprocessable("name"), 422),
    (errors.Frozen("read only"), 503),
    (errors.RepomanError("something else"), 500),
]


@pytest.mark.parametrize(("error", "status"), EXPECTED, ids=lambda value: type(value).__name__)
def test_an_error_of_the_core_has_its_status_and_the_words_of_the_format(
    client, toy, error, status
):
    toy.failure = error
    answer = client.get(FAIL)
    assert (answer.status_code, answer.text) == (status, f"toy: {error}")


@pytest.mark.parametrize(
    "error", [errors.TooManyRequests("wait", 7), errors.UpstreamRateLimited("too often", 7)]
)
def test_an_error_that_knows_when_to_come_again_says_so(client, toy, error):
    toy.failure = error
    assert client.get(FAIL).headers["Retry-After"] == "7"


def test_every_error_of_the_core_has_a_status_of_its_own_or_of_its_parent():
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.RepomanError)
    }
    assert kinds == {type(error) for error, _ in EXPECTED}
    assert set(STATUS) <= kinds


def test_a_plugin_s_own_error_has_the_status_of_what_it_is():
    class Gone(errors.NotFound):
        pass

    assert status_of(Gone("x")) == 404


def test_an_unexpected_error_tells_the_client_nothing_and_the_log_everything(client, toy, caplog):
    toy.failure = ValueError("the password is hunter2")
    with caplog.at_level(logging.ERROR):
        answer = client.get(f"{FAIL}?x=1")
    assert answer.status_code == 500
    assert answer.text.startswith("toy: Internal server error")
    for word in ("hunter2", "ValueError", "Traceback", ".py"):
        assert word not in answer.text
    [record] = [record for record in caplog.records if record.name == "repoman.http.errors"]
    assert re.fullmatch(r"GET '/fail' failed \([0-9a-f]{8}\)", record.getMessage())
    assert record.exc_info[1] is toy.failure


def test_errors_of_http_are_said_in_the_words_of_the_format_too(client):
    missing = client.get("/repository/Team/nothing")
    assert missing.status_code == 404
    assert missing.text.startswith("toy: ")


def test_a_wrong_method_is_answered_with_the_right_ones(client):
    refused = client.request("DELETE", "/repository/Team/stored")
    assert refused.status_code == 405
    assert refused.text.startswith("toy: ")
    assert set(refused.allow) == {"PUT", "OPTIONS"}


def test_a_redirect_is_no_failure(client):
    moved = client.get("/repository/Team/redirect")
    assert (moved.status_code, moved.location) == (302, "/repository/Team/seen/there")


def test_the_main_port_answers_in_plain_text(client):
    missing = client.get("/nothing")
    assert (missing.status_code, missing.mimetype) == (404, "text/plain")
    assert missing.text.endswith("\n")


def test_a_damaged_database_is_an_outage_without_a_traceback(client, toy, caplog):
    toy.failure = sqlite3.DatabaseError("database disk image is malformed")
    answer = client.get(FAIL)
    assert answer.status_code == 503
    assert "malformed" in caplog.text
    assert "Traceback" not in caplog.text
