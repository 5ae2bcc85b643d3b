"""The commands about images, on the data of a server that may run beside them."""

import json
import shutil
import sqlite3
import time
from contextlib import closing

import pytest
from click.testing import CliRunner

from repoman.cli import cli
from repoman.testing import RepomanFactory
from repoman_docker import plugin as docker
from tests.functional.docker.browsed import artifact, built, index, tar_of
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.test_browsing import STEPS, push_index
from tests.functional.rights.stage import Stage

BASE = tar_of("etc/os-release", ".wh.gone")
ARM = built(BASE, architecture="arm64", steps=STEPS[:1])


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Data with a repository ``images``."""
    factory = RepomanFactory(tmp_path_factory.mktemp("commands"))
    stage = Stage(factory({"docker": docker}))
    stage.repoman.repositories.create("images", "docker-hosted", {})
    registry = stage.mounted("images")
    old = built(BASE, tar_of("old"), steps=STEPS[:2], config={"Env": ["A=1", "ODD=a\nforged"]})
    amd = built(BASE, tar_of("new"), steps=STEPS[:2], config={"Env": ["A=2"]})
    registry.push("team/app", "1.9", old)
    body = index((amd.manifest, "linux/amd64"), (ARM.manifest, "linux/arm64"))
    push_index(registry, "team/app", "1.10", body, amd, ARM)
    registry.push_manifest("team/app", "latest", body)
    sbom = artifact(body, "application/spdx+json", b"{}")
    registry.push_blobs("team/app", sbom)
    registry.push_manifest("team/app", digest_of(sbom.manifest), sbom.manifest)
    for tag in ("1", "2"):
        registry.push("other", tag, make_image())
    factory.stop()
    return factory.data


@pytest.fixture
def data(filled, tmp_path):
    """A copy of the test's own: some tests delete."""
    return shutil.copytree(filled, tmp_path / "data")


@pytest.fixture
def run(data):
    def run(*words, status=0):
        done = CliRunner().invoke(cli, ["docker", *words, "--data", str(data)])
        assert done.exit_code == status, (done.output, done.exception)
        return str(done.exception) if status and done.exception else done.output

    return run


def test_images_and_tags_are_listed(run):
    lines = run("images", "images").splitlines()
    assert [line.split("  ")[:2] for line in lines] == [["other", "2"], ["team/app", "3"]]
    found = map(json.loads, run("images", "images", "--json").splitlines())
    assert [each["name"] for each in found] == ["other", "team/app"]
    assert run("images", "images", "--filter", "nothing") == ""
    tags = run("tags", "images", "team/app", "--order", "version").splitlines()
    assert [line.split("  ")[0] for line in tags] == ["1.10", "1.9", "latest"]
    assert "linux/amd64,linux/arm64" in tags[0]
    limited = run("tags", "images", "team/app", "--order", "name", "--limit", "1", "--json")
    assert json.loads(limited)["also"] == ["latest"]
    arm = run("tags", "images", "team/app", "--platform", "linux/arm64").splitlines()
    assert [line.split("  ")[0] for line in arm] == ["latest", "1.10"]
    assert "There is no image none" in run("tags", "images", "none", status=1)


def test_an_image_is_shown_with_its_layers(run):
    text = run("show", "images", "team/app:1.10")
    assert f"platform linux/arm64 = {ARM.digest}" in text
    assert "also = latest" in text
    assert f"layer {digest_of(BASE)}  {len(BASE)}  ADD rootfs.tar.xz /\n" in text
    assert "SBOM, application/spdx+json" in text
    found = json.loads(run("show", "images", f"team/app@{ARM.digest}", "--json"))
    assert (found["tag"], found["platform"]) == (None, "linux/arm64")
    assert "IMAGE:TAG or IMAGE@DIGEST" in run("show", "images", "app", status=1)


def test_images_are_compared(run):
    lines = run("compare", "images", "team/app:1.9", "team/app:1.10").splitlines()
    assert [line[0] for line in lines] == ["=", "~", "~", "-", *lines[-1][:1]]
    assert "~ variable A: 1 -> 2" in lines
    assert "- variable ODD: a forged -> " in lines
    assert lines[-1].endswith("bytes to download for who has team/app:1.9")
    arm = ("compare", "images", "team/app:1.10", "team/app:latest", "--platform", "linux/arm64")
    assert json.loads(run(*arm, "--json"))["equalLayers"] == 1


def test_files_of_a_layer_are_listed(run):
    lines = run("files", "images", "team/app", digest_of(BASE)).splitlines()
    assert "-rw-r--r--  0:0  7  etc/os-release" in lines
    assert any(line.endswith("gone  (removed)") for line in lines)
    files = json.loads(run("files", "images", "team/app", digest_of(BASE), "--json"))
    assert len(files["files"]) == 2


def test_deletions_say_first_what_goes(run):
    told = run("delete", "images", "team/app", "1.10", "1.9", "--dry-run").splitlines()
    assert told[:2] == [
        "would delete 1.10, not its manifest, which stays as latest",
        "would delete 1.9 with its manifest",
    ]
    assert told[2].startswith("1 manifest, 0 attached things; frees ")
    assert told[2].endswith(" bytes after 14 days; it can be restored until then")
    assert len(run("tags", "images", "team/app").splitlines()) == 3
    assert run("delete", "images", "team/app", "1.9").startswith("deleted 1.9 with its manifest\n")
    assert len(run("tags", "images", "team/app").splitlines()) == 2
    assert run("delete-image", "images", "other", "--dry-run").startswith(
        "would delete other with 2 tags and all manifests; frees "
    )
    told = run("delete-image", "images", "other")
    assert told.startswith("deleted other with 2 tags and all manifests; frees ")
    assert told.endswith(" bytes after 14 days; it can be restored until then\n")
    assert "other" not in run("images", "images")


