"""What pages show of packages: lines to copy for npm, yarn and pnpm."""

import shlex
from urllib.parse import urlsplit

from repoman.plugin import Snippet, UseGuide, UseRequest, UseSection, takes_uploads

NAME, TOKEN = "NAME", "TOKEN"


def guide(asked: UseRequest) -> UseGuide:
    """Return how clients install a package, and publish one where the visitor may."""
    root = f"{asked.address.rstrip('/')}/"
    key = f"//{root.partition('//')[2]}"
    name = asked.name.strip("/") or NAME
    wanted = shlex.quote(f"{name}@{asked.version}" if asked.version else name)
    scope = name.partition("/")[0] if name.startswith("@") else "@SCOPE"
    line = shlex.quote(root)
    login = () if asked.is_open else (Snippet(f"npm login --registry {line}"),)
    settings = [f"registry={root}", *([] if asked.is_open else [f"{key}:_authToken={TOKEN}"])]
    berry = [f'npmRegistryServer: "{root.rstrip("/")}"']
    if urlsplit(root).scheme == "http":
        berry.append(f'unsafeHttpWhitelist: ["{urlsplit(root).hostname}"]')
    if not asked.is_open:
        berry += [f'npmAuthToken: "{TOKEN}"', "npmAlwaysAuth: true"]
    notes = () if asked.is_open else ("A token is a user token of this server.",)
    clients = (
        ("npm", (*login, Snippet(f"npm install --registry {line} {wanted}")), ()),
        ("yarn 1", (Snippet(f"yarn add --registry {line} {wanted}"),), ()),
        ("pnpm", (Snippet(f"pnpm add --registry {line} {wanted}"),), ()),
        (".npmrc", (Snippet("\n".join(settings), ".npmrc"),), notes),
        ("yarn 4", (Snippet("\n".join(berry), ".yarnrc.yml"),), notes),
        ("one scope", (Snippet(f"npm config set {shlex.quote(f'{scope}:registry')} {line}"),), ()),
    )
    sections = [UseSection(title, "Install", title, *lines) for title, *lines in clients]
    if asked.may_add and takes_uploads(asked.via):
        lines = (Snippet(f"npm login --registry {line}"), Snippet(f"npm publish --registry {line}"))
        sections.append(UseSection("npm publish", "Publish", "npm", lines, ()))
    return UseGuide(tuple(sections), placeholders=("Package", "Version"))
