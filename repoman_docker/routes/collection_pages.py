"""The pages about what a collection removes, and why something is kept."""

from flask import render_template

from repoman_docker.browsing.collecting import explain_keeping, plan_collection
from repoman_docker.routes.deletion_pages import pages
from repoman_docker.routes.pages import open_view

__all__ = ["pages"]  # with the views of this module and of those that it imports


@pages.get("/collection")
def collection(repository: str) -> str:
    """Return what the next collection removes from a repository."""
    view = open_view(repository)
    docker = view.repository.config.sections["docker"]
    return render_template(
        "docker/collection.html",
        repository=view.repository,
        plan=plan_collection(view),
        docker=docker,
    )


@pages.get("/image/<image:name>/-/why/<digest>")
def why(repository: str, name: str, digest: str) -> str:
    """Return why a manifest or a blob of an image is kept."""
    view = open_view(repository)
    return render_template(
        "docker/why.html",
        repository=view.repository,
        name=name,
        digest=digest,
        holds=explain_keeping(view, name, digest),
    )
