"""What pages show of packages: lines to copy for pip, uv, poetry and twine."""

import shlex
from urllib.parse import quote, urlsplit

from repoman.plugin import Snippet, UseGuide, UseRequest, UseSection, takes_uploads

NAME, USER = "NAME", "USER"


def guide(asked: UseRequest) -> UseGuide:
    """Return how clients install a package, and publish one where the visitor may."""
    root = asked.address.rstrip("/")
    name = quote(asked.name.strip("/")) or NAME
    wanted = f"{name}=={asked.version}" if asked.version else name
    user = quote(asked.user or USER)
    parts = urlsplit(f"{root}/simple/")
    index = (
        parts.geturl() if asked.is_open else f"{parts.scheme}://{user}@{parts.netloc}{parts.path}"
    )
    line = shlex.quote(index)
    clients = (
        ("pip", (Snippet(f"pip install --index-url {line} {shlex.quote(wanted)}"),)),
        ("uv", (Snippet(f"uv pip install --index-url {line} {shlex.quote(wanted)}"),)),
        (
            "poetry",
            (
                Snippet(f"poetry source add --priority=primary repoman {line}"),
                Snippet(f"poetry add {shlex.quote(wanted)}"),
            ),
        ),
        ("pip.conf", (Snippet(f"[global]\nindex-url = {index}", "~/.config/pip/pip.conf"),)),
    )
    notes = () if asked.is_open else ("The client asks for the password, or takes it from netrc.",)
    sections = [UseSection(key, "Install", key, lines, notes) for key, lines in clients]
    if asked.may_add and takes_uploads(asked.via):
        upload = shlex.quote(f"{root}/")
        sections += [
            UseSection(key, "Publish", key, (Snippet(text),))
            for key, text in (
                ("twine", f"twine upload --repository-url {upload} --username {user} dist/*"),
                ("uv publish", f"uv publish --publish-url {upload} --username {user}"),
            )
        ]
    return UseGuide(tuple(sections), placeholders=("Package", "Version"))
