"""Conditional requests: whether the client has this content already.

Source: RFC 9110, If-None-Match; the ETag of a blob or manifest is its digest in quotes.
"""

from repoman_docker.protocol.digest import Digest


def etag_matches(header: str | None, digest: Digest | str) -> bool:
    """Tell whether ``If-None-Match`` names the digest, so that 304 is the answer.

    Weak (``W/``) and unquoted tags are seen in the wild and count. ``*`` matches, so ask only for
    content that is there.

    Args:
        header: its value, several lines joined with commas; None if it was not sent.
        digest: of the content.
    """
    if header is None:
        return False
    tags = [tag.strip() for tag in header.split(",")]
    own = str(digest)
    return "*" in tags or any(tag.removeprefix("W/").strip('"') == own for tag in tags)
