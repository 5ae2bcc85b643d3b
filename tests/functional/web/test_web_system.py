"""The pages about the server itself: doctor, connectors, logs."""

import io
import logging
import re
import zipfile

import pytest

from repoman.db.models import RepositoryRecord
from repoman.doctor.model import CheckResult, Fix, bad, good, unchecked, warn
from repoman.plugins import InstalledPlugin
from repoman.repositories.repository_records import ConnectorState, save_states
from repoman.security.certificates import CertificateFiles, create_certificate
from repoman.security.rights_records import Role
from repoman.testing import ADMIN
from tests.statements import executed_statements

PAGES = {
    "/admin/doctor": ("Doctor", "nx-metrics-read"),
    "/admin/connectors": ("Connectors", "nx-settings-read"),
    "/admin/logs": ("Logs", "nx-logging-read"),
    "/admin/information": ("Information", "nx-atlas-all"),
}
LOG = logging.getLogger("repoman.test")


@pytest.fixture
def admin(browser):
    browser.log_in(*ADMIN)
    return browser


@pytest.fixture
def ring(repoman):
    """The log of this Repoman, as a server has it."""
    logger = logging.getLogger("repoman")
    logger.addHandler(repoman.metrics.log)
    yield repoman.metrics.log
    logger.removeHandler(repoman.metrics.log)
    repoman.log_level.reset()


def text_of(answer):
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def give(repoman, name, *privileges):
    repoman.security.roles.create(Role(name, "", privileges=privileges))
    repoman.users.create(name, f"password of {name}", (name,))


# Rights -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_nobody_is_led_to_the_login_page(browser, path):
    answer = browser.get(path)
    assert answer.status_code == 303
    assert "/login" in answer.headers["Location"]


@pytest.mark.parametrize("path", PAGES)
def test_the_right_to_read_is_enough_to_read(repoman, browser, path):
    title, privilege = PAGES[path]
    give(repoman, "reader", privilege)
    give(repoman, "other")
    browser.log_in("other", "password of other")
    assert browser.get(path).status_code == 403
    assert f'href="{path}"' not in browser.get("/").text
    browser.get("/login")
    browser.client.delete_cookie("repoman-login")
    browser.log_in("reader", "password of reader")
    assert f'href="{path}"' in browser.get("/").text
    assert f"<h1>{title}</h1>" in browser.get(path).text


@pytest.mark.parametrize("path", ["/admin/doctor/examine", "/admin/logs/level"])
def test_who_may_read_may_not_change(repoman, browser, path):
    give(repoman, "reader", "nx-metrics-read", "nx-logging-read")
    browser.log_in("reader", "password of reader")
    page = browser.get("/admin/doctor").text + browser.get("/admin/logs").text
    assert f'action="{path}"' not in page
    assert browser.post(path, level="DEBUG").status_code == 403


# Doctor -------------------------------------------------------------------------------------------


def findings(repoman, *found, check="clock"):
    result = CheckResult(check, "Clock", 1_700_000_000.0, 0.25, found)
    repoman.doctor._results = {check: result}


def test_each_finding_has_what_mends_it(repoman, admin):
    fix = Fix("Set the clock:", "timedatectl set-ntp true")
    findings(
        repoman,
        good("0.1 s from the clocks of others"),
        unchecked("No upstream answered."),
        warn("The clock is late", "By an hour.", fix),
        bad("The clock <stands>", "Since noon.", Fix("Restart it."), repository="files"),
    )
    page = admin.get("/admin/doctor")
    text = text_of(page)
    assert text.index("The clock &lt;stands&gt;") < text.index("The clock is late")
    assert text.index("The clock is late") < text.index("No upstream answered.")
    assert "timedatectl set-ntp true" in text
    assert "Restart it." in text
    assert 'href="/browse/files"' in page.text
    assert page.text.count("Check this again</button>") == 2
    assert '<span class="nav-count" title="2 need attention">2</span>' in page.text


def test_without_a_result_it_says_so(repoman, admin):
    repoman.doctor._results = {}
    assert "Nothing was checked yet" in text_of(admin.get("/admin/doctor"))


def test_one_check_is_made_again(repoman, admin):
    findings(repoman, warn("Some connectors", "are closed."), check="connectors")
    admin.get("/admin/doctor")
    answer = admin.post("/admin/doctor/examine", check="connectors")
    assert answer.status_code == 303
    text = text_of(admin.get("/admin/doctor"))
    assert "nothing needs attention." in text or "Nothing was checked yet" in text
    assert "are closed." not in text


def test_an_unknown_check_is_not_found(admin):
    admin.get("/admin/doctor")
    assert admin.post("/admin/doctor/examine", check="no such").status_code == 404


# Connectors ---------------------------------------------------------------------------------------


def test_each_port_has_its_real_state(repoman, admin):
    for name, port, is_online in (("a", 27_301, True), ("b", 27_302, True), ("c", 27_303, False)):
        repoman.repositories.create(name, "raw-hosted", {"raw": {"http_port": port}})
        repoman.repositories.update(name, {}, is_online=is_online)
    states = [
        ConnectorState(each.key, each.repository, each.url, problem)
        for each, problem in zip(
            repoman.repositories.connectors(), ("", "Another program <has> it."), strict=False
        )
    ]
    save_states(repoman.database, 1, states)
    text = text_of(admin.get("/admin/connectors"))
    rows = re.search(r"8081 pages and REST.*?listens (.*)All ports", text)[1]
    assert re.search(r"27301 a http listens 27302 b http closed", " ".join(rows.split()))
    assert "Another program &lt;has&gt; it." in rows
    assert "27303 c http not opened yet" in " ".join(rows.split())
    assert "1 port is closed" in text
    assert "No port speaks HTTPS" in text


