"""Commands that show what a server holds, and why it decides as it does."""

import json

import requests

from tests.clock import WAIT_S


def test_what_is_stored_and_who_may_do_what(server):
    for recipe, name, settings in (
        ("raw-hosted", "files", ()),
        ("raw-hosted", "more", ()),
        ("raw-group", "all", ("--set", "group.members=files,more")),
    ):
        server.cli("repo", "create", recipe, name, *settings)
    url = f"{server.main_url}/repository/files/docs/a.txt"
    for data in (b"12345", b"123"):
        done = requests.put(url, data=data, auth=server.admin, timeout=WAIT_S)
        assert done.status_code < 300, done.text
    tell_usage(server)
    tell_events(server)
    tell_traces(server)
    tell_rights(server)


def tell_usage(server):
    lines = [line.split("  ") for line in server.cli("space").stdout.splitlines()]
    shown = [[each.strip() for each in line if each.strip()] for line in lines]
    assert ["files", "3 bytes", "3 bytes", "0 bytes"] in shown
    assert ["waiting to be freed", "5 bytes"] in shown
    assert ["0 incomplete uploads", "0 bytes"] in shown
    assert ["Freed within 7 days: 0 bytes; within 24 hours: 0 bytes."] in shown
    [store] = json.loads(server.cli("space", "--json").stdout)["blobStores"]
    assert (store["name"], store["size"], store["waiting"]) == ("default", 8, 5)
    assert {"name": "files", "size": 3, "ownSize": 3, "byRule": None} in store["repositories"]
    assert json.loads(server.cli("space", "more", "--json").stdout) == []
    assert json.loads(server.cli("space", "files", "--days", "7", "--json").stdout) == []
    told = server.cli("space", "files", "--days", "7").stdout.splitlines()
    assert told[-1].split() == ["now", "3", "bytes", "3", "bytes", "0", "bytes"]
    assert "no repository 'none'" in server.cli("space", "none", check=False).stderr


def tell_events(server):
    lines = server.cli("event", "list").stdout.splitlines()
    assert [line.split()[1:4] for line in lines] == [
        ["admin", "updated", "files"],
        ["admin", "created", "files"],
    ]
    page = server.cli("event", "list", "--limit", "1", "--json")
    [event] = map(json.loads, page.stdout.splitlines())
    assert f"--after {event['id']}" in page.stderr
    rest = server.cli("event", "list", "--after", str(event["id"])).stdout.splitlines()
    assert rest == lines[1:]
    first = server.cli("event", "list", "--oldest-first", "--limit", "1").stdout.splitlines()
    assert first == lines[1:]
    assert server.cli("event", "list", "--actor", "nobody").stdout == ""


def tell_traces(server):
    shown = server.cli("repo", "trace", "all", "/docs/a.txt").stdout
    assert shown.splitlines() == ["files: found", "more: not asked: files has it."]
    told = json.loads(server.cli("repo", "trace", "all", "/docs/a.txt", "--json").stdout)
    assert [each["outcome"] for each in told] == ["found", "not asked"]
    refused = server.cli("repo", "trace", "files", "/docs/a.txt", check=False)
    assert (refused.returncode, "not a group" in refused.stderr) == (1, True)


def tell_rights(server):
    server.cli("selector", "create", "docs", 'path =^ "/docs/"')
    options = ("--selector", "docs", "--repository", "files", "--action", "read")
    server.cli("privilege", "create", "repository-content-selector", "docs-read", *options)
    server.cli("role", "create", "base", "--privilege", "docs-read")
    server.cli("role", "create", "team", "--role", "base")
    server.cli("user", "create", "ana", "--robot", "--role", "team")
    asked = ("user", "rights", "ana", "files", "/docs/a.txt")
    done = server.cli(*asked, "--action", "read", "--action", "add", check=False)
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        [
            "add: denied",
            "read: allowed",
            "    role team, which includes base: privilege docs-read, content selector docs",
        ],
    )
    assert server.cli(*asked, "--action", "read").returncode == 0
    told = json.loads(server.cli(*asked, "--json").stdout)
    assert [each["action"] for each in told if each["is_allowed"]] == ["read"]
    server.cli("user", "set", "ana", "--disable")
    assert "ana is disabled" in server.cli(*asked).stderr
    for words, problem in (
        (("nobody", "files"), "no user 'nobody'"),
        (("ana", "nothing"), "no repository 'nothing'"),
        (("ana", "files", "a"), "must begin with a slash"),
    ):
        refused = server.cli("user", "rights", *words, check=False)
        assert (refused.returncode, problem in refused.stderr) == (1, True)
