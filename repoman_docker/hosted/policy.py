"""The deployment policy of a hosted repository: what clients may write."""

from dataclasses import dataclass

from repoman.plugin import WritePolicy
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Digest
from repoman_docker.service import failure

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class DeploymentPolicy:
    """Refuses writes that the policy forbids. Clients do not retry after DENIED.

    Attributes:
        repository: its name, for messages.
        policy: the setting of the repository.
        redeploy_latest: whether ``allow_once`` makes an exception for the tag latest.
    """

    repository: str
    policy: WritePolicy
    redeploy_latest: bool

    @property
    def read_only(self) -> str:
        """Why the repository accepts neither writes nor deletions; empty if it does."""
        if self.policy is not WritePolicy.DENY:
            return ""
        return f"The repository {self.repository} is read-only (deployment policy: read-only)."

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
        if self.policy is WritePolicy.ALLOW or old is None or old == str(new):
            return
        if tag == LATEST and self.redeploy_latest:
            return
        raise failure(
            ErrorCode.DENIED,
            f"{name}:{tag} exists in the repository {self.repository} with other content and "
            "cannot be overwritten (deployment policy: disable redeploy). Push another tag.",
        )
