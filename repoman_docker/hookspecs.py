"""The hooks that the Docker format adds; see ``docs/docker.md``."""

from typing import TYPE_CHECKING

from repoman.plugin import hookspec

if TYPE_CHECKING:
    from repoman_docker.search import IndexFactory


@hookspec
def repoman_docker_index_strategies() -> "dict[str, IndexFactory]":
    """Return the index strategies of proxies by their ``docker_proxy.index_type``.

    Called each time a proxy is built.
    """
    raise NotImplementedError
