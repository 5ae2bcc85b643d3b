"""All servers at work, with the same content, and the measuring of one of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.clients import push
from benchmarks.crowd import together
from benchmarks.layers import PIECE, Blob, Layer
from benchmarks.measure import GIB, MIB, Sample, Scale
from benchmarks.peers import Ours, Peer
from benchmarks.wrk import DIFFERENT, load
from tests.e2e.registry import MANIFEST, Registry

IMAGE = "/v2/bench/layers/manifests/1"


@dataclass(frozen=True)
class Lab:
    """What the cases work with."""

    scale: Scale
    disk: Path  # a directory for data that has to reach a disk
    layer: Layer
    blob: Blob  # what every server has
    script: Path
    ours: Ours
    registry: Peer
    registry_tls: Peer
    registry_passwords: Peer
    nginx: Peer
    nginx_tls: Peer

    def transfer(self, peer: Peer, works: Sequence[Callable[[], int]]) -> Sample:
        """Do transfers at once; gives MiB/s, and seconds of CPU per GiB."""
        before = peer.cpu()
        size, seconds = together(works)
        return size / MIB / seconds, (peer.cpu() - before) / (size / GIB)

    def push(self, peer: Peer, *, chunked: bool) -> Sample:
        """Push a new blob and remove it."""
        blob = self.layer.next_blob()
        try:
            return self.transfer(peer, [partial(push, peer, blob, chunked=chunked)])
        finally:
            peer.drop(blob.digest)

    def ask(self, peer: Peer, login: tuple[str, ...] = (), *, different: bool = False) -> Sample:
        """Ask for a manifest by its tag; gives what REQUESTS shows."""
        url = f"http://127.0.0.1:{peer.port}{IMAGE}"
        headers = (f"Accept: {MANIFEST}", *login)
        before = peer.cpu()
        done = load(url, self.scale.seconds, headers, self.script if different else None)
        cpu = (peer.cpu() - before) * 1e6 / (done.rate * self.scale.seconds)
        return done.rate, done.median, done.worst, cpu


@contextmanager
def laboratory(directory: Path, disk: Path, scale: Scale) -> Iterator[Lab]:
    """Start everything and fill it; end it after the block."""
    served, stored = directory / "served", directory / "stored"
    served.mkdir()
    layer = Layer(directory / "layer", scale.size)
    blob = layer.next_blob()
    named = served / blob.digest
    named.symlink_to(blob.path)
    script = directory / "different.lua"
    script.write_text(DIFFERENT)
    with ExitStack() as stack:
        ours = stack.enter_context(peers.repoman(directory / "repoman"))

        def registry(name: str, more: str = "") -> Peer:
            return stack.enter_context(peers.docker_registry(directory / name, stored, more))

        plain, secure = stack.enter_context(peers.nginx(directory / "nginx", served, ours.tls))
        lab = Lab(
            scale,
            disk,
            layer,
            blob,
            script,
            ours,
            registry("registry"),
            registry("registry-tls", peers.with_tls(ours.tls)),
            registry("registry-passwords", peers.with_passwords(directory)),
            plain,
            secure,
        )
        for peer, auth in ((lab.ours.plain, lab.ours.admin), (lab.registry, None)):
            push(peer, blob, chunked=False)
            image = Registry(f"http://127.0.0.1:{peer.port}", auth)
            image.push_image("bench/layers", "1", b"a small layer")
        _share(lab.ours.plain.files(blob.digest)[0], [*lab.registry.files(blob.digest), named])
        yield lab


def _share(file: Path, others: Sequence[Path]) -> None:
    """Put one file in the place of all, so that where it lies in memory favours nobody."""
    for other in others:
        if other.stat().st_size > PIECE:  # the others only name it
            other.unlink()
            other.hardlink_to(file)
