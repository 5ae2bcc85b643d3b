"""The pages that delete tags, manifests and whole images: first what would go, then a button.

And the pages about what a collection removes by itself, and why something is kept.
"""

from contextlib import suppress

from flask import render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import NotFound, acting_by, done
from repoman_docker.browsing.collecting import explain_keeping, plan_collection
from repoman_docker.browsing.deleting import DeletionPlan, delete_references, plan_deletion
from repoman_docker.browsing.image_deletion import delete_image, plan_image_deletion
from repoman_docker.browsing.opening import find_package
from repoman_docker.routes.pages import PAGE, open_view, pages

__all__ = ["pages"]  # with the views of this module


@pages.get("/image/<image:name>/-/delete")
def show_deletion(repository: str, name: str) -> str:
    """Return what deleting tags of an image would do."""
    view = open_view(repository)
    plan = plan_deletion(view, name, request.args.getlist("tag"))
    return render_template("docker/delete.html", repository=view.repository, name=name, plan=plan)


@pages.post("/image/<image:name>/-/delete")
def delete(repository: str, name: str) -> Response:
    """Delete tags, and go back to the image, or to the images if nothing is left of it."""
    view = open_view(repository)
    with acting_by(PAGE):
        plan = delete_references(view, name, request.form.getlist("tag"))
    back = url_for("docker_pages.images", repository=repository)
    with suppress(NotFound):
        if view.descriptions([find_package(view, name)]):
            back = url_for("docker_pages.show", repository=repository, name=name)
    return done(_told(plan), back, tone="good" if plan.going else "warn")


def _told(plan: DeletionPlan) -> str:
    gone, manifests = len(plan.going), len(plan.images)
    text = f"{gone} {'tag was' if gone == 1 else 'tags were'} deleted from {plan.name}"
    if any(":" in each.reference for each in plan.going):
        text = f"{manifests} {'manifest was' if manifests == 1 else 'manifests were'} deleted"
        return f"{text} from {plan.name}."
    if not manifests:
        return f"{text}."
    return f"{text}, and {manifests} {'manifest' if manifests == 1 else 'manifests'}."


@pages.get("/image/<image:name>/-/delete-image")
def show_image_deletion(repository: str, name: str) -> str:
    """Return what deleting an image with all its tags would do."""
    return _image_page(repository, name)


@pages.post("/image/<image:name>/-/delete-image")
def delete_whole(repository: str, name: str) -> Response | str:
    """Delete an image, if its name was typed, and go to the images."""
    if request.form.get("typed", "").strip() != name:
        return _image_page(repository, name, f"Type {name}, exactly as it is written here.")
    with acting_by(PAGE):
        plan = delete_image(open_view(repository), name)
    tags = f"{plan.tags:,} {'tag' if plan.tags == 1 else 'tags'}"
    return done(
        f"{name} was deleted with {tags}.", url_for("docker_pages.images", repository=repository)
    )


def _image_page(repository: str, name: str, error: str = "") -> str:
    view = open_view(repository)
    return render_template(
        "docker/delete_image.html",
        repository=view.repository,
        name=name,
        plan=plan_image_deletion(view, name),
        error=error,
    )


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
