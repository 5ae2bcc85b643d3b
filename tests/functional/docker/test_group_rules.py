"""Every way to content of a group against everything that may keep it away."""

import gzip
import json
import secrets
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import (
    EMPTY,
    OCI_EMPTY,
    OCI_MANIFEST,
    Image,
    descriptor,
    digest_of,
    make_image,
    manifest_of,
    to_json,
)
from tests.functional.docker.wires import Answer, InProcess
from tests.functional.docker_v1.driver import make_tar

SECRET, MINE = "secret/app", "mine/app"
BASIC = {"Authorization": "Basic " + b64encode(":".join(ADMIN).encode()).decode()}
BLOCKED = {"mode": "block", "matchers": ["secret/.*"]}


@dataclass
class Scene:
    """A group as a client sees it, and a secret image of the member that takes its pushes."""

    client: HttpClient
    group: Registry
    member: Registry
    image: Image
    v1_id: str

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> Answer:
        """Send a request of version 1 to the group, or of the main port's REST."""
        target = path if path.startswith("/service") else f"{self.group.prefix}/v1/{path}"
        return self.group.wire.send(method, target, BASIC, body)

    @property
    def layer(self) -> str:
        """The digest of the image's layer."""
        return digest_of(self.image.layers[0])


def image_for_v1() -> Image:
    """An image that clients of version 1 can use, too."""
    tar = make_tar(secrets.token_bytes(100))
    layer = gzip.compress(tar, mtime=0)
    config = to_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
            "history": [{"created": "2020-01-01T00:00:00Z"}],
        }
    )
    return Image(config, (layer,), manifest_of(config, (layer,), docker=True))


# What keeps the group from its member's image, as sections of the group's settings; the members are
# "own", which has the image and takes the pushes, and "other". "inner" is a group of them, in a
# group whose pushes go to "fresh".
OPEN = "nothing"
OBSTACLES: dict[str, dict[str, object]] = {
    OPEN: {},
    "a rule that blocks it": {"routing": BLOCKED},
    "a rule that allows others": {"routing": {"mode": "allow", "matchers": ["mine/.*"]}},
    "a pin to another member": {"group": {"pins": {"secret/*": ["other"]}}},
    "a rule of a group within": {"inner": {"routing": BLOCKED}},
    "a pin of a group within": {"inner": {"group": {"pins": {"secret/*": ["other"]}}}},
}


@pytest.fixture
def make_scene(in_process) -> Callable[[str], Scene]:
    repositories = in_process.repoman.repositories
    client = HttpClient(in_process.repoman)

    def make(obstacle: str) -> Scene:
        tail = secrets.token_hex(4)

        def create(kind: str, short: str, sections: dict[str, dict[str, object]]) -> Registry:
            name = f"{short}-{tail}"
            sections["docker"] = {"v1_enabled": True}
            repositories.create(name, f"docker-{kind}", sections)
            return Registry(InProcess(client), f"/repository/{name}", ADMIN)

        def group(short: str, members: list[str], writable: str, settings) -> Registry:
            own = dict(settings.get("group", {}))
            pins = own.pop("pins", {})
            own["pins"] = {key: [f"{to}-{tail}" for to in tos] for key, tos in pins.items()}
            own["members"] = [f"{each}-{tail}" for each in members]
            own["writable_member"] = f"{writable}-{tail}"
            routing = settings.get("routing", {})
            return create("group", short, {"group": own, "routing": routing})

        member = create("hosted", "own", {})
        create("hosted", "other", {})
        settings = OBSTACLES[obstacle]
        members, writable = ["own", "other"], "own"
        if "inner" in settings:
            group("inner", members, writable, settings["inner"])
            create("hosted", "fresh", {})
            members, writable = ["inner", "fresh"], "fresh"
        outer = group("outer", members, writable, settings)
        image = image_for_v1()
        member.push(SECRET, "1", image)
        answer = member.wire.send(
            "GET", f"{member.prefix}/v1/repositories/{SECRET}/tags", BASIC, None
        )
        return Scene(client, outer, member, image, answer.json()["1"])

    return make


def is_ok(answer: Answer) -> bool:
    assert answer.status < 500, answer.body
    return answer.status < 300


def mounts(scene: Scene, query: str) -> bool:
    answer = scene.group.send("POST", f"{MINE}/blobs/uploads/?mount={scene.layer}{query}")
    had = scene.group.get(f"{MINE}/blobs/{scene.layer}").status == 200
    assert had == (answer.status == 201)
    return had


def refers(scene: Scene) -> bool:
    """Whether a signature of the image is listed."""
    scene.member.push_blob(SECRET, EMPTY)
    subject = {"mediaType": OCI_MANIFEST, "digest": scene.image.digest, "size": 9}
    signature = to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(EMPTY, OCI_EMPTY),
            "layers": [],
            "subject": subject,
        }
    )
    scene.member.push_manifest(SECRET, digest_of(signature), signature)
    answer = scene.group.get(f"{SECRET}/referrers/{scene.image.digest}")
    return answer.status == 200 and bool(answer.json()["manifests"])


