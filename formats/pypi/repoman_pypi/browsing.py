"""What pages show of packages: lines to copy for pip, uv, poetry and twine."""

import shlex
from urllib.parse import quote

from repoman.plugin import Snippet, UseGuide, UseRequest, UseSection, takes_uploads

NAME, USER = "NAME", "USER"
NOTES = ("The client asks for the password, or takes it from netrc.",)


def guide(asked: UseRequest) -> UseGuide:
    """Return how clients install a package, and publish one where the visitor may."""
    root, user = f"{asked.address.rstrip('/')}/", quote(asked.user or USER)
    url = f"{root}simple/" if asked.is_open else f"{root}simple/".replace("//", f"//{user}@", 1)
    name = asked.name.strip("/") or NAME
    wanted = shlex.quote(f"{name}=={asked.version}" if asked.version else name)
    index, upload = shlex.quote(url), f"{shlex.quote(root)} --username {user}"
    install = {
        "pip": f"pip install --index-url {index} {wanted}",
        "uv": f"uv pip install --default-index {index} {wanted}",
        "poetry": f"poetry source add --priority=primary repoman {index}\npoetry add {wanted}",
        "pip.conf": f"[global]\nindex-url = {url}",
    }
    publish = {
        "twine": f"twine upload --repository-url {upload} dist/*",
        "uv publish": f"uv publish --publish-url {upload}",
    }
    notes = () if asked.is_open else NOTES
    sections = [_section("Install", *each, notes) for each in install.items()]
    if asked.may_add and takes_uploads(asked.via):
        sections += [_section("Publish", *each) for each in publish.items()]
    return UseGuide(tuple(sections), placeholders=("Package", "Version"))


def _section(group: str, client: str, lines: str, notes: tuple[str, ...] = ()) -> UseSection:
    return UseSection(client, group, client, (Snippet(lines),), notes)
