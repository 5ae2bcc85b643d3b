"""Pushes of many small images, as docker sends them: what counts is what each request costs.

The data lies on a disk, whatever the other cases do: each blob has to be durable, and in memory an
fsync costs nothing.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.clients import UPLOADS, upload_path
from benchmarks.crowd import together
from benchmarks.lab import Lab
from benchmarks.measure import Rival, Row, Sample, compare
from benchmarks.peers import Peer
from benchmarks.wire import Wire
from tests.e2e.registry import MANIFEST

BLOBS = 5  # of each image, the config among them
BLOB_BYTES = 20_000
BARS = {1: 1.2, 8: 1.5}  # by the number of clients
FORM = "{0:,.1f} images/s, {1:.1f} ms of CPU each"
TYPE = "application/vnd.oci.image.layer.v1.tar"


def small_images(lab: Lab) -> list[Row]:
    """Pushes of images by one client and by eight."""
    seconds = lab.scale.seconds

    def measure(peer: Peer, count: int) -> Sample:
        before = peer.cpu()
        images, taken = together([partial(push_images, peer, seconds)] * count)
        return images / taken, (peer.cpu() - before) * 1000 / images

    with _on_disk(lab.disk) as (ours, registry):
        return [
            row
            for count, least in BARS.items()
            for row in compare(
                f"Small images, {count} {'client' if count == 1 else 'clients'}, on a disk",
                FORM,
                lab.scale,
                partial(measure, ours, count),
                Rival(registry.name, partial(measure, registry, count), least),
            )
        ]


def push_images(peer: Peer, seconds: float) -> int:
    """Push images over one connection for a time, and return how many those were."""
    end, count = time.monotonic() + seconds, 0
    with Wire(peer) as wire:
        while time.monotonic() < end:
            parts = [_push_blob(wire, peer) for _ in range(BLOBS)]
            _push_manifest(wire, peer, parts)
            count += 1
    return count


def _push_blob(wire: Wire, peer: Peer) -> dict[str, object]:
    """Push new bytes and return their descriptor."""
    data = os.urandom(BLOB_BYTES)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    wire.ask("HEAD", peer.blobs + digest, *peer.login)
    wire.expect_head(404)
    wire.ask("POST", UPLOADS, "Content-Length: 0", *peer.login)
    location = upload_path(wire.finish(202))
    kind = "Content-Type: application/octet-stream"
    wire.ask("PATCH", location, f"Content-Length: {len(data)}", kind, *peer.login, body=data)
    location = upload_path(wire.finish(202))
    mark = "&" if "?" in location else "?"
    wire.ask("PUT", f"{location}{mark}digest={digest}", "Content-Length: 0", *peer.login)
    wire.finish(201)
    return {"mediaType": TYPE, "digest": digest, "size": len(data)}


def _push_manifest(wire: Wire, peer: Peer, parts: list[dict[str, object]]) -> None:
    config, *layers = parts
    content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    data = json.dumps(content).encode()
    tag = str(config["digest"])[-16:]
    path = f"/v2/bench/layers/manifests/{tag}"
    headers = (f"Content-Type: {MANIFEST}", f"Content-Length: {len(data)}")
    wire.ask("PUT", path, *headers, *peer.login, body=data)
    wire.finish(201)


@contextmanager
def _on_disk(disk: Path) -> Iterator[tuple[Peer, Peer]]:
    """Run this server and the other one with data on a disk."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as name,
        peers.repoman(Path(name) / "repoman") as ours,
        peers.docker_registry(Path(name) / "registry", Path(name) / "stored") as registry,
    ):
        yield ours.plain, registry
