"""Images for the tests: bytes and what describes them."""

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

ABSENT = f"sha256:{'0' * 64}"  # a digest of nothing
EMPTY = b"{}"


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """The digest by which content is known."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """What names content from inside a manifest; ``more`` adds fields or takes their place."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def to_json(fields: dict[str, Any]) -> bytes:
    """The bytes of a manifest."""
    return json.dumps(fields).encode()


def manifest_of(
    config: bytes, layers: tuple[bytes, ...], *, docker: bool = False, **more: Any
) -> bytes:
    """An image manifest of OCI's or docker's kind; ``more`` adds fields or takes their place."""
    kinds = (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
    manifest, of_config, of_layer = kinds if docker else (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    fields = {
        "schemaVersion": 2,
        "mediaType": manifest,
        "config": descriptor(config, of_config),
        "layers": [descriptor(layer, of_layer) for layer in layers],
    }
    return to_json({**fields, **more})


def index_of(*manifests: bytes, docker: bool = False, **more: Any) -> bytes:
    """An index of these manifests."""
    child, own = (DOCKER_MANIFEST, DOCKER_LIST) if docker else (OCI_MANIFEST, OCI_INDEX)
    machines = ("amd64", "arm64", "s390x", "ppc64le")
    children = [
        descriptor(each, child, platform={"os": "linux", "architecture": machine})
        for each, machine in zip(manifests, machines, strict=False)
    ]
    return to_json({"schemaVersion": 2, "mediaType": own, "manifests": children, **more})


def media_type_of(manifest: bytes) -> str:
    """What a manifest says it is."""
    media_type: str = json.loads(manifest)["mediaType"]
    return media_type


@dataclass(frozen=True)
class Image:
    """An image manifest and the blobs it names."""

    config: bytes
    layers: tuple[bytes, ...]
    manifest: bytes

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """All blobs, the config last, as docker pushes them."""
        return (*self.layers, self.config)

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(self.manifest)


def make_image(*layers: bytes, docker: bool = False, **more: Any) -> Image:
    """An image that nobody has pushed yet, of the given layers or of two random ones."""
    layers = layers or (secrets.token_bytes(700), secrets.token_bytes(300))
    diff_ids = [digest_of(layer) for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    config = to_json({"architecture": "amd64", "os": "linux", "rootfs": rootfs})
    return Image(config, layers, manifest_of(config, layers, docker=docker, **more))
