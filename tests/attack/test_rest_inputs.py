"""What attackers put into requests to the REST API: bodies, names, forms, tokens and addresses."""

import io
import json
import zipfile
from urllib.parse import quote

import pytest

from tests.clock import cpu_limit

API = "/service/rest/v1"
OWN = "/api/v1"
JSON = "Content-Type: application/json"
FORM = "Content-Type: multipart/form-data; boundary=XbX"
STORAGE = {
    "blobStoreName": "default",
    "strictContentTypeValidation": True,
    "writePolicy": "ALLOW",
}
DEEP = "[" * 100_000 + "]" * 100_000
USER = {
    "userId": "mallory",
    "firstName": "M",
    "lastName": "M",
    "emailAddress": "m@example.org",
    "password": "a password",
    "status": "active",
    "roles": ["nx-anonymous"],
}


@pytest.fixture
def post(attack):
    """Send JSON, as an object or as a text that is none."""

    def post(path, body, method="POST"):
        text = body if isinstance(body, str) else json.dumps(body)
        return attack(method, f"{API}{path}", JSON, body=text.encode())

    return post


# --- JSON ----------------------------------------------------------------------------------------

TEXTS = {
    "nested": DEEP,
    "nested in a value": f'{{"name":{DEEP}}}',
    "nested objects": '{"a":' * 100_000,
    "many keys": "{" + ",".join(f'"k{number}":1' for number in range(60_000)) + "}",
    "the same key": "{" + ",".join(['"online":1'] * 60_000) + "}",
    "a huge number": '{"name":' + "9" * 100_000 + "}",
    "a huge exponent": '{"online":1e999999999}',
    "not a number": '{"name":NaN,"online":Infinity}',
    "half a character": '{"name":"\\ud800"}',
    "many wrong items": '{"group":{"memberNames":[' + "1," * 300_000 + "1]}}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("path", ["/repositories/raw/group", "/security/users", "/routing-rules"])
def test_a_body_that_is_hard_to_read_is_refused_in_short(post, path, text):
    answer = post(path, text)
    assert answer.status == 400
    assert len(answer.body) < 20_000


def test_a_list_with_many_mistakes_has_a_short_answer(post):
    with cpu_limit(10):
        answer = post("/security/realms/active", "[" + "1," * 400_000 + "1]", "PUT")
    assert answer.status == 400
    assert len(answer.body) < 20_000


def test_a_body_over_the_limit_is_refused(post):
    assert post("/security/users", '{"userId":"' + "a" * (1 << 20) + '"}').status == 413


# --- Names ---------------------------------------------------------------------------------------

NAMES = ["a\r\nX-Evil: 1", "a\0b", "../up", "a/b", "<b>", "\u202egnp.exe", "x" * 100_000, "", " "]
# Where something gets a name, and what it has besides.
NAMED = {
    "/repositories/raw/hosted": {"name": "", "online": True, "storage": STORAGE},
    "/blobstores/file": {"name": "", "path": "attacked"},
    "/security/roles": {"id": "", "name": "", "privileges": [], "roles": []},
    "/security/content-selectors": {"name": "", "expression": 'path == "a"'},
    "/security/privileges/wildcard": {"name": "", "pattern": "nexus:x:read"},
    "/routing-rules": {"name": "", "description": "", "mode": "BLOCK", "matchers": ["a"]},
    "/cleanup-policies": {"name": "", "format": "raw"},
}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("path", NAMED)
def test_nothing_gets_a_name_that_harms(post, path, name):
    body = {key: name if value == "" else value for key, value in NAMED[path].items()}
    answer = post(path, {**body, "description": "d"})
    assert answer.status == 400
    assert "X-Evil" not in answer.headers
    assert len(answer.body) < 20_000


def test_what_is_not_a_field_of_a_request_is_not_taken(post, attack, victim):
    more = {"readOnly": True, "externalRoles": ["nx-admin"], "id": 1, "passwordHash": "x"}
    made = post("/security/users", {**USER, **more, "source": "LDAP"})
    shown = json.loads(made.body)
    assert (shown["source"], shown["readOnly"], shown["externalRoles"]) == ("default", False, [])
    changed = {**USER, **more, "source": "default", "password": "another one"}
    assert post("/security/users/mallory", changed, "PUT").status == 204
    for password, status in (("a password", 403), ("another one", 401)):
        login = ("mallory", password)
        answer = attack("GET", f"{API}/security/users", login=login)
        assert answer.status == status
    role = {"id": "made", "name": "made", "readOnly": True, "privileges": [], "roles": []}
    assert json.loads(post("/security/roles", role).body)["readOnly"] is False
    for path in ("/security/users/mallory", "/security/roles/made"):
        assert attack("DELETE", f"{API}{path}").status == 204


# --- Forms ---------------------------------------------------------------------------------------


def form(*parts):
    pieces = [
        f'--XbX\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, more, data in parts
    ]
    return b"".join([*pieces, b"--XbX--\r\n"])


def a_file(data=b"x", field="raw.asset1", filename="f"):
    return field, f'; filename="{filename}"', data


@pytest.fixture
def upload(attack):
    def upload(*parts, body=None):
        data = form(*parts) if body is None else body
        return attack("POST", f"{API}/components?repository=files", FORM, body=data)

    return upload


UP = ["../x", "a/../../x", "..", ".", "/", "a//b", "x\0y", "\r\nX-Evil: 1", "a" * 3000]


@pytest.mark.parametrize("name", UP, ids=range(len(UP)))
def test_no_name_of_a_form_leads_out(upload, victim, name):
    before = sorted(victim.data.parent.rglob("*"))
    as_file = [("raw.directory", "", b"/d"), a_file(), ("raw.asset1.filename", "", name.encode())]
    as_directory = [
        ("raw.directory", "", f"/{name}/..".encode()),
        a_file(),
        ("raw.asset1.filename", "", b"y"),
    ]
    for parts in (as_file, as_directory):
        answer = upload(*parts)
        assert answer.status == 400
        assert "X-Evil" not in answer.headers
    now = sorted(victim.data.parent.rglob("*"))
    assert [each for each in now if each not in before and each.name in ("x", "y", "b")] == []


def test_the_name_of_a_file_in_a_header_is_not_a_path(upload, attack):
    parts = [("raw.directory", "", b"/d"), a_file(filename="../../evil")]
    assert upload(*parts, ("raw.asset1.filename", "", b"ok.txt")).status == 204
    assert attack("GET", "/repository/files/d/ok.txt").body == b"x"
    assert attack("GET", "/repository/files/evil").status == 404


def test_an_archive_is_a_file_and_is_not_unpacked(upload, attack):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil", b"0" * (1 << 20))
    data = packed.getvalue()
    name = ("raw.asset1.filename", "", b"a.zip")
    assert upload(("raw.directory", "", b"/d"), a_file(data), name).status == 204
    assert attack("GET", "/repository/files/d/a.zip").body == data
    listed = json.loads(attack("GET", f"{API}/assets?repository=files").body)["items"]
    assert [each for each in listed if "evil" in each["path"]] == []


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([(f"raw.f{number}", "", b"x") for number in range(20_000)], 413),
        ([a_file(field=f"raw.asset{number}") for number in range(3000)], 413),
        ([("raw.directory", "", b"/" + b"a" * 5_000_000)], 413),
        ([("raw.directory", "", b"/" + "ü".encode("latin-1"))], 400),
    ],
    ids=["fields", "files", "a long field", "bytes that are no text"],
)
def test_a_form_has_bounds_and_leaves_nothing(upload, victim, parts, status):
    assert upload(*parts).status == status
    stores = victim.data / "blobs" / "default" / "uploads"
    assert [each for each in stores.rglob("*") if each.is_file()] == []


