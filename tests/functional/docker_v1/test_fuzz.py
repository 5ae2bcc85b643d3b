"""Random requests of version 1: whatever comes, the server does not fail."""

import io
import json
import logging
import secrets
from base64 import b64encode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import run_wsgi_app

from repoman.testing import ADMIN, application_of
from tests.examples import count
from tests.functional.docker_v1.conftest import engine_of
from tests.functional.docker_v1.driver import Engine, make_chain

relaxed = settings(
    max_examples=count(100),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ADMINISTRATOR = "Basic " + b64encode(":".join(ADMIN).encode()).decode()
IDS = ("a" * 64, "b" * 64, "ID", "", "..", "x" * 300, "A" * 64, "a" * 16, "é", "\x00", "%")
NAMES = (
    "app",
    "team/app",
    "library/app",
    "a/b/c",
    "",
    "//",
    "UPPER",
    "tags",
    "images",
    "\xff",
    "é",
)
SHAPES = (
    "images/{id}/json",
    "images/{id}/layer",
    "images/{id}/ancestry",
    "images/{id}/checksum",
    "images/{id}/{name}",
    "repositories/{name}/",
    "repositories/{name}/images",
    "repositories/{name}/tags",
    "repositories/{name}/tags/{id}",
    "repositories/{name}/tags/{id}/json",
    "repositories/{name}/json",
    "repositories/{name}/properties",
    "repositories/{name}/auth",
    "repositories/{name}/layer/{id}/access",
    "{name}/{id}",
)
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(IDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "parent", "Tag", "container_config", "Cmd", "config", "created", "checksum"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)
bodies = st.binary(max_size=50) | values.map(lambda value: json.dumps(value).encode())
headers = st.dictionaries(
    st.sampled_from(
        [
            "HTTP_RANGE",
            "HTTP_X_DOCKER_TOKEN",
            "HTTP_X_DOCKER_CHECKSUM",
            "HTTP_X_DOCKER_CHECKSUM_PAYLOAD",
            "HTTP_IF_MODIFIED_SINCE",
            "CONTENT_TYPE",
        ]
    ),
    st.sampled_from(
        ["", "true", "bytes=0-", "bytes=5-1", "sha256:x", "tarsum+sha256:", "\xff", "é"]
    ),
    max_size=3,
)


@pytest.fixture(scope="module")
def application(in_process):
    return application_of(in_process.repoman)


@pytest.fixture(scope="module")
def prefix(in_process) -> str:
    return in_process.create({"docker.v1_enabled": True}).prefix


@relaxed
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "PUT", "PUT", "DELETE", "POST", "PATCH"]),
    shape=st.sampled_from(SHAPES),
    image_id=st.sampled_from(IDS),
    name=st.sampled_from(NAMES),
    body=bodies,
    headers=headers,
)
def test_no_request_makes_the_server_fail(
    application, prefix, caplog, method, shape, image_id, name, body, headers
):
    path = f"{prefix}/v1/{shape.format(id=image_id, name=name)}"
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_AUTHORIZATION": ADMINISTRATOR,
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "CONTENT_LENGTH": str(len(body)),
        **headers,
    }
    with caplog.at_level(logging.ERROR):
        content, status, _ = run_wsgi_app(application, environ, buffered=True)
        b"".join(content)
    assert not status.startswith("500"), (method, path, body, caplog.text)
    assert "Traceback" not in caplog.text


def test_any_json_of_an_image_becomes_a_config_or_is_refused(in_process):
    registry = in_process.create({"docker.v1_enabled": True})
    check_jsons(registry, engine_of(registry, basic=True))


@relaxed
@given(fields=st.dictionaries(st.text(max_size=8), values, max_size=5), known=values)
def check_jsons(registry, engine: Engine, fields, known) -> None:
    name = f"fuzz-{secrets.token_hex(4)}"
    more = {**fields, "container_config": known, "config": known, "created": known}
    for key in ("id", "parent"):
        more.pop(key, None)
    [image] = make_chain(1, **more)
    listed = [{"id": image.id, "Tag": "1"}]
    assert engine.put(f"repositories/{name}/", listed, is_first=True).status == 200
    if engine.send("PUT", f"images/{image.id}/json", image.json).status == 200:
        engine.send("PUT", f"images/{image.id}/layer", [image.layer])
        checksum = {"X-Docker-Checksum-Payload": image.payload}
        assert engine.send("PUT", f"images/{image.id}/checksum", b"", checksum).status == 200
        answer = engine.put(f"repositories/{name}/tags/1", image.id)
        assert answer.status in (200, 400), answer
        if answer.status == 200:
            assert registry.pull(name, "1")
            assert engine.pull(name, "1") == [image]
