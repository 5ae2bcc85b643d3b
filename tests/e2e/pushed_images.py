"""Images of every kind in a live server, for pages to show: pushed with skopeo and by hand."""

import json
import random
from pathlib import Path

from tests.e2e.clients import Skopeo
from tests.e2e.layouts import write_multi_arch_layout
from tests.functional.docker.browsed import (
    artifact,
    attestation,
    built,
    index,
    tar_of,
    with_child,
)
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import (
    EMPTY,
    OCI_CONFIG,
    OCI_LAYER,
    Image,
    descriptor,
    digest_of,
    make_image,
    manifest_of,
    to_json,
)
from tests.functional.docker.wires import Socket
from tests.functional.docker_v1.driver import Engine, make_chain
from tests.live import LiveServer

HOSTILE = '"><script>alert(1)</script><b>&amp;\u202e'
APP = "platform/api-gateway"
LONG = "research/computational-photography/denoise-transformer-large-distilled-int8-experimental"
LONG_TAG = "feature-a-very-long-branch-name-that-somebody-thought-was-helpful-0193bc"
MANY_TAGS = 300


def _layer(name: str, size: int) -> bytes:
    """Return a layer whose file has so many bytes that no packing makes smaller."""
    return tar_of(name, content=random.Random(name).randbytes(size))


