"""A format for tests of the core: it answers with what it sees, and fails when it is told to."""

from collections.abc import Callable

from flask import Blueprint, Response, redirect, request, url_for

from repoman.plugin import (
    BlobUpload,
    Built,
    Failure,
    Format,
    HostedStorageSection,
    Recipe,
    RepositoryType,
    current_actor,
    current_environ,
    current_repository,
    hookimpl,
    read_body,
    receive_body,
)


def _make_routes(fail: Callable[[], None]) -> Blueprint:
    toy = Blueprint("toy", __name__)

    @toy.get("/seen/<rest:path>")
    def seen(path):
        """Say where the request arrived, and as whom."""
        return {
            "repository": current_repository().name,
            "actor": current_actor().name,
            "path": path,
            "root": request.script_root,
            "url": url_for("toy.seen", path="there"),
        }

    @toy.get("/fail")
    def failing():
        fail()

    @toy.get("/policy")
    def policy():
        headers = {"content-security-policy": "default-src 'self'"}
        return Response("", headers={**headers, "x-content-type-options": "nosniff"})

    @toy.get("/redirect")
    def redirecting():
        return redirect(url_for("toy.seen", path="there"))

    @toy.put("/stored")
    def store():
        context = current_repository().service
        with receive_body(current_environ(), lambda: BlobUpload(context.blobs)) as upload:
            return upload.commit().digest

    @toy.put("/small")
    def echo():
        return Response(read_body(current_environ(), limit=10))

    return toy


def _render(failure: Failure) -> Response:
    return Response(f"toy: {failure.message}", failure.status)


class ToyPlugin:
    """Brings the format; ``failure`` is what its route ``/fail`` raises."""

    failure: BaseException

    @hookimpl
    def repoman_register_formats(self) -> list[Format]:
        return [Format("toy", "Toy", (_make_routes(self._fail),), render_error=_render)]

    @hookimpl
    def repoman_register_recipes(self) -> list[Recipe]:
        sections = {"storage": HostedStorageSection}
        return [Recipe("toy", RepositoryType.HOSTED, sections, build=Built)]

    def _fail(self) -> None:
        raise self.failure