# --- Tokens, ids, searches -----------------------------------------------------------------------

LISTS = ["/components?repository=files", "/assets?repository=files", "/search?repository=files"]
FORGED = ["x", "A" * 4000, "../", "eyJhIjoxfQ", "%00", "null", "0", "' OR 1=1--", "ÿ", "ZmlsZXM6MQ"]


@pytest.mark.parametrize("token", FORGED, ids=range(len(FORGED)))
def test_a_forged_token_belongs_to_no_page(attack, token):
    for path in LISTS:
        answer = attack("GET", f"{API}{path}&continuationToken={quote(token)}")
        assert (answer.status, answer.body) == (406, b"")
    for path in ("/audit", "/events"):
        assert attack("GET", f"{OWN}{path}?continuationToken={quote(token)}").status == 400


def test_a_true_token_is_worth_nothing_once_it_is_changed_or_used_elsewhere(upload, attack):
    for number in range(51):
        name = f"many/{number}".encode()
        upload(("raw.directory", "", b"/"), a_file(), ("raw.asset1.filename", "", name))
    page = attack("GET", f"{API}/search?repository=files")
    token = json.loads(page.body)["continuationToken"]
    path = f"{API}/search?repository=files&continuationToken="
    assert attack("GET", path + quote(token)).status == 200
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    for wrong in (token[:-1], token[1:], token[:middle] + other + token[middle + 1 :], token[::-1]):
        assert attack("GET", path + quote(wrong)).status == 406
    for elsewhere in (f"{API}/search?q=many", f"{API}/assets?repository=files"):
        answer = attack("GET", f"{elsewhere}&continuationToken={quote(token)}")
        assert answer.status == 406


