"""Proxies: an image pulled through one for the first time, and once more."""

import hashlib
import os
import tempfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from urllib.request import urlopen

from benchmarks.clients import pull, push
from benchmarks.lab import Lab
from benchmarks.layers import Blob
from benchmarks.measure import TRANSFER, Rival, Row, Sample, compare
from benchmarks.peers import Peer
from benchmarks.wire import Wire
from tests.clock import wait_until

LAYERS = 4
AT_ONCE = 3  # layers that docker downloads side by side
PIECE = 1 << 20
LETTERS = bytes(range(97, 113)) * 16  # what random bytes become: half of each is left
COLD = 0.87  # of the speed without a proxy: a pull takes at most 1.15 times as long
WARM = 0.95  # no longer than from a hosted repository, but for what two runs of the same differ

_numbers = count(1)


def caches(lab: Lab) -> list[Row]:
    """Pulls of an image, checked and unpacked as docker does, and of one blob as it comes."""
    with tempfile.TemporaryDirectory(dir=lab.layer.directory) as directory:
        layers = [
            _make_layer(Path(directory) / str(number), lab.scale.size // 16)
            for number in range(LAYERS)
        ]
        for peer in (lab.ours.plain, lab.registry):
            for layer in layers:
                push(peer, layer, chunked=False)
        kept = _proxy(lab)

        def image(peer: Peer) -> Sample:
            return lab.transfer(peer, [partial(pull_and_unpack, peer, layers, Path(directory))])

        image(kept)
        return [
            *compare(
                "Image pull through a proxy, cold",
                TRANSFER,
                lab.scale,
                lambda: image(_proxy(lab)),
                Rival("docker-registry, without the proxy", partial(image, lab.registry), COLD),
            ),
            *compare(
                "Image pull through a proxy, warm",
                TRANSFER,
                lab.scale,
                partial(image, kept),
                Rival("the same, hosted", partial(image, lab.ours.plain), WARM),
                Rival("docker-registry, without the proxy", partial(image, lab.registry)),
            ),
            *compare(
                "Blob pull through a proxy, cold, dropped as it comes",
                TRANSFER,
                lab.scale,
                lambda: _pull_blob(lab, _proxy(lab)),
                Rival("docker-registry, without the proxy", partial(_pull_blob, lab, lab.registry)),
            ),
        ]


def _pull_blob(lab: Lab, peer: Peer) -> Sample:
    return lab.transfer(peer, [partial(pull, peer, lab.blob)])


def _proxy(lab: Lab) -> Peer:
    """Return a new proxy of the other registry: one that has nothing yet."""
    server, name = lab.ours.server, f"proxy-{next(_numbers)}"
    remote = f"http://127.0.0.1:{lab.registry.port}"
    server.cli("repo", "create", "docker-proxy", name, "--set", f"proxy.remote_url={remote}")
    root = f"/repository/{name}/v2/"

    def is_there() -> bool:
        with Wire(on_main_port) as wire:
            wire.ask("GET", root, *lab.ours.plain.login)
            return wire.read_head().status == 200

    on_main_port = Peer(
        "repoman",
        server.main_port,
        lab.ours.plain.pid,
        server.data,
        blobs=f"{root}bench/layers/blobs/",
    )
    wait_until(is_there, what="the new proxy")
    return on_main_port


def _make_layer(path: Path, size: int) -> Blob:
    """Write about ``size`` bytes of gzip, of content that is twice as long, as in images."""
    compressor = zlib.compressobj(1, wbits=31)
    state, written = hashlib.sha256(), 0
    with path.open("wb") as file:
        while written < size:
            data = compressor.compress(os.urandom(PIECE).translate(LETTERS))
            state.update(data)
            written += file.write(data)
        data = compressor.flush()
        state.update(data)
        written += file.write(data)
    return Blob(path, written, b"", f"sha256:{state.hexdigest()}")


def pull_and_unpack(peer: Peer, layers: Sequence[Blob], directory: Path) -> int:
    """Download layers side by side, checking them, and unpack them one after the other.

    Returns their size in bytes, compressed.

    Raises:
        RuntimeError: a layer has another digest.
    """
    with tempfile.TemporaryDirectory(dir=directory) as place, ThreadPoolExecutor(AT_ONCE) as pool:
        files = [Path(place) / layer.digest.partition(":")[2] for layer in layers]
        waiting = [
            pool.submit(_download, peer, layer, file)
            for layer, file in zip(layers, files, strict=True)
        ]
        for download, file in zip(waiting, files, strict=True):
            download.result()
            _unpack(file)
    return sum(layer.size for layer in layers)


def _download(peer: Peer, layer: Blob, path: Path) -> None:
    state = hashlib.sha256()
    address = f"http://127.0.0.1:{peer.port}{peer.blobs}{layer.digest}"
    with urlopen(address) as answer, path.open("wb", buffering=0) as file:
        while data := answer.read1(PIECE):
            state.update(data)
            file.write(data)
    if layer.digest != f"sha256:{state.hexdigest()}":
        raise RuntimeError(f"{peer.name} sent wrong bytes.")


def _unpack(path: Path) -> None:
    """Write what a layer contains, and hash it, as docker does to know its diff id."""
    expander, state = zlib.decompressobj(wbits=31), hashlib.sha256()
    with path.open("rb", buffering=0) as packed, path.with_suffix(".tar").open("wb") as file:
        while data := packed.read(PIECE):
            content = expander.decompress(data)
            state.update(content)
            file.write(content)
    path.unlink()
