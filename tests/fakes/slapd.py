"""A real directory on loopback: Debian's slapd, with data and a process of its own."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.clock import WAIT_S
from tests.live import free_port, is_open, wait_until
from tests.server.certificates import Certificate

BASE = "dc=example,dc=org"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
READER, READER_PASSWORD = f"cn=reader,{BASE}", "the reader's own"
ADMIN, ADMIN_PASSWORD = f"cn=root,{BASE}", "root"
SCHEMA = Path("/etc/ldap/schema")

CONFIGURATION = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {directory}/slapd.pid
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {password}
directory {directory}/data
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by anonymous {anonymous} by * none
"""

ENTRIES = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {READER_PASSWORD}
"""


class Slapd:
    """Users and groups in a directory; ``start`` and ``stop`` its process."""

    def __init__(self, directory: Path, *, anonymous: bool = False) -> None:
        self._directory = directory
        self.port, self.tls_port = free_port(), free_port()
        self.certificate = Certificate(directory, "localhost")
        (directory / "data").mkdir()
        self._configuration = directory / "slapd.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                schema=SCHEMA,
                directory=directory,
                certificate=self.certificate.path,
                key=self.certificate.key_path,
                base=BASE,
                admin=ADMIN,
                password=ADMIN_PASSWORD,
                reader=READER,
                anonymous="read" if anonymous else "none",
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, without TLS at first."""
        return f"ldap://localhost:{self.port}"

    @property
    def tls_url(self) -> str:
        """Its address with TLS from the beginning."""
        return f"ldaps://localhost:{self.tls_port}"

    def start(self) -> None:
        """Begin to serve."""
        program = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        assert program, "missing: apt-get install slapd ldap-utils"
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        with (self._directory / "slapd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-d", "0", "-f", str(self._configuration), "-h", urls],
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: is_open(self.port), what="slapd")

    def stop(self) -> None:
        """Serve no more."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(WAIT_S)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait(WAIT_S)
            self._process = None

    def add(self, text: str) -> None:
        """Add entries, as LDIF."""
        self._run("ldapadd", text)

    def modify(self, text: str) -> None:
        """Change entries, as LDIF."""
        self._run("ldapmodify", text)

    def add_person(self, name: str, password: str, **attributes: str) -> str:
        """Add a user and return the DN."""
        dn = f"uid={name},{PEOPLE}"
        fields = {"cn": name, "sn": name.title(), "userPassword": password, **attributes}
        lines = "".join(f"{key}: {value}\n" for key, value in fields.items())
        self.add(f"dn: {dn}\nobjectClass: inetOrgPerson\nuid: {name}\n{lines}")
        return dn

    def add_group(self, name: str, *members: str) -> None:
        """Add a group of DNs."""
        lines = "".join(f"member: {dn}\n" for dn in members)
        self.add(f"dn: cn={name},{GROUPS}\nobjectClass: groupOfNames\ncn: {name}\n{lines}")

    def _run(self, program: str, text: str) -> None:
        login = ["-x", "-D", ADMIN, "-w", ADMIN_PASSWORD]
        done = subprocess.run(
            [program, *login, "-H", f"ldap://127.0.0.1:{self.port}"],
            check=False,
            input=text,
            text=True,
            capture_output=True,
            timeout=WAIT_S,
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def slapd(directory: Path, **options: bool) -> Iterator[Slapd]:
    """A directory that runs until the end of the block."""
    server = Slapd(directory, **options)
    server.start()
    try:
        server.add(ENTRIES)
        yield server
    finally:
        server.stop()
