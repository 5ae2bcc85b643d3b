"""Images for several machines: skopeo copies and syncs them whole, docker pulls its own."""

import json
import secrets

import pytest

from tests.e2e.layouts import blobs_of, write_multi_arch_layout

MACHINES = ("amd64", "arm64", "s390x")


@pytest.fixture
def name(registry):
    """An image name nobody else uses."""
    return f"{registry}/team/multi-{secrets.token_hex(4)}"


@pytest.fixture
def layout(tmp_path):
    """An image for several machines in an OCI layout on disk, as skopeo names it."""
    payloads = {machine: secrets.token_bytes(5000) for machine in MACHINES}
    return write_multi_arch_layout(tmp_path / "layout", payloads)


@pytest.fixture
def pushed(skopeo_in, name, layout):
    """The image in the registry, with the tag 1."""
    skopeo_in.copy(layout, f"docker://{name}:1", "--all", "--preserve-digests")
    return name


def index_of(skopeo, image):
    return json.loads(skopeo.inspect(image, "--raw").stdout)


def machines_of(index):
    return [each["platform"]["architecture"] for each in index["manifests"]]


def test_all_parts_come_out_as_they_went_in(skopeo_in, pushed, tmp_path):
    skopeo_in.copy(f"docker://{pushed}:1", f"oci:{tmp_path}/out:1", "--all", "--preserve-digests")
    assert blobs_of(tmp_path / "out") == blobs_of(tmp_path / "layout")
    assert machines_of(index_of(skopeo_in, f"{pushed}:1")) == list(MACHINES)


def test_one_machine_gets_its_own_part(skopeo_in, pushed, tmp_path):
    arm = ("--override-arch=arm64", "copy", "--src-tls-verify=false")
    skopeo_in.run(*arm, f"docker://{pushed}:1", f"oci:{tmp_path}/arm64:1")
    assert blobs_of(tmp_path / "arm64") == blobs_of(tmp_path / "layout-arm64")


def test_all_parts_go_from_name_to_name(skopeo_in, pushed, tmp_path):
    other = f"{pushed}-copy"
    copy = (f"docker://{pushed}:1", f"docker://{other}:2", "--all", "--preserve-digests")
    skopeo_in.copy(*copy)
    assert index_of(skopeo_in, f"{other}:2") == index_of(skopeo_in, f"{pushed}:1")
    skopeo_in.copy(f"docker://{other}:2", f"oci:{tmp_path}/out:1", "--all", "--preserve-digests")
    assert blobs_of(tmp_path / "out") == blobs_of(tmp_path / "layout")


def test_docker_s_own_kind_of_list_is_stored(skopeo_in, name, layout, tmp_path):
    skopeo_in.copy(layout, f"docker://{name}:1", "--all", "--format=v2s2")
    index = index_of(skopeo_in, f"{name}:1")
    assert index["mediaType"] == "application/vnd.docker.distribution.manifest.list.v2+json"
    assert machines_of(index) == list(MACHINES)
    skopeo_in.copy(f"docker://{name}:1", f"dir:{tmp_path}/out", "--all")


def test_an_index_without_some_of_its_images_is_stored(skopeo_in, pushed, registry):
    index = index_of(skopeo_in, f"{pushed}:1")
    arm = index["manifests"][1]["digest"]
    skopeo_in.delete(f"{pushed}@{arm}")
    assert machines_of(index_of(skopeo_in, f"{pushed}:1")) == list(MACHINES)
    assert skopeo_in.inspect(f"{pushed}@{arm}", check=False).status != 0


def test_a_sync_takes_all_tags_out_and_brings_them_back(skopeo_in, pushed, registry, tmp_path):
    skopeo_in.copy(f"docker://{pushed}:1", f"docker://{pushed}:2", "--all")
    short = pushed.removeprefix(f"{registry}/")
    skopeo_in.run(
        *("sync", "--all", "--src-tls-verify=false", "--src=docker", "--dest=dir"),
        *(pushed, str(tmp_path / "synced")),
    )
    names = {path.name for path in (tmp_path / "synced").iterdir()}
    assert names == {f"{short.rpartition('/')[2]}:{tag}" for tag in ("1", "2")}
    skopeo_in.run(
        *("sync", "--all", "--dest-tls-verify=false", "--src=dir", "--dest=docker"),
        *(str(tmp_path / "synced"), f"{registry}/back"),
    )
    back = f"{registry}/back/{short.rpartition('/')[2]}"
    assert skopeo_in.tags(back) == ["1", "2"]
    for tag in ("1", "2"):
        assert index_of(skopeo_in, f"{back}:{tag}") == index_of(skopeo_in, f"{pushed}:{tag}")


def test_a_sync_goes_from_place_to_place(skopeo_in, pushed, registry):
    skopeo_in.run(
        *("sync", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"),
        *("--src=docker", "--dest=docker", f"{pushed}:1", f"{registry}/mirror"),
    )
    mirrored = f"{registry}/mirror/{pushed.rpartition('/')[2]}:1"
    assert index_of(skopeo_in, mirrored) == index_of(skopeo_in, f"{pushed}:1")


@pytest.mark.xdist_group("docker")
@pytest.mark.parametrize("machine", ["amd64", "arm64"])
def test_docker_pulls_the_part_of_a_machine(logged_in, pushed, machine):
    image = f"{pushed}:1"
    logged_in.run("pull", f"--platform=linux/{machine}", image)
    shown = logged_in.run("image", "inspect", "--format={{.Architecture}}", image)
    assert shown.stdout.strip() == machine
    logged_in.run("rmi", image)
