"""Images as builders make them, for the tests of what people see of them."""

import gzip
import io
import json
import tarfile
from typing import Any

from tests.functional.docker.images import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Image,
    descriptor,
    digest_of,
    to_json,
)

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
STEPS = (
    ("/bin/sh -c #(nop) ADD file:1 in / ", False),
    ("RUN /bin/sh -c apt-get update # buildkit", False),
    ("ENV GREETING=hello", True),
    ("COPY app /app # buildkit", False),
    ('CMD ["serve"]', True),
)


def tar_of(*names: str, content: bytes = b"content") -> bytes:
    """A layer with these files, packed with gzip."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = 1_700_000_000
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def built(
    *layers: bytes,
    steps=STEPS,
    architecture: str = "amd64",
    config: dict[str, Any] | None = None,
    created: str = "2026-11-28T13:32:00.123456789Z",
    **more: Any,
) -> Image:
    """An image with a history."""
    told = [
        {"created_by": text, "created": created, **({"empty_layer": True} if empty else {})}
        for text, empty in steps
    ]
    body = to_json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": created,
            "config": config or {},
            "history": told,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(each) for each in layers]},
        }
    )
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(body, OCI_CONFIG),
            "layers": [descriptor(each, GZIP) for each in layers],
            **more,
        }
    )
    return Image(body, layers, manifest)


def index(*children: tuple[bytes, str], **more: Any) -> bytes:
    """An index of manifests with their platforms, such as ``linux/arm64``."""
    found = []
    for manifest, platform in children:
        system, machine = platform.split("/")
        fields = {"os": system, "architecture": machine}
        found.append(descriptor(manifest, OCI_MANIFEST, platform=fields))
    return to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found, **more})


def attestation(subject: bytes, statement: bytes, predicate: str) -> tuple[Image, dict[str, Any]]:
    """What BuildKit says of an image, and its descriptor in the index."""
    layer = descriptor(
        statement,
        "application/vnd.in-toto+json",
        annotations={"in-toto.io/predicate-type": predicate},
    )
    config = to_json({"architecture": "unknown", "os": "unknown", "config": {}})
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [layer],
        }
    )
    child = descriptor(
        manifest,
        OCI_MANIFEST,
        platform={"os": "unknown", "architecture": "unknown"},
        annotations={
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": digest_of(subject),
        },
    )
    return Image(config, (statement,), manifest), child


def with_child(index_body: bytes, child: dict[str, Any]) -> bytes:
    """The index with one more child."""
    fields = json.loads(index_body)
    fields["manifests"].append(child)
    return to_json(fields)


def artifact(subject: bytes, artifact_type: str, data: bytes, **annotations: str) -> Image:
    """Something that is attached to a manifest."""
    empty = b"{}"
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": descriptor(empty, "application/vnd.oci.empty.v1+json"),
            "layers": [descriptor(data, artifact_type)],
            "subject": descriptor(subject, json.loads(subject)["mediaType"]),
            "annotations": annotations,
        }
    )
    return Image(empty, (data,), manifest)
