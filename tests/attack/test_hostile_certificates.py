"""Certificates that somebody has damaged, or made to do damage, are refused and change nothing."""

import base64
import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from repoman.errors import Invalid
from repoman.trust_store import Certificate

STORE = "/service/rest/v1/security/ssl/truststore"
VERSION = b"\xa0\x03\x02\x01\x02"  # How a certificate says that it has version 3.
CHANGES = 1000  # Certificates with a few other bytes.


def certificate(name="a.example"):
    """The bytes of a certificate of this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(subject, subject, key.public_key(), 1234)
    built = built.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def pem(data):
    """The text of a certificate."""
    text = base64.encodebytes(bytes(data)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def add(attack, data):
    return attack("POST", STORE, "Content-Type: text/plain", body=pem(data).encode())


@pytest.mark.parametrize("version", [1, 3, 255])
def test_a_certificate_of_another_version_is_refused(attack, version):
    answer = add(attack, certificate().replace(VERSION, VERSION[:-1] + bytes([version])))
    assert answer.status == 400
    assert b"not a certificate" in answer.body


def test_a_name_of_another_type_is_refused(attack):
    data = certificate("abcdef")
    as_text, as_bits = b"\x0c\x06abcdef", b"\x03\x06abcdef"
    assert data.count(as_text) == 2
    assert add(attack, data.replace(as_text, as_bits)).status == 400


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_whatever_is_damaged_is_refused_or_readable():
    data = certificate()
    dice = random.Random(17)
    refused = 0
    for _ in range(CHANGES):
        changed = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            changed[dice.randrange(len(data))] = dice.randrange(256)
        try:
            Certificate.parse(pem(changed))
        except Invalid:
            refused += 1
    assert 0 < refused < CHANGES


def test_a_name_with_line_breaks_injects_nothing(attack):
    answer = add(attack, certificate("a\r\nSet-Cookie: evil=1\r\n<script>"))
    assert answer.status == 201
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json"
    attack("DELETE", f"{STORE}/{json.loads(answer.body)['id']}")
