"""The kinds of objects that repositories refer to: blob stores, routing rules, cleanup policies."""

from typing import Any

from pydantic import Field

from repoman.provisioning.kind import Kind, State, check_same, parse_entry
from repoman.repositories.cleanup_records import ALL_FORMATS, PATTERNS, CleanupPolicy
from repoman.repositories.routing_records import RoutingMode, RoutingRule
from repoman.sections import RegularExpressions, Section
from repoman.stores.model import Quota, QuotaKind


class QuotaEntry(Section):
    """A soft quota in the file."""

    kind: QuotaKind = Field(description="used: bytes in the store; remaining: free bytes.")
    limit: int = Field(ge=1, description="The limit in bytes.")


class BlobStoreEntry(Section):
    """A blob store in the file."""

    path: str = Field(
        "", description="Its directory, below the blobs of the data; empty: its name."
    )
    quota: QuotaEntry | None = Field(None, description="The soft quota; none: no limit.")
    hard_quota: int | None = Field(
        None, ge=0, lt=2**63, description="Bytes beyond which nothing is stored; none: no limit."
    )


class BlobStoreObjects(Kind):
    """Blob stores of files. Of those in the settings file only the quotas can change."""

    section = "blob_stores"
    noun = "blob store"
    entry = BlobStoreEntry
    creates_alone = True
    deletes_alone = True

    def present(self) -> dict[str, State]:
        """Return all blob stores; the path of one in the settings file is empty here."""
        return {
            each.name: {
                "path": "" if each.is_configured else each.path,
                "quota": each.quota and {"kind": str(each.quota.kind), "limit": each.quota.limit},
                "hard_quota": each.hard_quota,
            }
            for each in self._repoman.stores.all()
        }

    def is_kept(self, name: str, state: State) -> bool:
        """Return whether it is in the settings file, where alone it can be removed."""
        return not state["path"]

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        new: State = parse_entry(BlobStoreEntry, values, path).model_dump(mode="json")
        new["path"] = new["path"] or (name if old is None else old["path"])
        check_same("path", path, old, new)
        return new

    def create(self, name: str, new: State) -> None:
        """Create a blob store."""
        self._repoman.stores.create(name, new["path"], _quota(new), hard_quota=new["hard_quota"])

    def change(self, name: str, old: State, new: State) -> None:
        """Set the quotas."""
        if old["quota"] != new["quota"]:
            self._repoman.stores.change(name, None, _quota(new))
        if old["hard_quota"] != new["hard_quota"]:
            self._repoman.stores.limit(name, new["hard_quota"])

    def delete(self, name: str) -> None:
        """Delete a blob store that nothing uses."""
        self._repoman.stores.delete(name)


class RoutingRuleEntry(Section):
    """A routing rule in the file."""

    mode: RoutingMode = Field(description="Whether the matchers allow or block.")
    matchers: RegularExpressions = Field(description="Regular expressions on paths.")
    description: str = ""


class RoutingRuleObjects(Kind):
    """Routing rules."""

    section = "routing_rules"
    noun = "routing rule"
    entry = RoutingRuleEntry

    def present(self) -> dict[str, State]:
        """Return all routing rules."""
        return {
            each.name: {
                "mode": str(each.mode),
                "matchers": list(each.matchers),
                "description": each.description,
            }
            for each in self._repoman.routing_rules.all()
        }

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        return parse_entry(RoutingRuleEntry, values, path).model_dump(mode="json")

    def create(self, name: str, new: State) -> None:
        """Create a routing rule."""
        self._repoman.routing_rules.create(_rule(name, new))

    def change(self, name: str, old: State, new: State) -> None:
        """Change a routing rule."""
        self._repoman.routing_rules.change(name, _rule(name, new))

    def delete(self, name: str) -> None:
        """Delete a routing rule that nothing uses."""
        self._repoman.routing_rules.delete(name)


class CleanupPolicyEntry(Section):
    """A cleanup policy in the file; criteria that are left out do not count."""

    format: str = Field(ALL_FORMATS, description="Format of its repositories; *: any.")
    notes: str | None = None
    last_updated_days: int | None = None
    last_downloaded_days: int | None = None
    release_type: str | None = None
    asset_regex: str | None = None
    name_patterns: tuple[str, ...] = ()
    version_patterns: tuple[str, ...] = ()
    keep_names: tuple[str, ...] = ()
    keep_versions: tuple[str, ...] = ()
    retain: int | None = None
    sort_by: str | None = None


class CleanupPolicyObjects(Kind):
    """Cleanup policies."""

    section = "cleanup_policies"
    noun = "cleanup policy"
    entry = CleanupPolicyEntry

    def present(self) -> dict[str, State]:
        """Return all cleanup policies."""
        return {each.name: _criteria(each) for each in self._repoman.cleanup_policies.all()}

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        return parse_entry(CleanupPolicyEntry, values, path).model_dump(mode="json")

    def create(self, name: str, new: State) -> None:
        """Create a cleanup policy."""
        self._repoman.cleanup_policies.create(_policy(name, new))

    def change(self, name: str, old: State, new: State) -> None:
        """Change a cleanup policy."""
        self._repoman.cleanup_policies.change(name, _policy(name, new))

    def delete(self, name: str) -> None:
        """Delete a cleanup policy, also from the repositories that use it."""
        self._repoman.cleanup_policies.delete(name)


def _criteria(policy: CleanupPolicy) -> State:
    values = {field: getattr(policy, field) for field in CleanupPolicyEntry.model_fields}
    return {**values, **{field: list(values[field]) for field in PATTERNS}}


def _policy(name: str, state: State) -> CleanupPolicy:
    return CleanupPolicy(name, **{**state, **{field: tuple(state[field]) for field in PATTERNS}})


def _quota(state: State) -> Quota | None:
    quota = state["quota"]
    return quota and Quota(QuotaKind(quota["kind"]), quota["limit"])


def _rule(name: str, state: State) -> RoutingRule:
    mode, matchers = RoutingMode(state["mode"]), tuple(state["matchers"])
    return RoutingRule(name, mode, matchers, state["description"])
