"""Previews of cleanup on a page: what goes and why, pages of it, the file, and who may see it."""

import csv
from datetime import datetime
from html import unescape

import pytest

from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import HttpClient

PREVIEW = "/admin/cleanup/-/preview"


@pytest.fixture
def filled(repoman):
    for number in range(3):
        answer = HttpClient(repoman).put(f"/repository/files/a/{number}.txt", b"x" * 10)
        assert answer.status_code in (200, 201, 204), answer.text
    repoman.cleanup_policies.create(
        CleanupPolicy("some", name_patterns=("a/*",), keep_names=("*2.txt",))
    )


def test_a_policy_is_tried_before_it_is_used(filled, admin):
    assert "Choose a repository" in admin.get(PREVIEW).text
    assert "files uses no cleanup policies" in admin.get(f"{PREVIEW}?repository=files").text
    page = unescape(admin.get(f"{PREVIEW}?repository=files&policy=some").text)
    assert "its name matches a/*" in page
    assert "/a/2.txt" not in page
    page = unescape(admin.get(f"{PREVIEW}?repository=files&policy=some&show=kept").text)
    assert "matches keep pattern *2.txt" in page
    assert "/a/1.txt" not in page
    page = admin.get(f"{PREVIEW}?repository=files&policy=some&show=all&filter=1.txt").text
    assert ("/a/1.txt" in page, "/a/0.txt" in page) == (True, False)


def test_policies_of_other_formats_are_not_offered_for_a_repository(stage, open_as):
    admin = open_as("nx-all")
    stage.repoman.repositories.create("files", "raw-hosted", {})
    stage.repoman.cleanup_policies.create(CleanupPolicy("other", "docker", retain=1))
    option = '<option value="other"'
    assert option in admin.get(PREVIEW).text
    assert option not in admin.get(f"{PREVIEW}?repository=files").text
    answer = admin.get(f"{PREVIEW}?repository=files&policy=other")
    assert answer.status_code == 200
    assert "other cannot be tried on files" in answer.text
    assert "of the format docker, and files has the format raw" in answer.text
    assert option not in answer.text
    assert "Decisions" not in answer.text
    assert admin.get(f"{PREVIEW}.csv?repository=files&policy=other").status_code == 400


def test_what_the_policies_of_a_repository_remove_is_linked_from_it(filled, repoman, admin):
    repoman.repositories.update("files", {"cleanup": {"policy_names": ["some"]}})
    assert f"{PREVIEW}?repository=files" in admin.get("/admin/repositories").text
    assert "its name matches" in admin.get(f"{PREVIEW}?repository=files").text
    export = admin.get(f"{PREVIEW}.csv?repository=files")
    lines = export.text.splitlines()
    assert lines[0].startswith("decision,namespace,name,version")
    assert sorted(line.split(",")[0] for line in lines[1:]) == ["goes", "goes", "kept"]
    for each in csv.DictReader(lines):
        assert datetime.strptime(each["stored"], "%Y-%m-%d %H:%M:%S")
        assert each["pulled"] == "", "it was never pulled"


def test_wrong_addresses_are_refused_in_words(filled, admin):
    for query, status in (
        ("repository=none", 404),
        ("repository=files&policy=none", 404),
        ("repository=files&policy=some&after=x", 406),
        ("repository=files&policy=some&show=x", 200),
    ):
        assert admin.get(f"{PREVIEW}?{query}").status_code == status, query


@pytest.mark.parametrize(
    ("privilege", "repository", "status"),
    [
        ("nx-repository-view-raw-files-browse", "files", 403),
        ("nx-settings-read", "files", 403),
        ("nx-settings-read", "", 200),
    ],
)
def test_who_may_see_a_preview(filled, browser_of, privilege, repository, status):
    path = f"{PREVIEW}?repository={repository}&policy=some"
    assert browser_of(privilege).get(path).status_code == status


# Criteria that are not saved ----------------------------------------------------------------------

FORM = {"format": "*", "criteria.name_patterns": "a/*", "retain.keep_names": "*2.txt"}
TRY = "/admin/cleanup/-/try"


