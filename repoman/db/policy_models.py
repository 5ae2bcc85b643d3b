"""The tables of what repositories refer to by name: routing rules and cleanup policies."""

from peewee import IntegerField, JSONField, TextField

from repoman.db.models import Record


class RoutingRuleRecord(Record):
    """A routing rule; ``key`` is its name in lower case, for uniqueness."""

    key = TextField(primary_key=True)
    name = TextField()
    description = TextField(default="")
    mode = TextField()
    matchers = JSONField()

    class Meta:
        table_name = "routing_rule"


class CleanupPolicyRecord(Record):
    """A cleanup policy; ``key`` is its name in lower case, for uniqueness. Ages are in days."""

    key = TextField(primary_key=True)
    name = TextField()
    format = TextField()
    notes = TextField(null=True)
    last_updated_days = IntegerField(null=True)
    last_downloaded_days = IntegerField(null=True)
    release_type = TextField(null=True)
    asset_regex = TextField(null=True)
    retain = IntegerField(null=True)
    sort_by = TextField(null=True)

    class Meta:
        table_name = "cleanup_policy"


POLICY_MODELS = (RoutingRuleRecord, CleanupPolicyRecord)
