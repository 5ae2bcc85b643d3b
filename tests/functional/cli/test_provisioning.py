"""The configuration as a file: exports, differences, and what applying a file does."""

import json
import re
from pathlib import Path

import pytest
import yaml

from repoman.errors import Invalid
from repoman.provisioning.documents import Secrets, parse_document, render_document
from repoman.provisioning.kinds import OptionSections
from repoman.provisioning.plan import KINDS, Provisioning
from repoman.provisioning.policy_kinds import CleanupPolicyObjects
from repoman.provisioning.security_kinds import LdapServerObjects
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.routing_records import RoutingMode, RoutingRule
from repoman.security.certificates import CertificateFiles, create_certificate
from repoman.security.ldap_servers import LdapServer
from repoman.security.rights_records import Role, SelectorRow
from repoman.security.user_records import Status
from repoman.stores.model import Quota, QuotaKind
from repoman.tasks.schedule import parse_schedule
from repoman.testing import RepomanFactory
from repoman_raw import plugin as raw
from tests.live import LiveServer

SECRET = "a very secret word"


@pytest.fixture
def factories(tmp_path):
    """Data directories by name; only the Repoman that was started last works."""
    made = {}

    def start(name):
        for each in made.values():
            each.stop()
        if name not in made:
            made[name] = RepomanFactory(tmp_path / name)
        return made[name]({"raw": raw})

    yield start
    for each in made.values():
        each.stop()


@pytest.fixture
def repoman(factories):
    return factories("first")


def make_pem(directory):
    files = CertificateFiles.below(directory / "tls")
    create_certificate(files, ["files.example.com"], days=30)
    return files.authority.read_text()


def fill(repoman):
    """Make something of every kind."""
    repositories, security = repoman.repositories, repoman.security
    repoman.stores.create("big", "disk/big", Quota(QuotaKind.USED, 10**9))
    repoman.stores.change("default", None, Quota(QuotaKind.REMAINING, 10**6))
    repoman.routing_rules.create(RoutingRule("no-beta", RoutingMode.BLOCK, (".*beta.*",), "x"))
    repoman.cleanup_policies.create(CleanupPolicy("old", notes="Old ones.", last_updated_days=90))
    repoman.trust_store.add(make_pem(repoman.data.parent))
    about = {"host": "d.example.com", "port": 636, "search_base": "dc=x", "protocol": "LDAPS"}
    simple = {"auth_scheme": "SIMPLE", "auth_username": "cn=r", "auth_password": SECRET}
    repoman.ldap_servers.create(LdapServer(name="Main one", **about, **simple))
    storage = {"write_policy": "allow_once", "blob_store": "big"}
    policies = {"policy_names": ["old"]}
    repositories.create("files", "raw-hosted", {"storage": storage, "cleanup": policies})
    repositories.create(
        "mirror",
        "raw-proxy",
        {
            "proxy": {"remote_url": "https://files.example.com"},
            "http_client": {"username": "robot", "password": SECRET},
            "routing": {"rule": "no-beta"},
        },
        is_online=False,
    )
    repositories.create("all", "raw-group", {"group": {"members": ["files", "mirror"]}})
    repositories.create("a-group", "raw-group", {"group": {"members": ["all"]}})
    security.selectors.create(SelectorRow("team", 'path =^ "/team/"', "The team's."))
    properties = {"selector": "team", "repository": "files", "actions": ["read", "browse"]}
    security.privileges.create("team-read", "repository-content-selector", properties)
    security.roles.create(Role("base", "Base", "For all.", ("team-read",)))
    security.roles.create(Role("a-lead", "a-lead", "", ("nx-tasks-run",), ("base",)))
    repoman.users.create("ann", "a password", ["a-lead"])
    repoman.users.change("ann", about={"first_name": "Ann", "email": "ann@example.com"})
    repoman.users.create("robot", None)
    repoman.users.change("robot", status=Status.DISABLED)
    repoman.options.update("anonymous", {"enabled": True, "roles": ["base"]})
    ldap = {"urls": ["ldaps://d.example.com"], "user_base": "dc=x", "bind_dn": "cn=r"}
    repoman.options.update("ldap", {**ldap, "bind_password": SECRET})
    when = parse_schedule("weekly mon 03:00", "Europe/Berlin")
    for _ in range(2):
        repoman.tasks.create("blobstore.verify", "look", {}, when, is_enabled=False)


