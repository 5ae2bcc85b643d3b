"""Routing rules and cleanup policies on pages: lists, forms, paths to try, deletions, rights."""

import re
from html import unescape

import pytest

from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.routing_records import RoutingMode, RoutingRule
from tests.functional.web.test_web_forms import revision_in, said, value_of
from tests.statements import executed_statements

ROUTING, CLEANUP = "/admin/routing", "/admin/cleanup"
READS_RULES = "nx-repository-admin-raw-files-read"


@pytest.fixture
def rule(repoman):
    made = RoutingRule("internal", RoutingMode.BLOCK, ("/internal/.*",), "Stays here")
    repoman.routing_rules.create(made)
    return made


@pytest.fixture
def policy(repoman):
    return repoman.cleanup_policies.create(
        CleanupPolicy("old", "raw", "Builds", last_downloaded_days=30, sort_by="version")
    )


def send(browser, path, **fields):
    browser.get(path.removesuffix("?"))
    return browser.post(path, **{key.replace("__", "."): each for key, each in fields.items()})


def test_a_rule_and_a_policy_named_new_have_their_pages(repoman, admin):
    repoman.routing_rules.create(RoutingRule("new", RoutingMode.BLOCK, ("/internal/.*",)))
    repoman.cleanup_policies.create(CleanupPolicy("new", "raw", last_downloaded_days=30))
    for path in (ROUTING, CLEANUP):
        assert value_of(admin.get(f"{path}/new"), "name") == "new"
        assert value_of(admin.get(f"{path}/-/new"), "name") == ""
    assert "/internal/" in admin.get(f"{ROUTING}/new").text


# Routing rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ROUTING, f"{ROUTING}/-/new", CLEANUP, f"{CLEANUP}/-/new"])
def test_nobody_is_sent_to_the_login_and_others_are_refused(browser, browser_of, path):
    assert browser.get(path).location == f"/login?next={path}"
    ann = browser_of("nx-repository-view-raw-files-read")
    assert ann.get(path).status_code == 403
    assert path.removesuffix("/-/new") not in ann.get("/").text


def test_who_may_read_repositories_reads_and_tries_rules_and_changes_none(
    repoman, browser_of, rule
):
    ann = browser_of(READS_RULES)
    page = ann.get(ROUTING)
    assert "internal" in page.text
    assert "Create rule" not in page.text
    assert "You may read and try this rule" in ann.get(f"{ROUTING}/internal").text
    answer = send(ann, f"{ROUTING}/internal", **{"try": "paths", "tried": "/internal/a\n/b"})
    assert re.findall(r"<code>(/[^<]*)</code>.*?>(blocked|let through)<", answer.text) == [
        ("/internal/a", "blocked"),
        ("/b", "let through"),
    ]
    for path in ("/internal", "/internal/delete", "/-/new"):
        assert send(ann, f"{ROUTING}{path}", name="x", paths__matchers="a").status_code == 403
    assert repoman.routing_rules.all() == [rule]


def test_a_rule_is_created_changed_and_renamed(repoman, admin):
    assert "No routing rules yet" in admin.get(ROUTING).text
    fields = {"name": "one", "paths__mode": "allow", "paths__matchers": "/a/.*\r\n/b/.*"}
    assert send(admin, f"{ROUTING}/-/new", **fields).location == ROUTING
    assert "The routing rule one was created." in admin.get(ROUTING).text
    made = RoutingRule("one", RoutingMode.ALLOW, ("/a/.*", "/b/.*"))
    assert repoman.routing_rules.all() == [made]
    fields |= {"name": "two", "description": "For tests"}
    fields["revision"] = revision_in(admin.get(f"{ROUTING}/one"))
    assert send(admin, f"{ROUTING}/one", **fields).status_code == 303
    assert [each.name for each in repoman.routing_rules.all()] == ["two"]
    assert "For tests" in admin.get(ROUTING).text


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"name": "INTERNAL"}, "name", "A routing rule named 'INTERNAL' already exists."),
        ({"name": "a b"}, "name", "'a b' is not a valid name"),
        ({"paths__matchers": ""}, "paths.matchers", "There must be at least one matcher."),
        ({"paths__matchers": "a\n("}, "paths.matchers", "Line 2 "),
        ({"paths__mode": "maybe"}, "paths.mode", "Must be 'allow' or 'block'."),
    ],
)
def test_what_is_wrong_with_a_rule_stands_beside_its_field(
    repoman, admin, rule, changes, path, text
):
    fields = {"name": "new", "paths__mode": "block", "paths__matchers": "/x/.*", **changes}
    answer = send(admin, f"{ROUTING}/-/new", **fields)
    assert answer.status_code in (400, 409)
    assert said(answer, path).startswith(text)
    assert value_of(answer, "name") == fields["name"]
    assert repoman.routing_rules.all() == [rule]


