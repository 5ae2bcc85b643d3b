"""The trust store over REST, and the certificates of other servers."""

import json
from typing import Self

from pydantic import Field

from repoman.errors import Invalid
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Query, Resource
from repoman.trust_store import Certificate, fetch_certificate

DOMAIN = "ssl-truststore"

certificates = Area("Certificates", "Certificates that outgoing connections trust.")


class CertificateView(Resource):
    """A certificate; times in milliseconds since the epoch."""

    id: str = Field(description="Its SHA-1 fingerprint.")
    fingerprint: str
    pem: str
    serial_number: str
    subject_common_name: str | None
    subject_organization: str | None
    subject_organizational_unit: str | None
    issuer_common_name: str | None
    issuer_organization: str | None
    issuer_organizational_unit: str | None
    issued_on: int
    expires_on: int

    @classmethod
    def of(cls, found: Certificate) -> Self:
        """Return how a certificate is shown."""
        return cls(
            id=found.id,
            fingerprint=found.id,
            pem=found.pem,
            serial_number=found.serial,
            subject_common_name=found.subject[0],
            subject_organization=found.subject[1],
            subject_organizational_unit=found.subject[2],
            issuer_common_name=found.issuer[0],
            issuer_organization=found.issuer[1],
            issuer_organizational_unit=found.issuer[2],
            issued_on=int(found.issued_at * 1000),
            expires_on=int(found.expires_at * 1000),
        )


class ServerQuery(Query):
    """Names a server."""

    host: str = Field(description="Host name or address.")
    port: int = Field(443, ge=1, le=65535, description="Port.")
    protocol_hint: str | None = Field(None, description="Ignored: the server must speak TLS.")


@certificates.get("/v1/security/ssl", Permission(DOMAIN, "read"))
def show_certificate(call: Call, query: ServerQuery) -> CertificateView:
    """Connect to a TLS server and show its certificate, whoever has issued it."""
    return CertificateView.of(fetch_certificate(query.host, query.port))


@certificates.get("/v1/security/ssl/truststore", Permission(DOMAIN, "read"))
def list_certificates(call: Call) -> list[CertificateView]:
    """List the certificates of the trust store."""
    return [CertificateView.of(each) for each in call.repoman.trust_store.all()]


@certificates.post(
    "/v1/security/ssl/truststore",
    Permission(DOMAIN, "create"),
    status=201,
    bare=(409,),
    takes_any_type=True,
)
def add_certificate(call: Call, text: str) -> CertificateView:
    """Add a certificate in PEM format to the trust store; also as a JSON string."""
    return CertificateView.of(call.repoman.trust_store.add(plain_text(text)))


@certificates.delete("/v1/security/ssl/truststore/{id}", Permission(DOMAIN, "delete"))
def remove_certificate(call: Call, id: str) -> None:
    """Remove a certificate from the trust store."""
    call.repoman.trust_store.remove(id)


def plain_text(text: str) -> str:
    """Return a text that may have been sent as a JSON string (Invalid)."""
    text = text.strip()
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text)).strip()
    except ValueError as error:
        raise Invalid("The body is neither plain text nor a JSON string.") from error
