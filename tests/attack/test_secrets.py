"""No secret that the server was ever given is in anything that it shows, tells or writes."""

import io
import json
import re
import zipfile
from base64 import b64encode
from urllib.parse import quote

import pytest

from tests.attack.raw import request, send
from tests.clock import wait_until
from tests.live import free_port, live_server

REST = "/service/rest/v1"
JSON = "Content-Type: application/json"
MARK = "Zq7wX"  # In each secret, and nowhere else.
SECRETS = {
    name: f"{MARK}-{name}-Vb3"
    for name in ("user", "changed", "remote", "bearer", "mail", "plain", "secure", "ldap", "wrong")
}
AUDIT_FILE = "audit.jsonl"


class Told:
    """A server that knows a secret of each kind, and has used it in vain."""

    def __init__(self, server):
        self.server = server
        self.closed = free_port()
        self.secrets = {each: text for each, text in SECRETS.items()}
        self.login = server.admin

    def ask(self, method, path, body=None, *fields, login="admin"):
        """Send a request; return the answer, which is no failure of the server."""
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            fields = (*fields, JSON) if not isinstance(body, bytes) else fields
        who = self.login if login == "admin" else login
        answer = send(self.server.main_port, request(method, path, *fields, login=who, body=data))
        assert answer.status < 500 or answer.status in (502, 503, 504), answer.raw[:500]
        return answer

    def do(self, method, path, body=None):
        """Send a request that must succeed."""
        answer = self.ask(method, path, body)
        assert answer.status < 400, (path, answer.raw[-500:])
        return answer

    def set_everything(self):
        """Give the server a secret in each place that takes one."""
        person = {"firstName": "Jo", "lastName": "Doe", "emailAddress": "jo@example.org"}
        user = {"userId": "jo", **person, "status": "active", "roles": ["nx-developer"]}
        self.do("POST", f"{REST}/security/users", {**user, "password": SECRETS["user"]})
        answer = self.ask(
            "PUT",
            f"{REST}/security/users/jo/change-password",
            SECRETS["changed"].encode(),
            "Content-Type: text/plain",
        )
        assert answer.status == 204
        for name, login in {
            "with-password": {
                "type": "username",
                "username": "robot",
                "password": SECRETS["remote"],
            },
            "with-token": {"type": "bearerToken", "bearerToken": SECRETS["bearer"]},
        }.items():
            self.do("POST", f"{REST}/repositories/raw/proxy", self.proxy(name, login))
        self.do("PUT", f"{REST}/email", self.mail())
        self.do("POST", f"{REST}/security/ldap", self.directory())
        self.do("PUT", f"{REST}/http", self.http())
        made = json.loads(self.do("POST", "/api/v1/tokens", {"name": "script"}).body)
        self.secrets["token"] = made["secret"].split("_", 2)[2]  # What follows may hold "_".

    def use_everything(self):
        """Have the server use each secret where nobody answers, and mistake some."""
        for name in ("with-password", "with-token"):
            self.ask("GET", f"/repository/{name}/file")
            self.ask("POST", f"/api/v1/repositories/{name}/remote/check", {})
        self.ask("POST", f"{REST}/email/verify", b"jo@example.org", "Content-Type: text/plain")
        for login in (("jo", SECRETS["wrong"]), ("nobody", SECRETS["wrong"]), self.login):
            self.ask("GET", f"{REST}/security/users", login=login)
        self.ask("GET", "/repository/with-token/file", login=("jo", SECRETS["changed"]))
        encoded = b64encode(SECRETS["wrong"].encode()).decode()
        for header in (f"Bearer {SECRETS['wrong']}", f"Basic {encoded}", SECRETS["wrong"]):
            for path in (f"{REST}/repositories", "/repository/docker-hosted/v2/"):
                self.ask("GET", path, None, f"Authorization: {header}", login=None)
        form = {"username": b64encode(b"jo").decode(), "password": encoded}
        body = "&".join(f"{key}={quote(value)}" for key, value in form.items()).encode()
        kind = "Content-Type: application/x-www-form-urlencoded"
        self.ask("POST", "/service/rapture/session", body, kind, login=None)
        begun = self.ask("POST", "/service/rapture/session", self.right_form(), kind, login=None)
        assert begun.status == 204
        for cookie in begun.headers.get_all("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if name != "repoman-forms":
                self.secrets[name] = value
        # Wrong in another field, so the answer is about a body with a secret.
        self.ask("POST", f"{REST}/security/users", {"userId": "", "password": SECRETS["user"]})
        self.ask("PUT", f"{REST}/email", {**self.mail(), "port": "no port"})
        self.ask("POST", f"{REST}/security/ldap", {**self.directory(), "port": -1})
        wrong = self.proxy("broken", {"type": "username", "password": [SECRETS["remote"]]})
        self.ask("POST", f"{REST}/repositories/raw/proxy", wrong)
        url = f"http://robot:{SECRETS['remote']}@127.0.0.1/"
        wrong = {**self.proxy("broken", None), "proxy": {**PROXY, "remoteUrl": url}}
        self.ask("POST", f"{REST}/repositories/raw/proxy", wrong)

    def right_form(self):
        """The form with which a script logs in as jo."""
        values = ("jo", SECRETS["changed"])
        name, password = (quote(b64encode(each.encode()).decode()) for each in values)
        return f"username={name}&password={password}".encode()

    def proxy(self, name, authentication):
        """A proxy of a server that is not there."""
        return {
            "name": name,
            "online": True,
            "storage": {"blobStoreName": "default", "strictContentTypeValidation": True},
            "proxy": {**PROXY, "remoteUrl": f"http://127.0.0.1:{self.closed}/"},
            "negativeCache": {"enabled": False, "timeToLive": 1},
            "httpClient": {"blocked": False, "autoBlock": False, "authentication": authentication},
        }

    def mail(self):
        """A mail server that is not there."""
        return {
            "enabled": True,
            "host": "127.0.0.1",
            "port": self.closed,
            "username": "robot",
            "password": SECRETS["mail"],
            "fromAddress": "repoman@example.org",
        }

    def directory(self):
        """An LDAP server that is not there."""
        return {
            "name": "directory",
            "protocol": "ldap",
            "host": "127.0.0.1",
            "port": self.closed,
            "searchBase": "dc=example,dc=org",
            "authScheme": "SIMPLE",
            "authUsername": "cn=robot,dc=example,dc=org",
            "authPassword": SECRETS["ldap"],
            "connectionTimeoutSeconds": 1,
            "connectionRetryDelaySeconds": 0,
            "maxIncidentsCount": 1,
            "userObjectClass": "inetOrgPerson",
            "userIdAttribute": "uid",
            "userRealNameAttribute": "cn",
            "userEmailAddressAttribute": "mail",
            "ldapGroupsAsRoles": False,
        }

    def http(self):
        """HTTP proxies that are not there."""

        def login(name):
            return {"enabled": True, "username": "robot", "password": SECRETS[name]}

        def proxy(name):
            return {
                "enabled": True,
                "host": "127.0.0.1",
                "port": str(self.closed),
                "authInfo": login(name),
            }

        return {"httpProxy": proxy("plain"), "httpsProxy": proxy("secure")}

    def forms(self):
        """Each secret as it is, as it is in a form or an address, and as it is in Basic."""
        for name, text in self.secrets.items():
            yield name, text.encode()
            yield name, quote(text, safe="").encode()
            for before in ("", ":", "jo:", "robot:", "admin:"):
                whole = b64encode(f"{before}{text}".encode()).rstrip(b"=")
                yield name, whole[:-1]

    def found_in(self, data):
        """The names of the secrets that are in some bytes."""
        return sorted({name for name, each in self.forms() if each in data})


PROXY = {"contentMaxAge": 1, "metadataMaxAge": 1}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    settings = {"audit": {"file": AUDIT_FILE, "pulls": True}, "log": {"level": "DEBUG"}}
    with live_server(tmp_path_factory.mktemp("secrets"), settings=settings) as server:
        found = Told(server)
        found.set_everything()
        found.use_everything()
        yield found


def test_the_probe_finds_what_is_there(told):
    header = b"Authorization: Basic " + b64encode(f"jo:{SECRETS['changed']}".encode())
    assert told.found_in(header) == ["changed"]
    assert told.found_in(json.dumps(told.mail()).encode()) == ["mail"]


def test_nothing_that_can_be_read_has_a_secret(told):
    documents = ("/service/rest/openapi.json", "/api/v1/openapi.json")
    names = {"name": "with-password", "id": "directory", "user": "jo", "user_id": "jo"}
    seen = 0
    for document in documents:
        described = json.loads(told.do("GET", document).body)
        root = document.rpartition("/")[0]
        for path, methods in described["paths"].items():
            if "get" not in methods or path == "/v1/security/ssl":
                continue
            for name in ("with-password", "with-token", "directory"):
                given = {**names, "name": name}
                filled = re.sub(r"\{(\w+)\}", lambda part: given.get(part[1], name), path)  # noqa: B023
                answer = told.ask("GET", root + filled)
                seen += answer.status == 200
                assert told.found_in(answer.raw) == [], filled
    assert seen > 50


def test_the_support_file_has_no_secret(told):
    data = told.do("POST", f"{REST}/support/supportzip", {}).body
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert b"with-password" in parts["repoman-support/repositories.json"]
    for name, content in parts.items():
        assert told.found_in(content) == [], name


def test_the_audit_log_has_no_secret(told):
    path = told.server.data / AUDIT_FILE
    wait_until(lambda: path.exists() and b"ldap" in path.read_bytes(), what="the file")
    answer = told.do("GET", "/api/v1/audit?limit=1000")
    domains = {each["domain"] for each in json.loads(answer.body)["items"]}
    assert {"user", "repository", "option", "ldap", "token", "login"} <= domains
    assert told.found_in(answer.body) == []
    assert told.found_in(path.read_bytes()) == []


def test_no_log_and_no_file_has_a_secret(told):
    assert told.found_in(told.server.log.encode()) == []
    assert told.found_in(told.server.output.encode()) == []
    for path in told.server.data.rglob("*"):
        if path.is_file():
            assert told.found_in(path.read_bytes()) == [], path


def test_no_command_shows_a_secret(told):
    for words in (
        ("repo", "show", "with-password", "--json"),
        ("repo", "show", "with-token"),
        ("export",),
        ("option", "list"),
        ("user", "show", "jo"),
        ("audit", "list", "--json"),
        ("ldap", "show", "directory"),
    ):
        done = told.server.cli(*words, check=False)
        assert done.stdout, (words, done.stderr)
        assert told.found_in((done.stdout + done.stderr).encode()) == [], words