SECRETS = Secrets(
    {
        "REPOSITORY_MIRROR_SETTINGS_HTTP_CLIENT_PASSWORD": SECRET,
        "OPTIONS_LDAP_BIND_PASSWORD": SECRET,
        "LDAP_SERVER_MAIN_ONE_AUTH_PASSWORD": SECRET,
    }
)


def export(repoman, *, is_full=False):
    document, skipped = Provisioning(repoman).export(is_full=is_full)
    assert skipped == []
    return document


def apply(repoman, document, **options):
    """Apply a document, or YAML, and return what was done as texts."""
    if isinstance(document, str):
        document = parse_document(document.encode())
    applied = Provisioning(repoman, SECRETS).apply(document, **options)
    return [f"{each.what} {each.kind.noun} {each.name}" for each in applied.changes]


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "short"])
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_an_export_makes_a_fresh_server_the_same(factories, is_full, form):
    fill(factories("first"))
    document = export(factories("first"), is_full=is_full)
    text = render_document(document, form)
    assert SECRET not in text
    assert "password_hash" not in text
    fresh = factories("second")
    apply(fresh, parse_document(text.encode()))
    assert export(fresh, is_full=is_full) == document
    assert apply(fresh, parse_document(text.encode())) == []
    mirror = fresh.repositories.get("mirror").config
    assert mirror.sections["http_client"].password.get_secret_value() == SECRET
    assert not mirror.is_online
    assert fresh.ldap_servers.get("Main one").auth_password.get_secret_value() == SECRET
    assert fresh.options.read("ldap").bind_password.get_secret_value() == SECRET
    assert [each.name for each in fresh.tasks.all() if each.name.startswith("look")] == [
        "look",
        "look (2)",
    ]


def test_each_secret_has_a_reference_of_its_own_however_alike_names_are(repoman):
    for name in ("my-hub", "my.hub", "my_hub"):
        proxy = {"remote_url": f"https://{name.replace('_', '')}.example.com"}
        client = {"username": "robot", "password": f"of {name}"}
        repoman.repositories.create(name, "raw-proxy", {"proxy": proxy, "http_client": client})
    found = [
        each["settings"]["http_client"]["password"]["secret"]
        for each in export(repoman)["repositories"].values()
    ]
    usual = "REPOSITORY_MY_HUB_SETTINGS_HTTP_CLIENT_PASSWORD"
    assert found == [usual, f"{usual}_2", f"{usual}_3"]


def test_an_export_applied_to_the_same_server_changes_nothing(repoman):
    fill(repoman)
    for is_full in (True, False):
        document = export(repoman, is_full=is_full)
        assert apply(repoman, document, prune=True) == []
        assert apply(repoman, document, prune=True, dry_run=True) == []


def test_the_order_in_a_file_does_not_matter(repoman):
    text = """
    roles:
      lead: {roles: [base]}
      base: {privileges: [team-read]}
    privileges:
      team-read:
        type: repository-content-selector
        properties: {selector: team, repository: files, actions: [read]}
    repositories:
      a-group: {recipe: raw-group, settings: {group: {members: [b-group]}}}
      b-group: {recipe: raw-group, settings: {group: {members: [files]}}}
      files: {recipe: raw-hosted}
    content_selectors:
      team: {expression: 'path =^ "/team/"'}
    """
    assert len(apply(repoman, text)) == 7
    assert apply(repoman, text) == []
    assert repoman.repositories.get("a-group").problem is None


def test_keys_that_are_left_out_get_their_defaults_but_secrets_stay(repoman):
    fill(repoman)
    text = """
    repositories:
      mirror:
        recipe: raw-proxy
        settings:
          proxy: {remote_url: "https://files.example.com", content_max_age: 5}
          routing: {rule: no-beta}
    """
    [change] = Provisioning(repoman, SECRETS).apply(parse_document(text.encode())).changes
    assert change.values() == [
        ("online", False, True),
        ("settings.proxy.content_max_age", 1440, 5),
        ("settings.http_client.username", "robot", ""),
    ]
    http = repoman.repositories.get("mirror").config.sections["http_client"]
    assert http.password.get_secret_value() == SECRET
    told = repoman.audit.search({"domain": "repository"}, limit=1)[0]
    assert told["attributes"]["keys"] == "proxy.content_max_age http_client.username"


