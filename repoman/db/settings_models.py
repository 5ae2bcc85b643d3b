"""The tables of options, of what settings refer to, and of what the doctor found about them."""

from peewee import DoubleField, IntegerField, JSONField, TextField

from repoman.db.models import Record


class OptionRecord(Record):
    """Settings that an administrator changes while the server runs, by section."""

    name = TextField(primary_key=True)
    value = JSONField()

    class Meta:
        table_name = "option"


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
    name_patterns = JSONField(default=list)
    version_patterns = JSONField(default=list)
    keep_names = JSONField(default=list)
    keep_versions = JSONField(default=list)

    class Meta:
        table_name = "cleanup_policy"


class CertificateRecord(Record):
    """A trusted certificate; ``id`` is its fingerprint. Times in seconds since the epoch."""

    id = TextField(primary_key=True)
    pem = TextField()
    added_at = DoubleField()

    class Meta:
        table_name = "certificate"


class DoctorResultRecord(Record):
    """What a check of the doctor last found; ``took`` in seconds."""

    check = TextField(primary_key=True)
    at = DoubleField()
    took = DoubleField()
    findings = JSONField()

    class Meta:
        table_name = "doctor_result"


SETTINGS_MODELS = (
    OptionRecord,
    RoutingRuleRecord,
    CleanupPolicyRecord,
    CertificateRecord,
    DoctorResultRecord,
)