def test_commands_that_know_no_format_say_what_becomes_of_manifests(data):
    def run(*words):
        done = CliRunner().invoke(cli, [*words, "--data", str(data)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    note = "A manifest stays when its tag is deleted; the tags of a deleted manifest go with it.\n"
    components = map(json.loads, run("component", "list", "images", "--json").splitlines())
    tags = [each["id"] for each in components if each["name"] == "other" and each["version"]]
    told = run("component", "delete", *tags)
    assert told.count(note) == 1
    assert told.startswith("deleted other:")
    told = run("asset", "delete-folder", "images", "tags/team/app", "--yes")
    assert told == f"deleted 3 files in tags/team/app from images\n{note}"


def test_what_nothing_needs_is_deleted_after_a_look(run, data):
    words = ["repo", "set", "images", "--set", "docker.undo_days=0", "--data", str(data)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    [_, digest, *_] = run("tags", "images", "other", "--filter", "1").split("  ")
    told = run("delete", "images", "other", "1")
    assert told.endswith(" bytes once unused layers are removed; this cannot be undone\n")
    nothing = "would delete 0 assets; frees 0 bytes\n"
    assert run("gc", "--dry-run") == nothing
    with closing(sqlite3.connect(data / "repoman.db")) as connection, connection:
        two_days_ago = time.time() - 2 * 24 * 3600
        connection.execute(
            "UPDATE asset SET updated_at = ? WHERE path LIKE '%/other'", (two_days_ago,)
        )
    assert run("gc", "images", "--dry-run", "--age", "72") == nothing
    lines = run("gc", "images", "--dry-run").splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("images  blob  other@sha256:")
    assert lines[0].endswith(": No manifest needs it.")
    assert lines[3].startswith("would delete 3 assets; frees ")
    log, result = run("gc").splitlines()
    assert log.startswith("images: deleted 3 blobs; promised ")
    assert result.startswith("Deleted 3 blobs; freed ")
    assert run("gc") == "There is nothing to delete.\n"
    assert "no hosted Docker repository nowhere" in run("gc", "nowhere", status=1)
    assert f"There is no {digest}" in run("why", "images", digest, status=1)
    [_, digest, *_] = run("tags", "images", "other").split("  ")
    line = f"other@{digest}: The tag other:2 leads to it.\n"
    assert run("why", "images", digest) == run("why", "images", f"other@{digest}") == line


def test_tags_are_restored_and_their_history_told(run):
    run("delete", "images", "team/app", "1.9")
    lines = run("tag", "history", "images", "team/app:1.9").splitlines()
    assert ["  deleted  " in lines[0], "  pushed  " in lines[1]] == [True, True]
    assert lines[0].endswith("-> -  cli  command")
    assert len(run("tag", "history", "images", "team/app", "--limit", "1").splitlines()) == 1
    assert json.loads(run("tag", "history", "images", "--json", "--limit", "1"))["tag"] == "1.9"
    told = run("tag", "restore", "images", "team/app:1.9", "--dry-run").splitlines()
    assert told[0].startswith("would restore team/app:1.9 to sha256:")
    assert told[0].endswith(" (was deleted)")
    assert "1.9" not in run("tags", "images", "team/app", "--filter", "1.9")
    assert run("tag", "restore", "images", "team/app:1.9").splitlines()[1] == "1 of 1 tags"
    assert "1.9" in run("tags", "images", "team/app", "--filter", "1.9")
    assert "Without a tag" in run("tag", "restore", "images", "team/app", status=1)
    for at in ("2001-01-01", "2001-01-01 17:00", "2001-01-01T17:00", "2001-01-01 17:00:59"):
        told = run("tag", "restore", "images", "--at", at, status=1)
        assert "within the last 14 days" in told


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_what_is_kept_is_an_error(run, data, more):
    def kept(*words):
        done = CliRunner().invoke(cli, ["docker", *words, *more, "--data", str(data)])
        assert done.exit_code == 1, (done.output, done.exception)
        return done.stderr or str(done.exception)

    newer = json.loads(run("tags", "images", "other", "--json", "--filter", "2"))["digest"]
    run("tag", "restore", "images", "other:1", "--digest", newer)
    rule = ["--set", 'docker.immutable_tags=["1*"]', "--data", str(data)]
    assert CliRunner().invoke(cli, ["repo", "set", "images", *rule]).exit_code == 0
    reason = "is immutable in the repository images (rule 1*)."
    assert kept("delete", "images", "team/app", "latest", "1.9") == (
        f"kept 1.9: team/app:1.9 {reason}\n"
    )
    assert f"team/app:1.10 {reason}" in kept("delete-image", "images", "team/app")
    assert kept("tag", "restore", "images", "other:1").startswith(f"kept other:1: other:1 {reason}")


def test_what_tags_take_is_listed(data):
    def run(*words, status=0):
        done = CliRunner().invoke(cli, ["space", *words, "--data", str(data)])
        assert done.exit_code == status, (done.output, done.exception)
        return str(done.exception) if status else done.output

    lines = [line.split() for line in run("images", "team/app").splitlines()]
    assert [line[0] for line in lines] == ["total", "1.9", "1.10", "latest"]
    found = {each["version"]: each for each in json.loads(run("images", "team/app", "--json"))}
    assert found["1.10"]["own_size"] == found["latest"]["own_size"] == 0
    assert found["1.10"]["size"] == found["latest"]["size"]
    assert 0 < found["1.9"]["own_size"] < found["1.9"]["size"]
    packages = [line.split()[0] for line in run("images").splitlines()[2:]]
    assert packages == ["team/app", "other"], "the one with most of its own first"
    assert "There is no 'none' with versions in images." in run("images", "none", status=1)
