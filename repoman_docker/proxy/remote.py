"""The remote of a proxy as an administrator sees it."""

from repoman.plugin import RemoteState
from repoman_docker.layout import tag_list_path, tag_path
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Tag
from repoman_docker.proxy.site import ProxySite


class ProxyRemote:
    """Reports the status of the remote, and invalidates the cache."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site

    @property
    def state(self) -> RemoteState:
        """See :class:`repoman.plugin.Remote`."""
        return self._site.cache.state

    def check(self) -> RemoteState:
        """See :class:`repoman.plugin.Remote`."""
        return self._site.cache.check()

    def invalidate(self) -> None:
        """See :class:`repoman.plugin.Remote`."""
        self._site.cache.invalidate()

    def refresh(self, name: str) -> None:
        """See :class:`repoman.plugin.Remote`; includes lists and negative results."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN)
        self._site.cache.refresh(
            [
                (tag_path(image, Tag("")), ""),
                (tag_list_path(image), tag_list_path(image)),
                ("referrers/", f"/{image}"),
            ]
        )
