"""The deployment policy of a hosted repository: what clients may write."""

from dataclasses import dataclass

from repoman.plugin import Coordinate, Denied, WritePolicy
from repoman_docker.layout import TAG, tagged
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.patterns import TagChoice
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.service import failure

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class DeploymentPolicy:
    """Refuses writes that the policy forbids. Clients do not retry after DENIED.

    Attributes:
        repository: its name, for messages.
        policy: the setting of the repository.
        redeploy_latest: whether ``allow_once`` makes an exception for the tag latest.
        immutable: the tags that can neither be moved nor deleted.
    """

    repository: str
    policy: WritePolicy
    redeploy_latest: bool
    immutable: TagChoice

    @property
    def read_only(self) -> str:
        """Why the repository accepts neither writes nor deletions; empty if it does."""
        if self.policy is not WritePolicy.DENY:
            return ""
        return f"The repository {self.repository} is read-only (deployment policy: read-only)."

    @property
    def has_immutable(self) -> bool:
        """Whether there can be a tag that must neither be moved nor deleted."""
        return bool(self.immutable.patterns)

    def check_write(self) -> None:
        """Check whether the repository accepts writes and deletions.

        Raises:
            RegistryFailure: DENIED, the repository is read-only.
        """
        if self.read_only:
            raise failure(ErrorCode.DENIED, self.read_only)

    def check_tag(self, name: str, tag: str, old: str | None, new: Digest) -> None:
        """Check whether a tag at the digest ``old`` (None: a new tag) may be set to ``new``.

        Raises:
            RegistryFailure: DENIED, the tag exists with other content and must not be moved.
        """
        if old is None or old == str(new):
            return
        if reason := self.protection(tagged(name, Tag(tag))):
            raise failure(ErrorCode.DENIED, f"{reason} Push another tag.")
        if self.policy is WritePolicy.ALLOW:
            return
        if tag == LATEST and self.redeploy_latest:
            return
        raise failure(
            ErrorCode.DENIED,
            f"{name}:{tag} exists in the repository {self.repository} with other content and "
            "cannot be overwritten (deployment policy: disable redeploy). Push another tag.",
        )

    def protection(self, coordinate: Coordinate) -> str:
        """Return why a tag can neither be moved nor deleted, a sentence; empty: it can."""
        if coordinate.kind != TAG:
            return ""
        name, tag = coordinate.name, coordinate.version
        rule = self.immutable.rule_for(name, tag)
        if not rule:
            return ""
        return f"{name}:{tag} is immutable in the repository {self.repository} (rule {rule})."

    def check_delete(self, name: str, tag: str) -> None:
        """Check whether a tag may be deleted (Denied: it is immutable)."""
        if reason := self.protection(tagged(name, Tag(tag))):
            raise Denied(f"{reason} It cannot be deleted.")
