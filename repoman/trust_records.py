"""The rows of the trust store; values in, values out."""

import time

from repoman.db.settings_models import CertificateRecord


def list_certificates() -> list[str]:
    """Return the trusted certificates as PEM, in the order in which they were added."""
    query = CertificateRecord.select(CertificateRecord.pem)
    return [row[0] for row in query.order_by(CertificateRecord.added_at).tuples()]


def has_certificate(id_: str) -> bool:
    """Return whether there is a certificate with this id."""
    return bool(CertificateRecord.select().where(CertificateRecord.id == id_).exists())


def insert_certificate(id_: str, pem: str) -> None:
    """Store a certificate that is not there."""
    CertificateRecord.insert(id=id_, pem=pem, added_at=time.time()).execute()


def delete_certificate(id_: str) -> bool:
    """Remove a certificate; return whether there was one."""
    return bool(CertificateRecord.delete().where(CertificateRecord.id == id_).execute())