def test_secrets_change_and_go_by_the_file_and_are_never_shown(repoman):
    fill(repoman)
    document = export(repoman)
    mirror = document["repositories"]["mirror"]["settings"]["http_client"]
    for value in ("another word", ""):
        mirror["password"] = value
        [change] = Provisioning(repoman, SECRETS).apply(document).changes
        [(path, old, new)] = change.values()
        assert path == "settings.http_client.password"
        assert SECRET not in f"{old}{new}{change}"
        http = repoman.repositories.get("mirror").config.sections["http_client"]
        assert http.password.get_secret_value() == value
    assert SECRET not in json.dumps(repoman.audit.search(limit=1000))


def test_a_secret_of_the_file_goes_with_a_proxy_to_another_server(repoman):
    fill(repoman)
    document = export(repoman)
    mirror = document["repositories"]["mirror"]["settings"]
    mirror["proxy"]["remote_url"] = "https://files.example.org"
    assert apply(repoman, document) == ["change repository mirror"]
    http = repoman.repositories.get("mirror").config.sections["http_client"]
    assert http.password.get_secret_value() == SECRET
    assert apply(repoman, document) == []


def test_a_secret_that_the_file_leaves_out_goes_to_no_other_server(repoman):
    fill(repoman)
    document = export(repoman)
    mirror = document["repositories"]["mirror"]["settings"]
    del mirror["http_client"]["password"]
    mirror["proxy"]["remote_url"] = "https://files.example.org"
    [change] = Provisioning(repoman, SECRETS).apply(document, dry_run=True).changes
    assert [path for path, *_ in change.values()] == [
        "settings.proxy.remote_url",
        "settings.http_client.password",
    ]
    apply(repoman, document)
    http = repoman.repositories.get("mirror").config.sections["http_client"]
    assert http.password.get_secret_value() == ""
    assert apply(repoman, document) == []


def test_a_secret_that_is_not_known_is_told_with_its_path(repoman):
    text = """
    repositories:
      mirror:
        recipe: raw-proxy
        settings:
          proxy: {remote_url: "https://files.example.com"}
          http_client: {password: {secret: NOWHERE}}
    """
    with pytest.raises(Invalid) as caught:
        apply(repoman, text)
    assert str(caught.value).startswith(
        "repositories.mirror.settings.http_client.password: the secret NOWHERE is not known."
    )


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(repoman):
    fill(repoman)
    before = export(repoman)
    events = len(repoman.audit.search(limit=1000))
    text = """
    repositories:
      files: {recipe: raw-hosted, settings: {storage: {blob_store: big}}}
      new: {recipe: raw-hosted}
    users: {ann: {}}
    """
    done = apply(repoman, text, prune=True, dry_run=True)
    assert done == [
        "change repository files",
        "create repository new",
        "delete repository a-group",
        "delete repository all",
        "delete repository mirror",
        "change user ann",
        "delete user admin",
        "delete user robot",
    ]
    assert export(repoman) == before
    assert len(repoman.audit.search(limit=1000)) == events
    assert repoman.repositories.find("new") is None
    assert repoman.repositories.find("mirror") is not None


def test_a_dry_run_fails_where_applying_would(repoman):
    text = "repositories: {g: {recipe: raw-group, settings: {group: {members: [gone]}}}}"
    for dry_run in (True, False):
        with pytest.raises(Invalid, match=r"repositories\.g: group\.members: 'gone' is not"):
            apply(repoman, text, dry_run=dry_run)


def test_blob_stores_are_created_first_and_a_dry_run_leaves_them_out(repoman):
    text = """
    repositories: {new: {recipe: raw-hosted, settings: {storage: {blob_store: fast}}}}
    blob_stores: {fast: {quota: {kind: used, limit: 1000}}}
    """
    both = ["create blob store fast", "create repository new"]
    assert apply(repoman, text, dry_run=True) == both
    assert "fast" not in export(repoman)["blob_stores"]
    assert apply(repoman, text) == both
    assert apply(repoman, text) == []
    assert apply(repoman, "blob_stores: {}\nrepositories: {}", prune=True) == [
        "delete blob store fast",
        "delete repository new",
    ]


def test_what_fails_in_the_middle_is_taken_back(repoman, monkeypatch):
    before = export(repoman)

    def fail(*_args, **_options):
        raise RuntimeError("as a kill would end it")

    monkeypatch.setattr(repoman.tasks, "create", fail)
    text = """
    repositories: {new: {recipe: raw-hosted}}
    users: {new: {}}
    tasks: {new: {type: blobstore.verify}}
    """
    with pytest.raises(RuntimeError):
        apply(repoman, text)
    assert export(repoman) == before
    assert repoman.repositories.find("new") is None
    monkeypatch.undo()
    assert len(apply(repoman, text)) == 3


