"""Certificates of one's own: a small authority, and a server certificate that it signs.

Clients are given the authority's certificate once; the server's can then be renewed at will. Keys
are ECDSA P-256: their handshakes cost a fraction of those with RSA.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from repoman.durable import NewFile, make_directory, replace_files
from repoman.errors import Invalid, Unavailable

AUTHORITY_DAYS = 3650
PUBLIC_FILE_MODE = 0o644  # Permissions of a certificate.
CLOCK_SKEW = timedelta(hours=1)  # between this machine and its clients


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the four files are, as PEM."""

    authority: Path
    authority_key: Path
    certificate: Path
    key: Path

    @classmethod
    def below(cls, directory: Path) -> "CertificateFiles":
        """Return the usual names in a directory."""
        names = ("ca.crt", "ca.key", "server.crt", "server.key")
        return cls(*(directory / name for name in names))


def create_certificate(files: CertificateFiles, names: Iterable[str], days: int) -> None:
    """Write a server certificate for host names and addresses, valid for ``days``.

    The authority is made where there is none yet, and kept where there is one.

    Raises:
        Invalid: no name was given, or one is not a valid host name.
        Unavailable: the files cannot be read or written.
    """
    subjects = [_general_name(name) for name in dict.fromkeys(names)]
    if not subjects:
        raise Invalid("A certificate requires at least one host name or address.")
    try:
        make_directory(files.certificate.parent)
        authority, authority_key = _authority(files)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(str(subjects[0].value)), authority.subject, key, days)
        certificate = (
            builder.add_extension(x509.SubjectAlternativeName(subjects), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
                critical=False,
            )
            .sign(authority_key, hashes.SHA256())
        )
        # A running server reads either the old or the new files.
        replace_files(
            NewFile(files.key, _key_pem(key)),
            NewFile(files.certificate, _pem(certificate) + _pem(authority), PUBLIC_FILE_MODE),
        )
    except OSError as error:
        raise Unavailable(f"The certificate cannot be written: {error}") from error


def read_certificate(path: Path) -> x509.Certificate:
    """Return the first certificate in a PEM file.

    Raises:
        Invalid: there is not a certificate in the file.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError as error:
        raise Invalid(
            f"There is no certificate at {path}. Make one with 'repoman cert create', or name "
            "yours in tls.certificate."
        ) from error
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} is not a certificate: {error}") from error


def describe_certificate(path: Path) -> dict[str, str]:
    """Return what a certificate says: names, validity, issuer, fingerprint.

    Raises:
        Invalid: there is not a certificate in the file.
    """
    certificate = read_certificate(path)
    return {
        "file": str(path),
        "names": ", ".join(names_of(certificate)),
        "issuer": certificate.issuer.rfc4514_string(),
        "valid from": f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
        "valid until": f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    }


def _authority(files: CertificateFiles) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if files.authority.exists():
        return _load_authority(files)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("repoman authority")
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    replace_files(
        NewFile(files.authority_key, _key_pem(key)),
        NewFile(files.authority, _pem(certificate), PUBLIC_FILE_MODE),
    )
    return certificate, key


def _load_authority(
    files: CertificateFiles,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        key = serialization.load_pem_private_key(files.authority_key.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(files.authority.read_bytes())
    except (ValueError, TypeError) as error:
        raise Invalid(
            f"{files.authority} or {files.authority_key} is damaged. Restore both from a backup, "
            "or remove both to create a new authority, which clients have to trust again."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Invalid(f"{files.authority_key} is not a key that repoman created.")
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        host = name.encode("idna").decode("ascii")
    except UnicodeError:
        host = ""
    if not host:
        raise Invalid(f"{name!r} is not a valid host name or address.")
    return x509.DNSName(host)


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the host names and addresses that a certificate is for, or else its subject."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return [certificate.subject.rfc4514_string()]
    return [str(each.value) for each in found.value]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