BASE = tuple(_layer(f"usr/lib/base-{each}", 90_000 // each) for each in (1, 2, 30))
BASE_STEPS = (
    ("/bin/sh -c #(nop) ADD file:8a6 in / # debian:12.9-slim, bookworm 20261101", False),
    ("RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends tini # buildkit",
     False),
    ("RUN /bin/sh -c groupadd --gid 10001 app && useradd --uid 10001 --gid app app", False),
)  # fmt: skip
STEPS = (
    *BASE_STEPS,
    ("ENV GATEWAY_HOME=/srv/gateway", True),
    ("COPY --from=build /usr/local/lib/libgateway.so.2 /usr/local/lib/ # buildkit", False),
    (f"RUN /bin/sh -c echo '{HOSTILE}' # buildkit", False),
    ("USER 10001:10001", True),
    ('ENTRYPOINT ["tini", "--", "/usr/local/bin/gateway"]', True),
)
CONFIG = {
    "Entrypoint": ["tini", "--", "/usr/local/bin/gateway"],
    "Cmd": ["serve", "--config", "/etc/gateway/gateway.yaml"],
    "User": "10001:10001",
    "WorkingDir": "/srv/gateway",
    "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}},
    "Volumes": {"/var/lib/gateway": {}},
    "StopSignal": "SIGQUIT",
    "Healthcheck": {"Test": ["CMD", "gateway", "health"], "Interval": 30_000_000_000},
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "GATEWAY_HOME=/srv/gateway", f"ODD={HOSTILE}"],
    "Labels": {
        "org.opencontainers.image.title": "API gateway",
        "org.opencontainers.image.description": "Edge router of the public API",
        "org.opencontainers.image.source": "https://git.example/platform/api-gateway",
        "org.opencontainers.image.base.name": "debian:12.9-slim",
        HOSTILE: HOSTILE,
    },
}


def push_images(server: LiveServer, directory: Path) -> None:
    """Fill ``docker-hosted``: an index with all that belongs to one, artifacts, many tags."""
    registry = Registry(Socket(server.connector_port), "", server.admin)
    registry.push("library/debian", "12.9-slim", built(*BASE, steps=BASE_STEPS))
    _push_releases(registry)
    _push_artifacts(registry)
    image = make_image()
    for number in range(MANY_TAGS):
        registry.push("tools/nightly", f"1.{number}", image)
    registry.push(LONG, LONG_TAG, make_image())
    server.cli("repo", "set", "docker-hosted", "--set", "docker.v1_enabled=true")
    chain = make_chain(4)
    Engine(Socket(server.connector_port), "", server.admin).push("legacy/app", "1.0", chain)
    skopeo = Skopeo(directory)
    skopeo.login(server.registry, *server.admin)
    layout = write_multi_arch_layout(
        directory / "layout", {each: each.encode() * 999 for each in ("amd64", "arm64", "s390x")}
    )
    target = f"docker://{server.registry}/web/storefront:3.1-zstd"
    skopeo.copy(layout, target, "--all", "--dest-compress-format=zstd")


def _push_releases(registry: Registry) -> None:
    """Push some releases of one image; the newest has all that can be attached to one."""
    for number, tag in enumerate(("1.9.22", "2.10.0", "2.13.6", "2.14.0")):
        registry.push(APP, tag, _release(number, created=f"2026-0{number + 1}-01T00:00:00Z"))
    amd = _release(7)
    arm = _release(8, architecture="arm64")
    body = index(
        (amd.manifest, "linux/amd64"), (arm.manifest, "linux/arm64"), (b"{}", "windows/amd64")
    )
    provenance, child = attestation(amd.manifest, b"{}", "https://slsa.dev/provenance/v1")
    body = with_child(body, child)
    for image in (amd, arm, provenance):
        registry.push_blobs(APP, image)
        registry.push_manifest(APP, digest_of(image.manifest), image.manifest)
    for tag in ("2.14.1", "2.14", "2", "latest"):
        registry.push_manifest(APP, tag, body)
    for subject, artifact_type, about in (
        (body, "application/vnd.dev.sigstore.bundle.v0.3+json", "keyless"),
        (amd.manifest, "application/spdx+json", "made by syft"),
        (arm.manifest, "application/vnd.acme.report+json", HOSTILE),
    ):
        attached = artifact(subject, artifact_type, b"{}", about=about)
        registry.push_blobs(APP, attached)
        registry.push_manifest(APP, digest_of(attached.manifest), attached.manifest)
    registry.push(APP, LONG_TAG, make_image())
    registry.push(APP, "main", make_image())
    registry.push(APP, "main", _release(9))  # so that there is one without a tag


def _release(number: int, **more: str) -> Image:
    own = [_layer("srv/lib", 30_000), _layer(f"srv/etc-{number}", 150_000 + 9_000 * number)]
    config = {**CONFIG, "Env": [*CONFIG["Env"], f"RELEASE={number}"]}
    return built(*BASE, *own, steps=STEPS, config=config, **more)


def _push_artifacts(registry: Registry) -> None:
    """Push what is no image: a chart, a build cache, something unknown."""
    helm = "application/vnd.cncf.helm"
    for name, config_type, layer_type in (
        ("charts/platform", f"{helm}.config.v1+json", f"{helm}.chart.content.v1.tar+gzip"),
        (f"{APP}-cache", "application/vnd.buildkit.cacheconfig.v0", OCI_LAYER),
        ("models/tiny", "application/vnd.acme.model+json", "application/vnd.acme.weights"),
        ("base/encrypted", OCI_CONFIG, f"{OCI_LAYER}+gzip+encrypted"),
    ):
        config, layer = to_json({"name": name}), tar_of(f"{name}/file")
        fields = json.loads(manifest_of(config, (layer,)))
        fields["config"]["mediaType"] = config_type
        fields["layers"][0]["mediaType"] = layer_type
        registry.push(name, "1.2.0", Image(config, (layer,), to_json(fields)))
    empty = to_json({**json.loads(manifest_of(EMPTY, ())), "layers": []})
    registry.push("models/empty", "1", Image(EMPTY, (), empty))


def image_pages() -> list[str]:
    """Return the addresses of pages about these images, of every kind."""
    root = "/browse/docker-hosted"
    app = f"{root}/image/{APP}"
    layer = f"{app}/-/layers/{descriptor(BASE[1], OCI_LAYER)['digest']}"
    return [
        f"{root}/images",
        f"{root}/images?filter=nothing",
        f"{root}/use?name={APP}&version=2.14.1",
        app,
        f"{app}/-/untagged",
        *(f"{app}/-/tags/2.14.1{each}" for each in ("", "/config", "/attached", "/manifest")),
        f"{app}/-/tags/2.14.1?platform=linux/arm64",
        f"{app}/-/tags/2.14.1?platform=windows/amd64",
        f"{app}/-/compare",
        f"{app}/-/compare?left={APP}:2.13.6&right={APP}:2.14.1",
        f"{layer}?reference=2.14.1",
        f"{app}/-/delete?tag=2.14.0&tag=2.14&tag={LONG_TAG}",
        f"{app}/-/delete-image",
        f"{root}/image/{LONG}/-/tags/{LONG_TAG}",
        f"{root}/image/legacy/app/-/tags/1.0",
        f"{root}/image/web/storefront/-/tags/3.1-zstd",
        f"{root}/image/charts/platform/-/tags/1.2.0",
        f"{root}/image/models/empty/-/tags/1",
        f"{root}/image/base/encrypted/-/tags/1.2.0",
        "/browse/empty/images",
        "/browse/hub/images",
        f"/browse/all/image/{APP}",
        *(f"/search?q=gateway{each}" for each in ("", "&kind=tags", "&upstream=1")),
        f"/search?docker.layerId={descriptor(BASE[0], OCI_LAYER)['digest']}",
    ]
