"""The API of ChartMuseum, which clients and build servers use to upload and delete charts."""

from typing import cast

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from repoman.plugin import (
    Change,
    File,
    FileRepository,
    NewFile,
    NotFound,
    Package,
    current_repository,
    receive_file_form,
)
from repoman_helm.index.charts import read_chart
from repoman_helm.paths import path_of

ARCHIVE_TYPE, PROVENANCE_TYPE = "application/gzip", "text/plain"
CREATED = 201


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.post("/api/charts")(upload)
    blueprint.delete("/api/charts/<name>/<version>")(delete)


def upload() -> ResponseReturnValue:
    """Store a chart, and the provenance file that a form may have beside it."""
    with receive_file_form("chart", may_be_alone=True) as form:
        chart = read_chart(form.bytes, form.filename or "the archive")
        path = path_of(chart.name, chart.version)
        new = NewFile(File(path, chart.name, chart.version), ARCHIVE_TYPE, {"chart": chart.plain()})
        signed = NewFile(File(f"{path}.prov", chart.name, chart.version), PROVENANCE_TYPE)
        provenance = form.sent_beside("prov")
        form.save(new, *([(signed, provenance)] if provenance else ()))
    return jsonify(saved=True), CREATED


def delete(name: str, version: str) -> ResponseReturnValue:
    """Remove the files of a version."""

    def change(package: Package) -> Change:
        removed = [each.path for each in package.files if each.version == version]
        if not removed:
            raise NotFound(f"There is no chart {name} {version}.")
        return Change(package.state, removed)

    repository = cast("FileRepository", current_repository().service)
    repository.writable(name).change(name, change)
    return jsonify(deleted=True)
