"""The client of a remote registry: how a proxy asks for manifests, blobs and lists."""

from repoman_docker.remote.client import Budget, RegistryClient, RemoteManifest, RemoteTag
from repoman_docker.remote.credentials import RemoteCredentials

__all__ = ["Budget", "RegistryClient", "RemoteCredentials", "RemoteManifest", "RemoteTag"]
