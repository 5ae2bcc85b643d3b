"""The table of the trust store."""

from peewee import DoubleField, TextField

from repoman.db.models import Record


class CertificateRecord(Record):
    """A trusted certificate; ``id`` is its fingerprint."""

    id = TextField(primary_key=True)
    pem = TextField()
    added_at = DoubleField()

    class Meta:
        table_name = "certificate"


TRUST_MODELS = (CertificateRecord,)
