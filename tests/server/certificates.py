"""Self-signed certificates for tests."""

import shutil
import ssl
import subprocess

from repoman.server.tls_contexts import load_context


class Certificate:
    """A certificate for one name, made by the openssl program."""

    def __init__(self, directory, name, key="ec"):
        assert shutil.which("openssl"), "missing: apt-get install openssl"
        self.name = name
        self.path = directory / f"{name}-{key}.pem"
        self.key_path = directory / f"{name}-{key}.key"
        kind = ["rsa:2048"] if key == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", *kind),
                *("-keyout", self.key_path, "-out", self.path),
                *("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"),
            ],
            check=True,
            capture_output=True,
        )

    def encrypt_key(self):
        encrypted = self.key_path.with_suffix(".encrypted")
        command = ["openssl", "pkey", "-aes256", "-passout", "pass:secret"]
        subprocess.run([*command, "-in", self.key_path, "-out", encrypted], check=True)
        return encrypted

    def for_server(self):
        return load_context(self.path, self.key_path)

    def for_client(self, **limits):
        """A context that trusts this certificate only."""
        context = ssl.create_default_context(cafile=str(self.path))
        for name, value in limits.items():
            setattr(context, name, value)
        return context
