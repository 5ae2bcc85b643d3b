"""Random requests: whatever comes, the server neither fails nor logs a traceback."""

import io
import logging
import re
import socket
from base64 import b64encode
from contextlib import closing, suppress

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import run_wsgi_app

from repoman.testing import ADMIN, application_of
from tests.clock import WAIT_S
from tests.examples import count
from tests.functional.docker.images import OCI_MANIFEST, SCHEMA1, digest_of, make_image
from tests.live import wait_until

relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# --- What is sent --------------------------------------------------------------------------------

NAME = "fuzz/app"
IMAGE = make_image(b"one layer", b"another")
DIGESTS = (IMAGE.digest, digest_of(b"one layer"), digest_of(b"x", "sha512"), "sha256:abc", "a:b")
WORDS = (
    *(NAME, *DIGESTS, "1", "latest", "v2", "blobs", "manifests", "uploads", "tags", "list"),
    *("referrers", "_catalog", "token", "UPLOAD", "UPLOAD", "", ".", "..", "%", "%zz", "%00"),
    *("%0a", "%ff", "%2F", "%3A", "%25", "a b", "\u00e9", "\xff", "\ud7ff", "x" * 300),
)
SHAPES = (
    "{0}/blobs/{1}",
    "{0}/manifests/{1}",
    "{0}/referrers/{1}",
    "{0}/tags/list",
    "{0}/blobs/uploads/",
    "{0}/blobs/uploads/UPLOAD",
    "_catalog",
    "token",
    "{0}/{1}",
    "{1}",
    "",
)
words = st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), st.text(max_size=8))
names = st.one_of(st.just(NAME), st.just(NAME), words)
paths = st.builds(
    lambda shape, name, word: shape.format(name, word), st.sampled_from(SHAPES), names, words
)
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] * 4 + ["TRACE", "FOO"])
# Half of the calls are such as a client makes, so that they get past the first checks.
SENSIBLE = (
    *[(method, "{0}/manifests/{1}") for method in ("GET", "HEAD", "PUT", "PUT", "PUT", "DELETE")],
    *[(method, "{0}/blobs/{1}") for method in ("GET", "HEAD", "DELETE")],
    *[(method, "{0}/blobs/uploads/UPLOAD") for method in ("GET", "PATCH", "PATCH", "PUT")],
    *[(method, "{0}/blobs/uploads/") for method in ("POST", "POST")],
    *[("GET", path) for path in ("{0}/tags/list", "{0}/referrers/{1}", "_catalog", "token", "")],
)
sensible = st.builds(
    lambda call, word: (call[0], call[1].format(NAME, word)),
    st.sampled_from(SENSIBLE),
    st.sampled_from([*DIGESTS, "1", "latest"]),
)
calls = st.one_of(st.tuples(methods, paths), sensible)
keys = st.sampled_from(
    [
        "digest",
        "mount",
        "from",
        "n",
        "last",
        "tag",
        "artifactType",
        "digest-algorithm",
        "scope",
        "x",
    ]
)
values = st.one_of(
    words,
    st.integers(-5, 10**20).map(str),
    st.sampled_from([digest_of(b""), "sha512", "repository:a:pull", ":::", "repository:a:b:*,x"]),
)
queries = st.lists(st.builds("{}={}".format, keys, values), max_size=3).map("&".join)
is_known = st.sampled_from([True] * 19 + [False])  # whether the client is logged in
FIELDS = ("Range", "Content-Range", "Content-Type", "If-None-Match", "If-Range", "Accept")
FIELDS += ("If-Modified-Since", "X-Forwarded-Proto", "X-Forwarded-Host", "Authorization")
FIELDS += ("Accept-Encoding", "Cookie", "Expect", "X-HTTP-Method-Override")
fields = st.dictionaries(
    st.sampled_from(FIELDS),
    st.one_of(
        st.builds("{}-{}".format, st.integers(0, 9), st.integers(0, 9**20)),
        st.builds("bytes={}-{}".format, st.integers(0, 9), st.integers(0, 9)),
        st.sampled_from(
            [OCI_MANIFEST, SCHEMA1, "application/json", "*", "", "Bearer x", "Basic x"]
        ),
        st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=20),
    ),
    max_size=4,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