def test_what_was_interrupted_at_the_end_is_finished_by_a_second_time(repoman, monkeypatch):
    fill(repoman)
    document = export(repoman)
    del document["users"]["robot"], document["tasks"]["look (2)"]

    def fail(*_args, **_options):
        raise RuntimeError("as a kill would end it")

    monkeypatch.setattr(repoman.users, "delete", fail)
    with pytest.raises(RuntimeError):
        apply(repoman, document, prune=True)
    monkeypatch.undo()
    assert "robot" in export(repoman)["users"]
    assert "delete user robot" in apply(repoman, document, prune=True)
    assert export(repoman) == document


def test_pruning_deletes_only_in_the_sections_of_the_file(repoman):
    fill(repoman)
    document = export(repoman)
    assert apply(repoman, {"roles": document["roles"]}, prune=True) == []
    del document["repositories"]["a-group"], document["roles"]["a-lead"]
    del document["users"]["robot"], document["tasks"]["look (2)"]
    document["users"]["ann"]["roles"] = ["base"]
    assert apply(repoman, document) == ["change user ann"]
    assert apply(repoman, document, prune=True) == [
        "delete repository a-group",
        "delete role a-lead",
        "delete user robot",
        "delete task look (2)",
    ]
    assert export(repoman) == document


def test_everything_can_be_pruned_but_what_is_needed(repoman):
    fill(repoman)
    sections = (
        *("content_selectors", "privileges", "roles", "repositories", "tasks", "ldap_servers"),
        *("blob_stores", "routing_rules", "cleanup_policies", "certificates"),
    )
    empty = {section: {} for section in sections}
    options = {"anonymous": {"roles": []}}
    apply(repoman, {**empty, "options": options}, prune=True)
    document = export(repoman)
    stores = document.pop("blob_stores")
    assert not any(document.get(section) for section in sections)
    assert list(stores) == ["default"]  # It is in the settings file.
    with pytest.raises(Exception, match="no active local user with all permissions"):
        apply(repoman, {"users": {}}, prune=True)
    assert "admin" in export(repoman)["users"]


def test_a_port_moves_from_a_pruned_repository_to_another_one(tmp_path):
    from repoman_docker import plugin as docker

    factory = RepomanFactory(tmp_path / "docker")
    repoman = factory({"docker": docker})
    try:
        old = "repositories: {a: {recipe: docker-hosted, settings: {docker: {http_port: 5817}}}}"
        apply(repoman, old)
        assert apply(repoman, old.replace("{a:", "{b:"), prune=True) == [
            "create repository b",
            "delete repository a",
        ]
    finally:
        factory.stop()


WRONG = (
    ("repository: {}", "repository: there is no such section; did you mean repositories?"),
    ("version: 2", "version: this program reads version 1, not 2."),
    ("repositories: [a]", "repositories: must be a mapping."),
    ("repositories: {a: x}", "repositories.a: must be a mapping."),
    ("repositories: {a: {}}", "repositories.a.recipe: is required"),
    ("repositories: {a: {recipe: x}}", "repositories.a.recipe: there is no recipe 'x'"),
    (
        "repositories: {a: {recipe: raw-hosted, settings: {x: {}}}}",
        "repositories.a.settings.x: there is no such section",
    ),
    (
        "repositories: {a: {recipe: raw-hosted, settings: {storage: {x: 1}}}}",
        "repositories.a.settings.storage.x: unknown key",
    ),
    (
        "repositories: {a: {recipe: raw-hosted, settings: {storage: 7}}}",
        "repositories.a.settings",
    ),
    ("repositories: {a: {recipe: raw-hosted, online: 7}}", "repositories.a.online:"),
    ("repositories: {'a b': {recipe: raw-hosted}}", "repositories.a b: name: 'a b' is not"),
    (
        "repositories: {a: {recipe: raw-hosted, settings: {storage: {blob_store: x}}}}",
        "repositories.a: storage.blob_store: there is no blob store 'x'",
    ),
    ("content_selectors: {a: {expression: x}}", "content_selectors.a.expression:"),
    ("privileges: {a: {type: x}}", "privileges.a.type: there is no privilege type 'x'"),
    ("privileges: {a: {type: wildcard}}", "privileges.a.properties.pattern: is required"),
    ("roles: {a: {privileges: [x]}}", "roles.a: privileges: there is no privilege 'x'"),
    ("roles: {nx-admin: {}}", "roles.nx-admin: name: 'nx-admin' begins with 'nx-'"),
    ("roles: {a: {roles: [a]}}", "roles.a: roles: 'a' would include 'a'"),
    ("users: {a: {roles: [x]}}", "users.a: roles: there is no role 'x'"),
    ("users: {a: {password: x}}", "users.a: password: must have 8 to"),
    ("blob_stores: {a: {path: ../x}}", "blob_stores.a: path: '../x' must not contain"),
    ("blob_stores: {big: {path: x}}", "blob_stores.big.path: cannot be changed"),
    ("blob_stores: {a: {quota: {kind: used}}}", "blob_stores.a.quota.limit: is required"),
    ("routing_rules: {a: {mode: allow, matchers: ['(']}}", "routing_rules.a.matchers"),
    ("routing_rules: {a: {mode: x, matchers: [x]}}", "routing_rules.a.mode"),
    ("cleanup_policies: {a: {retain: 0}}", "cleanup_policies.a: retain: must be"),
    ("certificates: {a: {pem: x}}", "certificates.a.pem: This is not a certificate"),
    ("ldap_servers: {a: {host: x}}", "ldap_servers.a."),
    ("options: {x: {}}", "options.x: There are no options 'x'"),
    ("options: {anonymous: {x: 1}}", "options.anonymous.x: unknown key"),
    ("tasks: {a: {type: x}}", "tasks.a.type: there is no task type 'x'"),
    ("tasks: {a: {type: blobstore.verify, schedule: x}}", "tasks.a.schedule"),
)


