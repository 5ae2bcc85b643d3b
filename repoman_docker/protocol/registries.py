"""The names of registries: those of Docker Hub, and what users enter in place of an address."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

HUB_URL = "https://registry-1.docker.io"
# Docker Hub has one registry and many names: for images, pages, index and former registries.
HUB_HOSTS = frozenset(
    {
        "docker.io",
        "docker.com",
        "www.docker.com",
        "hub.docker.com",
        "index.docker.io",
        "registry-1.docker.io",
        "registry.docker.io",
        "registry.hub.docker.com",
        "www.docker.io",
    }
)
USUAL_PORTS = {"http": ":80", "https": ":443"}

_API = re.compile(r"(?:/v[12])+/*\Z", re.IGNORECASE)
_API_PATH = re.compile(r"/v[12]/", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_.-]{1,253}(?::[0-9]{1,5})?|\[[0-9a-f:.]{2,45}\](?::[0-9]{1,5})?")


def is_hub(host: str) -> bool:
    """Return whether a host, with or without a port, is Docker Hub."""
    return host.lower().removesuffix(":443").removesuffix(":80") in HUB_HOSTS


def without_api(url: str) -> str:
    """Return the address of a registry without the path of its API."""
    return _API.sub("", url)


def registry_address(url: str) -> str:
    """Return the address of the API of a registry, given any of its known addresses.

    Raises:
        ValueError: it is not the address of a registry; the message has the right one.
    """
    parts = urlsplit(without_api(url))
    if is_hub(parts.netloc):
        if parts.path.strip("/"):
            raise ValueError(f"must be the address of a registry without a path: {HUB_URL}")
        return HUB_URL
    if found := _API_PATH.search(parts.path + "/"):
        right = f"{parts.scheme}://{parts.netloc}{parts.path[: found.start()]}"
        raise ValueError(f"must be the address of a registry without the path of the API: {right}")
    return parts.geturl()


def namespaces_of(hosts: Iterable[str]) -> frozenset[str]:
    """Return all names that clients may use for the registries at these hosts."""
    found = frozenset(host.lower() for host in hosts)
    return found | HUB_HOSTS if any(map(is_hub, found)) else found


def host_names(url: str) -> frozenset[str]:
    """Return the names of the registry at an address: its host, also without a default port."""
    parts = urlsplit(url)
    host, usual = parts.netloc.lower(), USUAL_PORTS.get(parts.scheme, "")
    return namespaces_of({host, host.removesuffix(usual)} if usual else {host})


def parse_host(text: str) -> str:
    """Return a registry's host, with its port if one is given, in lower case.

    Raises:
        ValueError: it is something else, such as a whole address; the message says what to write.
    """
    host = text.strip().lower()
    if "://" in host and (inner := urlsplit(host).netloc.rpartition("@")[2]):
        raise ValueError(f"must be host names only, such as {inner}")
    if not _HOST.fullmatch(host):
        raise ValueError("must be host names such as docker.io or registry.example.com:5000")
    return host
