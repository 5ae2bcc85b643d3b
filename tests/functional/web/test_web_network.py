"""The mail server and HTTP proxies on pages: seen, changed and tried by who may."""

import re
from html import unescape

import pytest

from repoman.mail import EMAIL_OPTIONS, EmailOptions
from repoman.outgoing import HTTP_OPTIONS, HTTP_PROXY_OPTIONS, HttpOptions, HttpProxyOptions
from repoman.security.rights_records import Role
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.fakes.smtp import MailServer
from tests.functional.web.conftest import Browser

EMAIL, HTTP = "/admin/email", "/admin/http"
MAIL = {
    "email.enabled": "on",
    "email.host": "mail.example.org",
    "email.port": "587",
    "email.username": "robot",
    "email.password": "a secret",
    "email.from_address": "repoman@example.org",
}


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw, "web": web})


@pytest.fixture
def browser(repoman):
    browser = Browser(repoman)
    browser.log_in()
    return browser


@pytest.fixture
def reader(repoman):
    """A browser of a user who may only read settings."""
    repoman.security.roles.create(Role("some", "", "", ("nx-settings-read",), ()))
    repoman.users.create("ann", "a password", ["some"])
    browser = Browser(repoman)
    browser.log_in("ann", "a password")
    return browser


def send(browser, path, fields):
    browser.get(path)
    return browser.open("POST", path, data={"csrf_token": browser.mark, **fields})


def said(answer, path):
    """Return what stands below a field."""
    pattern = rf'id="{path.replace(".", "-")}-said">(?:<svg.*?</svg><span>)?([^<]*)<'
    found = re.search(pattern, answer.text)
    return unescape(found[1]) if found else None


def mail_of(repoman):
    return repoman.options.get(EMAIL_OPTIONS, EmailOptions)


def events(repoman):
    repoman.audit.flush()
    return repoman.audit.search({"domain": "option"})


def test_who_may_not_read_settings_sees_none(repoman):
    assert Browser(repoman).get(EMAIL).location == f"/login?next={EMAIL}"
    repoman.users.create("bob", "a password", ["nx-developer"])
    bob = Browser(repoman)
    bob.log_in("bob", "a password")
    page = bob.get("/account").text
    for path in (EMAIL, HTTP):
        assert path not in page
        assert bob.get(path).status_code == 403
        assert bob.post(path).status_code == 403
    assert bob.post(f"{EMAIL}/test").status_code == 403
    assert 'href="/service/rest/swagger"' in page


def test_who_may_only_read_changes_nothing(repoman, reader):
    for path in (EMAIL, HTTP):
        page = reader.get(path).text
        assert "You may read these settings, not change them." in page
        assert ">Save<" not in page
        assert "Send test message" not in page
    assert send(reader, EMAIL, MAIL).status_code == 403
    assert reader.post(f"{EMAIL}/test", address="a@example.org").status_code == 403
    assert mail_of(repoman) == EmailOptions()


def test_the_mail_server_is_set_and_its_password_stays(repoman, browser):
    assert "Save a host, a port and a from address first." in browser.get(EMAIL).text
    answer = send(browser, EMAIL, MAIL)
    assert (answer.status_code, answer.location) == (303, EMAIL)
    stored = mail_of(repoman)
    assert (stored.enabled, stored.host, stored.port) == (True, "mail.example.org", 587)
    page = browser.get(EMAIL).text
    assert "The settings were saved." in page
    assert "a secret" not in page
    assert said(browser.get(EMAIL), "email.password").startswith("Set. Leave empty to keep it.")
    send(browser, EMAIL, {**MAIL, "email.password": "", "email.subject_prefix": "[r]"})
    changed = mail_of(repoman)
    assert changed.subject_prefix == "[r]"
    assert changed.password.get_secret_value() == "a secret"
    assert events(repoman)[0]["attributes"]["keys"] == "subject_prefix"