def test_what_is_wrong_is_told_with_its_path_and_nothing_is_changed(repoman):
    fill(repoman)
    before = export(repoman)
    good = parse_document(b"repositories: {good: {recipe: raw-hosted}}")
    for text, problem in WRONG:
        with pytest.raises(Invalid) as caught:
            apply(repoman, {**good, **parse_document(text.encode())})
        assert str(caught.value).startswith(problem)
    assert export(repoman) == before


def test_all_that_is_wrong_is_told_at_once(repoman):
    text = "roles: {a: 1, b: 2}\nusers: {c: 3}\ntasks: {d: 4}"
    with pytest.raises(Invalid) as caught:
        apply(repoman, text)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "roles.a",
        "roles.b",
        "users.c",
        "tasks.d",
    ]


def test_what_cannot_change_is_refused(repoman):
    fill(repoman)
    for text, problem in (
        ("repositories: {files: {recipe: raw-group}}", "repositories.files.recipe: cannot be"),
        ("privileges: {team-read: {type: wildcard, properties: {pattern: 'nexus:*'}}}", "type: ca"),
    ):
        with pytest.raises(Invalid, match=problem):
            apply(repoman, text)


def test_a_task_that_ran_once_stays_as_it_is(factories):
    repoman = factories("first")
    soon = parse_schedule("once 2027-03-01T02:00")
    task = repoman.tasks.create("blobstore.verify", "once", {}, soon)
    document = export(repoman)
    assert document["tasks"]["once"]["schedule"] == "once 2027-03-01T02:00"
    past = parse_schedule("once 2020-03-01T02:00")
    with pytest.raises(Invalid):
        repoman.tasks.update(task, schedule=past)
    text = "tasks: {once: {type: blobstore.verify, schedule: once 2020-03-01T02:00}}"
    fresh = factories("second")
    assert apply(fresh, text) == ["create task once"]
    assert export(fresh)["tasks"]["once"]["enabled"] is False
    assert apply(fresh, text) == []


def test_a_repository_of_a_lost_plugin_is_left_alone(tmp_path):
    factory = RepomanFactory(tmp_path / "data")
    factory({"raw": raw}).repositories.create("files", "raw-hosted", {})
    try:
        repoman = factory({})
        document, skipped = Provisioning(repoman).export()
        assert (document["repositories"], skipped) == ({}, ["repository files"])
        applied = Provisioning(repoman).apply({"repositories": {}}, prune=True)
        assert (applied.changes, applied.skipped) == ((), ("repository files",))
        assert factory({"raw": raw}).repositories.get("files").problem is None
    finally:
        factory.stop()