def test_paths_are_tried_with_matchers_that_are_not_saved(repoman, admin, rule):
    fields = {"paths__mode": "allow", "paths__matchers": "/a.*", "tried": "/abc\n/internal/x"}
    answer = send(admin, f"{ROUTING}/internal", name="", **fields, **{"try": "paths"})
    assert answer.status_code == 200
    assert re.findall(r"<code>(/[^<]*)</code>.*?>(blocked|let through)<", answer.text) == [
        ("/abc", "let through"),
        ("/internal/x", "blocked"),
    ]
    fields["paths__matchers"] = "("
    answer = send(admin, f"{ROUTING}/-/new", **fields, **{"try": "paths"})
    assert "Nothing was tried" in answer.text
    assert "is not a valid regular expression" in unescape(answer.text)
    assert repoman.routing_rules.all() == [rule]


def test_a_rule_that_is_used_says_where_and_is_not_deleted(repoman, admin, rule):
    proxy = {"proxy": {"remote_url": "http://127.0.0.1:9"}, "routing": {"rule": "internal"}}
    repoman.repositories.create("mirror", "raw-proxy", proxy)
    assert 'href="/admin/repositories/mirror"' in admin.get(f"{ROUTING}/internal").text
    page = admin.get(f"{ROUTING}/internal/delete").text
    assert "Repositories use this rule" in page
    assert "is-final" not in page
    assert admin.post(f"{ROUTING}/internal/delete").status_code == 400
    repoman.repositories.update("mirror", {"routing": {"rule": ""}})
    assert "No repository uses <b>internal</b>" in admin.get(f"{ROUTING}/internal/delete").text
    assert admin.post(f"{ROUTING}/internal/delete").location == ROUTING
    assert repoman.routing_rules.all() == []
    assert admin.get(f"{ROUTING}/internal").status_code == 404


# Cleanup policies --------------------------------------------------------------------------------


def test_a_policy_is_created_and_told_in_words(repoman, admin):
    assert "No cleanup policies yet" in admin.get(CLEANUP).text
    fields = {
        "name": "branches",
        "format": "*",
        "criteria__last_downloaded_days": "30",
        "criteria__release_type": "PRERELEASES",
        "criteria__asset_regex": "pr-.*",
        "criteria__version_patterns": "pr-*\nci-*",
        "retain__retain": "5",
        "retain__sort_by": "date",
        "retain__keep_versions": "latest",
    }
    assert send(admin, f"{CLEANUP}/-/new", **fields).location == CLEANUP
    page = admin.get(CLEANUP).text
    assert "The cleanup policy branches was created." in page
    text = (
        "pre-releases with a version like pr-* or ci-* with a path like pr-.* not downloaded for "
        "30 days, but latest or the newest 5"
    )
    assert text in unescape(page)
    found = repoman.cleanup_policies.get("branches")
    assert (found.last_updated_days, found.retain, found.notes) == (None, 5, None)
    assert (found.version_patterns, found.keep_versions) == (("pr-*", "ci-*"), ("latest",))
    assert (found.sort_by, found.name_patterns) == ("date", ())


