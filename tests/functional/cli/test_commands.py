"""The same things have the same commands, whatever they are about."""

import json

import click
import pytest
from click.testing import CliRunner

from repoman.cli import cli

SYNONYMS = {"update", "change", "edit", "modify", "get", "describe", "info"}
ALWAYS_JSON = {"component show", "asset show"}
# What takes a look at the files of a store is not in the list of all stores.
SHOWN_ONLY = {"blobstore": {"reclaimable", "temporary", "damaged", "verification"}}
OF_FILES = {"cert show"}  # What it shows are files of the configuration, in the words of OpenSSL.


def commands(group=cli, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        else:
            yield " ".join((*path, name)), found


def test_what_changes_a_thing_is_called_set():
    names = [name for name, _ in commands()]
    assert "repo set" in names
    assert [name for name in names if name.split()[-1] in SYNONYMS] == []


def test_what_lists_or_shows_prints_json_on_request():
    lacking = {
        name
        for name, each in commands()
        if name.split()[-1] in ("list", "show")
        and not any("--json" in option.opts for option in each.params)
    }
    assert lacking == ALWAYS_JSON | OF_FILES


@pytest.mark.parametrize("kind", ["repo", "task"])
def test_former_names_are_gone(kind):
    done = CliRunner().invoke(cli, [kind, "update", "x"])
    assert (done.exit_code, "No such command 'update'" in done.output) == (2, True)


@pytest.fixture
def run(repoman_factory, monkeypatch):
    repoman_factory({}).repositories.all()
    monkeypatch.setenv("REPOMAN_DATA", str(repoman_factory.data))

    def call(*arguments, **options):
        done = CliRunner().invoke(cli, arguments, catch_exceptions=False, **options)
        assert done.exit_code == 0, done.output
        return done.output

    return call


@pytest.mark.parametrize(
    ("kind", "arguments", "shown"),
    [
        ("routing", ["inner", "/a/.*"], {"name": "inner", "matchers": ["/a/.*"], "in_use": 0}),
        ("cleanup", ["old", "--updated-days", "9"], {"name": "old", "last_updated_days": 9}),
        ("selector", ["team", 'path =^ "/a/"'], {"name": "team", "expression": 'path =^ "/a/"'}),
        ("blobstore", ["more", "--used-quota", "9"], {"name": "more", "blobs": 0}),
        ("role", ["dev", "--privilege", "nx-all"], {"id": "dev", "privileges": ["nx-all"]}),
        (
            "ldap",
            [
                "people",
                "protocol=LDAP",
                "host=ldap.example.com",
                "port=389",
                "search_base=dc=example,dc=com",
                "auth_scheme=NONE",
            ],
            {"name": "people", "host": "ldap.example.com", "auth_password": ""},
        ),
    ],
)
def test_one_thing_is_shown_as_in_the_list(run, kind, arguments, shown):
    run(kind, "create", *arguments)
    name = arguments[0]
    found = json.loads(run(kind, "show", name, "--json"))
    assert found.items() >= shown.items()
    listed = json.loads(run(kind, "list", "--json"))
    varying = {"free": found.get("free")}  # Others write to the disk.
    shown = {key: value for key, value in found.items() if key not in SHOWN_ONLY.get(kind, ())}
    assert shown in [{**each, **varying} if "free" in each else each for each in listed]
    text = run(kind, "show", name)
    assert name in text
    unknown = CliRunner().invoke(cli, [kind, "show", "nobody"])
    assert "nobody" in str(unknown.exception)


def test_tasks_options_and_realms_as_json(run):
    task = json.loads(run("task", "list", "--json").splitlines()[0])
    assert json.loads(run("task", "show", task["name"], "--json")) == {**task, "runs": []}
    types = json.loads(run("task", "types", "--json"))
    assert {each["id"] for each in types} >= {"blobstore.verify"}
    options = json.loads(run("option", "list", "--json"))
    assert json.loads(run("option", "show", "http", "--json")) == options["http"]
    realms = {each["name"]: each for each in json.loads(run("realm", "list", "--json"))}
    assert realms["local"]["active"] is True
    assert realms["ldap"]["id"] == "LdapRealm"
    assert "LdapRealm" in run("realm", "list")
    assert [each["name"] for each in json.loads(run("plugins", "--json"))]


def test_a_folder_is_deleted_after_a_question(run, tmp_path):
    run("repo", "create", "raw-hosted", "files")
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        run("component", "upload", "files", str(tmp_path / name), "--field", "directory=/a/b")
    question = run("asset", "delete-folder", "files", "a/b", input="y\n")
    assert "Delete 2 files in a/b of files?" in question
    assert "deleted 2 files in a/b from files" in question
    unknown = CliRunner().invoke(cli, ["asset", "delete-folder", "files", "a", "--yes"])
    assert "There is no folder a in files." in str(unknown.exception)


def test_quotas_by_commands(run):
    run("blobstore", "set", "default", "--hard-quota", "9")
    assert "hard quota 9" in run("blobstore", "list")
    run("repo", "create", "raw-hosted", "limited", "--set", "quota.limit=2048")
    told = run("space")
    assert "limited, of at most 2.0 KiB" in told
    assert "free), of at most 9 bytes" in told
    run("blobstore", "set", "default", "--no-hard-quota", "--used-quota", "5")
    shown = json.loads(run("blobstore", "show", "default", "--json"))
    assert (shown["hard_quota"], shown["refusal"]) == (None, "")
    assert shown["quota"] == {"kind": "used", "limit": 5}
    for wrong in ([], ["--hard-quota", "1", "--no-hard-quota"], ["--no-quota", "--used-quota=1"]):
        done = CliRunner().invoke(cli, ["blobstore", "set", "default", *wrong])
        assert "Give one of" in str(done.exception)


def test_a_file_that_is_not_there_is_told_and_nothing_is_uploaded(run, tmp_path):
    run("repo", "create", "raw-hosted", "files")
    (tmp_path / "one").write_text("one")
    for other in ("missing", "."):
        words = ["component", "upload", "files", str(tmp_path / "one"), str(tmp_path / other)]
        done = CliRunner().invoke(cli, words)
        assert (done.exit_code, type(done.exception)) == (2, SystemExit)
        assert str(tmp_path / other) in done.output
    assert run("asset", "list", "files") == ""


@pytest.mark.parametrize("kind", ["audit", "event"])
def test_an_id_that_is_none_is_told(run, kind):
    done = CliRunner().invoke(cli, [kind, "list", "--after", str(10**20)])
    assert (done.exit_code, "--after" in done.output) == (2, True), done.exception


def test_bytes_that_are_no_text_are_not_stored(run):
    for words in (
        ("option", "set", "ldap", "user_base=\udcff"),
        ("selector", "create", "team", 'path =^ "/a"', "--description", "\udcff"),
    ):
        done = CliRunner().invoke(cli, words)
        assert "is not UTF-8 text" in str(done.exception)
    run("export")