def by_token(scene: Scene) -> bool:
    """Whether a token opens the image; rights are not what keeps it away."""
    target = f"{scene.group.prefix}/v2/token?scope=repository:{SECRET}:pull"
    token = scene.group.wire.send("GET", target, BASIC, None).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    target = f"{scene.group.prefix}/v2/{SECRET}/manifests/1"
    return is_ok(scene.group.wire.send("GET", target, bearer, None))


def is_traced(scene: Scene) -> bool:
    path = quote(f"/v2/{SECRET}/manifests/1", safe="")
    name = scene.group.repository
    answer = scene.client.get(f"/api/v1/repositories/{name}/trace?path={path}", auth=ADMIN)
    found = json.dumps(answer.json["members"])
    return '"outcome": "found"' in found


def tags_by_v1(scene: Scene) -> bool:
    """Whether an image of another name can be made of it."""
    body = json.dumps(scene.v1_id).encode()
    return is_ok(scene.ask(f"repositories/{MINE}/tags/mine", method="PUT", body=body))


def builds_by_v1(scene: Scene) -> bool:
    """Whether an image can be pushed that stands on it."""
    new = secrets.token_hex(32)
    listed = json.dumps([{"id": new}]).encode()
    assert is_ok(scene.ask(f"repositories/{MINE}/", method="PUT", body=listed))
    image = json.dumps({"id": new, "parent": scene.v1_id}).encode()
    return is_ok(scene.ask(f"images/{new}/json", method="PUT", body=image))


def finds_by_v1(scene: Scene) -> bool:
    """Whether a push learns that the image is there already."""
    listed = json.dumps([{"id": scene.v1_id}]).encode()
    assert is_ok(scene.ask(f"repositories/{MINE}/", method="PUT", body=listed))
    return is_ok(scene.ask(f"images/{scene.v1_id}/json"))


WAYS: dict[str, Callable[[Scene], bool]] = {
    "pull by tag": lambda s: is_ok(s.group.get(f"{SECRET}/manifests/1")),
    "pull by digest": lambda s: is_ok(s.group.get(f"{SECRET}/manifests/{s.image.digest}")),
    "head of a manifest": lambda s: s.group.head(f"{SECRET}/manifests/1").status == 200,
    "blob": lambda s: is_ok(s.group.get(f"{SECRET}/blobs/{s.layer}")),
    "head of a blob": lambda s: s.group.head(f"{SECRET}/blobs/{s.layer}").status == 200,
    "tags": lambda s: bool(s.group.tags(SECRET)),
    "catalog": lambda s: SECRET in s.group.get("_catalog").json()["repositories"],
    "referrers": refers,
    "token": by_token,
    "trace": is_traced,
    "mount": lambda s: mounts(s, f"&from={SECRET}"),
    "mount of any": lambda s: mounts(s, ""),
    "search": lambda s: bool(s.ask(f"search?q={SECRET}").json()["results"]),
    "v1 images": lambda s: is_ok(s.ask(f"repositories/{SECRET}/images")),
    "v1 tags": lambda s: is_ok(s.ask(f"repositories/{SECRET}/tags")),
    "v1 tag": lambda s: is_ok(s.ask(f"repositories/{SECRET}/tags/1")),
    "v1 tag's json": lambda s: is_ok(s.ask(f"repositories/{SECRET}/tags/1/json")),
    "v1 json": lambda s: is_ok(s.ask(f"images/{s.v1_id}/json")),
    "v1 ancestry": lambda s: is_ok(s.ask(f"images/{s.v1_id}/ancestry")),
    "v1 layer": lambda s: is_ok(s.ask(f"images/{s.v1_id}/layer")),
    "v1 access": lambda s: (
        s.ask(f"repositories/{SECRET}/layer/{s.v1_id}/access").json().get("access") is True
    ),
    "v1 tag of its id": tags_by_v1,
    "v1 image on top": builds_by_v1,
    "v1 push of the same": finds_by_v1,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_no_way_leads_past_a_rule_or_a_pin(make_scene, obstacle, way):
    assert WAYS[way](make_scene(obstacle)) is (obstacle == OPEN)


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_a_manifest_gets_no_blobs_of_another_name(make_scene, obstacle):
    """Nothing is linked but what the group serves by the very name that is pushed to."""
    scene = make_scene(obstacle)
    answer = scene.group.put_manifest(MINE, "1", scene.image.manifest)
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_a_mount_of_any_image_passes_over_those_that_are_kept_away(make_scene):
    scene = make_scene("a rule that blocks it")
    scene.member.push("zzz/app", "1", make_image(*scene.image.layers))
    assert mounts(scene, "")