def test_certificates_tell_when_they_end(repoman, admin):
    repoman.repositories.create("safe", "raw-hosted", {"raw": {"https_port": 27_304}})
    text = text_of(admin.get("/admin/connectors"))
    assert "cannot be used" in text
    create_certificate(CertificateFiles.below(repoman.data / "tls"), ["registry.example"], 12)
    text = text_of(admin.get("/admin/connectors"))
    assert "registry.example" in text
    assert re.search(r"in 1[12] d", text)


def test_ports_are_read_at_once(repoman, admin):
    def count():
        admin.get("/admin/connectors")
        with executed_statements() as statements:
            admin.get("/admin/connectors")
        return len(statements)

    few = count()
    for number in range(12):
        settings = {"raw": {"http_port": 27_310 + number}}
        repoman.repositories.create(f"r{number}", "raw-hosted", settings)
    assert count() == few <= 3


# Logs ---------------------------------------------------------------------------------------------


def test_lines_are_filtered_by_text_and_level(admin, ring):
    LOG.warning("The <disk> is slow")
    LOG.error("The disk is full")
    page = admin.get("/admin/logs?filter=disk")
    text = text_of(page)
    assert "The &lt;disk&gt; is slow" in text
    assert '<li class="is-bad">' in page.text
    assert '<li class="is-warn">' in page.text
    text = text_of(admin.get("/admin/logs?filter=disk&level=ERROR"))
    assert "The disk is full" in text
    assert "is slow" not in text
    assert "No lines fit" in text_of(admin.get("/admin/logs?filter=nothing-of-this"))
    assert admin.get("/admin/logs?level=odd&filter=" + "x" * 5000).status_code == 200


def test_lines_go_on_until_somebody_stops_them(admin, ring):
    LOG.warning("something")
    assert 'id="lines" data-live' in admin.get("/admin/logs").text
    assert "data-live" not in admin.get("/admin/logs?still=1").text


def test_all_lines_that_fit_are_downloaded(admin, ring):
    for number in range(400):
        LOG.warning("line %d of many", number)
    text = text_of(admin.get("/admin/logs?filter=of+many"))
    assert "The newest 300 of 400 lines" in text
    assert "line 99 of many" not in text
    answer = admin.get("/admin/logs/download?filter=of+many")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="repoman-')
    assert len(answer.text.splitlines()) == 400


def test_the_level_is_changed_for_a_while_and_back(repoman, admin, ring):
    admin.get("/admin/logs")
    admin.post("/admin/logs/level", level="DEBUG")
    text = text_of(admin.get("/admin/logs"))
    assert "The server logs from DEBUG on for 10 minutes." in text
    assert repoman.log_level.changed.level == "DEBUG"
    admin.post("/admin/logs/level", level="")
    assert "The level of the settings counts again." in text_of(admin.get("/admin/logs"))
    assert repoman.log_level.changed is None


def test_an_unknown_level_is_refused(repoman, admin, ring):
    admin.get("/admin/logs")
    assert admin.post("/admin/logs/level", level="LOUD").status_code == 400
    assert repoman.log_level.changed is None


# Information --------------------------------------------------------------------------------------


def test_it_tells_of_plugins_that_were_left_out_or_are_missing(repoman, admin):
    repoman.plugins._installed["tape"] = InstalledPlugin(
        "tape", "repoman-tape", "0.0.3", (), "ImportError: needs <repoman> 3"
    )
    with repoman.database.transaction():
        RepositoryRecord.update(format="reel").where(RepositoryRecord.name == "files").execute()
    repoman.repositories.refresh()
    text = text_of(admin.get("/admin/information"))
    assert "tape 0.0.3 repoman-tape" in text
    assert "left out ImportError: needs &lt;repoman&gt; 3" in " ".join(text.split())
    assert "the format of 1 repository not installed" in " ".join(text.split())


def test_it_tells_of_settings_that_are_not_the_default(admin):
    text = text_of(admin.get("/admin/information"))
    assert "server.trusted_proxies" in text
    assert "10.0.0.1" in text
    assert "server.backlog" not in text


def test_the_support_bundle_has_no_secrets(repoman, browser, admin):
    repoman.repositories.create(
        "mirror",
        "raw-proxy",
        {
            "proxy": {"remote_url": "http://127.0.0.1:9/"},
            "http_client": {"username": "me", "password": "the-secret-of-the-mirror"},
        },
    )
    answer = admin.get("/admin/information/support.zip")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="support-')
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        names = archive.namelist()
        content = b"".join(archive.read(each) for each in names)
    assert "repoman-support/system.json" in names
    assert b"mirror" in content
    assert b"the-secret-of-the-mirror" not in content


def test_who_may_read_the_page_may_not_have_the_bundle(repoman, browser):
    pattern = {"pattern": "nexus:atlas:read"}
    repoman.security.privileges.create("information", "wildcard", pattern)
    give(repoman, "reader", "information")
    browser.log_in("reader", "password of reader")
    assert "Support bundle" not in browser.get("/admin/information").text
    assert browser.get("/admin/information/support.zip").status_code == 403
