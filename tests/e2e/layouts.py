"""Images for several machines, as OCI layouts that skopeo reads."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.clients import OCI, write_layout


def write_multi_arch_layout(directory: Path, payloads: Mapping[str, bytes]) -> str:
    """Write an index of one image for each architecture; return the layout's name for skopeo."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    entries = []
    for architecture, payload in payloads.items():
        part = directory.with_name(f"{directory.name}-{architecture}")
        write_layout(part, payload, architecture)
        shutil.copytree(part / "blobs/sha256", blobs, dirs_exist_ok=True)
        [entry] = json.loads((part / "index.json").read_text(encoding="utf-8"))["manifests"]
        del entry["annotations"]
        entries.append({**entry, "platform": {"os": "linux", "architecture": architecture}})
        shutil.copy(part / "oci-layout", directory)
    media_type = f"{OCI}.index.v1+json"
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    content = json.dumps(index).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    top = {
        "mediaType": media_type,
        "digest": f"sha256:{digest}",
        "size": len(content),
        "annotations": {"org.opencontainers.image.ref.name": "1"},
    }
    text = json.dumps({"schemaVersion": 2, "manifests": [top]})
    (directory / "index.json").write_text(text, encoding="utf-8")
    return f"oci:{directory}:1"


def blobs_of(directory: Path) -> set[str]:
    """The digests, in hex, of all that an OCI layout holds."""
    return {path.name for path in (directory / "blobs/sha256").iterdir()}
