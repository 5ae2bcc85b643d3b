"""Previews of cleanup on a page: what goes and why, pages of it, the file, and who may see it."""

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


def test_what_the_policies_of_a_repository_remove_is_linked_from_it(filled, repoman, admin):
    repoman.repositories.update("files", {"cleanup": {"policy_names": ["some"]}})
    assert f"{PREVIEW}?repository=files" in admin.get("/admin/repositories").text
    assert "its name matches" in admin.get(f"{PREVIEW}?repository=files").text
    export = admin.get(f"{PREVIEW}.csv?repository=files")
    lines = export.text.splitlines()
    assert lines[0].startswith("decision,namespace,name,version")
    assert sorted(line.split(",")[0] for line in lines[1:]) == ["goes", "goes", "kept"]


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
