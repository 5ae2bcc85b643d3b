"""Read the image lists of users who may see one of very many images, and time others meanwhile.

Run by hand: ``python -m benchmarks.long_lists [--components N]``. One user's right gives a range of
names, another one's is a regular expression that tells nothing of how names begin. For each of them
the program measures one page, then the requests for a manifest by the administrator: first alone,
then beside eight clients that read pages without a pause. The manifest is requested through the
routes, each time with another header; what the response cache repeats is only printed, since it
takes less time than a change of threads. The clients of the lists send the same requests again, as
those do that watch a list; what the manifest takes beside requests that all differ, of which each
is worked out, is printed as well. The program fails if a bar is missed.
"""

import argparse
import base64
import http.client
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.purge import fill
from benchmarks.wrk import DIFFERENT
from repoman.db.database import FILE
from tests.functional.docker.images import Image, digest_of, make_image, media_type_of
from tests.live import LiveServer, live_server
from tests.programs import find_program

PAGE_BAR_S = 0.2  # One page.
BESIDE_BAR = 3.0  # The time of a request beside the lists, as a multiple of its time alone.
CLIENTS = 8
REQUESTS = 400
PAGES = 20
_numbers = itertools.count()
PASSWORD = "a-password-of-users"
SELECTORS = {
    "range": 'path =^ "/v2/team/app-0150000"',
    "expression": 'path =~ "/v2/.*-0150000/?.*"',
}


@dataclass(frozen=True)
class Times:
    """Seconds: the median, and the one that 99 of 100 requests keep."""

    median: float
    p99: float

    def __str__(self) -> str:
        return f"median {self.median * 1e3:.1f} ms, p99 {self.p99 * 1e3:.1f} ms"


def push(server: LiveServer, name: str, image: Image) -> None:
    """Push an image with the tag 1."""
    url = f"http://127.0.0.1:{server.connector_port}/v2/{name}"
    for blob in image.blobs:
        query = {"digest": digest_of(blob)}
        answer = requests.post(
            f"{url}/blobs/uploads/", blob, params=query, auth=server.admin, timeout=60
        )
        answer.raise_for_status()
    headers = {"Content-Type": media_type_of(image.manifest)}
    requests.put(
        f"{url}/manifests/1", image.manifest, headers=headers, auth=server.admin, timeout=60
    ).raise_for_status()


def make_user(server: LiveServer, name: str, expression: str) -> None:
    """Make a user who may see what a content selector picks, and nothing else."""
    server.cli("selector", "create", name, expression)
    for_name = ("--format", "docker", "--repository", "docker-hosted", "--selector", name)
    actions = ("--action", "browse", "--action", "read")
    server.cli("privilege", "create", "repository-content-selector", name, *for_name, *actions)
    server.cli("role", "create", name, "--privilege", name)
    server.cli("user", "create", name, "--role", name, "--password-stdin", given=PASSWORD + "\n")


def authorization(name: str, password: str) -> str:
    """The header of a login."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def measure(
    server: LiveServer, path: str, login: str, count: int, *, is_varied: bool = True
) -> Times:
    """Ask for a path again and again on one connection; varied requests are not repeated ones."""
    connection = http.client.HTTPConnection("127.0.0.1", server.connector_port, timeout=60)
    took = []
    for _ in range(count):
        number = {"X-Number": str(next(_numbers))} if is_varied else {}
        headers = {"Authorization": login, **number}
        begin = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        took.append(time.perf_counter() - begin)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body!r}")
    connection.close()
    took.sort()
    return Times(took[len(took) // 2], took[len(took) * 99 // 100])


@contextmanager
def readers(server: LiveServer, lists: str, reader: str, script: Path | None) -> Iterator[None]:
    """Clients that read lists without a pause."""
    command = [find_program("wrk"), "--threads", "1", "--connections", str(CLIENTS)]
    command += ["--duration", "60s", "--header", f"Authorization: {reader}"]
    command += ["--script", str(script)] if script else []
    url = f"http://127.0.0.1:{server.connector_port}{lists}"
    others = subprocess.Popen([*command, url], stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        others.terminate()
        others.wait()


def run(directory: Path, count: int) -> bool:
    """Measure, and return whether the bars are met."""
    with live_server(directory) as server:
        server.stop()
        fill(server.data / FILE, "docker-hosted", count)
        for name, expression in SELECTORS.items():
            make_user(server, name, expression)
        server.start()
        push(server, "hot", make_image(b"layer"))
        return all([measure_user(server, name) for name in SELECTORS])


def measure_user(server: LiveServer, name: str) -> bool:
    """Measure beside one of the users, print it, and return whether the bars are met."""
    lists, manifest = "/v2/_catalog?n=10", "/v2/hot/manifests/1"
    reader, admin = authorization(name, PASSWORD), authorization(*server.admin)

    def measure_both() -> tuple[Times, Times]:
        repeated = measure(server, manifest, admin, REQUESTS, is_varied=False)
        return measure(server, manifest, admin, REQUESTS), repeated

    measure_both()  # warm
    begin = server.cpu_time()
    page = measure(server, lists, reader, PAGES)
    used = (server.cpu_time() - begin) / PAGES
    alone, alone_repeated = measure_both()
    print(f"{name}: a page {page}, {used * 1e3:.1f} ms of CPU (bar {PAGE_BAR_S * 1e3:g} ms)")
    print(f"    a manifest alone {alone}; repeated {alone_repeated}")
    script = server.data.parent / "different.lua"
    script.write_text(DIFFERENT)
    ratios = []
    for what, lua in (("the same", None), ("different", script)):
        with readers(server, lists, reader, lua):
            beside, beside_repeated = measure_both()
        ratios.append(beside.median / alone.median)
        print(f"    beside {CLIENTS} lists, {what}: {beside}; repeated {beside_repeated}")
    print(f"    {ratios[0]:.1f} times (bar {BESIDE_BAR:g}), beside different ones {ratios[1]:.1f}")
    return used <= PAGE_BAR_S and ratios[0] <= BESIDE_BAR


def main() -> None:
    """Parse arguments, run, and exit with 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_lists", description=__doc__)
    parser.add_argument("--components", type=int, default=300_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="long-lists-") as directory:
        if not run(Path(directory), options.components):
            sys.exit(1)


if __name__ == "__main__":
    main()
