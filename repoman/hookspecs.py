"""Every hook a plugin may implement; ``docs/plugin_hooks.md`` has an example of each.

Hooks are called at the start unless they say otherwise. The plugin that was registered last comes
first, so installed plugins come before the parts of the core. An installed plugin that raises an
error in a hook that is called at the start is left out.
"""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click
    from flask import Blueprint, Response

    from repoman.blobs.manager import BlobStoreFactory
    from repoman.catalog.model import AssetView
    from repoman.doctor.model import DoctorCheck
    from repoman.events.event import ContentEvent, Coordinate
    from repoman.http.errors import Failure
    from repoman.http.format_pages import (
        ComponentLink,
        HomeCard,
        RepositoryTab,
        UploadGuide,
        UseGuide,
        UseRequest,
    )
    from repoman.http.formats import Format
    from repoman.http.pages import PageLink
    from repoman.http.search_pages import FindRequest, FoundElsewhere, SearchCriteria
    from repoman.repositories.model import Repository
    from repoman.repositories.recipes import Recipe
    from repoman.rest.endpoints import Area
    from repoman.security.actors import Actor, Credentials, RealmType
    from repoman.tasks.model import TaskType

PROJECT = "repoman"
# The version of the facade and of the hooks. The first number grows when something changes or goes,
# the second one when something is added.
API_VERSION = "1.0"
hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def repoman_add_hookspecs(pluginmanager: "pluggy.PluginManager") -> None:
    """Add the plugin's own hooks: ``pluginmanager.add_hookspecs(module)``. Called first."""
    raise NotImplementedError


@hookspec
def repoman_register_formats() -> "list[Format]":
    """Return the formats of this plugin. A duplicate name aborts the start."""
    raise NotImplementedError


@hookspec
def repoman_register_recipes() -> "list[Recipe]":
    """Return recipes, for formats of any plugin. A duplicate name aborts the start."""
    raise NotImplementedError


@hookspec
def repoman_register_blob_stores() -> "dict[str, BlobStoreFactory]":
    """Return factories of blob stores; the key is the ``type`` in the settings."""
    raise NotImplementedError


@hookspec
def repoman_register_tasks() -> "list[TaskType]":
    """Return types of tasks. A duplicate id aborts the start.

    The ``run`` of a type is called in a thread of its own, whenever a task of the type is due.
    """
    raise NotImplementedError


@hookspec
def repoman_doctor_checks() -> "list[DoctorCheck]":
    """Return checks of the doctor. A duplicate id aborts the start.

    The ``run`` of a check is called in a thread of its own, each hour and on demand.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def repoman_authenticate(credentials: "Credentials") -> "Actor | None":
    """Return the actor that these credentials belong to, or None if they are not for this realm.

    Called in a worker thread; the first answer counts. Raise Unauthenticated if they are for
    this realm but wrong, so that no other realm is tried, and Unavailable if it cannot be
    checked at the moment.
    """
    raise NotImplementedError


@hookspec
def repoman_register_realms() -> "list[RealmType]":
    """Return what realms are called: those of this plugin, and kinds of tokens of a format.

    A realm that is not listed is called as its plugin.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def repoman_find_user(name: str) -> "Actor | None":
    """Return the user of this realm with this name, or None if the user no longer exists.

    Called in a worker thread, for each request with a session or a token of a user of the realm, so
    cache the answer for a while. Raise Unavailable if it cannot be checked at the moment. A realm
    that does not implement it keeps its users as they were at the last login.
    """
    raise NotImplementedError


@hookspec
def repoman_register_web() -> "list[Blueprint]":
    """Return blueprints of the main port; each brings its templates and static files."""
    raise NotImplementedError


@hookspec
def repoman_register_pages() -> "list[PageLink]":
    """Return links for the navigation of the main port. One without a view aborts the start."""
    raise NotImplementedError


@hookspec
def repoman_web_tabs(repository: "Repository") -> "list[RepositoryTab]":
    """Return tabs of the pages of a repository, of the plugin's own format; else none.

    Called in a worker thread, for each of these pages; the first tab is the first page.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def repoman_web_component(
    repository: "Repository", coordinate: "Coordinate"
) -> "ComponentLink | None":
    """Return the link to the page about a component; None if it is of another format.

    Called in a worker thread, for each row of a list: it reads nothing.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def repoman_web_asset(repository: "Repository", asset: "AssetView") -> "ComponentLink | None":
    """Return the link to the page about an asset; None: all that is known is its path.

    Called in a worker thread, for each row of a list: it reads nothing.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def repoman_web_deletion(repository: "Repository", asset: "AssetView") -> "str | None":
    """Return the address of the page that deletes an asset.

    None: it is of another format, or the page for files of all formats does it well. Called in a
    worker thread: it reads nothing.
    """
    raise NotImplementedError


@hookspec
def repoman_web_criteria() -> "list[SearchCriteria]":
    """Return by what components of the plugin's formats are searched for.

    Called in a worker thread, for each search page. Components of formats without any are found as
    files and packages.
    """
    raise NotImplementedError


@hookspec
def repoman_web_find(request: "FindRequest") -> "list[FoundElsewhere]":
    """Return what remotes of the plugin's formats have, and this server has not.

    Called in a worker thread, only when a visitor asks for it: the words leave this server.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def repoman_web_upload(repository: "Repository") -> "UploadGuide | None":
    """Return how the form for uploads to a repository looks; None if it is of another format.

    Called in a worker thread. What the form has is in the ``upload`` of the recipe.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def repoman_web_use(request: "UseRequest") -> "UseGuide | None":
    """Return how clients use a repository; None if it is of another format.

    Called in a worker thread.
    """
    raise NotImplementedError


@hookspec
def repoman_web_home(requests: "list[UseRequest]") -> "list[HomeCard]":
    """Return what a visitor can try first, of the plugin's own format; nothing: no card.

    Called in a worker thread, for the home page while nothing is stored yet. There is a request
    for each repository that the visitor may know about and clients can reach.
    """
    raise NotImplementedError


@hookspec
def repoman_register_commands() -> "list[click.Command]":
    """Return commands of the command line. A duplicate name is an error.

    Called when the command line lists its commands, or is given one that the core does not have.
    """
    raise NotImplementedError


@hookspec
def repoman_register_rest() -> "list[Area]":
    """Return areas of the REST API. A duplicate method and path aborts the start."""
    raise NotImplementedError


@hookspec(firstresult=True)
def repoman_render_failure(failure: "Failure") -> "Response | None":
    """Return the page for a failure on the main port, or None for plain text.

    Called in a worker thread, for browsers only; the first answer counts.
    """
    raise NotImplementedError


@hookspec
def repoman_content_changed(event: "ContentEvent") -> None:
    """Take note of a change of content that was committed.

    Called in a thread of the plugin's own, in the order of the changes, while the server runs. An
    event may come twice after a kill. If the plugin raises, the event comes again, several times.
    """
    raise NotImplementedError