# --- Addresses that the server itself asks -------------------------------------------------------

HIDDEN = [
    *("file:///etc/passwd", "gopher://127.0.0.1:25/x", "ftp://127.0.0.1/", "http://", "x"),
    *("http://user:secret@127.0.0.1/", "http://127.0.0.1\r\nX: y/", "http://[::1", "//host/a"),
]


@pytest.mark.parametrize("address", HIDDEN)
def test_a_remote_is_a_web_address_and_nothing_else(post, address):
    proxy = {
        "name": "hidden",
        "online": True,
        "storage": STORAGE,
        "proxy": {"remoteUrl": address},
        "negativeCache": {"enabled": True, "timeToLive": 1},
        "httpClient": {"blocked": False, "autoBlock": True},
    }
    answer = post("/repositories/raw/proxy", proxy)
    assert answer.status == 400
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    "host", ["127.0.0.1/x", "http://127.0.0.1", "a b", "a\r\nb", "", "a" * 300]
)
def test_a_host_is_a_name_or_an_address(attack, post, host):
    assert attack("GET", f"{API}/security/ssl?host={quote(host)}&port=1").status == 400
    server = {
        "name": "hidden",
        "protocol": "ldap",
        "host": host,
        "port": 389,
        "searchBase": "dc=x",
        "authScheme": "NONE",
    }
    assert post("/security/ldap", server).status == 400


@pytest.mark.parametrize("login", [None, ("eve", "password of eve")])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/security/ssl?host=127.0.0.1"),
        ("POST", "/email/verify"),
        ("POST", "/security/ldap"),
        ("POST", "/security/ldap/verify-connection"),
        ("POST", "/security/ldap/verify-login"),
        ("POST", "/security/ldap/verify-user-mapping"),
        ("DELETE", "/security/ldap/cache"),
        ("POST", "/repositories/raw/proxy"),
        ("PUT", "/http"),
    ],
)
def test_only_who_may_has_the_server_ask_others(attack, method, path, login):
    body = None if method == "GET" else b"{}"
    answer = attack(method, f"{API}{path}", JSON, body=body, login=login)
    assert answer.status in (401, 403)


@pytest.mark.parametrize("host", ["a b", 'a"><script>', "a/b", "a@b", "a:99999", "", "a\\b"])
def test_a_host_that_is_none_is_in_no_address(attack, host):
    answer = attack("GET", f"{API}/repositories", host=host)
    assert answer.status == 400 or host not in answer.body.decode() or not host
    assert b"<script>" not in answer.body
