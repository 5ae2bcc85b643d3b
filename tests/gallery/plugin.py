"""A plugin whose page shows every component, for tests of pictures and of accessibility."""

from flask import Blueprint, render_template

from repoman.plugin import PageLink, hookimpl

gallery = Blueprint("gallery", __name__, template_folder="templates", url_prefix="/gallery")


@gallery.get("")
def show():
    return render_template("gallery/components.html")


@hookimpl
def repoman_register_web():
    return [gallery]


@hookimpl
def repoman_register_pages():
    return [PageLink("System", "Components", "cube", "gallery.show", count=lambda: 4)]
