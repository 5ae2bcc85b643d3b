"""The remote of a proxy as an administrator sees it."""

from repoman.plugin import Condition
from repoman_docker.layout import tag_list_path, tag_path
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Tag
from repoman_docker.proxy.site import ProxySite
from repoman_docker.proxy.tags import TagStore
from repoman_docker.remote import Budget


class ProxyRemote:
    """Tells how the remote is, and makes what is cached stale."""

    def __init__(self, site: ProxySite, tags: TagStore) -> None:
        self._site = site
        self._tags = tags

    @property
    def condition(self) -> Condition:
        """See :class:`repoman_docker.service.RemoteService`."""
        return self._site.cache.status.condition

    @property
    def reason(self) -> str:
        """See :class:`repoman_docker.service.RemoteService`."""
        return self._site.cache.status.reason

    @property
    def budget(self) -> Budget | None:
        """See :class:`repoman_docker.service.RemoteService`."""
        return self._site.registry.budget

    def invalidate(self) -> None:
        """See :class:`repoman_docker.service.RemoteService`."""
        self._tags.forget_seen()
        self._site.cache.invalidate()

    def refresh(self, name: str) -> None:
        """See :class:`repoman_docker.service.RemoteService`; also lists and what was not found."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN)
        self._tags.forget_seen()
        self._site.cache.refresh([tag_path(image, Tag("")), f"manifests/{image}/"])
        self._site.cache.records.mark_checked([tag_list_path(image)], None)
