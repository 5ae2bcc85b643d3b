"""What pages show of charts: lines to copy for helm and curl."""

import shlex

from repoman.plugin import Snippet, UseGuide, UseRequest, UseSection, takes_uploads


def guide(asked: UseRequest) -> UseGuide:
    """Return how helm installs a chart, and how one is published where the visitor may."""
    url, name = shlex.quote(f"{asked.address.rstrip('/')}/"), shlex.quote(asked.via.config.name)
    user = shlex.quote(asked.user or "USER")
    login = "" if asked.is_open else f" --username {user}"
    chart = shlex.quote(f"{asked.via.config.name}/{asked.name.strip('/') or 'CHART'}")
    version = f" --version {shlex.quote(asked.version)}" if asked.version else ""
    install = (
        Snippet(f"helm repo add {name} {url}{login}", "Once"),
        Snippet(f"helm repo update {name}\nhelm install my-release {chart}{version}"),
    )
    notes = () if asked.is_open else ("helm asks for the password.",)
    sections = [UseSection("helm", "Install", "helm", install, notes)]
    if asked.may_add and takes_uploads(asked.via):
        root = shlex.quote(f"{asked.address.rstrip('/')}/api/charts")
        text = (
            f"helm package CHART\ncurl --fail --user {user} --data-binary @CHART-VERSION.tgz {root}"
        )
        push = f"helm cm-push CHART-VERSION.tgz {name}"
        sections += [
            UseSection("curl", "Publish", "curl", (Snippet(text),)),
            UseSection("cm-push", "Publish", "helm cm-push", (Snippet(push),)),
        ]
    return UseGuide(tuple(sections), placeholders=("Chart", "Version"))
