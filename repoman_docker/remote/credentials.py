"""The credentials of a proxy at its remote."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RemoteCredentials:
    """A user and a password, or a token; all empty for anonymous access."""

    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str | None:
        """The Authorization header with user name and password."""
        if not self.username:
            return None
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {b64encode(pair).decode('ascii')}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers to send without waiting for a challenge."""
        header = f"Bearer {self.bearer_token}" if self.bearer_token else self.basic
        return {} if header is None else {"Authorization": header}
