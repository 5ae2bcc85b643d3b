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

    file.write_bytes(whole)
    assert server.cli("blob", "verify").returncode == 0


def test_a_store_that_is_none_is_named(server):
    told = server.cli("blob", "verify", "other", check=False)
    assert told.returncode == 1
    assert "no blob store 'other'" in told.stderr
