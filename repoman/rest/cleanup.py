"""Cleanup policies over REST, at the two addresses that clients know.

They differ in statuses and rights: ``/internal/`` is that of the editions without a license. The
patterns of a policy are in neither, and stay as they are: see :mod:`repoman.rest.cleanup_api`.
"""

from dataclasses import replace

from pydantic import Field

from repoman.catalog.contents import render_id
from repoman.catalog.visibility import BROWSE
from repoman.cleanup.preview import Decision, Explained, PreviewQuery
from repoman.repositories.cleanup_records import ALL_FORMATS, CleanupPolicy
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Query, Resource
from repoman.rest.wording import PARAMETER, worded

READ = Permission("settings", "read")
CREATE = Permission("settings", "create")
UPDATE = Permission("settings", "update")
DELETE = Permission("settings", "delete")
ROOT = Permission("*", "*")

POLICIES = "/v1/cleanup-policies"
POLICY = f"{POLICIES}/{{name}}"
INTERNAL_POLICIES = "/internal/cleanup-policies"
INTERNAL_POLICY = f"{INTERNAL_POLICIES}/{{name}}"

# The fields of policies by their attributes.
FIELDS = {
    "last_updated_days": "criteriaLastBlobUpdated",
    "last_downloaded_days": "criteriaLastDownloaded",
    "release_type": "criteriaReleaseType",
    "asset_regex": "criteriaAssetRegex",
    "sort_by": "sortBy",
}
# What the criteria are called in the list of formats.
CRITERIA = ["lastBlobUpdated", "lastDownloaded", "isPrerelease", "regex", "retain", "sortBy"]

PREVIEW_ITEMS = 50  # So many components of a preview are shown.

cleanup = Area("Cleanup policies", "Which components are removed from repositories.")


class CleanupPolicyUpdate(Resource):
    """The criteria of a cleanup policy; those that are null do not count."""

    format: str = Field(description="The format of repositories that use it; `*`: any.")
    notes: str | None = None
    criteria_last_blob_updated: int | None = Field(
        None, description="Only components that were stored at least so many days ago."
    )
    criteria_last_downloaded: int | None = Field(
        None, description="Only components that were not downloaded for so many days."
    )
    criteria_release_type: str | None = Field(
        None, description="Only `RELEASES` or only `PRERELEASES`."
    )
    criteria_asset_regex: str | None = Field(
        None, description="Only components with an asset whose whole path matches."
    )
    retain: int | None = Field(None, description="So many of the newest versions stay.")
    sort_by: str | None = Field(None, description="How versions are ordered for `retain`.")

    def policy(self, old: CleanupPolicy) -> CleanupPolicy:
        """Return it in place of a policy, whose name and patterns stay."""
        return replace(
            old,
            format=self.format,
            notes=self.notes,
            last_updated_days=self.criteria_last_blob_updated,
            last_downloaded_days=self.criteria_last_downloaded,
            release_type=_upper(self.criteria_release_type),
            asset_regex=self.criteria_asset_regex,
            retain=self.retain,
            sort_by=self.sort_by,
        )


class NewCleanupPolicy(CleanupPolicyUpdate):
    """A new cleanup policy."""

    name: str = Field(description="Its name, which no other one has in any case of letters.")


class CleanupPolicyView(NewCleanupPolicy):
    """A cleanup policy."""

    in_use_count: int = Field(description="How many repositories use it.")


class PolicyQuery(Query):
    """Selects cleanup policies."""

    format: str | None = Field(None, description="Only policies for repositories of this format.")


class PreviewRequest(Resource):
    """A repository, and criteria that choose components in it; those that are null do not count."""

    repository: str = Field(description="Name of the repository.")
    criteria_last_blob_updated: int | None = None
    criteria_last_downloaded: int | None = None
    criteria_release_type: str | None = None
    criteria_asset_regex: str | None = None
    criteria_retain: int | None = None
    criteria_sort_by: str | None = None
    filter: str | None = Field(
        None, description="Words, each in the name, the group, the version or the description."
    )


class ChosenComponent(Resource):
    """A component that the criteria choose."""

    id: str
    repository_name: str
    group: str | None
    name: str
    version: str
    format: str


class PreviewPage(Resource):
    """The first components that the criteria choose."""

    total: int = Field(
        description="How many were found. In a large repository the search ends early, and there "
        "may be more."
    )
    results: list[ChosenComponent]


class CriteriaView(Resource):
    """The criteria that policies for a format can have."""

    id: str
    name: str
    available_criteria: list[str]


@cleanup.get(POLICIES, READ)
def list_cleanup_policies(call: Call) -> list[CleanupPolicyView]:
    """List the cleanup policies."""
    return _list(call)


@cleanup.post(POLICIES, CREATE, status=201)
def create_cleanup_policy(call: Call, body: NewCleanupPolicy) -> None:
    """Create a cleanup policy, which repositories can then name."""
    _create(call, body)


@cleanup.get(POLICY, READ, bare=(404,))
def get_cleanup_policy(call: Call, name: str) -> CleanupPolicyView:
    """Show a cleanup policy."""
    return _find(call, name)


@cleanup.put(POLICY, UPDATE, bare=(404,), matches=get_cleanup_policy)
def update_cleanup_policy(call: Call, name: str, body: CleanupPolicyUpdate) -> None:
    """Replace the criteria of a cleanup policy; its name stays."""
    _change(call, name, body)


