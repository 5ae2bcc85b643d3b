import errno
import os
import ssl
import stat
from datetime import UTC, datetime

import pytest
from cryptography import x509

from repoman.errors import Invalid, Unavailable
from repoman.security.certificates import CertificateFiles, create_certificate, describe_certificate


@pytest.fixture
def files(tmp_path) -> CertificateFiles:
    return CertificateFiles.below(tmp_path / "tls")


def test_the_certificate_belongs_to_its_key_and_is_signed_by_the_authority(files):
    create_certificate(files, ["registry.example.com"], 30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    certificate.verify_directly_issued_by(authority)


def test_it_holds_host_names_and_addresses_once_each(files):
    create_certificate(files, ["a.example.com", "127.0.0.1", "::1", "a.example.com"], 30)
    assert describe_certificate(files.certificate)["names"] == "a.example.com, 127.0.0.1, ::1"


def test_it_ends_after_the_given_days(files):
    create_certificate(files, ["x"], 30)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert (certificate.not_valid_after_utc - datetime.now(UTC)).days in (29, 30)


def test_a_second_one_keeps_the_authority(files):
    create_certificate(files, ["x"], 30)
    authority, certificate = files.authority.read_bytes(), files.certificate.read_bytes()
    create_certificate(files, ["x"], 30)
    assert files.authority.read_bytes() == authority
    assert files.certificate.read_bytes() != certificate


def test_keys_are_for_the_owner_alone(files):
    create_certificate(files, ["x"], 30)
    for key in (files.key, files.authority_key):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "a" * 64 + ".example.com", "ü" * 70])
def test_what_is_no_host_name_is_refused(files, name):
    with pytest.raises(Invalid, match="is not a valid host name"):
        create_certificate(files, [name], 30)


def test_no_name_at_all_is_refused(files):
    with pytest.raises(Invalid, match="at least one"):
        create_certificate(files, [], 30)


def test_a_file_that_is_no_certificate_is_said_to_be_none(tmp_path):
    (tmp_path / "x").write_text("hello")
    with pytest.raises(Invalid, match="is not a certificate"):
        describe_certificate(tmp_path / "x")


def test_a_damaged_authority_is_said_to_be_damaged(files):
    create_certificate(files, ["x"], 30)
    for path in (files.authority, files.authority_key):
        text = path.read_bytes()
        path.write_bytes(text[: len(text) // 2])
        with pytest.raises(Invalid, match="is damaged"):
            create_certificate(files, ["x"], 30)
        path.write_bytes(text)


def test_a_disk_that_fails_leaves_the_certificate_and_the_key_that_belong_together(
    files, monkeypatch
):
    create_certificate(files, ["x"], 30)
    before = files.certificate.read_bytes(), files.key.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(Unavailable):
            create_certificate(files, ["x"], 30)
    assert (files.certificate.read_bytes(), files.key.read_bytes()) == before


def fail(_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))