def test_the_manual_names_what_an_entry_may_have():
    manual = (Path(__file__).parents[3] / "docs/automation.md").read_text()
    for kind in KINDS:
        if kind in (CleanupPolicyObjects, LdapServerObjects, OptionSections):
            continue  # It points to where theirs are.
        [row] = re.findall(rf"^\| `{kind.section}` \|(.*)$", manual, re.MULTILINE)
        named = set(re.findall(r"`(\w+)`", row))
        others = {"blobs", "kind", "limit"}  # a directory, and what a quota has
        assert named - others == kind.entry.model_fields.keys(), kind.section


# The commands ------------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path):
    """A server that is not started, with its data."""
    server = LiveServer(tmp_path / "alone")
    server.cli("init")
    yield server
    server.end()


def test_the_commands_write_and_read_files(alone, tmp_path):
    file = tmp_path / "repoman.yaml"
    alone.cli("export", str(file))
    document = yaml.safe_load(file.read_text())
    assert document["version"] == 1
    assert json.loads(alone.cli("export", "--format", "json").stdout) == document
    alone.cli("export", str(file.with_suffix(".json")))
    assert json.loads(file.with_suffix(".json").read_text()) == document
    assert alone.cli("apply", str(file)).stdout == "There are no differences.\n"
    document["roles"]["team"] = {"privileges": ["nx-search-read"]}
    given = json.dumps(document)
    shown = alone.cli("apply", "-", "--dry-run", given=given, check=False)
    assert (shown.returncode, shown.stdout) == (3, "create role team\n")
    assert alone.cli("apply", "-", given=given).stdout == "create role team\n"
    shown = alone.cli("apply", "-", "--dry-run", given=given, check=False)
    assert (shown.returncode, shown.stdout) == (0, "There are no differences.\n")
    document["roles"]["team"]["privileges"] = []
    assert alone.cli("apply", "-", given=json.dumps(document)).stdout == (
        'change role team\n    privileges: ["nx-search-read"] -> []\n'
    )
    wrong = alone.cli("apply", "-", given="a: [", check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Error: The file is neither YAML nor JSON")


def test_secrets_come_from_the_environment_or_standard_input(alone, tmp_path):
    file = tmp_path / "ldap.yaml"
    file.write_text(
        "options: {ldap: {bind_dn: cn=reader, bind_password: {secret: LDAP_PASSWORD}}}\n"
    )
    refused = alone.cli("apply", str(file), check=False)
    assert (refused.returncode, "LDAP_PASSWORD is not known" in refused.stderr) == (1, True)
    told = alone.cli("apply", str(file), "--stdin", "LDAP_PASSWORD", given="one\n").stdout
    assert "bind_password: another secret" in told
    alone.environment["LDAP_PASSWORD"] = "one"
    assert alone.cli("apply", str(file)).stdout == "There are no differences.\n"
    alone.environment["LDAP_PASSWORD"] = "two"
    assert "bind_password: another secret" in alone.cli("apply", str(file)).stdout
    both = alone.cli("apply", "-", "--stdin", "X", given="", check=False)
    assert "not both" in both.stderr


def test_a_running_server_takes_over_what_is_applied(server, tmp_path):
    import requests

    from tests.live import free_port, is_open

    port = free_port()
    file = tmp_path / "team.yaml"
    file.write_text(
        "repositories:\n  team:\n    recipe: docker-hosted\n    settings:\n"
        f"      docker: {{http_port: {port}}}\n"
    )
    server.cli("apply", str(file))
    assert is_open(port)
    answer = requests.get(f"http://127.0.0.1:{port}/v2/", auth=server.admin, timeout=10)
    assert answer.status_code == 200


def test_an_export_that_fails_leaves_the_former_file_as_it_is(alone, tmp_path):
    file = tmp_path / "repoman.yaml"
    alone.cli("export", str(file))
    before = file.read_bytes()
    (alone.data / "keys/secrets.key").unlink()
    assert alone.cli("export", str(file), check=False).returncode == 1
    assert file.read_bytes() == before


def test_an_export_goes_into_a_pipe_and_by_a_link(alone, tmp_path):
    file, link = tmp_path / "repoman.yaml", tmp_path / "link.yaml"
    link.symlink_to(file)
    alone.cli("export", str(link))
    file.chmod(0o640)
    alone.cli("export", str(link))
    assert (link.is_symlink(), file.stat().st_mode & 0o777) == (True, 0o640)
    assert alone.cli("export", "/dev/stdout").stdout == file.read_text()
    refused = alone.cli("export", str(tmp_path / "missing/repoman.yaml"), check=False)
    assert refused.stderr.endswith("cannot be written: No such file or directory.\n")
