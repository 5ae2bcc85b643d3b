"""Cleanup policies over REST of our own: with patterns, and with a reason for each decision."""

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import Field

from repoman.catalog.contents import render_id
from repoman.catalog.visibility import BROWSE
from repoman.cleanup.preview import PAGE_ITEMS, Decision, Explained, PreviewQuery
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.rest.endpoints import API_ROOT, Area, Call, Permission
from repoman.rest.resources import AnyCase, PageQuery, Resource, Timestamp
from repoman.rest.wording import wire_names, wrong_token

READ = Permission("settings", "read")
CREATE = Permission("settings", "create")
UPDATE = Permission("settings", "update")
DELETE = Permission("settings", "delete")

POLICIES = "/cleanup/policies"
POLICY = f"{POLICIES}/{{name}}"
PAGE_ITEMS_MAX = 1000

cleanup_api = Area(
    "Cleanup",
    "Cleanup policies with all their criteria, and what they remove. The [Cleanup "
    "policies](#cleanup-policies) of Sonatype Nexus Repository 3 are the same policies.",
    root=API_ROOT,
)


class Criteria(Resource):
    """The criteria of a policy; those that are null or empty do not count.

    Patterns have `*` for any characters and `?` for one.
    """

    format: str = Field("*", description="The format of repositories that use it; `*`: any.")
    notes: str | None = None
    last_updated_days: int | None = Field(
        None, description="Only components that were stored at least so many days ago."
    )
    last_downloaded_days: int | None = Field(
        None, description="Only components that were not pulled for so many days."
    )
    release_type: str | None = Field(None, description="Only `RELEASES` or only `PRERELEASES`.")
    asset_regex: str | None = Field(
        None, description="Only components with an asset whose whole path matches."
    )
    name_patterns: tuple[str, ...] = Field((), description="Only components with such a name.")
    version_patterns: tuple[str, ...] = Field(
        (), description="Only components with such a version, which is the tag of an image."
    )
    keep_names: tuple[str, ...] = Field((), description="Components with such a name stay.")
    keep_versions: tuple[str, ...] = Field((), description="Components with such a version stay.")
    retain: int | None = Field(
        None, description="So many of the newest versions stay, of those that are not kept anyway."
    )
    sort_by: str | None = Field(
        None, description="`date`: the newest is what was stored last; else the highest version."
    )


class NamedCriteria(Criteria):
    """A policy."""

    name: str = Field(description="Its name, which no other one has in any case of letters.")


class PolicyState(NamedCriteria):
    """A policy as it is stored."""

    in_use_count: int = Field(description="How many repositories use it.")


class DecisionName(AnyCase):
    """Whether a component goes."""

    GOES = "goes"
    KEPT = "kept"


class TrialQuery(PageQuery):
    """Selects decisions about the components of a repository."""

    decision: DecisionName | None = Field(None, description="Only these. Default: all.")
    filter: str = Field(
        "", max_length=200, description="Words, each in the namespace, name or version."
    )
    limit: int = Field(
        PAGE_ITEMS, ge=1, le=PAGE_ITEMS_MAX, description="Maximum number of items of a page."
    )


class DecisionsQuery(TrialQuery):
    """Selects decisions about the components of a repository."""

    policy: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="A policy to try; may be repeated. Default: those that the repository uses.",
    )


class ComponentDecision(Resource):
    """What becomes of a component."""

    id: str
    repository: str
    format: str
    namespace: str
    name: str
    version: str
    size: int = Field(description="In bytes, with what it shares with others.")
    stored_at: Timestamp
    pulled_at: Timestamp | None = Field(description="Null: never.")
    decision: DecisionName
    reason: str = Field(description="A sentence.")
    policy: str | None = Field(
        description="The policy that chooses it; null if it stays, or if the criteria are not "
        "stored."
    )


class DecisionsPage(Resource):
    """A page of what policies decide; all counts are of the whole repository."""

    goes: int = Field(description="How many of the components with the words go.")
    kept: int = Field(description="How many of them stay.")
    size: int = Field(
        description="The bytes of the components that go, with what they share with others."
    )
    freed: int = Field(
        description="Those of them that are really freed, once what only they needed is removed "
        "too."
    )
    is_more_freed: bool = Field(
        description="Whether it is more than `freed`, since there are too many to work it out."
    )
    is_complete: bool = Field(
        description="Whether all components were examined, or only the first ones "
        "(`catalog.preview_limit`)."
    )
    items: list[ComponentDecision]
    continuation_token: str | None = None