@cleanup.delete(POLICY, DELETE, bare=(404,), matches=get_cleanup_policy)
def delete_cleanup_policy(call: Call, name: str) -> None:
    """Delete a cleanup policy; repositories that use it do not any more."""
    call.repoman.cleanup_policies.delete(name)


@cleanup.get(INTERNAL_POLICIES, READ)
def list_internal_cleanup_policies(call: Call, query: PolicyQuery) -> list[CleanupPolicyView]:
    """List the cleanup policies."""
    wanted = {query.format, ALL_FORMATS}
    return [each for each in _list(call) if query.format is None or each.format in wanted]


@cleanup.post(INTERNAL_POLICIES, ROOT)
def create_internal_cleanup_policy(call: Call, body: NewCleanupPolicy) -> CleanupPolicyView:
    """Create a cleanup policy and show it."""
    with worded({}, taken=f"{PARAMETER}name"):
        return _create(call, body)


@cleanup.get(INTERNAL_POLICY, READ, bare=(404,))
def get_internal_cleanup_policy(call: Call, name: str) -> CleanupPolicyView:
    """Show a cleanup policy."""
    return _find(call, name)


@cleanup.put(INTERNAL_POLICY, ROOT, bare=(404,), matches=get_internal_cleanup_policy)
def update_internal_cleanup_policy(
    call: Call, name: str, body: CleanupPolicyUpdate
) -> CleanupPolicyView:
    """Replace the criteria of a cleanup policy and show it; its name stays."""
    return _change(call, name, body)


@cleanup.delete(INTERNAL_POLICY, ROOT, bare=(404,), matches=get_internal_cleanup_policy)
def delete_internal_cleanup_policy(call: Call, name: str) -> None:
    """Delete a cleanup policy; repositories that use it do not any more."""
    call.repoman.cleanup_policies.delete(name)


@cleanup.get(f"{INTERNAL_POLICIES}/criteria/formats", READ)
def list_cleanup_criteria(call: Call) -> list[CriteriaView]:
    """List the formats with the criteria that their policies can have."""
    formats = call.repoman.cleanup_policies.formats()
    return [
        CriteriaView(
            id=each,
            name="All Formats" if each == ALL_FORMATS else each,
            available_criteria=CRITERIA,
        )
        for each in formats
    ]


@cleanup.post(f"{INTERNAL_POLICIES}/preview/components", ROOT, bare=(404,))
def preview_cleanup(call: Call, body: PreviewRequest) -> PreviewPage:
    """Show what a cleanup policy with these criteria would choose, and remove nothing.

    A component that was never downloaded counts as last downloaded when it was stored. Without
    criteria nothing is chosen. Up to 50 components are shown.
    """
    repository = call.repoman.contents.repository(body.repository, call.actor, BROWSE)
    policy = CleanupPolicy(
        name="",
        format=repository.config.format,
        last_updated_days=body.criteria_last_blob_updated,
        last_downloaded_days=body.criteria_last_downloaded,
        release_type=_upper(body.criteria_release_type),
        asset_regex=body.criteria_asset_regex,
        retain=body.criteria_retain,
        sort_by=body.criteria_sort_by,
    )
    with worded({**FIELDS, "retain": "criteriaRetain"}):
        query = PreviewQuery(Decision.GOES, body.filter or "", size=PREVIEW_ITEMS)
        found = call.repoman.cleanup_preview.preview(repository, [policy], call.actor, query)
    return PreviewPage(total=found.goes, results=[_chosen(each) for each in found.items])


def _chosen(component: Explained) -> ChosenComponent:
    return ChosenComponent(
        id=render_id(component),
        repository_name=component.repository,
        group=component.shown.namespace or None,
        name=component.shown.name,
        version=component.shown.version,
        format=component.format,
    )


def _upper(text: str | None) -> str | None:
    return text.upper() if text else None


def _list(call: Call) -> list[CleanupPolicyView]:
    policies = call.repoman.cleanup_policies
    uses = policies.count_uses()
    return [_view(each, uses[each.name.lower()]) for each in policies.all()]


def _find(call: Call, name: str) -> CleanupPolicyView:
    policies = call.repoman.cleanup_policies
    policy = policies.get(name)
    return _view(policy, policies.count_uses()[policy.name.lower()])


def _create(call: Call, body: NewCleanupPolicy) -> CleanupPolicyView:
    with worded(FIELDS):
        return _view(call.repoman.cleanup_policies.create(body.policy(CleanupPolicy(body.name))), 0)


def _change(call: Call, name: str, body: CleanupPolicyUpdate) -> CleanupPolicyView:
    policies = call.repoman.cleanup_policies
    with worded(FIELDS), call.repoman.database.transaction():
        policy = policies.change(name, body.policy(policies.get(name)))
    return _find(call, policy.name)


def _view(policy: CleanupPolicy, uses: int) -> CleanupPolicyView:
    return CleanupPolicyView(
        name=policy.name,
        format=policy.format,
        notes=policy.notes,
        criteria_last_blob_updated=policy.last_updated_days,
        criteria_last_downloaded=policy.last_downloaded_days,
        criteria_release_type=policy.release_type,
        criteria_asset_regex=policy.asset_regex,
        retain=policy.retain,
        sort_by=policy.sort_by,
        in_use_count=uses,
    )
