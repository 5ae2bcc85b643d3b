"""One blob store: what is in it, what is damaged, and the work on it."""

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    Conflict,
    current_actor,
    current_repoman,
    done,
    may_administer,
    permission_needed,
    read_list,
    row_key,
)
from repoman_web.views.charts import growth_chart
from repoman_web.views.home import STORED

DAYS_SHOWN = 365  # Days of the chart.
# What can be done with a blob store: its task, the settings of that besides the store, and a name.
WORK: dict[str, tuple[str, dict[str, str], str]] = {
    "verify": ("blobstore.verify", {}, "Verify {}"),
    "compact": ("blobstore.compact", {}, "Compact {}"),
    "list": ("blobstore.orphans", {"action": "list"}, "Unknown files of {} (list)"),
    "adopt": ("blobstore.orphans", {"action": "adopt"}, "Unknown files of {} (adopt)"),
    "remove": ("blobstore.orphans", {"action": "remove"}, "Unknown files of {} (remove)"),
}

blob_store = Blueprint("blob_store", "repoman_web", url_prefix="/admin/blobstores")


@blob_store.get("/<name>")
@permission_needed("blobstores", "read")
def show(name: str) -> str:
    """Return what is in a blob store and how it is."""
    repoman, query = current_repoman(), read_list()
    state = repoman.stores.state(name)
    seen = repoman.views.summaries(current_actor())
    key = query.key(str)
    after = key[0] if key else ""
    found = repoman.verifier.damages(name, after, query.rows + 1)
    shown = found[: query.rows]
    is_more = len(found) > query.rows
    days = repoman.space.growth_of_store(name, DAYS_SHOWN)
    users = repoman.stores.users().get(name, [])
    return render_template(
        "repoman/blob_store.html",
        store=state,
        temporary=repoman.stores.temporary_bytes(name),
        last=repoman.verifier.last(name),
        damaged=repoman.verifier.count_damages().get(name, 0),
        blobs=shown,
        query=query,
        older=query.older(row_key(shown[-1].damage.digest)) if is_more else "",
        seen=seen,
        users=[each for each in users if each in seen],
        others=sum(each not in seen for each in users),
        chart=growth_chart([(each.at, each.size, each.part) for each in days], STORED),
    )


@blob_store.post("/<name>/work")
@permission_needed("blobstores", "update")
def start(name: str) -> Response:
    """Run a task on a blob store; it is created if need be."""
    repoman, work = current_repoman(), request.form.get("work", "")
    repoman.stores.get(name)
    back = url_for("blob_store.show", name=name)
    if work not in WORK:
        return done("There is no such work on a blob store.", back, tone="warn")
    type_id, settings, title = WORK[work]
    try:
        task = repoman.tasks.start(type_id, title.format(name), {"store": name, **settings})
    except Conflict as error:
        return done(str(error), back, tone="warn")
    link = None
    if may_administer("tasks", "read"):
        link = ("Progress and log", url_for("tasks.show_one", uid=task.uid))
    return done(f"{task.name} was started.", back, link)
