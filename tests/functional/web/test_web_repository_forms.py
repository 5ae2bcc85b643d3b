"""Forms of repositories: created, changed, tried before they are saved, and deleted."""

import re
import socket
from html import unescape

import pytest
from werkzeug.datastructures import MultiDict

from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.routing_records import RoutingMode, RoutingRule
from repoman.security.actors import Limit
from repoman.security.rights_records import Role
from tests.fakes.scripted import reply, scripted
from tests.functional.web.test_web_forms import said, value_of
from tests.live import free_port
from tests.statements import executed_statements

LIST = "/admin/repositories"
SECRET = "a secret of the upstream"
STARS = "**********"


def fields_of(page):
    """Return what a browser would send for the form of a page."""
    form = page.text[page.text.index("data-guard") :]
    found = MultiDict()
    for tag in re.findall(r"<input [^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        kind = re.search(r'type="(\w+)"', tag)
        is_box = kind and kind[1] in ("checkbox", "radio")
        if name and " disabled" not in tag and (not is_box or " checked" in tag):
            found.add(name[1], unescape(value[1]) if value else "on")
    for name, text in re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>\n?([^<]*)<', form):
        found.add(name, unescape(text))
    for name, options in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', form):
        chosen = re.search(r'value="([^"]*)" selected', options)
        first = re.search(r'value="([^"]*)"', options)
        found.add(name, (chosen or first)[1])
    return found


def send(browser, path, **changes):
    """Open the form at a path, change some fields, and send it."""
    fields = fields_of(browser.get(f"{LIST}/{path}"))
    for name, value in changes.items():
        fields.setlist(name.replace("__", "."), value if isinstance(value, list) else [value])
    return browser.open("POST", f"{LIST}/{path}", data=fields)


@pytest.fixture
def mirror(repoman):
    return repoman.repositories.create(
        "mirror",
        "raw-proxy",
        {
            "proxy": {"remote_url": "http://127.0.0.1:9"},
            "http_client": {"username": "ann", "password": SECRET},
        },
    )


@pytest.fixture
def upstream():
    """A server that answers everything."""
    with scripted(lambda _: reply(200, b"well")) as server:
        yield server


# Creating ----------------------------------------------------------------------------------------


def test_a_repository_of_each_type_is_created(repoman, admin):
    assert "Raw hosted" in admin.get(f"{LIST}/-/new").text
    port = free_port()
    answer = send(admin, "-/new/raw-hosted", name="site", raw__http_port=str(port))
    assert (answer.status_code, answer.location) == (303, LIST)
    assert f"site (port {port}) was created." in admin.get(LIST).text
    send(admin, "-/new/raw-proxy", name="mirror", proxy__remote_url="http://127.0.0.1:9")
    send(admin, "-/new/raw-group", name="whole", group__members=["mirror", "site"])
    found = {each.name: each.config for each in repoman.repositories.all()}
    assert found["site"].section("raw", object).http_port == port
    assert found["mirror"].sections["proxy"].remote_url == "http://127.0.0.1:9"
    assert found["whole"].sections["group"].members == ("mirror", "site")


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(repoman, admin):
    answer = send(admin, "-/new/raw-proxy", name="FILES", proxy__remote_url="example.com")
    assert answer.status_code == 400
    assert "Nothing was created" in answer.text
    assert said(answer, "proxy.remote_url").startswith("Must be an http or https address")
    assert value_of(answer, "proxy.remote_url") == "example.com"
    answer = send(admin, "-/new/raw-proxy", name="FILES", proxy__remote_url="http://127.0.0.1:9")
    assert answer.status_code == 409
    assert said(answer, "name") == "A repository named 'FILES' already exists."
    assert len(repoman.repositories.all()) == 1


def test_a_port_of_another_repository_is_refused_with_free_ones(repoman, admin):
    port = free_port()
    repoman.repositories.create("site", "raw-hosted", {"raw": {"http_port": port}})
    answer = send(admin, "-/new/raw-hosted", name="two", raw__https_port=str(port))
    assert answer.status_code == 409
    assert said(answer, "raw.https_port").startswith(f"Port {port} belongs to site. Free ports")
    assert value_of(answer, "raw.https_port") == str(port)
    answer = send(admin, "-/new/raw-hosted", name="a b", raw__http_port=str(port))
    assert said(answer, "raw.http_port").startswith(f"Port {port} belongs to site.")
    assert said(answer, "name"), "both are said at once"


def test_who_may_create_one_format_or_name_creates_no_other(repoman, browser_of):
    ann = browser_of("nx-repository-admin-raw-files-add")
    assert ann.get(f"{LIST}/-/new/raw-hosted").status_code == 200
    assert send(ann, "-/new/raw-hosted", name="other").status_code == 403
    assert ann.get(f"{LIST}/-/new/nothing").status_code == 404
    assert [each.name for each in repoman.repositories.all()] == ["files"]


@pytest.mark.parametrize("name", ["new", "-"])
def test_a_repository_of_any_name_has_its_pages(repoman, admin, name):
    repoman.repositories.create(name, "raw-hosted", {})
    assert f"<h1>{name}" in admin.get(f"{LIST}/{name}").text
    for page in ("", "/move", "/delete"):
        assert admin.get(f"{LIST}/{name}{page}").status_code == 200
    assert "Raw hosted" in admin.get(f"{LIST}/-/new").text


# Ports -------------------------------------------------------------------------------------------


def test_a_port_is_checked_while_the_form_is_filled_in(repoman, admin):
    def ask(value, **more):
        return admin.get(f"{LIST}/-/new/port", query_string={"value": value, **more}).json

    port, taken = free_port(), free_port()
    repoman.repositories.create("site", "raw-hosted", {"raw": {"http_port": taken}})
    assert ask(port) == {"text": "Free.", "tone": "ok"}
    assert ask("") == {"text": "No connector.", "tone": "ok"}
    for junk in ("0", "65536", "x", "٣", "9" * 5000, "-1"):
        assert ask(junk) == {"text": "Must be from 1 to 65535.", "tone": "error"}
    assert ask(taken)["text"].startswith(f"Port {taken} belongs to site. Free ports near it: ")
    assert ask(taken, name="site")["text"] == "Not open yet."
    main = repoman.settings.server.port
    assert ask(main)["text"].startswith(f"Port {main} is the main port of this server.")


def test_a_port_of_another_program_is_refused_with_free_ones(admin):
    with socket.socket() as program:
        program.bind(("127.0.0.1", port := free_port()))
        program.listen(1)
        answer = admin.get(f"{LIST}/-/new/port?value={port}").json
    assert answer["tone"] == "error"
    assert answer["text"].startswith(f"Another program listens on port {port}. Free ports near it")


def test_a_port_does_not_tell_of_repositories_that_one_may_not_know(repoman, browser_of):
    port = free_port()
    repoman.repositories.create("secret", "raw-hosted", {"raw": {"http_port": port}})
    ann = browser_of("nx-repository-admin-raw-files-add")
    text = ann.get(f"{LIST}/-/new/port?value={port}").json["text"]
    assert text.startswith(f"Port {port} belongs to another repository.")
    assert ann.get(f"{LIST}/-/new/port?value={port}&name=secret").status_code == 404


# Changing ----------------------------------------------------------------------------------------


def test_settings_are_changed_and_secrets_stay(repoman, admin, mirror):
    page = admin.get(f"{LIST}/mirror")
    assert SECRET not in page.text
    assert STARS not in page.text
    answer = send(admin, "mirror", proxy__metadata_max_age="7", online=[])
    assert (answer.status_code, answer.location) == (303, f"{LIST}/mirror")
    assert "The settings of mirror were saved." in admin.get(f"{LIST}/mirror").text
    config = repoman.repositories.get("mirror").config
    assert config.sections["proxy"].metadata_max_age == 7
    assert config.sections["http_client"].password.get_secret_value() == SECRET
    assert not config.is_online


def test_a_form_that_changes_nothing_leaves_everything_as_it_is(repoman, admin, mirror):
    before = repoman.repositories.get("mirror")
    assert send(admin, "mirror").status_code == 303
    assert repoman.repositories.get("mirror") is before


def test_two_people_changing_one_repository_do_not_overwrite_each_other(repoman, admin, mirror):
    seen = fields_of(admin.get(f"{LIST}/mirror"))
    repoman.repositories.update("mirror", {"proxy": {"metadata_max_age": 99}})
    seen.setlist("proxy.content_max_age", ["5"])
    answer = admin.open("POST", f"{LIST}/mirror", data=seen)
    assert answer.status_code == 409
    assert "Somebody has changed this since you opened it." in answer.text
    assert "Stored now: 99" in answer.text
    again = fields_of(answer)
    assert admin.open("POST", f"{LIST}/mirror", data=again).status_code == 303
    assert repoman.repositories.get("mirror").config.sections["proxy"].content_max_age == 5


def test_members_are_ordered_and_added_without_a_script(repoman, admin):
    for name in ("two", "three"):
        repoman.repositories.create(name, "raw-hosted", {})
    settings = {"group": {"members": ["files", "two"]}}
    repoman.repositories.create("whole", "raw-group", settings)
    fields = fields_of(admin.get(f"{LIST}/whole"))
    fields["group.members.move"], fields["group.members.add"] = "add", "three"
    page = admin.open("POST", f"{LIST}/whole", data=fields)
    fields = fields_of(page)
    fields["group.members.move"] = "up three"
    fields = fields_of(admin.open("POST", f"{LIST}/whole", data=fields))
    fields["group.pins"] = "acme/* = two, files"
    fields["group.writable_member"] = "two"
    assert admin.open("POST", f"{LIST}/whole", data=fields).status_code == 303
    group = repoman.repositories.get("whole").config.sections["group"]
    assert group.members == ("files", "three", "two")
    assert group.pins == {"acme/*": ("two", "files")}
    assert group.writable_member == "two"


def test_what_a_repository_may_use_is_proposed(repoman, admin, mirror):
    repoman.routing_rules.create(RoutingRule("internal", RoutingMode.BLOCK, ("/x/.*",)))
    repoman.cleanup_policies.create(CleanupPolicy("old", "raw", last_updated_days=3))
    send(admin, "mirror", routing__rule="internal", cleanup__policy_names="old")
    sections = repoman.repositories.get("mirror").config.sections
    assert sections["routing"].rule == "internal"
    assert sections["cleanup"].policy_names == ("old",)


def test_a_group_shares_nothing_that_one_may_not_read(repoman, browser_of):
    repoman.repositories.create("secret", "raw-hosted", {})
    repoman.repositories.create("whole", "raw-group", {"group": {"members": ["files"]}})
    on = ("admin-raw-whole", "view-raw-whole", "view-raw-files")
    ann = browser_of(*(f"nx-repository-{each}-*" for each in on))
    assert "secret" not in ann.get(f"{LIST}/whole").text
    for what in ({}, {"try": "trace", "trace__path": "a"}):
        answer = send(ann, "whole", group__members=["files", "secret"], **what)
        assert "'secret' is not the name of another repository." in unescape(answer.text)
    assert repoman.repositories.get("whole").config.sections["group"].members == ("files",)


# Trying ------------------------------------------------------------------------------------------


def test_an_upstream_is_asked_with_values_that_are_not_saved(repoman, admin, mirror, upstream):
    answer = send(admin, "mirror", proxy__remote_url=upstream.url, **{"try": "upstream"})
    assert answer.status_code == 200
    assert "The upstream answers" in answer.text
    assert value_of(answer, "proxy.remote_url") == upstream.url
    assert mirror is repoman.repositories.get("mirror")
    assert mirror.config.sections["proxy"].remote_url == "http://127.0.0.1:9"
    assert [each.authorization for each in upstream.log] == [None], "of another server"
    with executed_statements() as statements:
        answer = send(admin, "mirror", **{"try": "upstream"})
    assert [each for each in statements if "remote" in each and "SELECT" not in each] == []
    assert "<b>The upstream does not answer</b>" in answer.text
    assert "The remote http://127.0.0.1:9 cannot be reached" in answer.text
    assert mirror.capabilities.remote.state.reason == ""


def test_an_upstream_is_asked_for_a_repository_that_has_no_name_yet(admin, upstream):
    answer = send(admin, "-/new/raw-proxy", proxy__remote_url=upstream.url, **{"try": "upstream"})
    assert "The upstream answers" in answer.text
    answer = send(admin, "-/new/raw-proxy", proxy__remote_url="nothing", **{"try": "upstream"})
    assert "It was not asked" in answer.text
    assert "Address of the upstream: Must be an http or https address" in answer.text
    assert said(answer, "proxy.remote_url").startswith("Must be an http or https address")


def test_who_answers_is_tried_with_members_that_are_not_saved(repoman, admin):
    repoman.repositories.create("two", "raw-hosted", {})
    repoman.repositories.create("whole", "raw-group", {"group": {"members": ["files"]}})
    assert 'placeholder="Such as /docs/manual.pdf"' in admin.get(f"{LIST}/whole").text
    changes = {"group__members": ["two", "files"], "try": "trace"}
    answer = send(admin, "whole", trace__path="docs/a.txt", **changes)
    traced = answer.text[answer.text.index('id="traced"') :]
    assert traced.index("<b>two</b>") < traced.index("<b>files</b>")
    assert "No member has it: a client gets 404." in traced
    assert repoman.repositories.get("whole").config.sections["group"].members == ("files",)
    assert "Enter a path." in send(admin, "whole", trace__path="", **changes).text
    assert send(admin, "whole", trace__path="x" * 9000, **changes).status_code == 200


# Deleting ----------------------------------------------------------------------------------------


def test_a_deletion_says_first_what_goes(repoman, admin, mirror):
    for name in ("two", "files-two"):
        repoman.repositories.create(name, "raw-hosted", {})
    port = free_port()
    repoman.repositories.update("two", {"raw": {"http_port": port}})
    group = {"members": ["two", "files"], "pins": {"a/*": ["two"]}, "writable_member": "two"}
    repoman.repositories.create("whole", "raw-group", {"group": group})
    right = "nx-repository-view-raw-two-read"
    repoman.security.roles.create(Role("readers", "readers", "", (right,)))
    for name, patterns in (("one", ("two",)), ("both", ("*two",)), ("all", ())):
        repoman.security.user_tokens.create("admin", name, Limit(repositories=patterns))
    page = admin.get(f"{LIST}/two/delete").text
    text = re.sub(r"<[^>]*>", "", page)
    assert f"port {port}: free for others at once" in text
    assert "whole loses a member, the one that takes pushes and 1 pin to it" in text
    assert "1 privilege on it, taken from the role readers" in text
    assert "1 is for it alone" in text
    assert "Nothing was ever stored here" in text
    assert repoman.repositories.find("two")


@pytest.mark.parametrize("typed", ["", "FILES", "files "])
def test_only_the_right_name_deletes(repoman, admin, typed):
    admin.get(f"{LIST}/files/delete")
    answer = admin.post(f"{LIST}/files/delete", typed=typed)
    if typed.strip() == "files":
        assert answer.location == LIST
        assert "files was deleted." in admin.get(LIST).text
        assert repoman.repositories.find("files") is None
    else:
        assert answer.status_code == 400
        assert "Type files to delete it." in answer.text
        assert repoman.repositories.find("files")


def test_who_may_only_edit_does_not_delete(repoman, browser_of):
    rights = ("nx-repository-admin-raw-files-read", "nx-repository-admin-raw-files-edit")
    ann = browser_of(*rights)
    assert "Delete" not in ann.get(f"{LIST}/files").text
    assert ann.get(f"{LIST}/files/delete").status_code == 403
    assert ann.post(f"{LIST}/files/delete", typed="files").status_code == 403
    assert ann.get(f"{LIST}/nowhere/delete").status_code == 404
    assert repoman.repositories.find("files")
