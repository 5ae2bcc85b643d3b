"""skopeo against the connector of a hosted repository: it speaks OCI and Docker's own formats."""

import json
import secrets
import tempfile

import pytest

from tests.e2e.clients import PROMPT_S, quickest, write_layout


@pytest.fixture
def name(registry):
    """An image name nobody else uses."""
    return f"{registry}/team/copied-{secrets.token_hex(4)}"


@pytest.fixture
def layout(tmp_path):
    """A one-layer image in an OCI layout on disk, as skopeo names it."""
    return write_layout(tmp_path / "layout", secrets.token_bytes(5000))


def digest_of(skopeo, image):
    return json.loads(skopeo.inspect(image).stdout)["Digest"]


def test_each_command_takes_less_than_a_second(skopeo, registry, shared_server, name, layout):
    image = f"docker://{name}:1"
    with tempfile.TemporaryDirectory() as out:
        commands = {
            "a wrong login": lambda: skopeo.login(registry, "nobody", "wrong", check=False),
            "login": lambda: skopeo.login(registry, *shared_server.admin),
            "copy into it": lambda: skopeo.copy(layout, image),
            "inspect": lambda: skopeo.inspect(f"{name}:1"),
            "copy out of it": lambda: skopeo.copy(image, f"oci:{out}:1"),
        }
        seconds = {name: quickest(command) for name, command in commands.items()}
    assert max(seconds.values()) < PROMPT_S, seconds


def test_a_wrong_password_is_refused(skopeo, registry):
    ran = skopeo.login(registry, "admin", "wrong", check=False)
    assert ran.status != 0
    assert "invalid username/password" in ran.text


def test_an_image_comes_out_as_it_went_in(skopeo_in, name, layout, tmp_path):
    skopeo_in.copy(layout, f"docker://{name}:1")
    skopeo_in.copy(f"docker://{name}:1", f"oci:{tmp_path}/out:1")
    sent = {path.name for path in (tmp_path / "layout/blobs/sha256").iterdir()}
    assert {path.name for path in (tmp_path / "out/blobs/sha256").iterdir()} == sent


@pytest.mark.parametrize("kind", ["oci", "v2s2"])
def test_both_kinds_of_image_are_stored(skopeo_in, name, layout, tmp_path, kind):
    skopeo_in.copy(layout, f"docker://{name}:{kind}", f"--format={kind}")
    kept = json.loads(skopeo_in.inspect(f"{name}:{kind}", "--raw").stdout)["mediaType"]
    assert kept.startswith({"oci": "application/vnd.oci", "v2s2": "application/vnd.docker"}[kind])


def test_inspect_shows_the_image(skopeo_in, name, layout):
    skopeo_in.copy(layout, f"docker://{name}:1")
    ran = skopeo_in.inspect(f"{name}:1")
    shown = json.loads(ran.stdout)
    assert (shown["Name"], shown["RepoTags"], shown["Os"]) == (name, ["1"], "linux")


def test_tags_are_listed(skopeo_in, name, layout):
    for tag in ("2", "latest", "1"):
        skopeo_in.copy(layout, f"docker://{name}:{tag}")
    assert skopeo_in.tags(name) == ["1", "2", "latest"]


def test_copy_between_two_names_of_one_registry(skopeo_in, name, layout):
    skopeo_in.copy(layout, f"docker://{name}:1")
    skopeo_in.copy(f"docker://{name}:1", f"docker://{name}-copy:1")
    assert digest_of(skopeo_in, f"{name}:1") == digest_of(skopeo_in, f"{name}-copy:1")


def test_a_deleted_image_is_gone_and_its_neighbour_is_not(skopeo_in, name, layout, tmp_path):
    skopeo_in.copy(layout, f"docker://{name}:1")
    skopeo_in.copy(write_layout(tmp_path / "other", b"other"), f"docker://{name}:2")
    skopeo_in.delete(f"{name}:1")
    assert skopeo_in.tags(name) == ["2"]
    assert skopeo_in.inspect(f"{name}:1", check=False).status != 0
    skopeo_in.copy(f"docker://{name}:2", f"dir:{tmp_path}/out")


def test_a_copy_without_a_login_is_refused(skopeo, name, layout):
    ran = skopeo.copy(layout, f"docker://{name}:1", check=False)
    assert ran.status != 0
    assert "unauthorized" in ran.text or "authentication required" in ran.text


def test_an_absent_image_is_reported(skopeo_in, name):
    ran = skopeo_in.inspect(f"{name}:1", check=False)
    assert ran.status != 0
    assert "name unknown" in ran.text or "manifest unknown" in ran.text
