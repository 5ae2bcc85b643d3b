"""The client of a remote registry, with which a proxy requests manifests, blobs and lists."""

from repoman_docker.remote.client import RegistryClient
from repoman_docker.remote.contract import (
    Budget,
    RemoteList,
    RemoteManifest,
    RemoteRegistry,
    RemoteTag,
    WrongManifest,
)
from repoman_docker.remote.v1_client import V1Client

__all__ = [
    "Budget",
    "RegistryClient",
    "RemoteList",
    "RemoteManifest",
    "RemoteRegistry",
    "RemoteTag",
    "V1Client",
    "WrongManifest",
]