def trial(browser, path=TRY, **fields):
    browser.get("/admin/cleanup/-/new")
    return browser.post(path, **{**FORM, "preview.repository": "files", **fields})


def test_criteria_are_tried_before_they_are_saved_and_what_was_typed_stays(filled, repoman, admin):
    known = repoman.cleanup_policies.all()
    assert "Choose a repository" in admin.get("/admin/cleanup/-/new").text
    answer = trial(admin)
    page = unescape(answer.text)
    assert answer.status_code == 200
    assert "its name matches a/*" in page
    assert ("/a/1.txt" in page, "/a/2.txt" in page) == (True, False)
    assert "The criteria above remove components called a/*, but *2.txt" in page
    assert "\na/*</textarea>" in page
    page = unescape(trial(admin, **{"preview.show": "kept"}).text)
    assert "matches keep pattern *2.txt" in page
    assert ">/a/1.txt" not in page
    assert repoman.cleanup_policies.all() == known, "nothing is stored"
    assert admin.post("/admin/cleanup/-/new", name="real", **FORM).status_code == 303


def test_changed_criteria_of_a_policy_are_tried_without_changing_it(filled, repoman, admin):
    admin.get("/admin/cleanup/some")
    path = f"{TRY}?policy=some"
    answer = admin.post(
        path, **{"format": "*", "retain.retain": "1", "preview.repository": "files"}
    )
    assert answer.status_code == 200
    assert "No component goes" in answer.text
    assert repoman.cleanup_policies.get("some").name_patterns == ("a/*",)
    assert admin.post(f"{TRY}?policy=none", **FORM).status_code == 404


def test_trials_have_pages_and_a_file(filled, admin, monkeypatch):
    monkeypatch.setattr("repoman_web.views.cleanup_preview.TRIAL_ITEMS", 2)
    page = trial(admin, **{"preview.show": "all"}).text
    assert 'name="preview.start" value="2"' in page
    page = trial(admin, **{"preview.show": "all", "preview.start": "2"}).text
    assert ("1 shown" in page, "First page" in page) == (True, True)
    export = trial(admin, f"{TRY}.csv")
    assert export.mimetype == "text/csv"
    decided = sorted(line.split(",")[0] for line in export.text.splitlines()[1:])
    assert decided == ["goes", "goes", "kept"]


@pytest.mark.parametrize("path", [TRY, f"{TRY}.csv"])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"preview.repository": ""}, "Choose a repository to see what the policy would remove"),
        ({"criteria.asset_regex": "("}, "criteria-asset_regex"),
        ({"criteria.last_updated_days": "0"}, "at least 1"),
        ({"format": "nothing"}, "is not a format"),
    ],
)
def test_what_is_wrong_with_a_trial_is_said_in_its_form(filled, admin, path, fields, said):
    answer = trial(admin, path, **fields)
    assert answer.status_code == 400
    assert said in unescape(answer.text)


def test_a_file_of_decisions_is_sent_while_they_are_made(filled, repoman, admin, monkeypatch):
    monkeypatch.setattr("repoman_web.views.cleanup_preview.LINES", 1)
    made = []
    explain_all = repoman.cleanup_preview.explain_all

    def counted(*values):
        for each in explain_all(*values):
            made.append(each)
            yield each

    monkeypatch.setattr(repoman.cleanup_preview, "explain_all", counted)
    path = f"{PREVIEW}.csv?repository=files&policy=some"
    answer = admin.client.get(path, environ_overrides=admin.environ, buffered=False)
    pieces = iter(answer.response)
    assert next(pieces).startswith(b"decision,namespace")
    assert made == []
    next(pieces)
    assert len(made) == 1
    assert len(list(pieces)) == 2
    answer.close()


@pytest.mark.parametrize(
    ("privilege", "status"),
    [("nx-repository-view-raw-files-browse", 403), ("nx-settings-read", 403)],
)
def test_who_may_try_criteria(filled, browser_of, privilege, status):
    browser = browser_of(privilege)
    browser.get("/account")
    for path in (TRY, f"{TRY}.csv"):
        answer = browser.post(path, **{**FORM, "preview.repository": "files"})
        assert answer.status_code == status