FIELD_NAMES = ("schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "digest")
FIELD_NAMES += ("size", "annotations", "urls", "data", "artifactType", "fsLayers", "platform")
nearly_manifests = st.dictionaries(
    st.sampled_from(FIELD_NAMES),
    st.one_of(
        json_values,
        st.just(2),
        st.sampled_from(DIGESTS),
        st.lists(
            st.dictionaries(st.sampled_from(FIELD_NAMES), json_values, max_size=4), max_size=2
        ),
    ),
    max_size=6,
)


def to_bytes(value):
    return repr(value).replace("'", '"').replace("None", "null").encode("utf-8", "replace")


bodies = st.one_of(
    st.just(b""),
    st.just(IMAGE.manifest),
    st.binary(max_size=60),
    nearly_manifests.map(to_bytes),
    json_values.map(to_bytes),
)


@pytest.fixture
def upload(registry):
    """The id of a session, for requests that go deeper; and an image to be found."""
    registry.push(NAME, "1", IMAGE)
    return registry.start(NAME).headers["Docker-Upload-UUID"]


# --- In process ----------------------------------------------------------------------------------


def environ_of(method, path, query, headers, body, *, login):
    """The environment that our server would make of the request."""
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": query.encode("utf-8", "replace").decode("latin-1"),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "repoman.connector": "docker-hosted:http",
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    if login:
        environ["HTTP_AUTHORIZATION"] = f"Basic {b64encode(':'.join(ADMIN).encode()).decode()}"
    return environ


@pytest.fixture(scope="module")
def application(in_process):
    """The whole application, as our server calls it."""
    return application_of(in_process.repoman)


@pytest.fixture
def registry(site):
    """The repository of the connector."""
    return site.registry


@settings(relaxed, max_examples=count(600))
@given(call=calls, query=queries, headers=fields, body=bodies, is_known=is_known)
@pytest.mark.parametrize("site", ["in_process"], indirect=True)
def test_no_request_makes_the_application_fail(
    application, upload, caplog, call, query, headers, body, is_known
):
    caplog.set_level(logging.WARNING)
    method, path = call
    path = "/v2/" + path.replace("UPLOAD", upload)
    environ = environ_of(method, path, query, headers, body, login=is_known)
    chunks, status, answer = run_wsgi_app(application, environ, buffered=True)
    b"".join(chunks)
    assert int(status[:3]) < 500, caplog.text
    # A wrong host is refused in plain text, before the repository is looked for.
    if (status[:3], answer.get("Content-Type")) != ("400", "text/plain; charset=utf-8"):
        assert answer["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert caplog.records == []


# --- Over a socket -------------------------------------------------------------------------------

line_ends = st.sampled_from(["\r\n"] * 20 + ["\n", "\r", "\r\n\r\n"])
odd_headers = st.lists(
    st.sampled_from(
        [
            "Host: x",
            "Host: a, b",
            "Content-Length: 5",
            "Content-Length: -1",
            "Content-Length: 99999999999999999999",
            "Content-Length: x",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: chunked, chunked",
            "Expect: 100-continue",
            "Connection: close",
            "Connection: keep-alive, x",
            "Upgrade: h2c",
            " folded: x",
            "no colon",
            "X:" + "y" * 5000,
            ": empty",
            "\x00: nul",
        ]
    ),
    max_size=2,
)
odd_headers = st.one_of(st.just([]), st.just([]), odd_headers)


def request_of(method, target, version, headers, odd, end, body, login):
    """The bytes of a request, of which some are no HTTP."""
    lines = [f"{method} {target} {version}", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if login is not None:
        lines.append(f"Authorization: Basic {b64encode(':'.join(login).encode()).decode()}")
    if not any("Length" in each or "Encoding" in each for each in odd):
        lines.append(f"Content-Length: {len(body)}")
    head = end.join([*lines, *odd, "", ""])
    return head.encode("utf-8", "replace") + body


@pytest.fixture
def quiet_log(shared_server):
    """After the test the log has nothing that an administrator would have to look at."""
    before = len(shared_server.log)
    yield
    # A line that is written late is behind the access line of a last request.
    requests.get(f"{shared_server.main_url}/the-last-one", timeout=WAIT_S)
    wait_until(lambda: "/the-last-one" in shared_server.log[before:], what="the last line")
    new = shared_server.log[before:]
    assert "Traceback" not in new
    assert " ERROR " not in new


def exchange(port, data):
    """Send bytes, say that no more will come, and return all that comes back."""
    received = b""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)) as connection:
        with suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while part := connection.recv(1 << 16):
                received += part
    return received


STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)
NOT_OFFERED = {501, 505}  # a transfer coding or a version that nobody speaks


@settings(relaxed, max_examples=count(300))
@given(
    call=calls,
    query=queries,
    version=st.sampled_from(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", ""]),
    headers=fields,
    odd=odd_headers,
    end=line_ends,
    body=bodies,
    is_known=is_known,
)
@pytest.mark.parametrize("site", ["live"], indirect=True)
def test_no_bytes_make_the_server_fail(
    quiet_log, registry, upload, call, query, version, headers, odd, end, body, is_known
):
    method, path = call
    target = f"/v2/{path.replace('UPLOAD', upload)}?{query}"
    user = registry.login if is_known else None
    sent = request_of(method, target, version, headers, odd, end, body, user)
    statuses = [int(status) for status in STATUS.findall(exchange(registry.wire.port, sent))]
    assert all(status < 500 or status in NOT_OFFERED for status in statuses), sent


@settings(relaxed, max_examples=count(100))
@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
@pytest.mark.parametrize("site", ["live"], indirect=True)
def test_no_noise_makes_the_server_fail(quiet_log, registry, data, cut):
    request = b"PUT /v2/fuzz/app/manifests/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 400\r\n\r\n"
    for sent in (data, request[:cut], request + data):
        statuses = [int(each) for each in STATUS.findall(exchange(registry.wire.port, sent))]
        assert all(status < 500 or status in NOT_OFFERED for status in statuses), sent
    assert registry.get("").status == 200
