"""What a stolen session of a browser cannot do over REST, and what no other site can do with it."""

from base64 import b64encode
from urllib.parse import quote

import pytest

FORM = "Content-Type: application/x-www-form-urlencoded"
TEXT = "Content-Type: text/plain"
SESSION = "/service/rapture/session"
USERS = "/service/rest/v1/security/users"
PROOF = "NX-ANTI-CSRF-TOKEN"


def form(name, password):
    """The body of a login."""
    given = (quote(b64encode(each.encode()).decode()) for each in (name, password))
    return "username={}&password={}".format(*given).encode()


@pytest.fixture
def stolen(attack, victim):
    """All that a browser of admin holds: the header lines that use its session."""
    answer = attack("POST", SESSION, FORM, body=form(*victim.admin), login=None)
    assert answer.status == 204
    found = [each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie")]
    proof = next(each for each in found if each.startswith(PROOF))
    return f"Cookie: {'; '.join(found)}", proof.replace("=", ": ", 1)


@pytest.mark.parametrize(
    "path",
    [
        f"{USERS}/admin/change-password",
        "/service/rest/internal/ui/onboarding/change-admin-password",
    ],
)
def test_a_session_is_not_enough_to_change_its_own_password(attack, victim, stolen, path):
    answer = attack("PUT", path, *stolen, TEXT, login=None, body=b"the thief's password")
    assert answer.status == 403
    assert attack("GET", USERS).status == 200  # The password is as it was.
    body = b"password of eve"
    for_eve = f"{USERS}/eve/change-password"
    assert attack("PUT", for_eve, *stolen, TEXT, login=None, body=body).status == 204


def test_a_session_cannot_be_used_without_its_proof(attack, stolen):
    cookie, proof = stolen
    for_eve = f"{USERS}/eve/change-password"
    for fields in ([cookie], [cookie, f"{PROOF}: 0.123"], [cookie, proof[:-1]], [proof]):
        answer = attack("PUT", for_eve, *fields, TEXT, login=None, body=b"password of eve")
        assert answer.status == 401, fields


@pytest.mark.parametrize(
    "field",
    [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_no_other_site_can_log_a_visitor_in(attack, victim, field):
    answer = attack("POST", SESSION, FORM, field, body=form(*victim.admin), login=None)
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers


def test_a_session_is_always_a_new_one(attack, victim):
    planted = "Cookie: repoman-login=planted-by-a-neighbour"
    answer = attack("POST", SESSION, FORM, planted, body=form(*victim.admin), login=None)
    cookies = answer.headers.get_all("Set-Cookie")
    assert not any("planted" in each for each in cookies)
    login = next(each for each in cookies if each.startswith("repoman-login="))
    assert "HttpOnly" in login
    assert "SameSite=Lax" in login


def test_a_user_token_begins_no_session(attack, victim):
    made = victim.cli("token", "create", "eve", "thief").stdout
    secret = next(word for word in made.split() if word.startswith("rpm_"))
    answer = attack("POST", SESSION, FORM, body=form("eve", secret), login=None)
    assert answer.status == 401
    assert not any("repoman-login" in each for each in answer.headers.get_all("Set-Cookie", []))
