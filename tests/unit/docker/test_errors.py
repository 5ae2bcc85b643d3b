import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman_docker.protocol.errors import (
    ErrorCode,
    RegistryError,
    RegistryErrors,
    missing_blobs,
    quoted,
    render_errors,
)

STATUSES = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 400,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 400,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "SIZE_INVALID": 400,
    "UNAUTHORIZED": 401,
    "DENIED": 403,
    "UNSUPPORTED": 405,
    "TOOMANYREQUESTS": 429,
    "PAGINATION_NUMBER_INVALID": 400,
    "RANGE_INVALID": 416,
    "TAG_INVALID": 400,
    "UNAVAILABLE": 503,
    "UNKNOWN": 500,
}


def test_every_code_has_its_status_and_a_sentence():
    assert {code.value: code.status for code in ErrorCode} == STATUSES
    assert all(code.message.endswith(".") for code in ErrorCode)
    assert all(code == code.name == str(code) for code in ErrorCode)


def test_the_body_has_code_and_message_and_no_empty_detail():
    body = render_errors(RegistryError(ErrorCode.DENIED, "The repository releases is read-only."))
    assert json.loads(body) == {
        "errors": [{"code": "DENIED", "message": "The repository releases is read-only."}]
    }


def test_an_error_takes_what_is_usual_for_its_code():
    error = RegistryError(ErrorCode.BLOB_UNKNOWN)
    assert (error.status, error.headers) == (404, {})
    assert error.message == str(error) == ErrorCode.BLOB_UNKNOWN.message


def test_an_error_can_have_a_status_detail_and_headers_of_its_own():
    headers = {"Retry-After": "60"}
    error = RegistryError(ErrorCode.MANIFEST_INVALID, "Too big.", {"limit": 4}, 413, headers)
    headers.clear()
    assert (error.status, error.headers) == (413, {"Retry-After": "60"})
    assert json.loads(render_errors(error))["errors"][0]["detail"] == {"limit": 4}


def test_several_errors_go_out_together_under_the_status_of_the_first():
    first = RegistryError(ErrorCode.DENIED, "No.", status=418, headers={"A": "b"})
    error = RegistryErrors([first, RegistryError(ErrorCode.UNKNOWN)])
    assert (error.code, error.status, error.headers) == (ErrorCode.DENIED, 418, {"A": "b"})
    codes = [entry["code"] for entry in json.loads(render_errors(error))["errors"]]
    assert codes == ["DENIED", "UNKNOWN"]


def test_missing_blobs_are_one_error_each():
    error = missing_blobs(["sha256:a", "sha256:b"])
    assert error.status == 400
    entries = json.loads(render_errors(error))["errors"]
    assert [entry["detail"] for entry in entries] == [
        {"digest": "sha256:a"},
        {"digest": "sha256:b"},
    ]
    assert {entry["code"] for entry in entries} == {"MANIFEST_BLOB_UNKNOWN"}
    assert "sha256:b" in entries[1]["message"]


@given(st.text(), st.recursive(st.none() | st.floats() | st.text() | st.binary(), st.lists))
def test_any_message_and_detail_can_be_rendered(message, detail):
    body = render_errors(RegistryError(ErrorCode.UNKNOWN, message, detail))
    shown = json.loads(body)["errors"][0]["message"]
    assert shown == message if message.isprintable() else shown.isprintable()


@pytest.mark.parametrize("text", ["", "a\nb", "\x00", "\ud800", "'\"", "x" * 100_000])
def test_what_a_client_sent_is_repeated_short_and_printable(text):
    assert quoted(text).isprintable()
    assert len(quoted(text)) < 100