@cleanup_api.get(POLICIES, READ)
def list_policies(call: Call) -> list[PolicyState]:
    """List the cleanup policies."""
    uses = call.repoman.cleanup_policies.count_uses()
    found = call.repoman.cleanup_policies.all()
    return [_state(each, uses[each.name.lower()]) for each in found]


@cleanup_api.post(POLICIES, CREATE, status=201)
def create_policy(call: Call, body: NamedCriteria) -> PolicyState:
    """Create a cleanup policy, which repositories can then name."""
    with wire_names(""):
        policy = call.repoman.cleanup_policies.create(
            CleanupPolicy(**body.model_dump(by_alias=False))
        )
    return _state(policy, 0)


@cleanup_api.get(POLICY, READ)
def show_policy(call: Call, name: str) -> PolicyState:
    """Show a cleanup policy."""
    return _find(call, name)


@cleanup_api.put(POLICY, UPDATE, matches=show_policy)
def change_policy(call: Call, name: str, body: Criteria) -> PolicyState:
    """Replace the criteria of a cleanup policy; its name stays."""
    with wire_names(""):
        call.repoman.cleanup_policies.change(
            name, CleanupPolicy(name, **body.model_dump(by_alias=False))
        )
    return _find(call, name)


@cleanup_api.delete(POLICY, DELETE, matches=show_policy)
def delete_policy(call: Call, name: str) -> None:
    """Delete a cleanup policy; repositories that use it do not any more."""
    call.repoman.cleanup_policies.delete(name)


@cleanup_api.get("/repositories/{name}/cleanup", READ)
def list_cleanup_decisions(call: Call, name: str, query: DecisionsQuery) -> DecisionsPage:
    """Show what cleanup policies would remove from a repository now, and why; nothing is removed.

    Of the components that you may browse. Policies need not be used by the repository, but have to
    be for its format.
    """
    policies = [call.repoman.cleanup_policies.get(each) for each in query.policy] or None
    return _decide(call, name, policies, query)


@cleanup_api.post("/repositories/{name}/cleanup/preview", READ)
def preview_cleanup_criteria(
    call: Call, name: str, query: TrialQuery, body: Criteria
) -> DecisionsPage:
    """Show what criteria would remove from a repository now, and why; nothing is stored or removed.

    Of the components that you may browse.
    """
    with wire_names(""):
        policy = CleanupPolicy("", **body.model_dump(by_alias=False))
        return _decide(call, name, [policy], query)


def _decide(
    call: Call, name: str, policies: Sequence[CleanupPolicy] | None, query: TrialQuery
) -> DecisionsPage:
    repository = call.repoman.contents.repository(name, call.actor, BROWSE)
    start = _open(call, query.continuation_token or "")
    decision = None if query.decision is None else Decision(query.decision)
    asked = PreviewQuery(decision, query.filter, start, query.limit)
    found = call.repoman.cleanup_preview.preview(repository, policies, call.actor, asked)
    token = call.repoman.security.cursors.seal(f"cleanup:{found.next}") if found.next else None
    return DecisionsPage(
        goes=found.goes,
        kept=found.kept,
        size=found.size,
        freed=found.freed,
        is_more_freed=found.is_more_freed,
        is_complete=found.is_complete,
        items=[_decision(each) for each in found.items],
        continuation_token=token,
    )


def _open(call: Call, token: str) -> int:
    """Return the position in a token; 0 if there is none (Invalid)."""
    if not token:
        return 0
    kind, _, position = (call.repoman.security.cursors.open(token) or "").partition(":")
    if kind != "cleanup":
        raise wrong_token()
    return int(position)


def _find(call: Call, name: str) -> PolicyState:
    policies = call.repoman.cleanup_policies
    policy = policies.get(name)
    return _state(policy, policies.count_uses()[policy.name.lower()])


def _state(policy: CleanupPolicy, uses: int) -> PolicyState:
    return PolicyState(**asdict(policy), in_use_count=uses)


def _decision(found: Explained) -> ComponentDecision:
    return ComponentDecision(
        id=render_id(found),
        repository=found.repository,
        format=found.format,
        namespace=found.shown.namespace,
        name=found.shown.name,
        version=found.shown.version,
        size=found.size,
        stored_at=found.updated_at,
        pulled_at=found.downloaded_at or None,
        decision=DecisionName(found.decision),
        reason=found.reason,
        policy=found.policy or None,
    )
