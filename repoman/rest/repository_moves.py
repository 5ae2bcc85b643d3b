"""Moves of repositories to another blob store, over REST."""

from http import HTTPStatus

from pydantic import Field

from repoman.errors import NotFound
from repoman.rest.endpoints import API_ROOT, Area, Call, RepositorySettings
from repoman.rest.resources import Resource, Timestamp
from repoman.rest.wording import worded
from repoman.security.actors import Action

STAYS = {409: "It is in this blob store already, or does not move."}
HAS_NOTHING = {405: "It is a group, which stores nothing of its own."}

repository_moves = Area(
    "Moves", "Repositories that move to another blob store while they are used.", root=API_ROOT
)


class NewMove(Resource):
    """Where a repository is to move."""

    blob_store: str = Field(description="Name of the blob store to which its bytes go.")


class MoveView(Resource):
    """The last move of a repository; sizes in bytes."""

    repository: str
    blob_store: str
    began_at: Timestamp
    ended_at: Timestamp | None = Field(description="null: it goes on.")
    is_paused: bool = Field(description="Whether somebody has stopped it.")
    assets: int = Field(description="Number of assets of the repository.")
    done: int = Field(description="Number of assets that were looked at so far.")
    blobs: int = Field(description="Number of blobs that were copied.")
    size: int = Field(description="Their bytes.")
    problem: str = Field(description="Why some blobs could not be moved; empty: nothing is known.")


@repository_moves.post(
    "/repositories/{name}/move",
    RepositorySettings(Action.EDIT),
    status=HTTPStatus.ACCEPTED,
    answers=STAYS | HAS_NOTHING,
)
def move_repository(call: Call, body: NewMove) -> MoveView:
    """Move a repository to another blob store while it is used; a task copies its bytes.

    New bytes go to that blob store at once. Blobs that other repositories use stay for them.
    """
    with worded({"storage.blob_store": "blobStore"}):
        call.repoman.moves.begin(call.repository.name, body.blob_store)
    return _view(call)


@repository_moves.get("/repositories/{name}/move", RepositorySettings(Action.READ))
def show_move(call: Call) -> MoveView:
    """Show how far the last move of a repository to another blob store is."""
    return _view(call)


@repository_moves.post(
    "/repositories/{name}/move/pause", RepositorySettings(Action.EDIT), answers=STAYS
)
def pause_move(call: Call) -> MoveView:
    """Stop the move of a repository; what was copied stays, and reads find all bytes."""
    call.repoman.moves.pause(call.repository.name)
    return _view(call)


@repository_moves.post(
    "/repositories/{name}/move/resume", RepositorySettings(Action.EDIT), answers=STAYS
)
def resume_move(call: Call) -> MoveView:
    """Have the move of a repository go on, also at once after a failure."""
    call.repoman.moves.pause(call.repository.name, is_paused=False)
    return _view(call)


def _view(call: Call) -> MoveView:
    moves = call.repoman.moves
    move = moves.find(call.repository.name)
    if move is None:
        raise NotFound(f"{call.repository.name} has never moved to another blob store.")
    return MoveView(
        repository=move.name,
        blob_store=move.store,
        began_at=move.began_at,
        ended_at=move.ended_at,
        is_paused=move.is_paused,
        assets=moves.count_assets(move),
        done=move.done,
        blobs=move.blobs,
        size=move.size,
        problem=move.problem,
    )