def test_a_policy_is_changed_and_keeps_what_the_form_does_not_show(repoman, admin, policy):
    page = admin.get(f"{CLEANUP}/old")
    assert value_of(page, "criteria.last_downloaded_days") == "30"
    fields = {"format": "raw", "criteria__last_updated_days": "7", "revision": revision_in(page)}
    assert send(admin, f"{CLEANUP}/old", **fields).location == CLEANUP
    found = repoman.cleanup_policies.get("old")
    assert (found.last_updated_days, found.last_downloaded_days) == (7, None)
    assert (found.notes, found.sort_by) == (None, "version")
    answer = send(admin, f"{CLEANUP}/old", **fields)
    assert answer.status_code == 409, "somebody has changed it since"


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"name": "OLD"}, "name", "A cleanup policy named 'OLD' already exists."),
        ({"format": "nothing"}, "format", "'nothing' is not a format"),
        ({"criteria__last_updated_days": "0"}, "criteria.last_updated_days", "Must be at least 1."),
        (
            {"criteria__last_updated_days": "99999"},
            "criteria.last_updated_days",
            "Must be from 1 to 36500 days.",
        ),
        ({"retain__retain": "x"}, "retain.retain", "Must be a whole number."),
        (
            {"retain__keep_versions": "x" * 201},
            "retain.keep_versions",
            f"{'x' * 50!r} is not a valid pattern",
        ),
        ({"criteria__asset_regex": "("}, "criteria.asset_regex", "'(' is not a valid"),
    ],
)
def test_what_is_wrong_with_a_policy_stands_beside_its_field(
    repoman, admin, policy, changes, path, text
):
    answer = send(admin, f"{CLEANUP}/-/new", **{"name": "new", "format": "*", **changes})
    assert answer.status_code in (400, 409)
    assert said(answer, path).startswith(text)
    assert repoman.cleanup_policies.all() == [policy]


def test_a_deleted_policy_goes_from_its_repositories(repoman, admin, policy):
    repoman.repositories.update("files", {"cleanup": {"policy_names": ["old"]}})
    page = admin.get(f"{CLEANUP}/old/delete").text
    assert "1 repository uses it" in page
    assert admin.post(f"{CLEANUP}/old/delete").location == CLEANUP
    assert repoman.repositories.get("files").config.sections["cleanup"].policy_names == ()


def test_who_may_only_read_settings_changes_no_policy(repoman, browser_of, policy):
    ann = browser_of("nx-settings-read")
    page = ann.get(CLEANUP).text
    assert "old" in page
    assert "Create policy" not in page
    assert "You may read this policy" in ann.get(f"{CLEANUP}/old").text
    for path in ("/old", "/old/delete", "/-/new"):
        assert send(ann, f"{CLEANUP}{path}", name="x", format="*").status_code == 403
    assert repoman.cleanup_policies.all() == [policy]


def test_lists_ask_the_database_as_often_for_many_as_for_one(repoman, admin, rule, policy):
    def count(path):
        with executed_statements() as statements:
            assert admin.get(path).status_code == 200
        return len(statements)

    admin.get(ROUTING)
    few = [count(path) for path in (ROUTING, CLEANUP)]
    for number in range(20):
        repoman.routing_rules.create(RoutingRule(f"r{number}", RoutingMode.BLOCK, ("/x",)))
        repoman.cleanup_policies.create(CleanupPolicy(f"p{number}"))
    assert [count(path) for path in (ROUTING, CLEANUP)] == few


def test_nothing_that_somebody_wrote_is_markup(repoman, admin):
    bad = "<script>alert(1)</script>"
    repoman.routing_rules.create(RoutingRule("r", RoutingMode.BLOCK, (bad,), bad))
    repoman.cleanup_policies.create(CleanupPolicy("p", notes=bad, asset_regex=bad))
    for path in (ROUTING, f"{ROUTING}/r", CLEANUP, f"{CLEANUP}/p", f"{CLEANUP}/p/delete"):
        assert "<script>alert" not in admin.get(path).text
