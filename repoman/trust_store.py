"""The trust store: certificates that outgoing connections trust beside the public authorities.

What uses it says so: a proxy with ``http_client.use_trust_store``, an LDAP server, the mail server.
A certificate in it is an anchor, whether it is an authority's or just that of one server.
"""

import re
import socket
import ssl
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from repoman import trust_records as records
from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.errors import Conflict, Invalid, NotFound
from repoman.external_url import is_host
from repoman.waiting import waiting

CERTIFICATES_MAX = 1_000  # Certificates in the trust store.
_UNKNOWN = "There is no certificate {!r} in the trust store."
FETCH_TIMEOUT_S = 10.0  # How long a server may take to connect, and to show its certificate.
_BEGIN = re.compile("-----BEGIN CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate; times in seconds since the epoch.

    Attributes:
        id: its SHA-1 fingerprint, as administrators see it in other tools too.
        subject, issuer: common name, organization and organizational unit; None where one is not.
        serial: its serial number, in decimal.
    """

    id: str
    pem: str
    serial: str
    subject: tuple[str | None, str | None, str | None]
    issuer: tuple[str | None, str | None, str | None]
    issued_at: float
    expires_at: float

    @classmethod
    def parse(cls, pem: str) -> Self:
        """Return what one certificate in PEM says.

        Raises:
            Invalid: it is not one certificate.
        """
        count = len(_BEGIN.findall(pem))
        if count > 1:
            raise Invalid(f"There are {count} certificates; add one at a time.")
        try:
            return cls._of(x509.load_pem_x509_certificate(pem.encode("ascii")))
        except (ValueError, TypeError, x509.InvalidVersion) as error:  # it may be made by anybody
            raise Invalid(
                "This is not a certificate in PEM format, which begins with "
                "-----BEGIN CERTIFICATE-----."
            ) from error

    @classmethod
    def _of(cls, found: x509.Certificate) -> Self:
        return cls(
            id=found.fingerprint(hashes.SHA1()).hex(":").upper(),  # noqa: S303 - a name, no proof
            pem=found.public_bytes(serialization.Encoding.PEM).decode("ascii"),
            serial=str(found.serial_number),
            subject=_names(found.subject),
            issuer=_names(found.issuer),
            issued_at=found.not_valid_before_utc.timestamp(),
            expires_at=found.not_valid_after_utc.timestamp(),
        )


class TrustStore:
    """The trusted certificates; thread safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pem: ReadCache[str] = ReadCache(database)

    def all(self) -> list[Certificate]:
        """Return the trusted certificates, in the order in which they were added."""
        return [Certificate.parse(pem) for pem in records.list_certificates()]

    def get(self, id_: str) -> Certificate:
        """Return the certificate with this fingerprint (NotFound)."""
        for each in self.all():
            if each.id == id_.upper():
                return each
        raise NotFound(_UNKNOWN.format(id_))

    def pem(self) -> str:
        """Return all of them as one text in PEM; empty if there is none."""
        return self._pem.get("pem", lambda: "".join(records.list_certificates()))

    def add(self, pem: str) -> Certificate:
        """Trust a certificate from the next connection on, and return it.

        Raises:
            Invalid: it is not one certificate, or there are too many.
            Conflict: it is trusted already.
        """
        added = Certificate.parse(pem)
        with self._database.transaction():
            if records.has_certificate(added.id):
                raise Conflict(f"The certificate {added.id} is in the trust store already.")
            if len(records.list_certificates()) >= CERTIFICATES_MAX:
                raise Invalid(f"The trust store holds {CERTIFICATES_MAX} certificates at most.")
            records.insert_certificate(added.id, added.pem)
            self._database.note_change("certificate.add", added.id, subject=added.subject[0] or "")
        return added

    def remove(self, id_: str) -> None:
        """Trust a certificate no longer.

        Raises:
            NotFound: it is not in the trust store.
        """
        with self._database.transaction():
            if not records.delete_certificate(id_.upper()):
                raise NotFound(_UNKNOWN.format(id_))
            self._database.note_change("certificate.remove", id_.upper())


def trust_also(context: ssl.SSLContext, pem: str) -> None:
    """Have a context trust certificates in PEM; none changes nothing."""
    if pem:
        context.load_verify_locations(cadata=pem)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # Each of them is an anchor.


def fetch_certificate(host: str, port: int) -> Certificate:
    """Return the certificate that a TLS server shows, whoever has issued it.

    Raises:
        Invalid: the host is not valid, does not answer, or does not speak TLS.
    """
    if not (is_host(host) or is_host(f"[{host}]")):
        raise Invalid(f"{host!r} is not a valid host name or address.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # Whether to trust it is the administrator's decision.
    address = (host.strip("[]"), port)
    try:
        with (
            waiting(),
            socket.create_connection(address, FETCH_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=address[0]) as connection,
        ):
            shown = connection.getpeercert(binary_form=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise Invalid(f"{host}:{port} does not show a certificate: {reason}.") from error
    return Certificate.parse(ssl.DER_cert_to_PEM_cert(shown or b""))


def _names(name: x509.Name) -> tuple[str | None, str | None, str | None]:
    kinds = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME)
    found = [name.get_attributes_for_oid(kind) for kind in kinds]
    common, organization, unit = [str(each[0].value) if each else None for each in found]
    return common, organization, unit
