"""What pages show of files: lines to copy for clients, filled in with address and path."""

import shlex
from urllib.parse import quote

from repoman.plugin import (
    Snippet,
    UploadGuide,
    UseGuide,
    UseRequest,
    UseSection,
    takes_uploads,
)

PATH, USER = "PATH", "USER"
GUIDE = UploadGuide(
    labels={"directory": "Folder"},
    hints={"directory": "A slash is the top. Missing folders are made."},
    values={"directory": "/"},
    stores_each=True,
)


def guide(asked: UseRequest) -> UseGuide:
    """Return how curl downloads a file, and uploads one where the visitor may."""
    path = quote(asked.name.strip("/")) or PATH
    url = f"{asked.address.rstrip('/')}/{path}"
    user = f"--user {shlex.quote(asked.user or USER)} "
    login = "" if asked.is_open else user
    snippets = [Snippet(f"curl --fail {login}--remote-name {url}", "Download")]
    if asked.may_add and takes_uploads(asked.via):
        snippets.append(Snippet(f"curl --fail {user}--upload-file FILE {url}", "Upload"))
    notes = () if login == "" and len(snippets) == 1 else ("curl asks for the password.",)
    section = UseSection("curl", "By hand", "curl", tuple(snippets), notes)
    return UseGuide((section,), placeholders=("Path", ""))