def test_a_password_goes_with_its_server_and_that_is_told(repoman, browser):
    send(browser, EMAIL, MAIL)
    browser.get(EMAIL)
    send(browser, EMAIL, {**MAIL, "email.host": "evil.example", "email.password": ""})
    assert mail_of(repoman).password.get_secret_value() == ""
    assert "The password was for another server or user, and was removed" in browser.get(EMAIL).text


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"email.port": "0"}, "email.port", "Must be at least 1."),
        ({"email.port": "many"}, "email.port", "Must be a whole number."),
        ({"email.host": "a\x01b"}, "email.host", "Must be one line of printable characters."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(repoman, browser, changes, path, text):
    answer = send(browser, EMAIL, {**MAIL, **changes})
    assert answer.status_code == 400
    assert said(answer, path) == text
    assert "a secret" not in answer.text
    assert 'value="repoman@example.org"' in answer.text
    assert mail_of(repoman) == EmailOptions()


def test_what_is_wrong_with_several_fields_stands_above(browser):
    answer = send(browser, EMAIL, {**MAIL, "email.from_address": ""})
    assert answer.status_code == 400
    assert "et host, port and from_address before you enable it" in answer.text


def test_a_test_message_is_sent(browser):
    mail = MailServer()
    send(browser, EMAIL, {
        "email.host": "127.0.0.1", "email.port": str(mail.port),
        "email.from_address": "repoman@example.org",
    })  # fmt: skip
    answer = browser.post(f"{EMAIL}/test", address="ann@example.org")
    assert answer.location == EMAIL
    assert "A test message was sent to ann@example.org." in browser.get(EMAIL).text
    assert len(mail.messages) == 1
    mail.stop()
    failed = browser.post(f"{EMAIL}/test", address="ann@example.org")
    assert failed.status_code == 503
    assert "refused" in said(failed, "address")
    assert 'value="ann@example.org"' in failed.text
    wrong = browser.post(f"{EMAIL}/test", address="<script>")
    assert wrong.status_code == 400
    assert "is not a mail address" in said(wrong, "address")
    assert "<script>&" not in wrong.text


def test_http_proxies_are_set_together(repoman, browser):
    fields = {
        "http.timeout": "30",
        "http.non_proxy_hosts": "*.example.com\nlocalhost",
        "http_proxy.enabled": "on",
        "http_proxy.host": "proxy.example.com",
        "http_proxy.port": "3128",
        "http_proxy.auth_enabled": "on",
        "http_proxy.username": "ann",
        "http_proxy.password": "a secret",
    }
    assert send(browser, HTTP, fields).location == HTTP
    found = repoman.options.get(HTTP_OPTIONS, HttpOptions)
    assert (found.timeout, found.non_proxy_hosts) == (30, ("*.example.com", "localhost"))
    plain = repoman.options.get(HTTP_PROXY_OPTIONS, HttpProxyOptions)
    assert plain.address == "http://ann:a%20secret@proxy.example.com:3128"
    assert {each["target"] for each in events(repoman)} == {"http", "http_proxy"}
    page = browser.get(HTTP).text
    assert "NTLM" not in page
    assert "a secret" not in page


def test_of_several_sections_all_or_none_are_changed(repoman, browser):
    answer = send(browser, HTTP, {"http.timeout": "30", "http_proxy.host": "a b"})
    assert answer.status_code == 400
    assert said(answer, "http_proxy.host") == "Must be a host name or address."
    assert 'value="30"' in answer.text
    assert repoman.options.get(HTTP_OPTIONS, HttpOptions).timeout is None


def test_two_people_do_not_overwrite_each_other_unseen(repoman, browser):
    page = browser.get(HTTP)
    revision = re.search(r'name="revision" value="([^"]+)"', page.text)[1]
    repoman.options.update(HTTP_OPTIONS, {"timeout": 99})
    answer = send(browser, HTTP, {"revision": revision, "http.timeout": "30"})
    assert answer.status_code == 409
    assert "Stored now: 99" in answer.text
