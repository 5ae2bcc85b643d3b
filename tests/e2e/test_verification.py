"""``repoman blob verify`` beside a running server."""

from tests.e2e.registry import Registry, digest_of

LAYER = b"a layer of some bytes"


def test_what_is_stored_is_verified_while_the_server_runs(server):
    registry = Registry(f"http://{server.registry}", server.admin)
    registry.push_image("team/app", "1", LAYER)
    told = server.cli("blob", "verify")
    assert told.stdout == ""
    assert told.stderr.endswith("Read 3 blobs; damaged or missing: 0.\n")

    digest = digest_of(LAYER)
    _, digits = digest.split(":")
    file = server.data / "blobs" / "default" / "sha256" / digits[:2] / digits
    whole = file.read_bytes()
    file.write_bytes(b"X" + whole[1:])
    told = server.cli("blob", "verify", "default", check=False)
    assert told.returncode == 1
    problem, place = told.stdout.splitlines()
    assert problem.startswith(f"{digest} in default is damaged")
    assert place.startswith("    docker-hosted: ")
    assert "team/app" in place
    assert told.stderr.endswith("Read 3 blobs; damaged or missing: 1.\n")

    listed = server.cli("blobstore", "damaged", "default", check=False)
    assert (listed.returncode, listed.stdout.splitlines()[0][:71]) == (1, digest)
    assert not registry.has_blob("team/app", digest)
    file.write_bytes(whole)
    assert server.cli("blob", "verify").returncode == 0
    assert server.cli("blobstore", "damaged", "default").stdout == ""


def test_a_push_replaces_what_is_damaged(server):
    registry = Registry(f"http://{server.registry}", server.admin)
    digest = registry.push_image("team/app", "1", LAYER)
    _, digits = digest.split(":")
    file = server.data / "blobs" / "default" / "sha256" / digits[:2] / digits
    file.write_bytes(bytes(len(LAYER)))
    assert server.cli("blob", "verify", check=False).returncode == 1
    registry.push_image("team/app", "1", LAYER)
    assert server.cli("blobstore", "damaged", "default").stdout == ""
    assert registry.has_image("team/app", "1", LAYER)


def test_unknown_files_are_listed_adopted_and_removed(server):
    directory = server.data / "blobs" / "default" / "sha256"
    digest = digest_of(LAYER).removeprefix("sha256:")
    (directory / digest[:2] / digest).write_bytes(LAYER)
    listed = server.cli("blobstore", "orphans", "default")
    assert listed.stdout == f"sha256:{digest}  {len(LAYER)} bytes\n"
    kept = server.cli("blobstore", "orphans", "default", "--remove")
    assert kept.stderr.endswith("Removed 0 unknown files, 0 bytes.\n")  # It may be in use soon.
    server.cli("blobstore", "orphans", "default", "--adopt")
    assert server.cli("blobstore", "orphans", "default").stdout == ""
    shown = server.cli("blobstore", "show", "default").stdout
    assert f"reclaimable = {len(LAYER)}\n" in shown


def test_a_store_that_is_none_is_named(server):
    told = server.cli("blob", "verify", "other", check=False)
    assert told.returncode == 1
    assert "no blob store 'other'" in told.stderr
