"""What is measured: a function for each line, or for a few that are measured in the same rounds."""

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.clients import hold_idle, pull, pull_on, pull_with_tls, push, push_unasked
from benchmarks.crowd import meanwhile, together
from benchmarks.lab import Lab
from benchmarks.measure import REQUESTS, TRANSFER, Rival, Row, Sample, Scale, compare
from benchmarks.peers import PASSWORD, USER, Peer, basic
from benchmarks.programs import forget_peak, peak_memory

REGISTRY = "docker-registry"
NGINX = "nginx"
CROWD = 8  # clients that transfer at once
DOWNLOADS = 4  # that run beside small requests
MEGABYTE = 1_000_000
CHEAP_LOGIN = 0.77  # a request with a password takes at most 1.3 times as long as one without


def pulls(lab: Lab) -> list[Row]:
    """Blob pulls by one client and by eight."""
    scale = _many_rounds(lab.scale)

    def measure(peer: Peer, count: int) -> Sample:
        return lab.transfer(peer, [partial(pull, peer, lab.blob)] * count)

    return [
        row
        for count in (1, CROWD)
        for row in compare(
            f"Blob pull, {count} {'client' if count == 1 else 'clients'}",
            TRANSFER,
            scale,
            partial(measure, lab.ours.plain, count),
            Rival(REGISTRY, partial(measure, lab.registry, count), 1.5),
            Rival(NGINX, partial(measure, lab.nginx, count), 0.9),
        )
    ]


def pushes(lab: Lab) -> list[Row]:
    """Blob pushes with their commit, as skopeo and as docker send them."""
    scale = _many_rounds(lab.scale)
    return [
        row
        for what, chunked in (("Content-Length", False), ("chunked", True))
        for row in compare(
            f"Blob push and commit, {what}",
            TRANSFER,
            scale,
            partial(lab.push, lab.ours.plain, chunked=chunked),
            Rival(REGISTRY, partial(lab.push, lab.registry, chunked=chunked), 2),
        )
    ]


def tls(lab: Lab) -> list[Row]:
    """Blob pulls with TLS."""
    authority = lab.ours.tls / "ca.crt"

    def measure(peer: Peer, count: int) -> Sample:
        return lab.transfer(peer, [partial(pull_with_tls, peer, lab.blob, authority)] * count)

    return [
        row
        for count in (1, DOWNLOADS)
        for row in compare(
            f"Blob pull with TLS, {count} {'client' if count == 1 else 'clients'}",
            TRANSFER,
            lab.scale,
            partial(measure, lab.ours.secure, count),
            Rival(REGISTRY, partial(measure, lab.registry_tls, count), 1.3),
            Rival(NGINX, partial(measure, lab.nginx_tls, count)),
        )
    ]


def manifests(lab: Lab) -> list[Row]:
    """A manifest by its tag, asked for without and with a login."""
    login = lab.ours.plain.login
    rows = []
    for what, different, least in (("repeated", False, 10), ("through the routes", True, 1.5)):
        ours = partial(lab.ask, lab.ours.plain, different=different)
        theirs = partial(lab.ask, lab.registry, different=different)
        known = partial(lab.ask, lab.registry_passwords, basic(USER, PASSWORD), different=different)
        anonymous = f"Manifest, anonymous, {what}"
        rows += compare(anonymous, REQUESTS, lab.scale, ours, Rival(REGISTRY, theirs, least))
        rows += compare(
            f"Manifest, Basic, {what}",
            REQUESTS,
            lab.scale,
            partial(ours, login),
            Rival(f"{REGISTRY}, anonymous", theirs, least),
            Rival(f"{REGISTRY}, htpasswd", known),
            Rival("the same, anonymous", ours, CHEAP_LOGIN),
        )
    return rows


def mixed(lab: Lab) -> list[Row]:
    """The same while blobs are pulled from the same server at full speed."""

    def measure(peer: Peer, different: bool) -> Sample:
        with meanwhile([partial(pull_on, peer, lab.blob)] * DOWNLOADS):
            return lab.ask(peer, different=different)

    return [
        row
        for what, different, least in (("repeated", False, 5), ("through the routes", True, None))
        for row in compare(
            f"Manifest during {DOWNLOADS} pulls, {what}",
            REQUESTS,
            lab.scale,
            partial(measure, lab.ours.plain, different),
            Rival(REGISTRY, partial(measure, lab.registry, different), least),
        )
    ]


def idle(lab: Lab) -> list[Row]:
    """Small requests while many connections are open that say nothing."""
    peer = lab.ours.plain

    def crowded(different: bool) -> Sample:
        with meanwhile([partial(hold_idle, peer, lab.scale.idle)]):
            return lab.ask(peer, different=different)

    return [
        row
        for what, different in (("repeated", False), ("through the routes", True))
        for row in compare(
            f"Manifest beside {lab.scale.idle:,} idle connections, {what}",
            REQUESTS,
            lab.scale,
            partial(crowded, different),
            Rival("without them", partial(lab.ask, peer, different=different), 0.8),
        )
    ]


def memory(lab: Lab) -> list[Row]:
    """The most memory while blobs go up and down at once."""

    def measure(peer: Peer) -> float:
        blobs = [lab.layer.next_blob() for _ in range(CROWD)]
        forget_peak(peer.pid)
        try:
            together(
                [partial(pull, peer, lab.blob)] * CROWD
                + [partial(push, peer, blob, chunked=True) for blob in blobs]
            )
        finally:
            for blob in blobs:
                peer.drop(blob.digest)
        return peak_memory(peer.pid) / MEGABYTE

    ours, theirs = measure(lab.ours.plain), measure(lab.registry)
    what = f"Memory, {CROWD} pulls and {CROWD} pushes at once"
    return [Row(what, "", f"{ours:.0f} MB", f"{theirs:.0f} MB", ours, "MB", most=200)]


def refusal(lab: Lab) -> list[Row]:
    """How soon a push without a login is refused."""
    status, sent, seconds = push_unasked(lab.ours.plain, lab.scale.size)
    if status != 401:
        raise RuntimeError(f"A push without a login was answered {status}")
    ours = f"{sent} bytes, answer after {seconds * 1000:.1f} ms"
    return [Row("Body sent before a 401, with Expect", "", ours, "", sent, "bytes", most=0)]


def _many_rounds(scale: Scale) -> Scale:
    """Return the scale for what scatters.

    Pulls do with the congestion control, which begins anew with each connection, and pushes with
    fresh memory, which a virtual machine gets back from its host.
    """
    return scale._replace(rounds=2 * scale.rounds - 1)


CASES: Mapping[str, Callable[[Lab], list[Row]]] = {
    case.__name__: case for case in (pulls, pushes, tls, manifests, mixed, idle, memory, refusal)
}
